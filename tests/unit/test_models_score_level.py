"""The level of a score: what is usual keeps to its bounds, a move is told with how far, silence is no score."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.evaluation.traces import DAY_MS
from models.runtime.score_level import (
    SETTLED_SHOTS,
    ScoreSummary,
    ScoreWatch,
    levels_of,
    logarithms_of,
)
from models.training.score_levels import ScoredRun, summaries_of, watched

NAMES = ("FailureProbability/a@72h", "Novelty/T2")
EVERY = 20


def run(seed: int, rows: int = 400, silent: float = 0.0) -> ScoredRun:
    """A healthy press: scores about 0.01, each with a slow wander of its own."""
    rng = np.random.default_rng(seed)
    wander = np.zeros((rows, len(NAMES)))
    for row in range(1, rows):
        wander[row] = 0.9 * wander[row - 1] + rng.normal(0, 0.2, len(NAMES))
    logarithms = np.log(0.01) + wander + rng.normal(0, 0.5, wander.shape)
    logarithms[rng.random(rows) < silent] = np.nan
    return ScoredRun(np.arange(rows) * (DAY_MS // 100), logarithms)


def watch_of(shots: int, scores: dict[str, float]) -> ScoreWatch:
    usual = summaries_of(NAMES, [run(seed) for seed in range(40)], every=EVERY)
    watch = ScoreWatch(usual)
    for _ in range(shots):
        watch.take(scores)
    return watch


def test_of_healthy_press_days_the_promised_share_has_a_score_beyond() -> None:
    usual = summaries_of(NAMES, [run(seed) for seed in range(100)], every=EVERY)
    middle = np.array([usual[name].usual for name in NAMES])
    low, high = (np.array([getattr(usual[name], side) for name in NAMES]) for side in ("low", "high"))
    over = []
    for seed in range(1_000, 1_100):
        fresh = run(seed)
        levels = levels_of(fresh.logarithms, middle, every=EVERY)
        for day in range(4):
            of_day = levels[fresh.ended_ms // DAY_MS == day]
            over.append(bool(((of_day < low) | (of_day > high)).any()))
    assert 0 < np.mean(over) < 1 / 30, "half of the budget is aimed at"


def test_too_few_days_promise_nothing_and_a_silent_head_is_not_watched() -> None:
    assert summaries_of(NAMES, [run(1)], every=EVERY) == {}
    assert summaries_of(NAMES, [], every=EVERY) == {}
    assert summaries_of(NAMES, [run(seed, silent=0.8) for seed in range(40)], every=EVERY) == {}


@pytest.mark.parametrize(("factor", "beyond"), [(1.0, False), (50.0, True), (0.02, True)])
def test_a_level_that_leaves_its_bounds_is_told_with_how_many_times_it_is(factor: float, *, beyond: bool) -> None:
    watch = watch_of(600, {NAMES[0]: 0.01 * factor, NAMES[1]: 0.01})
    times = watch.times()
    assert watch.drifted(times) == ([NAMES[0]] if beyond else [])
    assert times[NAMES[0]] == pytest.approx(factor, rel=0.15)
    assert (watch.excess(NAMES[0], times[NAMES[0]]) > 1) == beyond


def test_nothing_is_told_before_a_level_has_settled_nor_of_a_score_that_stays_away() -> None:
    assert watch_of(SETTLED_SHOTS - 1, dict.fromkeys(NAMES, 0.9)).times() == {}
    told = watch_of(SETTLED_SHOTS, {NAMES[0]: 0.9})
    assert list(told.times()) == [NAMES[0]]
    assert (told.scores, told.shots) == (2, SETTLED_SHOTS)
    assert ScoreWatch({}).times() == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_watch_stands_where_the_rows_of_training_would(values: list[float], silent: int) -> None:
    summary = ScoreSummary(low=-9.0, usual=-4.0, high=-1.0, budget=1.0)
    watch, rows = ScoreWatch({NAMES[0]: summary}), []
    for number, value in enumerate(values * 10):
        given_scores = {} if silent and number % (silent + 1) == 0 else {NAMES[0]: value}
        watch.take(given_scores)
        rows.append(logarithms_of(NAMES[:1], given_scores))
    level = levels_of(np.array(rows), np.array([summary.usual]))[-1, 0]
    assert watch.times() in ({}, {NAMES[0]: pytest.approx(math.exp(level - summary.usual))})


@pytest.mark.parametrize("bad", [{"low": 0.0}, {"high": -5.0}, {"usual": math.nan}, {"budget": 0.0}])
def test_a_summary_whose_bounds_make_no_sense_is_refused(bad: dict[str, float]) -> None:
    good = {"low": -6.0, "usual": -4.0, "high": -2.0, "budget": 1.0}
    with pytest.raises(ValidationError):
        ScoreSummary.model_validate(good | bad)


def test_of_the_horizons_of_a_mode_the_longest_is_watched() -> None:
    assert watched(["a@8h", "a@24h", "a@72h", "b@8h", "b@72h"]) == ["a@72h", "b@72h"]
