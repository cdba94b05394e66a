"""An event loop whose time is a number: nothing waits, and the same work always happens in the same order."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class StuckError(Exception):
    """Nothing is ready and nothing is scheduled: the simulated system would wait for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of waiting for it; `on_step` is called between any two rounds of callbacks."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.on_step: Callable[[], None] = lambda: None
        self.steps = 0
        super().__init__(_JumpingSelector(self))
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self.now_s

    def next_timer_s(self) -> float | None:
        """When the next timer is due."""
        return self._scheduled[0]._when if self._scheduled else None  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        self.steps += 1
        self.on_step()
        super()._run_once()  # type: ignore[misc]


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError(f"stuck at {self._loop.now_s:.3f} s")
        if timeout > 0:
            due_s = self._loop.next_timer_s()
            assert due_s is not None
            self._loop.now_s = max(self._loop.now_s, due_s)
        return super().select(0)
