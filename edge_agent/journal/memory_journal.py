"""The journal that forgets when the program ends: for tests and simulations of everything around it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from contract.gaps import THINNED
from contract.ranges import RangeSet
from edge_agent.journal.giving_up import MakeMetrics, gap_of, joined
from edge_agent.journal.journal import Alias, JournalCounts, JournalFullError, NewRecord, Record
from edge_agent.journal.kept import below as ids_below
from edge_agent.journal.kept import kept_count


class MemoryJournal:
    """`Journal` in two dicts of at most `records_max` records, joined gaps counted as one.

    At the bound it gives up every second of its older half; without `make_gap`, which encodes what stands for them, it
    refuses. Of the forgotten records the `grace_records` with the highest ids can be recalled.
    """

    def __init__(
        self,
        *,
        epoch: UUID,
        records_max: int = 1_000_000,
        grace_records: int = 1_000,
        make_gap: MakeMetrics | None = None,
    ) -> None:
        self._epoch = str(epoch)
        self._epoch_first = 1
        self._records_max = records_max
        self._grace_records = grace_records
        self._make_gap = make_gap
        self._records: dict[int, Record] = {}
        self._forgotten: dict[int, Record] = {}
        self._forgotten_ids = RangeSet()
        self._gone = RangeSet()  # forgotten for good
        self._thinned = 0
        self._next_id = 1
        self._positions: dict[str, str] = {}
        self._aliases: list[Alias] = []
        self._bd_seq = 255

    @property
    def epoch(self) -> str:
        """Which journal it is; see the port."""
        return self._epoch

    @property
    def epoch_first(self) -> int:
        """The first id of the epoch; see the port."""
        return self._epoch_first

    def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        """Keep the records; see the port."""
        while len(self._records) + len(records) > self._records_max:
            if not may_give_up or self._make_gap is None or not self._thin():
                raise JournalFullError(f"the journal holds {self._records_max} records")
        first = self._next_id
        for record_id, new in enumerate(records, first):
            self._records[record_id] = Record(record_id, new.press_id, new.ended_ms, new.body, new.curves, new.gap)
            if new.source_id:
                self._positions[new.source_id] = new.position
        self._next_id += len(records)
        return first

    def _thin(self) -> bool:
        """Give up every second shot of the older half, of all where that is one; False when nothing becomes less."""
        before = [self._records[record_id] for record_id in sorted(self._records)]
        for end in (len(before) // 2, len(before)):
            after: list[Record] = []
            shots_seen = thinned = 0
            for record in before[:end]:
                shots_seen += not record.is_gap
                is_given_up = not record.is_gap and shots_seen % 2 == 0
                thinned += is_given_up
                left = gap_of(record, THINNED) if is_given_up else record
                whole = joined(after[-1], left) if after else None
                after[-1 if whole else len(after) :] = [whole or left]
            if thinned or len(after) < end:
                self._records = {record.record_id: record for record in (*after, *before[end:])}
                self._thinned += thinned
                return True
        return False

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """The kept records of `first`..`last`; see the port."""
        found = (self._records[record_id] for record_id in sorted(self._records))
        return [self._with_body(r) for r in found if first <= r.last_id and self._kept_from(r) <= last][:limit]

    def _with_body(self, record: Record) -> Record:
        if not record.is_gap or self._make_gap is None:
            return record
        return replace(record, body=self._make_gap(record, record.gap[0].reason))

    def _kept_from(self, record: Record) -> int:
        """The lowest id of a record that is not forgotten; beyond its last when none is kept."""
        return self._forgotten_ids.contiguous_from(record.record_id)

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Put what the cloud has aside; see the port."""
        for first, last in [(0, below - 1), *ranges]:
            last = min(last, self._next_id - 1)
            if first <= last:
                self._forgotten_ids.add(first, last)
        for record in [r for r in self._records.values() if self._kept_from(r) > r.last_id]:
            self._forgotten[record.record_id] = self._records.pop(record.record_id)
        for record_id in sorted(self._forgotten)[: -self._grace_records or None]:
            self._gone.add(record_id, self._forgotten.pop(record_id).last_id)

    def replayable_from(self) -> int:
        """The lowest id that can be read or recalled; see the port."""
        there = (*self._records.values(), *self._forgotten.values())
        return min((self._gone.contiguous_from(record.record_id) for record in there), default=self._next_id)

    def recall(self, first: int) -> int:
        """Take records back that were put aside; see the port."""
        self._forgotten_ids = ids_below(self._forgotten_ids, first)
        for begin, end in self._gone:
            self._forgotten_ids.add(begin, end)
        for record in [r for r in self._forgotten.values() if self._kept_from(r) <= r.last_id]:
            self._records[record.record_id] = self._forgotten.pop(record.record_id)
        return min(self._forgotten_ids.contiguous_from(max(first, 1)), self._next_id)

    def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """Be another journal from now on; see the port."""
        self._epoch = str(epoch)
        self.forget(keep_from, RangeSet())
        self._forgotten.clear()
        self._gone = self._forgotten_ids.copy()
        self._epoch_first = self.bounds()[0]

    def bounds(self) -> tuple[int, int]:
        """The lowest kept id and the next one; see the port."""
        return min(self._forgotten_ids.contiguous_from(1), self._next_id), self._next_id

    def positions(self) -> Mapping[str, str]:
        """How far each source has come."""
        return dict(self._positions)

    def aliases(self) -> list[Alias]:
        """All aliases, in order."""
        return list(self._aliases)

    def save_aliases(self, given: Sequence[Alias]) -> None:
        """Keep new aliases; see the port."""
        self._aliases += given

    def next_bd_seq(self) -> int:
        """The next birth-death sequence number; see the port."""
        self._bd_seq = (self._bd_seq + 1) % 256
        return self._bd_seq

    def counts(self) -> JournalCounts:
        """How full it is."""
        records = kept_count(self._forgotten_ids, 1, self._next_id - 1)
        size_bytes = sum(record.size_bytes for record in self._records.values())
        return JournalCounts(records, size_bytes, records_thinned=self._thinned)

    def close(self) -> None:
        """Nothing to let go of: a test may look at it afterwards."""
