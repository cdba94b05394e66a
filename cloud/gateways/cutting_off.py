"""Ends the connections of gateways whose certificate was revoked, each when its own time has come."""

from collections.abc import Awaitable, Callable, Iterable

import anyio

from cloud.core.live import Topic, wait_for_change
from kit.clock import Clock

GatewayName = tuple[str, str]
Planned = tuple[float, GatewayName]
PENDING_MAX = 1_000
"""More than these at once are left to the lists, which silence a connection that lives."""
AT_ONCE = 8
IDLE_S = 3_600.0


class CuttingOff:
    """What is to be cut off and when; the keeper of the lists adds to it and never waits for it.

    A distant broker takes a revocation from the lists some time after they were written. Were that time waited for
    between one writing and the next, a second revocation would wait for the first one's, and take twice as long.
    """

    def __init__(self, cut_off: Callable[[GatewayName], Awaitable[None]], clock: Clock) -> None:
        self._cut_off = cut_off
        self._clock = clock
        self._planned: set[Planned] = set()
        self._added = Topic()

    def plan(self, gateways: Iterable[GatewayName], *, in_s: float) -> None:
        """Have these cut off `in_s` from now; who is planned already is cut off twice."""
        due_s = self._clock.monotonic_s() + in_s
        for gateway in gateways:
            if len(self._planned) < PENDING_MAX:
                self._planned.add((due_s, gateway))
        self._added.publish()

    async def run(self) -> None:
        """Serve until cancelled; what was under way then is done again."""
        while True:
            version, now_s = self._added.version, self._clock.monotonic_s()
            await self._all(sorted(planned for planned in self._planned if planned[0] <= now_s))
            next_s = min((due_s for due_s, _ in self._planned), default=now_s + IDLE_S)
            await wait_for_change(self._added, version, at_most_s=max(0.0, next_s - self._clock.monotonic_s()))

    async def _all(self, due: Iterable[Planned]) -> None:
        limiter = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for planned in due:
                tasks.start_soon(self._one, planned, limiter, name=f"cut off {'/'.join(planned[1])}")

    async def _one(self, planned: Planned, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            await self._cut_off(planned[1])
        self._planned.discard(planned)
