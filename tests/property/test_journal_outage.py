"""A journal that is full for ever takes each new shot, stays in its bound, and its gaps account for every shot once.

Some of what is given up has reached the host before, and the host's word of it comes late or never: the ledger that the
host makes of what it gets in the end says exactly what is missing, whatever the journal had joined meanwhile.
"""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.telemetry.duckdb_store import DuckDBStore
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GapFilter, GatewayKey, IncomingGap, IncomingShot, PressKey, TelemetryStore
from contract.commit import commit_of
from contract.gaps import MISSED_CYCLES, REFUSED, GapLine
from contract.ranges import RangeSet
from contract.shot import ScoredShot, Scores, Shot
from edge_agent.journal.disk import Disk
from edge_agent.journal.journal import Journal, NewRecord, Record
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.segment_journal import SegmentJournal

GATEWAY, EPOCH = GatewayKey("p", "g"), UUID(int=7)
EVERYWHERE = GapFilter(frozenset({"p"}))
ALL = 1 << 40
SIZE_KB, RECORDS_MAX = 320, 40


class QuickDisk(Disk):
    """Leaves the syncing out: the power is never cut here."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def segments(folder: Path) -> SegmentJournal:
    return SegmentJournal(
        folder,
        size_bytes_max=SIZE_KB * 1024,
        new_epoch=EPOCH,
        make_gap=lambda _record, reason: reason.encode(),
        mark_curves=lambda _record, _reason: b"",
        grace_bytes=0,
        disk=QuickDisk(),
    )


def memory() -> MemoryJournal:
    return MemoryJournal(epoch=EPOCH, records_max=RECORDS_MAX, make_gap=lambda _record, reason: reason.encode())


class Line:
    """A journal, a host that hears some of it, and what really happened."""

    def __init__(self, journal: Journal, store: TelemetryStore, seed: int) -> None:
        self.journal, self.store = journal, store
        self.chance = random.Random(seed)
        self.made: Counter[str] = Counter()
        self.missed: Counter[tuple[str, str]] = Counter()

    def append(self, count: int, size: int) -> None:
        """Shots of some presses, among them what a press has lost."""
        records = []
        for _ in range(count):
            press = f"m{self.chance.randrange(3)}"
            ended_ms = sum(self.made.values())
            if self.chance.random() < 0.1:
                reason, missed = self.chance.choice([REFUSED, MISSED_CYCLES]), self.chance.randint(1, 9)
                self.missed[press, reason] += missed
                lines = (GapLine(press, reason, missed, ended_ms, ended_ms),)
                records.append(NewRecord(press, ended_ms, b"", gap=lines))
                continue
            self.made[press] += 1
            body = self.made[press].to_bytes(4, "big") + self.chance.randbytes(size)
            records.append(NewRecord(press, ended_ms, body, self.chance.randbytes(size), f"s:{press}", "x"))
        first = self.journal.append(records)
        newest = self.journal.read(first + count - 1, ALL, limit=9)
        assert newest[-1].last_id == first + count - 1
        assert newest[-1].body == records[-1].body or records[-1].gap, "the newest is whole"

    def hear(self) -> None:
        """The host gets some of what is kept, and its word gets through or not."""
        first, next_id = self.journal.bounds()
        begin = self.chance.randint(first, next_id)
        found = self.journal.read(begin, next_id, limit=self.chance.randint(1, 60))
        self._store([record for record in found if self.chance.random() < 0.7])
        if self.chance.random() < 0.5:
            self.listen()

    def listen(self) -> None:
        """The host's word."""
        word = commit_of(str(EPOCH), self.store.committed(GATEWAY, str(EPOCH)))
        self.journal.forget(word.below, RangeSet(word.ranges))

    def _store(self, records: Sequence[Record]) -> None:
        self.store.write([_incoming(record) for record in records])

    def judge_kept(self) -> None:
        """Every id that is kept is there, in order and once."""
        kept, at = self.journal.read(1, ALL, limit=ALL), 0
        ids = RangeSet()
        for record in kept:
            assert record.record_id > at
            at = record.last_id
            ids.add(record.record_id, record.last_id)
        first, next_id = self.journal.bounds()
        durable = self.store.committed(GATEWAY, str(EPOCH))
        assert all(begin in durable and end in durable for begin, end in ids.missing(first, next_id - 1))

    def end_the_outage(self) -> None:
        """All that is kept goes to the host, and all is accounted for."""
        self._store(self.journal.read(1, ALL, limit=ALL))
        self.listen()
        assert self.journal.counts().records == 0
        told = Counter(
            {(line.press.press_id, line.reason): line.count for line in self.store.gaps(EVERYWHERE, limit=99)}
        )
        stored = self.store.counts(frozenset({"p"}))
        for press, made in self.made.items():
            assert stored.get(PressKey("p", press), 0) + told.pop((press, "thinned"), 0) == made
        assert told == self.missed


def _incoming(record: Record) -> IncomingShot | IncomingGap:
    if record.is_gap:
        place = (GATEWAY, str(EPOCH), record.record_id, 9, record.press_id, record.ended_ms, record.gap[0].reason)
        return IncomingGap(*place, record.last_id, record.gap)
    scored = ScoredShot(Shot(record.press_id, record.ended_ms, {}), np.zeros(1, np.float32), "h", Scores("b", {}))
    return IncomingShot(GATEWAY, str(EPOCH), record.record_id, 9, True, scored)


STEPS = st.lists(
    st.tuples(st.just("append"), st.integers(1, 20), st.integers(100, 1_500))
    | st.tuples(st.just("append"), st.integers(1, 20), st.integers(0, 60))
    | st.tuples(st.sampled_from(["hear", "listen", "reopen"]), st.just(0), st.just(0)),
    min_size=4,
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(["memory", "segments"]), steps=STEPS, seed=st.integers(0, 1 << 30))
def test_whatever_was_given_up_joined_heard_and_committed_each_shot_is_accounted_for_once(
    kind: str, steps: list[tuple[str, int, int]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("outage")
    line = Line(memory() if kind == "memory" else segments(folder), MemoryStore(), seed)
    for what, count, size in steps:
        if what == "append":
            line.append(count, size)
        elif what == "hear":
            line.hear()
        elif what == "listen":
            line.listen()
        elif kind == "segments":
            line.journal.close()
            line.journal = segments(folder)
        line.judge_kept()
    line.end_the_outage()
    line.journal.close()


@pytest.mark.parametrize("kind", ["memory", "segments"])
def test_an_outage_without_end_needs_no_more_room_than_a_long_one(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    store = DuckDBStore(tmp_path / "telemetry.duckdb")
    line = Line(memory() if kind == "memory" else segments(folder), store, 1)
    line.append(20, 400)
    line.hear()
    weights = []
    for batch in range(200):
        line.append(20, 400)
        if kind == "segments":
            assert sum(path.stat().st_size for path in folder.iterdir()) <= SIZE_KB * 1024
        if batch % 25 == 24:
            records = line.journal.read(1, ALL, limit=ALL)
            weights.append((len(records), sum(len(record.gap) for record in records)))
    if kind == "segments":
        files = list(folder.glob("*.seg"))
        assert len(files) < 16, "small files are joined"
    assert max(weights[3:]) < (3 * max(weights[:2])[0], 9 * max(weights[:2])[0]), f"records and lines: {weights}"
    line.judge_kept()
    line.end_the_outage()
    line.journal.close()
    store.close()
