"""Days in forms and URLs: whole ones, in UTC. Pure."""

from datetime import UTC, date, datetime, timedelta


def day_of(text: str) -> date | None:
    """The day in a form field; None when it is none, or not one whose end can be told."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if date.min < day < date.max else None


def start_ms(day: date | None, *, days: int = 0) -> int | None:
    """When the day that is `days` after `day` begins, in UTC; None for none."""
    if day is None:
        return None
    return int(datetime.combine(day + timedelta(days=days), datetime.min.time(), UTC).timestamp() * 1000)
