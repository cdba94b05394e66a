"""The journal off the event loop: one call at a time, in a worker thread."""

import threading
from collections.abc import Mapping, Sequence
from uuid import UUID

import anyio
from anyio import to_thread

from contract.ranges import RangeSet
from contract.standing import Standing
from edge_agent.journal.journal import Alias, Journal, JournalCounts, NewRecord, Record


class JournalThread:
    """The journal's methods as coroutines; `next_bd_seq` alone is called from the MQTT client's own thread."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(1)

    @property
    def epoch(self) -> str:
        """See `Journal.epoch`."""
        return self._journal.epoch

    async def save_aliases(self, given: Sequence[Alias]) -> None:
        """See `Journal.save_aliases`."""

        def work() -> None:
            with self._lock:
                self._journal.save_aliases(given)

        await to_thread.run_sync(work, limiter=self._limiter)

    async def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        """See `Journal.append`."""

        def work() -> int:
            with self._lock:
                return self._journal.append(records, may_give_up=may_give_up)

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """See `Journal.read`."""

        def work() -> list[Record]:
            with self._lock:
                return self._journal.read(first, last, limit=limit)

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def forget(self, below: int, ranges: RangeSet) -> None:
        """See `Journal.forget`."""

        def work() -> None:
            with self._lock:
                self._journal.forget(below, ranges)

        await to_thread.run_sync(work, limiter=self._limiter)

    async def recall(self, first: int) -> int:
        """See `Journal.recall`."""

        def work() -> int:
            with self._lock:
                return self._journal.recall(first)

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """See `Journal.begin_epoch`."""

        def work() -> None:
            with self._lock:
                self._journal.begin_epoch(epoch, keep_from)

        await to_thread.run_sync(work, limiter=self._limiter)

    async def standing(self, instance: str) -> Standing:
        """What a birth says of the journal, for this running program."""

        def work() -> Standing:
            with self._lock:
                journal, (first, next_id) = self._journal, self._journal.bounds()
                recallable = min(first, journal.replayable_from())
                return Standing(instance, journal.epoch, journal.epoch_first, recallable, first, next_id)

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def replayable_from(self) -> int:
        """See `Journal.replayable_from`."""

        def work() -> int:
            with self._lock:
                return self._journal.replayable_from()

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def positions(self) -> Mapping[str, str]:
        """See `Journal.positions`."""

        def work() -> Mapping[str, str]:
            with self._lock:
                return self._journal.positions()

        return await to_thread.run_sync(work, limiter=self._limiter)

    async def status(self) -> tuple[JournalCounts, int | None]:
        """Counts, and when the oldest kept record's cycle ended (UTC ms)."""

        def work() -> tuple[JournalCounts, int | None]:
            with self._lock:
                oldest = self._journal.read(*self._journal.bounds(), limit=1)
                return self._journal.counts(), oldest[0].ended_ms if oldest else None

        return await to_thread.run_sync(work, limiter=self._limiter)

    def next_bd_seq(self) -> int:
        """See `Journal.next_bd_seq`; blocks for one durable write."""
        with self._lock:
            return self._journal.next_bd_seq()
