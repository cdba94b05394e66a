"""Reviews of success plans as an iCalendar file (RFC 5545). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from icalendar import Calendar, Event

from cloud.tiering.plans import Review, ReviewState

PRODUCT: Final = "-//Zhisan//Customer tiering//EN"


@dataclass(frozen=True, slots=True)
class Entry:
    """A review in the calendar; `notes` are its lines of text, `changed_ms` when the plan was last changed."""

    customer_id: UUID
    title: str
    owner: str
    review: Review
    notes: Sequence[str]
    changed_ms: int


def agenda(entries: Sequence[Entry]) -> bytes:
    """A calendar of whole-day events; the same review has the same UID in every file, so that a program moves it."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    for entry in entries:
        calendar.add_component(_event(entry))
    return bytes(calendar.to_ical())


def _event(entry: Entry) -> Event:
    event, review = Event(), entry.review
    changed = datetime.fromtimestamp(entry.changed_ms / 1000, UTC).replace(microsecond=0)
    event.add("uid", f"review-{entry.customer_id}-{review.number}@zhisan")
    event.add("dtstamp", changed)
    event.add("last-modified", changed)
    event.add("dtstart", review.day)
    event.add("dtend", review.day + timedelta(days=1))
    event.add("summary", entry.title)
    event.add("description", "\n".join([entry.owner, *entry.notes]))
    event.add("status", "CONFIRMED" if review.state is ReviewState.HELD else "TENTATIVE")
    event.add("transp", "TRANSPARENT")
    return event
