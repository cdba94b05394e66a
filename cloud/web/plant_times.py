"""Times of forms, which are of the plants' own zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from cloud.core.problems import InvalidFieldError


def time_ms(form: FormData, name: str, zone: ZoneInfo) -> int:
    """The time in a field; one that names its own zone keeps it.

    Raises:
        InvalidFieldError: it is none.
    """
    try:
        local = datetime.fromisoformat(str(form.get(name, "")).strip())
        at = local.replace(tzinfo=zone) if local.tzinfo is None else local
        return round(at.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError("time", "must be a day and a time") from error


def in_zone(utc_ms: int, zone: ZoneInfo) -> str:
    """As a field of a form has it."""
    return datetime.fromtimestamp(utc_ms / 1000, zone).strftime("%Y-%m-%dT%H:%M")
