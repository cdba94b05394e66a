"""Reviews of a success plan: a quarter apart, never on a weekend, and as a calendar that others can read."""

from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from cloud.tiering.agenda import Entry, agenda
from cloud.tiering.plans import REVIEWS_AHEAD, REVIEWS_MAX, Review, ReviewState, review_day, reviews

DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@given(DAYS, DAYS, st.sets(st.integers(1, REVIEWS_MAX)))
def test_reviews_are_numbered_without_a_gap_and_a_quarter_apart(start: date, today: date, held: set[int]) -> None:
    found = reviews(start, today, held)
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert all(each.day.weekday() < 5 for each in found)
    assert all(86 <= (after.day - each.day).days <= 95 for each, after in pairwise(found))
    assert {each.number for each in found if each.state is ReviewState.HELD} == held
    assert all((each.day < today) == (each.state is ReviewState.OVERDUE) for each in found if each.number not in held)
    if not held and len(found) < REVIEWS_MAX:
        assert sum(each.state is ReviewState.PLANNED for each in found) == REVIEWS_AHEAD


def test_the_last_of_a_month_stays_the_last() -> None:
    assert [review_day(date(2025, 8, 31), number) for number in (1, 2, 3)] == [
        date(2025, 12, 1),  # 30 November is a Sunday
        date(2026, 3, 2),  # 28 February is a Saturday
        date(2026, 6, 1),  # 31 May is a Sunday
    ]


def test_a_calendar_is_read_back_with_awkward_names_and_keeps_the_ids_of_its_events() -> None:
    one = Entry(
        UUID(int=7), "Müller; Söhne,\nGmbH 第 1 次", "王", Review(1, date(2026, 3, 2), ReviewState.HELD), ["a"], 10**12
    )
    moved = Entry(UUID(int=7), one.title, "王", Review(1, date(2026, 4, 1), ReviewState.PLANNED), [], 2 * 10**12)
    events = [Calendar.from_ical(agenda([each])).walk("VEVENT")[0] for each in (one, moved)]
    assert [event["UID"] for event in events] == ["review-00000000-0000-0000-0000-000000000007-1@zhisan"] * 2
    assert str(events[0]["SUMMARY"]) == one.title
    assert events[0].decoded("DTSTART") == date(2026, 3, 2)
    assert events[0].decoded("DTEND") - events[0].decoded("DTSTART") == timedelta(days=1)
    assert [str(event["STATUS"]) for event in events] == ["CONFIRMED", "TENTATIVE"]
    assert events[1].decoded("DTSTAMP") > events[0].decoded("DTSTAMP")
