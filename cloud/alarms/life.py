"""The life of an alarm in the words of ISA-18.2 (IEC 62682): its states, and what each event does in each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

Withholding = Literal["out_of_service", "suppressed_by_design", "shelved"]
State = Literal[
    "active_unacknowledged",
    "active_acknowledged",
    "cleared_unacknowledged",
    "latched_unacknowledged",
    "latched_acknowledged",
    "shelved",
    "suppressed_by_design",
    "out_of_service",
    "normal",
]
Event = Literal[
    "raise",
    "clear",
    "acknowledge",
    "reset",
    "realarm",
    "shelve",
    "unshelve",
    "expire_shelf",
    "suppress",
    "unsuppress",
    "take_out",
    "return_to_service",
]

STATES: Final[tuple[State, ...]] = (
    "active_unacknowledged",
    "active_acknowledged",
    "cleared_unacknowledged",
    "latched_unacknowledged",
    "latched_acknowledged",
    "shelved",
    "suppressed_by_design",
    "out_of_service",
    "normal",
)
WITHHOLDINGS: Final[tuple[Withholding, ...]] = ("out_of_service", "suppressed_by_design", "shelved")
"""The strongest first: it names the state while more than one holds."""
ACTIVE_STATES: Final[tuple[State, ...]] = ("active_unacknowledged", "active_acknowledged")
LATCHED_STATES: Final[tuple[State, ...]] = ("latched_unacknowledged", "latched_acknowledged")
UNACKNOWLEDGED_STATES: Final[tuple[State, ...]] = (
    "active_unacknowledged",
    "cleared_unacknowledged",
    "latched_unacknowledged",
)
OPEN_STATES: Final[tuple[State, ...]] = (*ACTIVE_STATES, "cleared_unacknowledged", *LATCHED_STATES)
"""What asks a person for something."""
LASTING_STATES: Final[tuple[State, ...]] = (*OPEN_STATES, *WITHHOLDINGS)
"""All but `normal`: the alarm's life is not over."""

BEGINS: Final[Mapping[Event, Withholding]] = {
    "shelve": "shelved",
    "suppress": "suppressed_by_design",
    "take_out": "out_of_service",
}
ENDS: Final[Mapping[Event, Withholding]] = {
    "unshelve": "shelved",
    "expire_shelf": "shelved",
    "unsuppress": "suppressed_by_design",
    "return_to_service": "out_of_service",
}


@dataclass(frozen=True, slots=True)
class Life:
    """Where an alarm stands. Each flag means one thing; the state is read off them, so that no two can disagree."""

    is_active: bool = False
    """The cause is there."""
    is_acknowledged: bool = False
    """Somebody has answered since it was last announced."""
    is_announced: bool = False
    """People were told of it."""
    needs_reset: bool = False
    """It latches, and nobody has reset it since it was raised."""
    withheld: frozenset[Withholding] = frozenset()
    """Why nobody is told; holds for the alarm's point, so for its next occurrence too."""

    @property
    def is_over(self) -> bool:
        """Nothing remains to be done: what nobody was told of asks nobody for an answer."""
        return not self.is_active and not self.needs_reset and (self.is_acknowledged or not self.is_announced)

    @property
    def state(self) -> State:
        """The state in the standard's words."""
        if self.is_over:
            return "normal"
        if self.withheld:
            return next(name for name in WITHHOLDINGS if name in self.withheld)
        if self.is_active:
            return "active_acknowledged" if self.is_acknowledged else "active_unacknowledged"
        if self.needs_reset:
            return "latched_acknowledged" if self.is_acknowledged else "latched_unacknowledged"
        return "cleared_unacknowledged"


@dataclass(frozen=True, slots=True)
class Turn:
    """What an event made of a life; `is_announcement` when people are told that the alarm is there, or is again."""

    life: Life
    is_announcement: bool = False


def turn(life: Life, event: Event, *, is_latching: bool = False) -> Turn | None:
    """What `event` does; None when it changes nothing, as a second acknowledgement does."""
    if event in BEGINS:
        return _withhold(life, BEGINS[event])
    if event in ENDS:
        return _release(life, ENDS[event])
    if event == "raise":
        return _raise(life, is_latching=is_latching)
    if event == "clear":
        return Turn(replace(life, is_active=False)) if life.is_active else None
    return None if life.withheld else _answer(life, event)


def _raise(life: Life, *, is_latching: bool) -> Turn | None:
    if life.is_active:
        return None
    is_told = not life.withheld
    raised = Life(is_active=True, is_announced=is_told, needs_reset=is_latching, withheld=life.withheld)
    return Turn(raised, is_announcement=is_told)


def _answer(life: Life, event: Event) -> Turn | None:
    """What a person does to an alarm that is announced, and what time does to one that was answered long ago."""
    if event == "acknowledge" and not life.is_acknowledged and not life.is_over:
        return Turn(replace(life, is_acknowledged=True))
    if event == "reset" and life.needs_reset and not life.is_active:
        return Turn(replace(life, needs_reset=False))
    if event == "realarm" and life.is_active and life.is_acknowledged:
        return Turn(replace(life, is_acknowledged=False), is_announcement=True)
    return None


def _withhold(life: Life, why: Withholding) -> Turn | None:
    return None if why in life.withheld else Turn(replace(life, withheld=life.withheld | {why}))


def _release(life: Life, why: Withholding) -> Turn | None:
    """An alarm whose cause is there when the last reason for silence goes is announced anew, whatever was before.

    One that has gone meanwhile keeps what was still owed: the acknowledgement of what people had been told, the
    reset of what latches; a latched one that nobody was told of is announced.
    """
    if why not in life.withheld:
        return None
    free = replace(life, withheld=life.withheld - {why})
    if free.withheld:
        return Turn(free)
    if free.is_active or (free.needs_reset and not free.is_announced):
        return Turn(replace(free, is_announced=True, is_acknowledged=False), is_announcement=True)
    return Turn(free)
