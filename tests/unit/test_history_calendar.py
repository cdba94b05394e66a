"""When a press runs: stops stand apart and in order, and running time counts everything but them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.history.calendar import DAY_MS, HOUR_MS, SHIFTS, START_MS, RunningTime, joined, planned_stops

END_MS = START_MS + 90 * DAY_MS
spans = st.lists(
    st.tuples(st.integers(-5 * HOUR_MS, 100 * HOUR_MS), st.integers(1, 30 * HOUR_MS)).map(
        lambda found: (START_MS + found[0], START_MS + found[0] + found[1])
    ),
    max_size=12,
)


@given(spans)
def test_joined_stops_stand_apart_in_order_and_cover_the_same_time(found: list[tuple[int, int]]) -> None:
    stops = joined(found, END_MS)
    assert all(begin < end for begin, end in stops)
    assert all(a[1] < b[0] for a, b in pairwise(stops))
    edges = {edge for span in found for edge in span}
    for at in edges | {edge - 1 for edge in edges}:
        was_stop = at >= START_MS and any(begin <= at < end for begin, end in found)
        assert was_stop == any(begin <= at < end for begin, end in stops)


@given(spans, st.integers(0, 200 * HOUR_MS))
def test_the_moment_by_which_a_press_has_run_so_long_is_the_first_one(found: list[tuple[int, int]], ran: int) -> None:
    stops = joined(found, END_MS)
    running = RunningTime(stops)
    at = running.at_ms(ran)
    assert running.ran_ms(at) == ran
    assert ran == 0 or running.ran_ms(at - 1) == ran - 1, "it was running just before"
    assert running.ran_ms(at + HOUR_MS) <= ran + HOUR_MS
    lost = sum(min(end, at) - begin for begin, end in stops if begin < at)
    assert at - START_MS - lost == ran


@pytest.mark.parametrize(("shifts", "share"), [("continuous", 0.97), ("three_shifts", 0.71), ("two_shifts", 0.48)])
def test_shifts_leave_their_share_of_a_week(shifts: str, share: float) -> None:
    end_ms = START_MS + 35 * DAY_MS
    stops = planned_stops(np.random.default_rng(1), shifts, end_ms)  # type: ignore[arg-type]
    assert RunningTime(stops).ran_ms(end_ms) / (35 * DAY_MS) == pytest.approx(share, abs=0.06)


def test_the_plant_is_closed_over_the_new_year_but_for_continuous_presses() -> None:
    closed_ms = START_MS + 45 * DAY_MS
    for shifts in SHIFTS:
        stops = planned_stops(np.random.default_rng(1), shifts, END_MS)
        longest = max(end - begin for begin, end in stops)
        is_closed = any(begin <= closed_ms and end - begin > 7 * DAY_MS for begin, end in stops)
        assert is_closed == (shifts != "continuous"), (shifts, longest)
