"""100,000 customers rescored through the database: read, computed, scores and tiers written.

The evidence is that of a simulated business (simulators/business). It is put into the tables in bulk, without the
checks of an import; then come a first packing, the first run (everybody gets a tier), and a month later a second one
after a month of new evidence, which is the usual case. While a run goes on, another task asks for its turn every 10 ms:
the longest wait is how long the event loop was held up.
"""

import argparse
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import asyncpg  # type: ignore[import-untyped]

from bench.report import tell
from cloud.core.audit import SYSTEM
from cloud.core.database import Database, postgresql_url, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from cloud.telemetry.memory_store import MemoryStore
from cloud.tiering import bands, repository, runs
from cloud.tiering.evidence import day_number
from cloud.tiering.packs import Packer
from cloud.tiering.runner import Runner
from cloud.tiering.runs import DAY_MS
from cloud.tiering.tables import CustomerRow
from kit.clock import ManualClock
from simulators.business.customers import SECTORS
from simulators.business.files import Business, business, day_of
from simulators.business.months import Rows, month_rows

INDEX = "ix_tiering_evidence_tenant_id_customer_id_day"
COLUMNS = (
    "tenant_id",
    "customer_id",
    "kind",
    "day",
    "amount_minor",
    "told_minor",
    "told_currency",
    "quantity",
    "source",
    "import_id",
    "merge_id",
    "made_ms",
)
Figures = dict[str, float | int | str]


def main(argv: Sequence[str]) -> int:
    """Fill, run twice, tell."""
    parser = argparse.ArgumentParser(prog="rescoring", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--postgresql", default="", help="an empty database's address; without it SQLite is measured")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="zhisan-rescoring-") as folder:
        tell(anyio.run(_measure, options, Path(folder)), as_json=options.json)
    return 0


async def _measure(options: argparse.Namespace, folder: Path) -> Figures:
    path = folder / "cloud.sqlite"
    database = Database(postgresql_url(options.postgresql) if options.postgresql else sqlite_url(path))
    drawn = business(options.customers, options.months + 1, 1)
    fill = _fill_postgresql if options.postgresql else _fill_sqlite
    where = options.postgresql or str(path)
    try:
        await upgrade(database)
        await _customers(database, drawn)
        await fill(where, drawn, range(options.months))
        clock = ManualClock(_ms(options.months))
        packer = Packer(database)
        runner = Runner(database, EventLog(Live()), clock, packer, MemoryStore())
        began = time.perf_counter()
        packed = await packer.pack_new(DEFAULT_TENANT)
        figures: Figures = {"evidence_rows": packed, "first_packing_s": time.perf_counter() - began}
        figures |= await _run(database, runner, clock, "first")
        await fill(where, drawn, range(options.months, options.months + 1))
        clock.advance(31 * 86_400)
        figures |= await _run(database, runner, clock, "next")
        return figures | {"memory_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    finally:
        await database.close()


async def _run(database: Database, runner: Runner, clock: ManualClock, name: str) -> Figures:
    async with database.transaction() as session:
        row = await runs.ask(session, DEFAULT_TENANT, actor=SYSTEM, now_ms=clock.utc_ms())
    waits: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, waits)
        await runner.do_waiting()
        tasks.cancel_scope.cancel()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    async with database.reading() as session:
        done = await repository.run(session, DEFAULT_TENANT, row.run_id)
    assert done is not None
    assert done.state == "done", done.why
    return {
        f"{name}_run_s": took,
        f"{name}_run_cpu_s": used,
        f"{name}_run_customers": done.customers,
        f"{name}_run_moved": int(done.figures["moved"]),
        f"{name}_run_loop_held_ms": 1000 * max(waits, default=0.0),
    }


async def _watch(waits: list[float]) -> None:
    while True:
        asked = time.perf_counter()
        await anyio.sleep(0.01)
        waits.append(time.perf_counter() - asked - 0.01)


async def _customers(database: Database, drawn: Business) -> None:
    rows = [
        {
            "customer_id": UUID(int=at + 1),
            "tenant_id": DEFAULT_TENANT,
            "code": code,
            "name": f"Customer {at + 1}",
            "sector": SECTORS[sector],
            "linked_tenant_id": None,
            "merged_into": None,
            "tier": "provisional",
            "served_as": "provisional",
            "since_day": day_number(day_of(0, 1)),
            "noticed_day": bands.NO_NOTICE,
            "made_ms": _ms(0),
        }
        for at, (code, sector) in enumerate(zip(drawn.customers.ids, drawn.customers.sector, strict=True))
    ]
    async with database.transaction() as session:
        await repository.insert_rows(session, CustomerRow, rows)


def _evidence(drawn: Business, months: range) -> Iterator[tuple[Any, ...]]:
    """Rows of some months in the order of COLUMNS; months must be asked for in order."""
    for month in months:
        for rows in month_rows(drawn.customers, drawn.lived, drawn.chance, month):
            yield from _of_kind(rows)


def _of_kind(rows: Rows) -> Iterator[tuple[Any, ...]]:
    day, made_ms = day_number(day_of(rows.month, rows.day)), _ms(rows.month)
    for who, amount, quantity in zip(rows.customer.tolist(), rows.amount.tolist(), rows.quantity.tolist(), strict=True):
        money = int(amount) if amount >= 0 else None
        told = "" if money is None else "CNY"
        yield (
            DEFAULT_TENANT,
            UUID(int=who + 1),
            rows.kind,
            day,
            money,
            money,
            told,
            quantity,
            "simulated",
            None,
            None,
            made_ms,
        )


async def _fill_sqlite(where: str, drawn: Business, months: range) -> None:
    await anyio.to_thread.run_sync(_insert, where, drawn, months)


def _insert(where: str, drawn: Business, months: range) -> None:
    """With a connection of our own and the index made afterwards where there are many months."""
    connection = sqlite3.connect(where, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        if len(months) > 1:
            connection.execute(f"DROP INDEX {INDEX}")
        marks = ", ".join("?" * len(COLUMNS))
        rows = ((tenant, who.hex, *rest) for tenant, who, *rest in _evidence(drawn, months))
        statement = f"INSERT INTO tiering_evidence ({', '.join(COLUMNS)}) VALUES ({marks})"
        connection.executemany(statement, rows)
        if len(months) > 1:
            connection.execute(f"CREATE INDEX {INDEX} ON tiering_evidence (tenant_id, customer_id, day)")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


async def _fill_postgresql(where: str, drawn: Business, months: range) -> None:
    connection = await asyncpg.connect(where)
    try:
        await connection.copy_records_to_table("tiering_evidence", records=_evidence(drawn, months), columns=COLUMNS)
    finally:
        await connection.close()


def _ms(month: int) -> int:
    return day_number(day_of(month, 1)) * DAY_MS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
