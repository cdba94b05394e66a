"""What must hold at every step, and what must hold in the end."""

import copy
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self
from uuid import UUID

from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GapFilter, GatewayKey, IncomingGap, IncomingShot, TelemetryError
from contract.gaps import THINNED
from contract.ranges import RangeSet
from edge_agent.journal.journal import JournalFullError, NewRecord, Record
from edge_agent.journal.memory_journal import MemoryJournal
from tests.simulation.runtime import Machine

ALL = 1 << 62
Shot = tuple[str, int]
"""Press and its own count of cycles: which shot it is, however often it travels."""


class ViolationError(AssertionError):
    """A law was broken; the seed is the bug report."""


class Truth:
    """What really happened, told by the disks themselves; no program sees it."""

    def __init__(self) -> None:
        self.accepted: dict[Shot, tuple[str, int]] = {}
        """Appended to a journal, with the record it became: from here on the system answers for it."""
        self.records: dict[tuple[str, int], Shot] = {}
        self.stored: dict[Shot, int] = {}
        self.destroyed: set[Shot] = set()
        """On a gateway's disk that was taken away: no program can know of it."""
        self.lost_at_host: set[Shot] = set()
        """On a host's disk that was put back to an older state, when its gateway may have forgotten it."""
        self.given_up: set[Shot] = set()
        """Thinned in a full journal: when the host has no such shot, its ledger counts it."""
        self.rewound: set[str] = set()
        """Epochs whose journal was put back to an older state, so that ids are given twice."""
        self.newest: dict[str, int] = {}
        """The last cycle of each press that any journal has taken."""
        self.newest_id: dict[str, int] = {}
        """The last id of each epoch."""
        self.newest_live: dict[tuple[str, str], int] = {}
        """The last id of each epoch and press that came to a host as it was made, not as history."""
        self.is_reordered = False
        """The network has begun to deliver out of order: how things arrive says nothing any more."""
        self.thrown: list[ViolationError] = []

    def appended(self, epoch: str, first: int, records: Sequence[NewRecord]) -> None:
        """A journal has taken records: of each press the next cycles, in order, under ids that rise."""
        for record_id, record in enumerate(records, first):
            if record.gap:  # stands for a shot that was never accepted
                continue
            shot, name = (record.press_id, int(record.position)), (epoch, record_id)
            if name in self.records and epoch not in self.rewound:
                self.broken(f"record {record_id} of {epoch} was given twice")
            before = self.accepted.get(shot)
            if before is not None:
                self.broken(f"{shot} was taken twice")
            self._judge_order(shot, name)
            self.records[name] = shot
            self.accepted[shot] = name

    def _judge_order(self, shot: Shot, name: tuple[str, int]) -> None:
        (press_id, number), (epoch, record_id) = shot, name
        before = self.newest.get(press_id, number - 1)
        if number != before + 1:
            self.broken(f"{shot} was taken next to cycle {before}")
        if record_id <= self.newest_id.get(epoch, 0) and epoch not in self.rewound:
            self.broken(f"record {record_id} of {epoch} was given behind a later one")
        self.newest[press_id], self.newest_id[epoch] = number, record_id

    def arrived(self, record: IncomingShot) -> None:
        """A host has stored a shot: by the id that its journal gave it, and live ones of a press in order."""
        press_id, epoch = record.scored.shot.press_id, record.epoch
        if epoch in self.rewound:
            return
        shot = press_id, record.scored.shot.cycle_counter or 0
        if self.records.get((epoch, record.record_id)) != shot:
            self.broken(f"{shot} was stored as record {record.record_id} of {epoch}, which it is not")
        if record.is_historical or self.is_reordered:
            return
        if record.record_id <= self.newest_live.get((epoch, press_id), 0):
            self.broken(f"{shot}, live, was stored behind a later one")
        self.newest_live[epoch, press_id] = record.record_id

    def broken(self, what: str) -> None:
        """Note it, since a program may swallow an exception, and raise it."""
        self.thrown.append(ViolationError(what))
        raise self.thrown[-1]


