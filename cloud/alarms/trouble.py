"""How urgent each kind of a gateway's trouble is. Pure."""

from collections.abc import Mapping
from typing import Final

from cloud.alarms.policy import Consequence, Priority, priority_of

GATEWAY_TROUBLE: Final = "gateway_trouble"

CONSEQUENCES: Final[Mapping[str, tuple[Consequence, float]]] = {
    "journal_curves_dropped": ("moderate", 240),
    "journal_records_thinned": ("major", 30),
    "journal_records_damaged": ("major", 30),
    "journal_has_no_room": ("major", 30),
    "shots_refused": ("major", 30),
}
"""What each costs unless somebody acts within so many minutes: curves can be missed, shots are lost for ever."""


def priority_of_trouble(mode: str) -> Priority:
    """The priority of a gateway's alarm; one of a kind that is not known here is taken for a loss of shots."""
    consequence, minutes = CONSEQUENCES.get(mode, ("major", 30.0))
    return priority_of(consequence, minutes)
