"""When a success plan is reviewed, and what its goals may be. Pure."""

import calendar
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

MONTHS_BETWEEN: Final = 3
REVIEWS_MAX: Final = 80
"""Twenty years of quarters; a plan that is older has to be begun anew."""
REVIEWS_AHEAD: Final = 4
GOALS_MAX: Final = 50


class GoalState(StrEnum):
    """Where a goal stands."""

    OPEN = "open"
    REACHED = "reached"
    MISSED = "missed"
    DROPPED = "dropped"


class ReviewState(StrEnum):
    """Where a review stands."""

    HELD = "held"
    OVERDUE = "overdue"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a plan: its number from 1, its day, and where it stands."""

    number: int
    day: date
    state: ReviewState


def review_day(start: date, number: int) -> date:
    """So many quarters after the start, on the day of the month or its last; a weekend gives way to Monday."""
    months = start.year * 12 + start.month - 1 + number * MONTHS_BETWEEN
    year, month = divmod(months, 12)
    day = date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))
    return day + timedelta(days=7 - day.weekday() if day.weekday() >= calendar.SATURDAY else 0)


def reviews(start: date, today: date, held: Collection[int]) -> list[Review]:
    """All reviews up to today, those that were held early, and the next REVIEWS_AHEAD; REVIEWS_MAX at most."""
    found: list[Review] = []
    ahead = 0
    for number in range(1, REVIEWS_MAX + 1):
        day = review_day(start, number)
        ahead += day >= today
        if ahead > REVIEWS_AHEAD and number > max(held, default=0):
            break
        state = ReviewState.PLANNED if day >= today else ReviewState.OVERDUE
        found.append(Review(number, day, ReviewState.HELD if number in held else state))
    return found
