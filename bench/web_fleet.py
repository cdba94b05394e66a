"""The fleet page's data for thousands of presses: what a reader of the live page waits for, a second's shots later."""

import gc
import gzip
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import numpy as np

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.service import AlarmService
from cloud.cli import GC_THRESHOLDS
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import FleetRules, SeenShot
from cloud.fleet.service import FleetService
from cloud.migrations.upgrade import upgrade
from cloud.production.board import ProductionBoard
from cloud.production.jobs import ProductionConsumer
from cloud.production.windows import Schedule
from cloud.telemetry.duckdb_store import DuckDBStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from cloud.web.facts import PageFacts
from cloud.web.fleet_page import FleetPage
from cloud.web.fleet_view import FleetFilter
from cloud.web.shell import Shell
from contract.shot import ScoredShot, Scores, Shot
from kit.clock import SystemClock

PRESSES_PER_GATEWAY, PRESSES_PER_PLANT = 40, 1_000
CYCLE_S = 20.0
SCATTER = 7_919
"""Presses take turns in steps of this prime: those of a second are spread over all plants."""
LOOKS = (FleetFilter(), FleetFilter(search="press-00"), FleetFilter(sort="oee", density="compact"))
"""The plain page, a search, another order: readers look at each in turn."""
Figures = dict[str, float | int | str]


class Hall:
    """Presses at their gateways, in the real stores on disk, with all that follows their shots."""

    def __init__(self, folder: Path, presses: int) -> None:
        self.clock, self.live = SystemClock(), Live()
        self.database = Database(sqlite_url(folder / "cloud.sqlite"))
        self.store = DuckDBStore(folder / "telemetry.duckdb")
        log = EventLog(self.live)
        self.fleet = FleetService(log, self.live, FleetRules())
        schedule = Schedule(ZoneInfo("UTC"), (6, 14, 22))
        self.consumer = ProductionConsumer(self.database, self.store, self.live, self.clock, schedule)
        self.board = ProductionBoard(self.database, self.live, self.clock, schedule)
        alarms = AlarmService(log, self.live, AlarmDefaults())
        self.facts = PageFacts(self.database, self.store, alarms, self.live, self.clock, self.board)
        self.names = [
            (f"plant-{at // PRESSES_PER_PLANT}", f"gw-{at // PRESSES_PER_GATEWAY}", f"press-{at:05}")
            for at in range(presses)
        ]
        self._at = self._record_id = 0

    async def be_born(self) -> None:
        """Every gateway and press introduces itself, and makes one shot."""
        await upgrade(self.database)
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            for plant_id, gateway_id in dict.fromkeys((plant, gateway) for plant, gateway, _ in self.names):
                await self.fleet.node_born(session, plant_id, gateway_id, epoch="e", metrics={}, now_ms=now_ms)
        for start in range(0, len(self.names), 1_000):
            await self.make_shots(min(1_000, len(self.names) - start))

    async def make_shots(self, count: int) -> None:
        """The next presses make a shot each, as one batch of the ingest brings them."""
        now_ms = self.clock.utc_ms()
        batch = [self.names[(self._at + n) * SCATTER % len(self.names)] for n in range(count)]
        self._at += count
        await anyio.to_thread.run_sync(self.store.write, [self._shot(*name, now_ms) for name in batch])
        seen = [SeenShot(plant, gateway, press, now_ms, now_ms) for plant, gateway, press in batch]
        async with self.database.transaction() as session:
            await self.fleet.shots_seen(session, seen)
        self.live.shots.publish()

    def _shot(self, plant_id: str, gateway_id: str, press_id: str, now_ms: int) -> IncomingShot:
        self._record_id += 1
        ripple = self._record_id % 17 / 100
        values = {"FailureProbability/check_ring_wear": ripple, "Novelty/T2": 0.5 + ripple, "Novelty/SPE": 0.4}
        shot = Shot(
            press_id, now_ms, {"CycleTime": CYCLE_S + ripple}, job_name="job", mould_id=f"mould-{press_id[-2:]}"
        )
        scored = ScoredShot(shot, np.zeros(60, np.float32), "hash", Scores("bundle", values))
        gateway = GatewayKey(plant_id, gateway_id)
        return IncomingShot(gateway, "epoch", self._record_id, now_ms, False, scored)


async def measure(presses: int, rounds: int) -> Figures:
    """The figures, with reports renewed beside the looks and memory kept as in the program."""
    gc.set_threshold(*GC_THRESHOLDS)
    with tempfile.TemporaryDirectory() as name:
        hall = Hall(Path(name), presses)
        await hall.be_born()
        while await hall.consumer.consume_batch():
            pass
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hall.board.run)
            figures = await looks(hall, presses, rounds)
            tasks.cancel_scope.cancel()
        await hall.database.close()
        hall.store.close()
    return figures


async def looks(hall: Hall, presses: int, rounds: int) -> Figures:
    """Times of the data after each second's shots, readers of three looks in turn; a second a round, as it is there."""
    shell = Shell(hall.clock)
    page, t = FleetPage(shell), shell.catalogues["zh-CN"]
    times_ms, cpu_ms, first_ms, full = [], [], 0.0, ""
    due_s = time.perf_counter()
    for at in range(rounds + len(LOOKS)):
        await anyio.sleep(max(0.0, due_s - time.perf_counter()))
        due_s += 1
        await hall.make_shots(max(1, round(presses / CYCLE_S)))
        wanted = LOOKS[at % len(LOOKS)]
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        facts = await hall.facts.fleet(DEFAULT_TENANT)
        snapshot = await anyio.to_thread.run_sync(page.snapshot, t, facts, wanted, DEFAULT_TENANT)
        took_ms, took_cpu_ms = (time.perf_counter() - began_s) * 1000, (time.process_time() - began_cpu_s) * 1000
        if at < len(LOOKS):
            first_ms, full = max(first_ms, took_ms), full or snapshot.full or ""
        else:
            times_ms.append(took_ms)
            cpu_ms.append(took_cpu_ms)
    return {
        "presses": presses,
        "fleet_p50_ms": float(np.percentile(times_ms, 50)),
        "fleet_p99_ms": float(np.percentile(times_ms, 99)),
        "fleet_cpu_p50_ms": float(np.percentile(cpu_ms, 50)),
        "fleet_cpu_p99_ms": float(np.percentile(cpu_ms, 99)),
        "fleet_first_ms": first_ms,
        "board_bytes_compressed": len(gzip.compress(full.encode(), 9)),
    }
