"""Fields of forms as numbers, days and ids; what cannot be one is named by its field. Pure."""

import math
from datetime import date
from typing import Final
from uuid import UUID

from starlette.datastructures import FormData

from cloud.core.problems import InvalidFieldError
from cloud.tiering.evidence import day_number

FIGURE_MAX: Final = 1e12


def text(form: FormData, name: str) -> str:
    """A field without blanks around it; empty when it is not there."""
    return str(form.get(name, "")).strip()


def figure(form: FormData, name: str, low: float = -FIGURE_MAX, high: float = FIGURE_MAX) -> float:
    """A number; without bounds of its own at most FIGURE_MAX in size.

    Raises:
        InvalidFieldError: it is none, or out of bounds.
    """
    try:
        told = float(text(form, name))
    except ValueError as error:
        raise InvalidFieldError(f"body.{name}", "must be a number") from error
    if not math.isfinite(told) or not low <= told <= high:
        is_own = (low, high) != (-FIGURE_MAX, FIGURE_MAX)
        bounds = f"must be {low:g} to {high:g}" if is_own else f"must be at most {FIGURE_MAX:g} in size"
        raise InvalidFieldError(f"body.{name}", bounds)
    return told


def whole(form: FormData, name: str, low: float = -FIGURE_MAX, high: float = FIGURE_MAX) -> int:
    """A whole number.

    Raises:
        InvalidFieldError: it is none, or out of bounds.
    """
    told = figure(form, name, low, high)
    if told != int(told):
        raise InvalidFieldError(f"body.{name}", "must be a whole number")
    return int(told)


def day(form: FormData, name: str) -> int:
    """A day, as days since 1970.

    Raises:
        InvalidFieldError: it is none.
    """
    try:
        return day_number(date.fromisoformat(text(form, name)))
    except ValueError as error:
        raise InvalidFieldError(f"body.{name}", "must be a day") from error


def uuid_of(form: FormData, name: str) -> UUID | None:
    """An id; None when the field is empty.

    Raises:
        InvalidFieldError: it is none.
    """
    told = text(form, name)
    try:
        return UUID(told) if told else None
    except ValueError as error:
        raise InvalidFieldError(f"body.{name}", "is no id") from error
