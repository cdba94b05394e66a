"""Limits of control charts: what they promise of runs with memory, and of what a run may hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control_chart import RUN_MIN, SIGMAS, limits_of, residuals

NORMAL_TAIL = 0.0027


def remembering(phi: float, count: int, seed: int) -> np.ndarray:
    """An AR(1) run of spread 1 around 0."""
    noise = np.random.default_rng(seed).normal(0, math.sqrt(1 - phi**2), count)
    values = np.empty(count)
    values[0] = noise[0] / math.sqrt(1 - phi**2)
    for at in range(1, count):
        values[at] = phi * values[at - 1] + noise[at]
    return values


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_a_run_in_control_stays_inside_although_each_value_is_like_the_one_before(phi: float) -> None:
    run = remembering(phi, 20_000, seed=7)
    outside, far = [], []
    for start in range(0, 18_000, 500):
        found = limits_of(run[start : start + 300])
        assert found is not None
        after = run[start + 300 : start + 500]
        outside.append(np.mean((after < found.low) | (after > found.high)))
        far.append(np.mean(np.abs(residuals(found, after)[1:]) > SIGMAS))
    assert np.mean(outside) < 6 * NORMAL_TAIL
    assert np.mean(far) < 3 * NORMAL_TAIL
    shewhart = 3 * np.mean(np.abs(np.diff(run))) / 1.128
    if phi == 0.8:
        assert np.mean(np.abs(run) > shewhart) > 50 * NORMAL_TAIL, "the chart that this one is in place of"


def test_memory_and_spread_are_found() -> None:
    found = limits_of(remembering(0.8, 5_000, seed=3))
    assert found is not None
    assert found.phi == pytest.approx(0.8, abs=0.05)
    assert found.sigma == pytest.approx(1.0, abs=0.12)
    assert found.residual_sigma == pytest.approx(0.6, abs=0.1)


def test_a_step_is_outside_and_wild_shots_in_the_run_do_not_hide_it() -> None:
    run = remembering(0.6, 200, seed=5)
    run[[20, 90, 150]] = 40.0
    found = limits_of(run)
    assert found is not None
    assert found.high < 5
    assert residuals(found, np.array([0.0, 6.0]))[1] > SIGMAS


RUNS = st.lists(st.integers(-(10**9), 10**9).map(lambda number: number / 1_000) | st.just(math.nan), max_size=80)


@given(RUNS, st.floats(0.1, 100.0))
def test_limits_hold_their_centre_follow_scale_and_never_are_no_number(run, scale) -> None:
    found = limits_of(np.array(run))
    known = sum(math.isfinite(value) for value in run)
    if found is None:
        return
    assert known >= RUN_MIN
    assert found.count == known
    assert math.isfinite(found.sigma)
    assert found.sigma > 0
    assert found.low < found.centre < found.high
    assert -1 < found.phi < 1
    moved = limits_of(np.array(run) * scale)
    assert moved is not None
    assert moved.sigma == pytest.approx(found.sigma * scale, rel=1e-6)


@pytest.mark.parametrize("run", [[], [1.0] * (RUN_MIN - 1), [5.0] * 100, [math.nan] * 100])
def test_too_short_and_lifeless_runs_give_none(run: list[float]) -> None:
    assert limits_of(run) is None
