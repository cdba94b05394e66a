"""The life of a sold option, from the quote to its end, and when it is charged. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from cloud.serving.options import OptionError

SCOPE_CHARACTERS_MAX: Final = 4_000
NOTE_CHARACTERS_MAX: Final = 500
BOOKING_H_MAX: Final = 24.0
"""Of one entry: one day's work of one person."""
BOOKING_BACK_DAYS: Final = 90
BOOKINGS_MAX: Final = 2_000
"""Entries of one sold option."""
CONTRACT_MONTHS: Final = 12


class State(StrEnum):
    """Where a sold option stands."""

    QUOTED = "quoted"
    APPROVED = "approved"
    ACCEPTED = "accepted"
    DOING = "doing"
    DELIVERED = "delivered"
    ENDED = "ended"
    DECLINED = "declined"


class Step(StrEnum):
    """What is done with it."""

    APPROVE = "approve"
    ACCEPT = "accept"
    BEGIN = "begin"
    DELIVER = "deliver"
    END = "end"
    DECLINE = "decline"


OPEN: Final = frozenset({State.QUOTED, State.APPROVED, State.ACCEPTED, State.DOING})
"""Work that is promised or may be; the limit of a customer counts these."""
GONE: Final = frozenset({State.ENDED, State.DECLINED})
WORKED_ON: Final = frozenset({State.ACCEPTED, State.DOING, State.DELIVERED})
"""Hours may be booked on these; a running service takes hours after its delivery too."""
STEPS: Final[Mapping[State, Mapping[Step, State]]] = {
    State.QUOTED: {Step.APPROVE: State.APPROVED, Step.ACCEPT: State.ACCEPTED, Step.DECLINE: State.DECLINED},
    State.APPROVED: {Step.ACCEPT: State.ACCEPTED, Step.DECLINE: State.DECLINED},
    State.ACCEPTED: {Step.BEGIN: State.DOING, Step.END: State.ENDED},
    State.DOING: {Step.DELIVER: State.DELIVERED, Step.END: State.ENDED},
    State.DELIVERED: {Step.END: State.ENDED},
    State.ENDED: {},
    State.DECLINED: {},
}
NEEDS_NOTE: Final = frozenset({Step.END, Step.DECLINE})
"""Why something was ended or declined is what the next offer learns from."""


def after(state: State, step: Step, *, is_custom: bool) -> State:
    """Where a step leads.

    Raises:
        OptionError: the step cannot be taken there.
    """
    if step not in steps_of(state, is_custom=is_custom):
        told = ": it waits for approval" if is_custom and step is Step.ACCEPT and state is State.QUOTED else ""
        raise OptionError("step", f"{step} cannot follow on {state}{told}")
    return STEPS[state][step]


def steps_of(state: State, *, is_custom: bool) -> tuple[Step, ...]:
    """What can be done next: a custom option is approved before it is accepted, others need no approval."""
    barred = (Step.ACCEPT if is_custom else Step.APPROVE) if state is State.QUOTED else None
    return tuple(step for step in STEPS[state] if step is not barred)


def check_note(step: Step, note: str) -> str:
    """The note, tidied.

    Raises:
        OptionError: it is too long, or missing where the step needs one.
    """
    note = note.strip()
    low = 1 if step in NEEDS_NOTE else 0
    if not low <= len(note) <= NOTE_CHARACTERS_MAX:
        raise OptionError("note", f"must have {low} to {NOTE_CHARACTERS_MAX} characters")
    return note


def check_hours(hours: float, day: int, today: int, state: State) -> None:
    """Raise where hours cannot be booked.

    Raises:
        OptionError: the hours, the day, or a state in which nobody works on it.
    """
    if state not in WORKED_ON:
        raise OptionError("hours", f"nobody works on an option that is {state}")
    if not 0 < hours <= BOOKING_H_MAX:
        raise OptionError("hours", f"must be above 0 and at most {BOOKING_H_MAX:g}")
    if not today - BOOKING_BACK_DAYS <= day <= today:
        raise OptionError("day", f"must be one of the last {BOOKING_BACK_DAYS} days")


def is_over(effort_h: float, booked_h: float) -> bool:
    """Whether more was booked than estimated; what was estimated at nothing is over with the first hour."""
    return booked_h > effort_h + 1e-9
