"""The circuit breaker of an endpoint: after failures in a row it opens, and single probes find out when to close. Pure.

Closed, calls flow. Open, none is made until `probe_at_ms`. Then it is half open: one call at a time is let through;
the first that succeeds closes it, each that fails opens it for twice as long.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

State = Literal["closed", "open", "half_open"]

FAILURES_MAX: Final = 5
PAUSE_S_MIN: Final = 30.0
PAUSE_S_MAX: Final = 900.0
JITTER_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Circuit:
    """Failures in a row, how often it has opened since the last success, and when it lets the next probe through."""

    failures: int = 0
    openings: int = 0
    probe_at_ms: int | None = None

    def state(self, now_ms: int) -> State:
        """What it is at a time."""
        if self.probe_at_ms is None:
            return "closed"
        return "half_open" if now_ms >= self.probe_at_ms else "open"


CLOSED: Final = Circuit()


def after_failure(circuit: Circuit, now_ms: int, chance: float) -> Circuit:
    """The circuit after a call that failed; `chance` (0 to 1) spreads its pause by up to JITTER_SHARE either way.

    A call that was under way when the circuit opened says nothing new: only a probe opens it for longer.
    """
    failed = replace(circuit, failures=circuit.failures + 1)
    state = circuit.state(now_ms)
    if state == "open" or (state == "closed" and failed.failures < FAILURES_MAX):
        return failed
    pause_s = min(PAUSE_S_MIN * 2 ** min(circuit.openings, 30), PAUSE_S_MAX) * (1 + JITTER_SHARE * (2 * chance - 1))
    return replace(failed, openings=circuit.openings + 1, probe_at_ms=now_ms + round(pause_s * 1000))


def calls_allowed(circuit: Circuit, now_ms: int, *, under_way: int, calls_max: int) -> int:
    """How many more calls may begin beside those under way: one at a time as soon as one has failed."""
    state = circuit.state(now_ms)
    if state == "open":
        return 0
    return max(0, (calls_max if state == "closed" and circuit.failures == 0 else 1) - under_way)
