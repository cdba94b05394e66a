"""Keeps the program's jobs running: a crash is logged, shown as not ready, and followed by a new start."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import structlog

from kit.clock import Clock

RESTART_S_MIN, RESTART_S_MAX = 1.0, 60.0
STEADY_S = 60.0
"""A job that ran this long before it crashed is restarted without the pause of its earlier crashes."""
log = structlog.get_logger()


class Supervisor:
    """Runs named jobs until cancelled; each has its own pauses and stops no other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: dict[str, str | None] = {}

    @property
    def faults(self) -> Mapping[str, str | None]:
        """Of each job: None while it runs, else what it crashed with."""
        return dict(self._faults)

    async def keep(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run `job` again and again."""
        pause_s = RESTART_S_MIN
        while True:
            started_s = self._clock.monotonic_s()
            self._faults[name] = None
            try:
                await job()
                fault = "ended"
            except Exception as error:  # supervision: the one place that catches all
                fault = type(error).__name__
                log.exception("job_crashed", job=name, restart_in_s=pause_s)
            if self._clock.monotonic_s() - started_s >= STEADY_S:
                pause_s = RESTART_S_MIN
            self._faults[name] = fault
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_S_MAX)
