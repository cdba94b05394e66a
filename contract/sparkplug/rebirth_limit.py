"""May this node be asked for a rebirth now? A token bucket for all nodes and a cool-down for each.

After a restart of the host every gateway looks unborn at once; births are the largest messages there are, and asking
for all of them together would bury the data.
"""

from typing import Final

from contract.sparkplug.topics import NodeKey

REQUESTS_PER_S: Final = 10.0
REQUESTS_BURST: Final = 50
COOL_DOWN_S: Final = 10.0


class RebirthLimit:
    """Bounds rebirth requests to a rate over all nodes and to one in `cool_down_s` for each node."""

    def __init__(
        self, *, per_s: float = REQUESTS_PER_S, burst: int = REQUESTS_BURST, cool_down_s: float = COOL_DOWN_S
    ) -> None:
        assert per_s > 0
        assert burst >= 1
        self._per_s = per_s
        self._burst = burst
        self._cool_down_s = cool_down_s
        self._tokens = float(burst)
        self._filled_s: float | None = None
        # in order of time; only what still cools down is kept, so it holds at most burst + per_s * cool_down_s nodes
        self._asked_s: dict[NodeKey, float] = {}

    def allow(self, node: NodeKey, now_s: float) -> bool:
        """Whether a request may go out at `now_s` (monotonic seconds); True counts as sent."""
        if self._filled_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        while self._asked_s and now_s - next(iter(self._asked_s.values())) >= self._cool_down_s:
            del self._asked_s[next(iter(self._asked_s))]
        if node in self._asked_s or self._tokens < 1:
            return False
        self._tokens -= 1
        self._asked_s[node] = now_s
        return True
