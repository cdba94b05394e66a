"""Which record goes out next: live ones first, history behind, what was not committed again. Pure."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contract.commit import Commit, CommitError
from contract.ranges import RangeSet
from edge_agent.uplink.pace import Pace

RECORDS_MAX = 5_000
BYTES_MAX = 16 * 1024 * 1024
RESEND_AFTER_S = 5.0
RESEND_AFTER_S_MAX = 60.0
HISTORY_SHARE = 0.75
HISTORY_EVERY = 5
"""At least each fifth fetch is history while there is some, so that a flood of live records cannot starve it."""
FETCH_MAX = 100
RESEND_SPAN_MAX = 400

Lane = Literal["live", "resend", "history"]
Span = tuple[int, int]
"""The first and last id that a record stands for: gap records are joined, also while some of them are in flight."""


class ForeignCommitError(CommitError):
    """The host has ids of this epoch that this program never sent: the journal is older than what the host knows.

    It was restored from a backup, or copied to another gateway. New records must go by another epoch.
    """


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
    last_id: int


class Window:
    """The unconfirmed part of the journal, bounded by count and by bytes.

    `begin` at each birth: what is in the journal then is history, what comes after is live. Live records go first;
    history may fill only `history_share` of the window, so that a live record always finds room while the host
    commits, and no more than the host takes in a moment (`Pace`), so that it does not wait there. A record
    that is not committed `resend_after_s` after it was sent goes out again; as long as no commit comes at all, that
    time doubles up to a minute.

    `own_from` is the next id of the journal when this program opened it: nobody else can have sent it or a later one.
    """

    def __init__(
        self,
        epoch: str,
        own_from: int = 1,
        *,
        records_max: int = RECORDS_MAX,
        bytes_max: int = BYTES_MAX,
        resend_after_s: float = RESEND_AFTER_S,
        history_share: float = HISTORY_SHARE,
    ) -> None:
        assert records_max >= 1
        assert 0 < history_share <= 1
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._resend_after_s = resend_after_s
        self._history_share = history_share
        self._pace = Pace(max(1, int(records_max * history_share)))
        self._next_id = self._live_next = self._history_next = self._live_start = 1
        self.settled = 0
        """Records that were in flight and that the host has, since the program started."""
        self.renew(epoch, own_from)

    def renew(self, epoch: str, own_from: int) -> None:
        """The journal goes by another epoch: what the host said of the old one no longer counts."""
        self._epoch = epoch
        self._own_from = own_from
        self._sent = RangeSet()
        self._in_flight: OrderedDict[int, _InFlight] = OrderedDict()
        self._in_flight_bytes = 0
        self._durable = RangeSet()
        self._durable_below = 1
        self._patience_s = self._resend_after_s
        self._resending_since_s: float | None = None
        self._live_in_a_row = 0
        self.is_heard = False
        """Whether the host has said once, to this program and of this epoch, what it has: before that, what this
        program sends could be taken for what another one sent under the same ids."""

    def begin(self, first: int, next_id: int) -> None:
        """A new session: whatever was in flight may be lost, and all that is kept is to be sent (again)."""
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._patience_s = self._resend_after_s
        self._resending_since_s = None
        self._pace.begin()
        self._history_next = max(first, self._durable_below)
        self._live_next = self._live_start = self._next_id = next_id

    def appended(self, next_id: int) -> None:
        """The journal has grown up to `next_id` (excluded)."""
        self._next_id = max(self._next_id, next_id)

    def next(self, now_s: float) -> Fetch | None:
        """What to read and send now; None when there is nothing, or no room."""
        is_live_waiting = self._live_next < self._next_id and self.has_room("live")
        if is_live_waiting and self._live_in_a_row < HISTORY_EVERY - 1:
            self._live_in_a_row += 1
            return self._live()
        self._live_in_a_row = 0
        # what is overdue is in the window already: sending it again takes no more room
        other = self._overdue(now_s) or (self._history() if self.has_room("history") else None)
        return other or (self._live() if is_live_waiting else None)

    def _live(self) -> Fetch:
        return Fetch("live", self._live_next, self._next_id - 1, self._limit("live"))

    def _history(self) -> Fetch | None:
        self._history_next = self._durable.contiguous_from(self._history_next)
        if self._history_next >= self._live_start:
            return None
        return Fetch("history", self._history_next, self._live_start - 1, self._limit("history"))

    def _overdue(self, now_s: float) -> Fetch | None:
        self._lose_patience()
        due: list[int] = []
        for record_id, flight in self._in_flight.items():
            if now_s - flight.sent_s < self._patience_s or len(due) == FETCH_MAX:
                break
            due.append(record_id)
        if not due:
            return None
        if self._resending_since_s is None:
            self._resending_since_s = now_s
        # One read of neighbours: ids far apart (history and live) take a read each.
        lowest = min(due)
        near = frozenset(record_id for record_id in due if record_id < lowest + RESEND_SPAN_MAX)
        return Fetch("resend", lowest, max(near), RESEND_SPAN_MAX, near)

    def _lose_patience(self) -> None:
        """Double it once for all that were overdue together, however many fetches they took."""
        oldest = next(iter(self._in_flight.values()), None)
        if self._resending_since_s is not None and (oldest is None or oldest.sent_s >= self._resending_since_s):
            self._resending_since_s = None
            self._patience_s = min(2 * self._patience_s, max(RESEND_AFTER_S_MAX, self._resend_after_s))

    def fetched(self, fetch: Fetch, found: Sequence[Span], handled: int) -> None:
        """The journal has given `found`, of which the first `handled` were dealt with: go on behind them.

        What the journal no longer has is no longer in flight.
        """
        is_all = handled == len(found)
        behind = found[-1][1] + 1 if len(found) == fetch.limit else fetch.last + 1
        end = behind if is_all else max(fetch.first, found[handled][0])
        if fetch.lane == "live":
            self._live_next = end
        elif fetch.lane == "history":
            self._history_next = end
        else:
            there = RangeSet(found)
            for record_id in fetch.only:
                if record_id not in there:
                    self._drop(record_id)

    def wants(self, fetch: Fetch, span: Span) -> bool:
        """Whether a record that was read is still to be sent."""
        first, last = span
        if fetch.only and not any(record_id in fetch.only for record_id in self._in_flight_of(span)):
            return False
        if fetch.lane == "history":
            flight = self._in_flight.get(first)
            if flight is not None and flight.last_id >= last:
                return False
        return not self._is_durable(first, last)

    def sent(self, span: Span, size_bytes: int, now_s: float) -> bool:
        """The record was handed to the network; True when all of it had been before, by this program."""
        first, last = span
        for record_id in self._in_flight_of(span):
            self._drop(record_id)
        self._in_flight[first] = _InFlight(now_s, size_bytes, last)
        self._in_flight_bytes += size_bytes
        return not self._sent.add(first, last)

    def _in_flight_of(self, span: Span) -> list[int]:
        """What is in flight of these ids."""
        first, last = span
        if first == last:
            return [first] if first in self._in_flight else []
        return [record_id for record_id in self._in_flight if first <= record_id <= last]

    def _is_durable(self, first: int, last: int) -> bool:
        return self._durable.contiguous_from(max(first, self._durable_below)) > last

    def committed(self, commit: Commit, now_s: float) -> bool:
        """Take the host's word; True when it brought something new, which may then be forgotten.

        Raises:
            ForeignCommitError: it speaks of ids of this epoch that this program has not sent; `renew` must follow.
            CommitError: it speaks of another epoch; nothing may be forgotten.
        """
        if commit.epoch != self._epoch:
            raise CommitError(f"commit is for epoch {commit.epoch}, this journal is {self._epoch}")
        self._refuse_foreign(commit)
        self.is_heard = True
        is_new = commit.below > self._durable_below
        self._durable_below = max(self._durable_below, commit.below)
        if commit.below > 1:
            self._durable.add(0, commit.below - 1)
        for first, last in commit.ranges:
            is_new |= self._durable.add(first, last)
        settled = [first for first, flight in self._in_flight.items() if self._is_durable(first, flight.last_id)]
        self._pace.committed(now_s - self._in_flight[record_id].sent_s for record_id in settled)
        for record_id in settled:
            self._drop(record_id)
        self.settled += len(settled)
        if is_new or settled or not self._in_flight:
            self._patience_s = self._resend_after_s
            self._resending_since_s = None
        return is_new

    def _refuse_foreign(self, commit: Commit) -> None:
        spans = [(1, commit.below - 1), *commit.ranges] if commit.below > 1 else list(commit.ranges)
        for first, last in spans:
            own_first = max(first, self._own_from)
            if own_first <= last and self._sent.contiguous_from(own_first) <= last:
                raise ForeignCommitError(f"commit has {own_first}..{last}, which were not all sent from here")

    def settle(self, now_s: float, *, after_s: float) -> RangeSet:
        """For a host that never commits: what was sent `after_s` ago on this connection counts as delivered."""
        delivered = RangeSet()
        waits_s: list[float] = []
        for record_id, flight in list(self._in_flight.items()):
            if now_s - flight.sent_s < after_s:
                break
            waits_s.append(now_s - flight.sent_s)
            delivered.add(record_id, flight.last_id)
            self._durable.add(record_id, flight.last_id)
            self._drop(record_id)
        self._pace.committed(waits_s)
        self.settled += len(waits_s)
        return delivered

    def replay(self, recalled_from: int) -> None:
        """The host has lost what it had from this id on: it is history again."""
        kept = [(first, min(last, recalled_from - 1)) for first, last in self._durable if first < recalled_from]
        self._durable = RangeSet(kept)
        self._durable_below = min(self._durable_below, recalled_from)
        self._history_next = min(self._history_next, recalled_from)
        self._live_start = self._live_next

    def _drop(self, record_id: int) -> None:
        flight = self._in_flight.pop(record_id, None)
        if flight is not None:
            self._in_flight_bytes -= flight.size_bytes

    @property
    def own_from(self) -> int:
        """The first id that only this program can have sent."""
        return self._own_from

    @property
    def in_flight(self) -> int:
        """How many records are sent and not committed."""
        return len(self._in_flight)

    @property
    def in_flight_bytes(self) -> int:
        """How many bytes are sent and not committed; at most `bytes_max` and one record."""
        return self._in_flight_bytes

    def has_room(self, lane: Lane) -> bool:
        """Whether one more record of this lane may be sent."""
        if lane == "resend":
            return True
        if lane == "live":
            return len(self._in_flight) < self._records_max and self._in_flight_bytes < self._bytes_max
        is_small = self._in_flight_bytes < self._bytes_max * self._history_share
        return is_small and self._pace.has_room(len(self._in_flight))

    def _limit(self, lane: Lane) -> int:
        records = self._pace.records if lane == "history" else self._records_max
        return max(1, min(FETCH_MAX, records - len(self._in_flight)))
