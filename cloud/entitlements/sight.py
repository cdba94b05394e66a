"""How far back a tenant sees: its plants with the moment before which its plan hides what was measured. Pure."""

from collections.abc import Iterable
from typing import Final, Self

from cloud.entitlements.domain import DAY_MS, Entitlements

ALL_TIME: Final = -(1 << 62)
"""Before every shot, whatever a press's clock says."""


class Sight(frozenset[str]):
    """A tenant's plants; of their presses only what ended from `from_ms` on is seen."""

    from_ms: int

    def __new__(cls, plants: Iterable[str], from_ms: int = ALL_TIME) -> Self:
        """The plants, seen from a moment on."""
        made = super().__new__(cls, plants)
        made.from_ms = from_ms
        return made


def seen_from_ms(plants: frozenset[str]) -> int:
    """Where the sight of these plants begins; plants without one are seen for all time."""
    return plants.from_ms if isinstance(plants, Sight) else ALL_TIME


def hidden_before_ms(entitlements: Entitlements, now_ms: int) -> int:
    """The moment before which data are hidden, at the beginning of a UTC day; ALL_TIME without a limit."""
    if entitlements.retention_days is None:
        return ALL_TIME
    return (now_ms // DAY_MS - entitlements.retention_days) * DAY_MS
