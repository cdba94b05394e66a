"""How many alarms a person can take, as EEMUA 191 counts it: rate, bands, when a flood begins and ends. Pure."""

from typing import Final, Literal

WINDOW_MS: Final = 10 * 60 * 1000
"""EEMUA 191 and ISA-18.2 count by operator and ten minutes."""
BEGINS_ABOVE: Final = 10.0
ENDS_BELOW: Final = 5.0
"""ISA-18.2 (clause 16): a flood begins with more than 10 alarms in ten minutes and ends with fewer than 5."""
GROUPED_PRIORITIES: Final = frozenset({"low"})

Band = Literal["acceptable", "manageable", "over_demanding", "unacceptable"]
BANDS: Final[tuple[tuple[Band, float], ...]] = (("acceptable", 1.0), ("manageable", 2.0), ("over_demanding", 10.0))
"""EEMUA 191, long-term average: up to 1 in ten minutes is very likely acceptable, 1 in five minutes manageable, more is
over-demanding, and 1 a minute very likely unacceptable."""


def rate(annunciations: int, operators: int) -> float:
    """Alarms per operator and ten minutes; where nobody is signed in somebody is still on duty."""
    return annunciations / max(operators, 1)


def band_of(figure: float) -> Band:
    """The band of a rate."""
    return next((band for band, limit in BANDS if figure <= limit), "unacceptable")


def is_flood(figure: float, *, was_flood: bool) -> bool:
    """Whether it is a flood now; between the two limits it stays as it was."""
    return figure >= ENDS_BELOW if was_flood else figure > BEGINS_ABOVE


def is_held_back(priority: str, group_order: int, *, in_flood: bool) -> bool:
    """Whether an alarm is told of with its group only: a follower of little weight, while there is a flood."""
    return in_flood and group_order > 1 and priority in GROUPED_PRIORITIES
