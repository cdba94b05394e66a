"""What a site asks of its alarms: priorities by consequence and time, escalation, re-alarm, the limit of a shelf. Pure.

The form of the matrix, severity of the consequence against the time that is left to respond, is that of ISA-18.2-2016
(clause 9) and IEC 62682:2014 (clause 9), and of EEMUA 191 (section 2.5); the standards leave the cells to the site. The
cells here are made for moulding: an alarm without consequence is none, and one with hours to respond is never critical.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Priority = Literal["low", "medium", "high", "critical"]
Consequence = Literal["minor", "moderate", "major", "severe"]
"""Parts to sort; scrap or a short stop; damage to mould or press, or a long stop; danger to people or environment."""
ResponseTime = Literal["immediate", "prompt", "this_shift", "later"]

PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
"""The least first."""
RESPONSE_MINUTES: Final[Mapping[ResponseTime, float]] = {"immediate": 5, "prompt": 30, "this_shift": 480}
"""Up to how many minutes each lasts; what leaves more time is `later`."""
MATRIX: Final[Mapping[Consequence, Mapping[ResponseTime, Priority]]] = {
    "minor": {"immediate": "medium", "prompt": "low", "this_shift": "low", "later": "low"},
    "moderate": {"immediate": "high", "prompt": "medium", "this_shift": "low", "later": "low"},
    "major": {"immediate": "critical", "prompt": "high", "this_shift": "medium", "later": "low"},
    "severe": {"immediate": "critical", "prompt": "critical", "this_shift": "high", "later": "medium"},
}
SHARES_ADVISED: Final[Mapping[Priority, float]] = {"low": 0.80, "medium": 0.15, "high": 0.05, "critical": 0.05}
"""Of all annunciated alarms, by ISA-18.2 (clause 16) and EEMUA 191: 80 % low, 15 % medium, 5 % high with critical."""

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
ESCALATION_LEVELS_MAX: Final = 3


def response_time(minutes: float) -> ResponseTime:
    """The class of a time to respond."""
    return next((name for name, limit in RESPONSE_MINUTES.items() if minutes <= limit), "later")


def priority_of(consequence: Consequence, respond_minutes: float) -> Priority:
    """The priority of an alarm whose consequence comes unless somebody acts within `respond_minutes`."""
    return MATRIX[consequence][response_time(respond_minutes)]


@dataclass(frozen=True, slots=True)
class AlarmPolicy:
    """The times of a site; a re-alarm after 0 is none."""

    shelve_ms_max: int = 12 * HOUR_MS
    realarm_ms: int = 8 * HOUR_MS
    escalate_ms: Mapping[Priority, int] = field(
        default_factory=lambda: {
            "low": 8 * HOUR_MS,
            "medium": HOUR_MS,
            "high": 15 * MINUTE_MS,
            "critical": 5 * MINUTE_MS,
        }
    )
    """Unacknowledged for so long an alarm escalates by one level, and by one more each time as long again."""

    def next_escalation_ms(self, priority: str, level: int, now_ms: int) -> int | None:
        """When the level after `level` is due; None when there is none, or for a priority that is not known."""
        wait_ms = next((ms for name, ms in self.escalate_ms.items() if name == priority), None)
        return None if wait_ms is None or level >= ESCALATION_LEVELS_MAX else now_ms + wait_ms

    def next_realarm_ms(self, now_ms: int) -> int | None:
        """When an alarm that was acknowledged now is announced again if its cause is still there."""
        return now_ms + self.realarm_ms if self.realarm_ms else None
