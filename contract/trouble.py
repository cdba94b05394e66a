"""When what a gateway counts becomes an alarm of the gateway: its journal gave something up or is damaged. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

COUNTERS: Final[Mapping[str, str]] = {
    "journal_curves_dropped": "CurvesDropped",
    "journal_records_thinned": "RecordsThinned",
    "journal_records_damaged": "RecordsDamaged",
    "journal_has_no_room": "JournalErrors",
    "shots_refused": "ShotsRefused",
}
"""Kinds of trouble and the gateway's counter (`Health/...`) that rises with each: DESIGN section 6, step by step."""
QUIET_MS: Final = 10 * 60 * 1000
"""Trouble whose counter has not risen for so long is over."""


@dataclass(frozen=True, slots=True)
class TroubleTracker:
    """What one counter of a gateway said last, and when it last rose; `is_raised` while its alarm is active."""

    is_raised: bool = False
    counted: int = 0
    risen_ms: int = 0


Step = Literal["raise", "clear"]


def step(tracker: TroubleTracker, counted: int, now_ms: int) -> tuple[TroubleTracker, Step | None]:
    """The tracker after a look at the counter, and what the look brought about.

    What a journal gave up is counted for the life of the journal, the rest from the start of the gateway's program. One
    that has fallen began again, with another program or journal, and all that it shows is new; so it is of a gateway
    that this cloud has never heard: what it gave up before is in no alarm yet.
    """
    if rise(tracker, counted):
        happened: Step | None = None if tracker.is_raised else "raise"
        return TroubleTracker(is_raised=True, counted=counted, risen_ms=now_ms), happened
    tracker = replace(tracker, counted=counted)
    if tracker.is_raised and now_ms - tracker.risen_ms >= QUIET_MS:
        return replace(tracker, is_raised=False), "clear"
    return tracker, None


def rise(tracker: TroubleTracker, counted: int) -> int:
    """How much trouble a look at the counter shows beyond what is known."""
    return counted - tracker.counted if counted >= tracker.counted else counted


def counts_of(health: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a gateway's health by kind of trouble; one that the gateway does not tell is left out."""
    return {mode: int(health[name]) for mode, name in COUNTERS.items() if name in health}
