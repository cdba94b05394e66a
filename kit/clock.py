"""Time as an argument: the only file that reads the machine's clocks."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for waiting; the two are never mixed."""

    def utc_ms(self) -> int:
        """UTC milliseconds since 1970; may step forwards or back."""

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never runs back."""


class SystemClock:
    """The clocks of the operating system."""

    def utc_ms(self) -> int:
        """UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told: for tests, simulations and replays."""

    def __init__(self, utc_ms: int = 1_767_225_600_000, monotonic_s: float = 0.0) -> None:
        self._utc_ms = utc_ms
        self._monotonic_s = monotonic_s

    def utc_ms(self) -> int:
        """The wall time set so far."""
        return self._utc_ms

    def monotonic_s(self) -> float:
        """The monotonic time advanced so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let both clocks run on by `seconds` (>= 0)."""
        assert seconds >= 0
        self._monotonic_s += seconds
        self._utc_ms += round(seconds * 1000)

    def step_wall(self, milliseconds: int) -> None:
        """Step the wall clock alone, as an operator or NTP does."""
        self._utc_ms += milliseconds
