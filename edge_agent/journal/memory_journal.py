"""The journal that forgets when the program ends: for tests and simulations of everything around it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from contract.ranges import RangeSet
from edge_agent.journal.journal import Alias, JournalCounts, JournalFullError, NewRecord, Record


class MemoryJournal:
    """`Journal` in two dicts; refuses beyond `records_max`, since nothing here is worth giving up.

    Of the forgotten records the `grace_records` with the highest ids can be recalled.
    """

    def __init__(self, *, epoch: UUID, records_max: int = 1_000_000, grace_records: int = 1_000) -> None:
        self._epoch = str(epoch)
        self._epoch_first = 1
        self._records_max = records_max
        self._grace_records = grace_records
        self._records: dict[int, Record] = {}
        self._forgotten: dict[int, Record] = {}
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

    def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:  # noqa: ARG002 - gives nothing up
        """Keep the records; see the port."""
        if len(self._records) + len(records) > self._records_max:
            raise JournalFullError(f"the journal holds {self._records_max} records")
        first = self._next_id
        for record_id, new in enumerate(records, first):
            self._records[record_id] = Record(record_id, new.press_id, new.ended_ms, new.body, new.curves, new.is_gap)
            if new.source_id:
                self._positions[new.source_id] = new.position
        self._next_id += len(records)
        return first

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """The kept records of `first`..`last`; see the port."""
        return [self._records[i] for i in sorted(self._records) if first <= i <= last][:limit]

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Put what the cloud has aside; see the port."""
        for record_id in [i for i in self._records if i < below or i in ranges]:
            self._forgotten[record_id] = self._records.pop(record_id)
        for record_id in sorted(self._forgotten)[: -self._grace_records or None]:
            del self._forgotten[record_id]

    def replayable_from(self) -> int:
        """The lowest id that can be read or recalled; see the port."""
        return min(min(self._records, default=self._next_id), min(self._forgotten, default=self._next_id))

    def recall(self, first: int) -> int:
        """Take records back that were put aside; see the port."""
        for record_id in [i for i in self._forgotten if i >= first]:
            self._records[record_id] = self._forgotten.pop(record_id)
        return min((i for i in self._records if i >= first), default=self._next_id)

    def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """Be another journal from now on; see the port."""
        self._epoch = str(epoch)
        self.forget(keep_from, RangeSet())
        self._forgotten.clear()
        self._epoch_first = min(self._records, default=self._next_id)

    def bounds(self) -> tuple[int, int]:
        """The lowest kept id and the next one; see the port."""
        return min(self._records, default=self._next_id), self._next_id

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
        return JournalCounts(len(self._records), sum(r.size_bytes for r in self._records.values()))

    def close(self) -> None:
        """Nothing to let go of: a test may look at it afterwards."""
