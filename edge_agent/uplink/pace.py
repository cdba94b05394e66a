"""How much history may be in flight, so that a live shot does not wait long behind it in a slow host. Pure."""

from collections.abc import Iterable

QUEUE_S = 0.3
"""How much longer than on an idle line history may wait for its commit: so long a live shot waits behind it."""
RECORDS_MIN = 200
"""As many are always allowed: 1,000 records/s at the host's shortest commit interval, 0.2 s."""
GROWTH = 1.25
SHRINK_MIN = 0.5


class Pace:
    """A bound that moves with the host: delay-based congestion control, as TCP Vegas has it.

    The wait of the record that was committed last is set beside the shortest of the session. What is longer is queue,
    and the queue is what a live record stands behind: by Little's law it grows with what is in flight beyond what the
    host can take. So the bound shrinks in proportion where the queue is over QUEUE_S, and grows only while it is what
    holds history back. `begin` starts from RECORDS_MIN: a new connection may be another path.
    """

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self.begin()

    def begin(self) -> None:
        """A new session, of which nothing is known."""
        self._records = min(RECORDS_MIN, self._records_max)
        self._idle_s: float | None = None
        self._is_held = False

    def has_room(self, in_flight: int) -> bool:
        """Whether one more may be sent beside so many; a no is remembered."""
        self._is_held |= in_flight >= self._records
        return in_flight < self._records

    def committed(self, waits_s: Iterable[float]) -> None:
        """So long has each record that a commit settled been in flight."""
        wait_s = min(waits_s, default=None)
        if wait_s is None:
            return
        self._idle_s = wait_s if self._idle_s is None else min(wait_s, self._idle_s)
        queue_s = wait_s - self._idle_s
        if queue_s > QUEUE_S:
            shrunk = int(self._records * max(SHRINK_MIN, QUEUE_S / queue_s))
            self._records = max(min(RECORDS_MIN, self._records_max), shrunk)
        elif self._is_held:
            self._records = min(self._records_max, int(self._records * GROWTH) + 1)
        self._is_held = False

    @property
    def records(self) -> int:
        """The bound as it stands."""
        return self._records
