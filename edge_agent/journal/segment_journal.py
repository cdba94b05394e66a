"""The journal in a folder of append-only segment files; docs/decisions/0004 says why."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from contract.gaps import DAMAGED
from contract.ranges import RangeSet
from edge_agent.journal import segment as segments
from edge_agent.journal import state as states
from edge_agent.journal.disk import TEMPORARY_SUFFIX, Disk, put_whole
from edge_agent.journal.frames import Kind, encode
from edge_agent.journal.giving_up import MakeMetrics, gap_of
from edge_agent.journal.journal import (
    Alias,
    JournalCounts,
    JournalError,
    JournalFullError,
    NewRecord,
    Record,
)
from edge_agent.journal.kept import kept_count, kept_runs
from edge_agent.journal.payloads import encode_new, encode_ranges
from edge_agent.journal.recovery import SNAPSHOT_FILE, Recovered, recover
from edge_agent.journal.segment import RECORDS_MAX
from edge_agent.journal.space import SPACE_ERRORS, Space, segment_bytes_of

LOCK_FILE = "lock"
GRACE_BYTES = 32 * 2**20
STEPS_MAX = 256
"""Most things given up for one write; who waits for room tries again."""
REPORTS_MAX = 20
_T = TypeVar("_T")
log = structlog.get_logger()


class SegmentJournal:
    """`Journal` in the folder `folder`, bounded to `size_bytes_max` on disk.

    At the bound or on a full disk it gives up, in this order and counted: the content of forgotten records, the curves
    of the oldest records, every second of the oldest records, again and again. `make_gap` and `mark_curves` encode what
    stands for them; they are called inside the journal and must not call it. What is damaged is told and given up,
    nothing else.

    Raises:
        JournalError: the folder cannot be written, or another program has it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size_bytes_max: int,
        new_epoch: UUID,
        make_gap: MakeMetrics,
        mark_curves: MakeMetrics,
        grace_bytes: int = GRACE_BYTES,
        disk: Disk | None = None,
    ) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._make_gap = make_gap
        self._grace_bytes = grace_bytes
        self._segment_bytes = segment_bytes_of(size_bytes_max)
        self._file = self._lock = -1
        self._is_suspect = False
        self._tails_cut = 0
        self._damaged = RangeSet()
        self._given_up_noted = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._disk.lock(folder / LOCK_FILE)
            for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
                self._disk.unlink(path)
            found = recover(folder, str(new_epoch))
            self._state, self._segments, self._reports = found.state, found.segments, found.reports
            self._space = Space(folder, self._disk, size_bytes_max, self._state, self._segments, mark_curves)
            self._given_up_noted = self._given_up
            self._begin(found)
        except BlockingIOError as error:
            raise JournalError(f"journal {folder}: another program has it open") from error
        except (OSError, JournalFullError) as error:
            self.close()
            raise JournalError(f"journal {folder}: {error}") from error

    def _begin(self, found: Recovered) -> None:
        for report in found.reports:
            log.error("journal_damaged", folder=str(self._folder), report=report)
        for path in found.leftovers:
            self._disk.unlink(path)
        if found.is_appendable:
            last = self._segments[-1]
            self._file = self._disk.open(last.path)
            if found.tail_cut_at is not None:
                log.warning("journal_tail_cut", file=last.path.name, size_bytes=last.size - found.tail_cut_at)
                self._disk.truncate(self._file, found.tail_cut_at)
                self._disk.sync(self._file)
                last.size = found.tail_cut_at
                self._tails_cut += 1
        else:
            self._with_room(self._roll)
        if found.is_epoch_lost:
            log.error("journal_epoch_lost", folder=str(self._folder), new_epoch=self._state.epoch)
        self._space.reserve()

    @property
    def epoch(self) -> str:
        """Which journal it is; see the port."""
        return self._state.epoch

    @property
    def epoch_first(self) -> int:
        """Where this epoch begins; see the port."""
        return self._state.epoch_first

    def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        """Store the records with one write and one sync; see the port."""
        assert len(records) <= RECORDS_MAX
        state, first, left = self._state, self._state.next_id, len(records)
        frames = []
        for record_id, new in enumerate(records, first):
            left -= 1
            frames.append(encode(Kind.RECORD, record_id, encode_new(new), bd_seq=state.bd_seq, left=left))
        offset = self._write(b"".join(frames), records=len(records), may_give_up=may_give_up)
        active = self._segments[-1]
        for record_id, (new, frame) in enumerate(zip(records, frames, strict=True), first):
            active.note_new(record_id, new, offset)
            offset += len(frame)
            if new.source_id:
                state.positions[new.source_id] = new.position
        state.next_id = first + len(records)
        if self._given_up != self._given_up_noted:
            self._keep_snapshot_aside()
        return first

    @property
    def _given_up(self) -> int:
        return self._state.curves_dropped + self._state.records_thinned

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """The kept records of `first`..`last`, gap records for what is damaged; see the port."""
        found: list[Record] = []
        for begin, end in kept_runs(self._state.forgotten, max(first, 1), min(last, self._state.next_id - 1)):
            if found:
                begin = max(begin, found[-1].last_id + 1)
            while begin <= end and len(found) < limit:
                part, begin = self._read_run(begin, end, limit - len(found))
                found += part
            if len(found) >= limit:
                break
        return found

    def _read_run(self, begin: int, end: int, limit: int) -> tuple[list[Record], int]:
        """At most `limit` records of kept ids, from one segment, and the id to go on with."""
        index, ids_end = self._segment_of(begin)
        end = min(end, ids_end - 1, begin + limit - 1)
        whole: list[Record] = []
        if index >= 0 and begin >= self._state.readable_from:
            whole = segments.read(self._segments[index], begin, end, limit=limit)
        found: list[Record] = []
        near, at = whole[0] if whole else None, begin
        for record in whole:
            found += self._lost(at, record.record_id - 1, near or record)
            found.append(self._with_body(record) if record.is_gap else record)
            near, at = record, record.last_id + 1
        if at <= end:
            found += self._lost(at, end, near or self._sample(index))
        return found, max(at, end + 1)

    def _lost(self, first: int, last: int, near: Record) -> list[Record]:
        """Gap records for ids that should be there and are not."""
        lost = list(range(first, last + 1))
        if lost:
            self._note_damaged(lost)
        gone = (Record(record_id, near.press_id, near.ended_ms, b"", b"") for record_id in lost)
        return [self._with_body(gap_of(record, DAMAGED)) for record in gone]

    def _with_body(self, record: Record) -> Record:
        return replace(record, body=self._make_gap(record, record.gap[0].reason))

    def _segment_of(self, record_id: int) -> tuple[int, int]:
        """The place of the segment that has, or had, the id (-1: none), and the lowest id behind it."""
        place = bisect_right(self._segments, record_id, key=lambda segment: segment.first_id)
        return place - 1, self._segments[place].first_id if place < len(self._segments) else self._state.next_id

    def _sample(self, index: int) -> Record:
        """Some record near a damaged one: a gap needs a press and a time, and only its neighbours know them."""
        near = [*reversed(self._segments[: index + 1]), *self._segments[index + 1 :]]
        known = next((segment for segment in near if segment.press_id), None)
        if known is not None:
            return Record(0, known.press_id, known.ended_ms, b"", b"")
        press_id = next((alias.press_id for alias in self._state.aliases.values()), "unknown")
        return Record(0, press_id, 0, b"", b"")

    def _note_damaged(self, lost: list[int]) -> None:
        new = [record_id for record_id in lost if self._damaged.add(record_id)]
        if new:
            log.error("journal_records_damaged", first=new[0], last=new[-1], count=len(new))
            self._reports.append(f"{len(new)} records from {new[0]} to {new[-1]} are damaged")
            del self._reports[:-REPORTS_MAX]

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Note what the cloud has and delete the oldest segments beyond the grace; see the port.

        Works on a full disk: the note that makes it durable may be missing there, and comes with the next segment.
        """
        state = self._state
        state.forget(0, below - 1)
        for first, last in ranges:
            state.forget(first, last)
        noted = [(0, below - 1), *ranges][below < 1 :]
        try:
            self._write_once(state.frame(Kind.FORGET, encode_ranges(noted)), sync=False)
        except OSError as error:
            log.debug("forgetting_not_noted", error=str(error))
        self._space.delete_forgotten(state.forgotten, self._grace_bytes, self._sync)

    def _sync(self) -> None:
        self._disk.sync(self._file)

    def replayable_from(self) -> int:
        """The lowest id that can still be read; see the port."""
        unreadable = RangeSet([*self._voids(), *self._state.gone])
        return min(unreadable.contiguous_from(self._segments[0].first_id), self.bounds()[0])

    def recall(self, first: int) -> int:
        """Un-forget what can still be read; see the port."""
        state = self._state
        first = max(first, self.replayable_from())
        self._write(state.frame(Kind.RECALL, states.encode_recall(first)))
        state.recall(first)
        for begin, end in self._voids():
            state.forgotten.add(begin, end)
        return min(state.forgotten.contiguous_from(first), state.next_id)

    def _voids(self) -> RangeSet:
        return RangeSet(void for segment in self._segments for void in segment.void)

    def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """Begin a segment whose head has the new epoch: the moment it gets its name, all is done; see the port."""
        state = self._state
        before = state.epoch, state.forgotten.copy(), state.gone, state.epoch_first
        payload = states.encode_epoch(str(epoch), keep_from)
        state.begin_epoch(str(epoch), keep_from)
        try:
            self._with_room(lambda: self._roll(state.frame(Kind.EPOCH, payload)))
        except JournalError:
            state.epoch, state.forgotten, state.gone, state.epoch_first = before
            raise

    def bounds(self) -> tuple[int, int]:
        """The lowest kept id and the next one; see the port."""
        return min(self._state.forgotten.contiguous_from(1), self._state.next_id), self._state.next_id

    def positions(self) -> Mapping[str, str]:
        """How far each source has come."""
        return dict(self._state.positions)

    def aliases(self) -> list[Alias]:
        """All aliases, in order."""
        return sorted(self._state.aliases.values(), key=lambda alias: alias.alias)

    def save_aliases(self, given: Sequence[Alias]) -> None:
        """Make new aliases durable, in two files: a lost alias would make records unreadable; see the port."""
        if given:
            self._write(self._state.frame(Kind.ALIASES, states.encode_aliases(list(given))))
            self._state.add_aliases(list(given))
            self._keep_snapshot_aside()

    def next_bd_seq(self) -> int:
        """The next birth-death sequence number; see the port. On a full disk it becomes durable with what is next."""
        self._state.bd_seq = (self._state.bd_seq + 1) % 256
        try:
            self._write(self._state.frame(Kind.BD_SEQ))
        except JournalFullError as error:
            log.warning("bd_seq_not_noted", error=str(error))
        return self._state.bd_seq

    def counts(self) -> JournalCounts:
        """How full it is, and what it lost."""
        first, next_id = self.bounds()
        size_bytes = 0
        for segment in self._segments:
            if segment.records and segment.last_id >= first:
                kept = kept_count(self._state.forgotten, segment.first_id, segment.last_id)
                size_bytes += segment.content_bytes * min(kept, segment.records) // segment.records
        return JournalCounts(
            kept_count(self._state.forgotten, first, next_id - 1),
            size_bytes,
            self._state.curves_dropped,
            self._state.records_thinned,
            self._damaged.count(),
            self._tails_cut,
            tuple(self._reports),
        )

    def close(self) -> None:
        """Make everything durable and let go of the folder."""
        for file in (self._file, self._lock):
            if file >= 0:
                self._disk.close(file)
        self._file = self._lock = -1

    def _write(self, data: bytes, *, records: int = 0, may_give_up: bool = True) -> int:
        """Write and sync, with as much room made as it takes; gives the offset in the last segment."""
        if len(data) > self._space.largest_write:
            raise JournalFullError(f"journal {self._folder}: {len(data)} bytes are more than it can ever hold")
        return self._with_room(lambda: self._write_once(data, records=records), may_give_up=may_give_up)

    def _with_room(self, act: Callable[[], _T], *, may_give_up: bool = True) -> _T:
        """Do it, making room before each new try.

        Raises:
            JournalFullError: nothing more can, or may, be given up.
            JournalError: the disk fails.
        """
        for _ in range(STEPS_MAX):
            try:
                return act()
            except OSError as error:
                reason = error
                if error.errno not in SPACE_ERRORS:
                    raise JournalError(f"journal {self._folder}: {error}") from error
            if not self._space.make(self._state.forgotten, self._sync, self._roll, may_give_up=may_give_up):
                break
        raise JournalFullError(f"journal {self._folder}: {reason}") from reason

    def _write_once(self, data: bytes, *, records: int = 0, sync: bool = True) -> int:
        active = self._segments[-1]
        is_full = active.records + records > RECORDS_MAX or active.size + len(data) > self._segment_bytes
        if self._is_suspect or (is_full and (active.records or active.size > self._segment_bytes)):
            self._roll()
            active = self._segments[-1]
        self._space.check(len(data))
        start = active.size
        try:
            self._disk.write(self._file, data, start)
            if sync:
                self._sync()
        except OSError:
            self._take_back(start)
            raise
        active.size += len(data)
        return start

    def _take_back(self, size: int) -> None:
        """After a failed write or sync nobody knows what the file holds behind `size`: go on in another one."""
        self._is_suspect = True
        try:
            self._disk.truncate(self._file, size)
            self._sync()
        except OSError as error:
            log.warning("segment_left_alone", file=self._segments[-1].path.name, error=str(error))
        else:
            self._is_suspect = False

    def _roll(self, more: bytes = b"") -> None:
        """Seal the last segment and begin another, with all that the journal knows at its head."""
        state = self._state
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / segments.name_of(number, state.next_id)
        head = states.encode_snapshot(state, number) + more
        self._space.check(len(head))
        if self._file >= 0 and not self._is_suspect:
            self._seal()
        put_whole(self._disk, path, head)
        file = self._disk.open(path)
        if self._file >= 0:
            self._disk.close(self._file)
        self._file, self._is_suspect = file, False
        self._segments.append(segments.Segment(path, number, state.next_id, size=len(head)))
        self._keep_snapshot_aside()

    def _seal(self) -> None:
        """Write the footer; without one, for want of room, the segment is scanned when the journal is opened."""
        active = self._segments[-1]
        footer = segments.footer_of(active)
        try:
            self._disk.write(self._file, footer, active.size)
            self._sync()
        except OSError as error:
            log.warning("segment_not_sealed", file=active.path.name, error=str(error))
            self._disk.truncate(self._file, active.size)
        else:
            active.size += len(footer)
            active.is_sealed = True

    def _keep_snapshot_aside(self) -> None:
        """The second copy of what the head of the last segment says; a full disk leaves the older one."""
        snapshot = states.encode_snapshot(self._state, self._segments[-1].number)
        self._space.snapshot_bytes = len(snapshot)
        self._given_up_noted = self._given_up
        try:
            put_whole(self._disk, self._folder / SNAPSHOT_FILE, snapshot)
        except OSError as error:
            log.warning("snapshot_not_kept", error=str(error))
