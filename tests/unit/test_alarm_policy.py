"""Priorities by consequence and time, delays, dead bands, and the figures of a flood."""

from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.alarms.flood import BEGINS_ABOVE, ENDS_BELOW, band_of, is_flood, is_held_back, rate
from cloud.alarms.life import STATES
from cloud.alarms.points import Delay, heard, is_beyond
from cloud.alarms.policy import (
    ESCALATION_LEVELS_MAX,
    MATRIX,
    PRIORITIES,
    AlarmPolicy,
    Consequence,
    ResponseTime,
    priority_of,
    response_time,
)


def test_every_cell_is_filled_and_less_time_or_a_worse_end_never_weighs_less() -> None:
    consequences, times = get_args(Consequence), get_args(ResponseTime)
    weight = {priority: at for at, priority in enumerate(PRIORITIES)}
    for consequence in consequences:
        row = [weight[MATRIX[consequence][time]] for time in times]
        assert row == sorted(row, reverse=True)
    for time in times:
        column = [weight[MATRIX[consequence][time]] for consequence in consequences]
        assert column == sorted(column)


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(0, "immediate"), (5, "immediate"), (5.1, "prompt"), (30, "prompt"), (480, "this_shift"), (481, "later")],
)
def test_times_to_respond_have_their_class(minutes: float, name: str) -> None:
    assert response_time(minutes) == name
    assert priority_of("severe", minutes) == MATRIX["severe"][response_time(minutes)]


def test_escalation_ends_at_the_last_level_and_an_unknown_priority_has_none() -> None:
    policy = AlarmPolicy(realarm_ms=0)
    due = [policy.next_escalation_ms("critical", level, 1_000) for level in range(ESCALATION_LEVELS_MAX + 1)]
    assert due == [301_000] * ESCALATION_LEVELS_MAX + [None]
    assert policy.next_escalation_ms("odd", 0, 0) is None
    assert policy.next_realarm_ms(5) is None


@given(st.lists(st.tuples(st.integers(1, 90_000), st.booleans()), max_size=60), st.sampled_from([0, 60_000]))
def test_a_delayed_alarm_is_raised_and_cleared_only_by_what_lasts(looks: list[tuple[int, bool]], delay_ms: int) -> None:
    now_ms, is_active, waiting = 0, False, None
    seen: list[tuple[int, bool]] = []
    for pause_ms, is_there in looks:
        now_ms += pause_ms
        seen.append((now_ms, is_there))
        waiting, step = heard(
            waiting, is_there=is_there, is_active=is_active, on_delay_ms=delay_ms, off_delay_ms=delay_ms, now_ms=now_ms
        )
        if step:
            lasting = [at for at, there in seen if there != (step == "raise")]
            first = next(at for at, _ in seen if at > (lasting[-1] if lasting else -1))
            assert now_ms - first >= delay_ms
            is_active = step == "raise"
            seen = seen[-1:] if delay_ms == 0 else []
        assert waiting is None or waiting.due_ms > now_ms


def test_a_look_that_says_otherwise_ends_a_delay() -> None:
    waiting = Delay("raise", 500)
    assert heard(waiting, is_there=False, is_active=False, on_delay_ms=9, off_delay_ms=9, now_ms=400) == (None, None)
    assert heard(waiting, is_there=True, is_active=False, on_delay_ms=9, off_delay_ms=9, now_ms=500) == (None, "raise")


@given(st.lists(st.floats(0, 1), max_size=50), st.floats(0.3, 0.9), st.floats(0, 0.2))
def test_a_value_within_the_dead_band_changes_nothing(values: list[float], limit: float, deadband: float) -> None:
    was = False
    for value in values:
        now = is_beyond(value, limit, deadband, was_beyond=was)
        if limit - deadband <= value < limit:
            assert now == was
        was = now


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    figures = [3.0, BEGINS_ABOVE, BEGINS_ABOVE + 0.1, 7.0, ENDS_BELOW, ENDS_BELOW - 0.1, 9.0]
    flooded, found = False, []
    for figure in figures:
        flooded = is_flood(figure, was_flood=flooded)
        found.append(flooded)
    assert found == [False, False, True, True, True, False, False]


def test_the_rate_is_by_operator_and_its_bands_do_not_overlap() -> None:
    assert (rate(12, 3), rate(12, 0)) == (4.0, 12.0)
    bands = [band_of(figure / 10) for figure in range(200)]
    changes = [after for before, after in pairwise(bands) if before != after]
    assert (bands[0], changes) == ("acceptable", ["manageable", "over_demanding", "unacceptable"])


def test_only_followers_of_low_priority_are_held_back_and_only_in_a_flood() -> None:
    assert is_held_back("low", 2, in_flood=True)
    assert not any(
        is_held_back(priority, order, in_flood=flood)
        for priority, order, flood in (("low", 2, False), ("low", 1, True), ("medium", 2, True), ("critical", 9, True))
    )


def test_the_page_about_alarms_tells_the_matrix_and_every_state(root: Path) -> None:
    text = (root / "docs" / "reference" / "alarms.md").read_text(encoding="utf-8")
    for consequence, row in MATRIX.items():
        told = next(line for line in text.splitlines() if line.startswith(f"| {consequence}:"))
        assert [cell.strip() for cell in told.split("|")[2:-1]] == list(row.values())
    assert [state for state in STATES if f"`{state}`" not in text] == []