class JudgedJournal(MemoryJournal):
    """The gateway's disk: refuses when it is full, and is judged at every append and every forgetting."""

    truth: Truth
    machine: Machine

    def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        """See the port."""
        if self.machine.is_disk_full:
            raise JournalFullError("the simulated disk is full")
        first = super().append(records, may_give_up=may_give_up)
        self.truth.appended(self.epoch, first, records)
        return first

    def forget(self, below: int, ranges: RangeSet) -> None:
        """See the port; nothing may go that the host does not have."""
        before = self.kept()
        super().forget(below, ranges)
        after = {record.record_id for record in self.kept()}
        self._judge(record.record_id for record in before if not record.is_gap and record.record_id not in after)

    def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """See the port."""
        old = self.epoch
        super().begin_epoch(epoch, keep_from)
        for record in self.kept():
            shot = self.truth.records[old, record.record_id]
            self.truth.records[self.epoch, record.record_id] = shot
            self.truth.accepted[shot] = self.epoch, record.record_id

    def _thin(self) -> bool:
        shots = {record.record_id for record in self._records.values() if not record.is_gap}
        is_thinner = super()._thin()
        left = {record.record_id for record in self._records.values() if not record.is_gap}
        self.truth.given_up |= {self.truth.records[self.epoch, record_id] for record_id in shots - left}
        return is_thinner

    def kept(self) -> list[Record]:
        """All records that wait for the host."""
        return self.read(1, ALL, limit=ALL)

    def image(self) -> Self:
        """A copy of the disk as it is now."""
        twin = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list | RangeSet):
                setattr(twin, name, value.copy())
        return twin

    def _judge(self, gone: Iterable[int]) -> None:
        truth = self.truth
        for record_id in gone:
            shot = truth.records[self.epoch, record_id]
            if shot not in truth.stored and shot not in truth.lost_at_host:
                truth.broken(f"record {record_id} {shot} was forgotten, and the host does not have it")


class JudgedStore(MemoryStore):
    """The host's disk: fails when told to, and is judged at every write."""

    truth: Truth
    machine: Machine

    def write(self, records: Sequence[IncomingShot | IncomingGap]) -> list[int | None]:
        """See the port; no shot may be stored twice."""
        if self.machine.is_disk_full:
            raise TelemetryError("the simulated disk is full")
        row_ids = super().write(records)
        for record, row_id in zip(records, row_ids, strict=True):
            if row_id is not None and isinstance(record, IncomingShot):
                self._judge(record, row_id)
        return row_ids

    def image(self) -> Self:
        """A copy of the disk as it is now: a backup."""
        twin = copy.copy(self)
        twin._lock = threading.Lock()
        twin._rows, twin._names, twin._drops = list(self._rows), list(self._names), list(self._drops)
        twin._by_press = {press: list(ids) for press, ids in self._by_press.items()}
        twin._latest, twin._durable = dict(self._latest), dict(self._durable)
        return twin

    def _judge(self, record: IncomingShot, row_id: int) -> None:
        shot = record.scored.shot.press_id, record.scored.shot.cycle_counter or 0
        if shot in self.truth.stored:
            self.truth.broken(f"{shot} was stored twice")
        if shot not in self.truth.accepted:
            self.truth.broken(f"{shot} was stored before any journal had it")
        self.truth.arrived(record)
        self.truth.stored[shot] = row_id


def judge_the_end(truth: Truth, store: MemoryStore, gateway: GatewayKey, waiting: set[tuple[str, int]]) -> None:
    """Every accepted shot is stored once, or in a journal, or in the ledger as lost with the disk it was on.

    Raises:
        ViolationError: one is not.
    """
    missing = []
    for shot, (epoch, record_id) in truth.accepted.items():
        if shot in truth.stored or shot in truth.destroyed or (epoch, record_id) in waiting:
            continue
        if shot in truth.lost_at_host and record_id in store.committed(gateway, epoch):
            continue  # written off: the ledger names it
        if shot in truth.given_up:
            continue  # the ledger counts it
        missing.append((shot, epoch[-6:], record_id))
    if missing:
        truth.broken(f"{len(missing)} shots are nowhere: {missing[:5]}")
    _judge_the_ledger(truth, store, gateway)


def _judge_the_ledger(truth: Truth, store: MemoryStore, gateway: GatewayKey) -> None:
    """What was thinned and did not come to the host before is counted, each shot once and under its press."""
    given_up = Counter(press_id for press_id, number in truth.given_up if (press_id, number) not in truth.stored)
    lines = store.gaps(GapFilter(frozenset({gateway.plant_id}), reason=THINNED), limit=100)
    told = Counter({line.press.press_id: line.count for line in lines})
    if told != given_up:
        truth.broken(f"thinned and not stored are {dict(given_up)}, the ledger says {dict(told)}")
