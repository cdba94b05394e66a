"""Fields of forms as numbers, days and ids; what cannot be one is named by its field. Pure."""

import math
from uuid import UUID

from starlette.datastructures import FormData

from cloud.core.problems import InvalidFieldError


def text(form: FormData, name: str) -> str:
    """A field without blanks around it; empty when it is not there."""
    return str(form.get(name, "")).strip()


def figure(form: FormData, name: str, low: float, high: float) -> float:
    """A number.

    Raises:
        InvalidFieldError: it is none, or out of bounds.
    """
    try:
        told = float(text(form, name))
    except ValueError as error:
        raise InvalidFieldError(f"body.{name}", "must be a number") from error
    if not math.isfinite(told) or not low <= told <= high:
        raise InvalidFieldError(f"body.{name}", f"must be {low:g} to {high:g}")
    return told


def whole(form: FormData, name: str, low: int, high: int) -> int:
    """A whole number.

    Raises:
        InvalidFieldError: it is none, or out of bounds.
    """
    told = figure(form, name, low, high)
    if told != int(told):
        raise InvalidFieldError(f"body.{name}", "must be a whole number")
    return int(told)


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
