"""The journal that forgets when the program ends: for tests and simulations of everything around it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from contract.ranges import RangeSet
from edge_agent.journal.journal import Alias, JournalCounts, JournalFullError, NewRecord, Record


class MemoryJournal:
    """`Journal` in a dict; refuses beyond `records_max`, since nothing here is worth giving up."""

    def __init__(self, *, epoch: UUID, records_max: int = 1_000_000) -> None:
        self.epoch = str(epoch)
        self._records_max = records_max
        self._records: dict[int, Record] = {}
        self._next_id = 1
        self._positions: dict[str, str] = {}
        self._aliases: list[Alias] = []
        self._bd_seq = 255

    def append(self, records: Sequence[NewRecord]) -> int:
        """Keep the records; see the port."""
        if len(self._records) + len(records) > self._records_max:
            raise JournalFullError(f"the journal holds {self._records_max} records")
        first = self._next_id
        for record_id, new in enumerate(records, first):
            self._records[record_id] = Record(record_id, new.press_id, new.ended_ms, new.body, new.curves)
            if new.source_id:
                self._positions[new.source_id] = new.position
        self._next_id += len(records)
        return first

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """The kept records of `first`..`last`; see the port."""
        return [self._records[i] for i in sorted(self._records) if first <= i <= last][:limit]

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Delete what the cloud has; see the port."""
        self._records = {i: r for i, r in self._records.items() if i >= below and i not in ranges}

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
        """Nothing to let go of."""
