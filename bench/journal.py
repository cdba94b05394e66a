"""What the journal costs: durable appends, reading back, forgetting, and all of it beside a large backlog.

The segment files against SQLite (WAL, FULL) on the same disk in the same run. Every append is synced. `--backlog N`
says how many records of 2 kB wait; 1,000,000 are 2 GB. What runs beside a backlog runs in a program of its own, so that
its memory can be told.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import psutil

from bench.report import tell
from bench.sqlite_probe import SqliteProbe
from contract.ranges import RangeSet
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.segment_journal import SegmentJournal

SMALL_BYTES, LARGE_BYTES = 2_000, 30_000
BATCH, READ_RECORDS, ALL = 64, 100, 1 << 60
BACKLOG_RECORDS = 200_000
DRAINED_RECORDS_MAX = 100_000
BOUND_BYTES = 16 * 2**30
Candidate = SegmentJournal | SqliteProbe
ROUNDS = 3


def segments(path: Path) -> SegmentJournal:
    return SegmentJournal(
        path,
        size_bytes_max=BOUND_BYTES,
        new_epoch=UUID(int=1),
        make_gap=lambda _record, _reason: b"",
        mark_curves=lambda _record, _reason: b"",
    )


CANDIDATES: dict[str, Callable[[Path], Candidate]] = {"segments": segments, "sqlite": SqliteProbe}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--backlog", type=int, default=BACKLOG_RECORDS, help="records that wait (1000000 are 2 GB)")
    arguments = parser.parse_args()
    figures: dict[str, float | int | str] = {"backlog_records": arguments.backlog}
    for name in CANDIDATES:
        with tempfile.TemporaryDirectory() as folder:
            measured = empty(name, Path(folder)) | backlog(name, Path(folder), arguments.backlog)
        if name == "segments":
            figures["appends_per_s"] = measured["appends_per_s_2kb_64"]
            figures["fsyncs_per_s"] = measured["appends_per_s_2kb_1"]
        figures |= {f"{name}_{key}": value for key, value in measured.items()}
    for key in ("appends_per_s_2kb_1", "appends_per_s_2kb_64", "appends_per_s_30kb_64", "drain_per_s"):
        figures[f"ratio_{key}"] = float(figures[f"segments_{key}"]) / float(figures[f"sqlite_{key}"])
    tell(figures, as_json=arguments.json)


def empty(name: str, folder: Path) -> dict[str, float]:
    """Rates on a journal that has next to nothing in it; of appends the best of three, since the disk is shared."""
    figures = {}
    for size, label in ((SMALL_BYTES, "2kb"), (LARGE_BYTES, "30kb")):
        for batch, count in ((1, 400), (BATCH, 6_400 * SMALL_BYTES // size)):
            rates = []
            for number in range(ROUNDS):
                journal = CANDIDATES[name](folder / f"{label}-{batch}-{number}")
                rates.append(append_rate(journal, size, batch, count))
                journal.close()
            figures[f"appends_per_s_{label}_{batch}"] = max(rates)
    return figures


def backlog(name: str, folder: Path, records: int) -> dict[str, float]:
    """Open, append, drain and memory with `records` waiting, and the append rate in the same program with none."""
    alone = in_a_program(beside_backlog, name, folder / "none", 0)
    in_a_program(fill, name, folder / "backlog", records)
    beside = in_a_program(beside_backlog, name, folder / "backlog", records)
    return beside | {
        "append_ratio_backlog": beside["appends_per_s"] / alone["appends_per_s"],
        "rss_growth_mib_empty": alone["rss_growth_mib"],
    }


def in_a_program(work: Callable[..., dict[str, float]], *arguments: object) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as programs:
        return programs.submit(work, *arguments).result()


def fill(name: str, path: Path, records: int) -> dict[str, float]:
    journal = CANDIDATES[name](path)
    body = bytes(SMALL_BYTES)
    for start in range(0, records, 1_000):
        journal.append([NewRecord("press-01", i, body) for i in range(start, min(start + 1_000, records))])
    journal.close()
    return {}


def beside_backlog(name: str, path: Path, records: int) -> dict[str, float]:
    before_mib = rss_mib()
    began_s = time.perf_counter()
    journal = CANDIDATES[name](path)
    open_s = time.perf_counter() - began_s
    figures = {
        "open_s": open_s,
        "appends_per_s": max(append_rate(journal, SMALL_BYTES, BATCH, 19_200) for _ in range(ROUNDS)),
    }
    drained = min(records, DRAINED_RECORDS_MAX) or 6_400
    began_s, at = time.perf_counter(), 1
    while at < drained and (found := journal.read(at, ALL, limit=READ_RECORDS)):
        at = found[-1].record_id + 1
    figures["reads_per_s"] = drained / (time.perf_counter() - began_s)
    began_s, at = time.perf_counter(), 1
    while at < drained and (found := journal.read(at, ALL, limit=READ_RECORDS)):
        at = found[-1].record_id + 1
        journal.forget(at, RangeSet())
    figures["drain_per_s"] = drained / (time.perf_counter() - began_s)
    figures["rss_growth_mib"] = rss_mib() - before_mib
    journal.close()
    return figures


def append_rate(journal: Candidate, size: int, batch: int, count: int) -> float:
    body, curves = bytes(min(size, SMALL_BYTES)), bytes(max(0, size - SMALL_BYTES))
    records = [NewRecord("press-01", i, body, curves) for i in range(batch)]
    began_s = time.perf_counter()
    for _ in range(0, count, batch):
        journal.append(records)
    return count / (time.perf_counter() - began_s)


def rss_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    main()
