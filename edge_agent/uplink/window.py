"""Which record goes out next: live ones first, history behind, what was not committed again. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from contract.commit import Commit, CommitError
from contract.ranges import RangeSet

RECORDS_MAX = 2_000
BYTES_MAX = 16 * 1024 * 1024
RESEND_AFTER_S = 5.0
RESEND_AFTER_S_MAX = 60.0
HISTORY_SHARE = 0.75
FETCH_MAX = 100
RESEND_SPAN_MAX = 400

Lane = Literal["live", "resend", "history"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read these ids of the journal and send them; with `only`, just the ones named."""

    lane: Lane
    first: int
    last: int
    limit: int
    only: frozenset[int] = frozenset()


@dataclass(slots=True)
class _InFlight:
    sent_s: float
    size_bytes: int


class Window:
    """The unconfirmed part of the journal, bounded by count and by bytes.

    `begin` at each birth: what is in the journal then is history, what comes after is live. Live records go first;
    history and re-sending may fill only `history_share` of the window, so that a live record always finds room
    while the host commits. A record that is not committed `resend_after_s` after it was sent goes out again; as
    long as no commit comes at all, that time doubles up to a minute.
    """

    def __init__(
        self,
        epoch: str,
        *,
        records_max: int = RECORDS_MAX,
        bytes_max: int = BYTES_MAX,
        resend_after_s: float = RESEND_AFTER_S,
        history_share: float = HISTORY_SHARE,
    ) -> None:
        assert records_max >= 1
        assert 0 < history_share <= 1
        self._epoch = epoch
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._resend_after_s = resend_after_s
        self._history_share = history_share
        self._in_flight: OrderedDict[int, _InFlight] = OrderedDict()
        self._in_flight_bytes = 0
        self._durable = RangeSet()
        self._durable_below = 1
        self._patience_s = resend_after_s
        self._next_id = self._live_next = self._history_next = self._live_start = 1

    def begin(self, first: int, next_id: int) -> None:
        """A new session: whatever was in flight may be lost, and all that is kept is to be sent (again)."""
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._patience_s = self._resend_after_s
        self._history_next = max(first, self._durable_below)
        self._live_next = self._live_start = self._next_id = next_id

    def appended(self, next_id: int) -> None:
        """The journal has grown up to `next_id` (excluded)."""
        self._next_id = max(self._next_id, next_id)

    def next(self, now_s: float) -> Fetch | None:
        """What to read and send now; None when there is nothing, or no room."""
        if self._live_next < self._next_id and self._has_room(1.0):
            return Fetch("live", self._live_next, self._next_id - 1, self._limit(1.0))
        if not self._has_room(self._history_share):
            return self._overdue(now_s)  # these are in the window already: sending them again takes no more room
        return self._overdue(now_s) or self._history()

    def _history(self) -> Fetch | None:
        self._history_next = self._durable.contiguous_from(self._history_next)
        if self._history_next >= self._live_start:
            return None
        return Fetch("history", self._history_next, self._live_start - 1, self._limit(self._history_share))

    def _overdue(self, now_s: float) -> Fetch | None:
        due: list[int] = []
        for record_id, flight in self._in_flight.items():
            if now_s - flight.sent_s < self._patience_s or len(due) == FETCH_MAX:
                break
            due.append(record_id)
        if not due:
            return None
        # One read of neighbours: ids far apart (history and live) take a read each.
        lowest = min(due)
        near = frozenset(record_id for record_id in due if record_id < lowest + RESEND_SPAN_MAX)
        return Fetch("resend", lowest, max(near), RESEND_SPAN_MAX, near)

    def fetched(self, fetch: Fetch, found: list[int]) -> None:
        """The journal has answered: go on behind what it gave; what it no longer has is no longer in flight."""
        end = found[-1] + 1 if len(found) == fetch.limit else fetch.last + 1
        if fetch.lane == "live":
            self._live_next = end
        elif fetch.lane == "history":
            self._history_next = end
        else:
            for record_id in fetch.only.difference(found):
                self._drop(record_id)
            self._patience_s = min(2 * self._patience_s, max(RESEND_AFTER_S_MAX, self._resend_after_s))

    def wants(self, fetch: Fetch, record_id: int) -> bool:
        """Whether a record that was read is still to be sent."""
        if fetch.only and record_id not in fetch.only:
            return False
        return record_id >= self._durable_below and record_id not in self._durable

    def sent(self, record_id: int, size_bytes: int, now_s: float) -> None:
        """The record was handed to the network."""
        self._drop(record_id)
        self._in_flight[record_id] = _InFlight(now_s, size_bytes)
        self._in_flight_bytes += size_bytes

    def committed(self, commit: Commit) -> bool:
        """Take the host's word; True when it brought something new, which may then be forgotten.

        Raises:
            CommitError: it speaks of another epoch, or of ids that were never given; nothing may be forgotten.
        """
        if commit.epoch != self._epoch:
            raise CommitError(f"commit is for epoch {commit.epoch}, this journal is {self._epoch}")
        highest = max((last for _, last in commit.ranges), default=commit.below - 1)
        if max(commit.below - 1, highest) >= self._next_id:
            raise CommitError(f"commit reaches {highest}, but the next id is {self._next_id}")
        self._patience_s = self._resend_after_s
        is_new = commit.below > self._durable_below
        self._durable_below = max(self._durable_below, commit.below)
        if commit.below > 1:
            self._durable.add(0, commit.below - 1)
        for first, last in commit.ranges:
            is_new |= self._durable.add(first, last)
        for record_id in [i for i in self._in_flight if i < self._durable_below or i in self._durable]:
            self._drop(record_id)
        return is_new

    def _drop(self, record_id: int) -> None:
        flight = self._in_flight.pop(record_id, None)
        if flight is not None:
            self._in_flight_bytes -= flight.size_bytes

    @property
    def in_flight(self) -> int:
        """How many records are sent and not committed."""
        return len(self._in_flight)

    def _has_room(self, share: float) -> bool:
        return len(self._in_flight) < self._records_max * share and self._in_flight_bytes < self._bytes_max * share

    def _limit(self, share: float) -> int:
        return max(1, min(FETCH_MAX, int(self._records_max * share) - len(self._in_flight)))
