"""Alarms, budget and figures on traces whose truth is known: what is counted is what happened."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation import judging
from models.evaluation.alarms import ON_DELAY_SHOTS, alarms_of, sustained
from models.evaluation.budget import BudgetError, day_maxima, thresholds_for
from models.evaluation.comparisons import comparisons
from models.evaluation.judging import account_of
from models.evaluation.traces import DAY_MS, Episode, Trace

CHANNELS = ("check_ring_wear", "pump_leakage")
HOUR_MS = 3600 * 1000
SHOT_MS = 60_000


def trace(press: str, scores: np.ndarray, step_ms: int = SHOT_MS) -> Trace:
    return Trace(press, np.arange(len(scores), dtype=np.int64) * step_ms, scores.astype(float))


def noise(presses: int, days: int, seed: int) -> list[Trace]:
    """Healthy scores that are slow and fast noise, each press at a level of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(presses):
        count = days * 240
        slow = np.repeat(rng.normal(0, 0.5, (days * 4, 2)), 60, axis=0)
        found.append(trace(f"p{number}", rng.normal(0, 0.3) + slow + rng.normal(0, 1, (count, 2)), DAY_MS // 240))
    return found


def maxima(traces: list[Trace]) -> np.ndarray:
    return np.concatenate([day_maxima(each, []) for each in traces])


def test_a_row_of_shots_over_the_threshold_is_one_alarm_and_one_shot_is_none() -> None:
    scores = np.zeros((6_000, 2))
    scores[100, 0] = 9
    scores[200 : 200 + ON_DELAY_SHOTS, 0] = 9
    scores[400:420, 0] = 9  # again within a day: the same trouble
    scores[4_000:4_010, 1] = 9
    found = alarms_of(trace("p", scores), np.array([5.0, 5.0]))
    assert [(alarm.channel, alarm.raised_ms // SHOT_MS) for alarm in found] == [(0, 204), (1, 4_004)]
    assert found[0].last_ms // SHOT_MS == 419


def test_an_abstention_breaks_no_row_and_begins_none() -> None:
    scores = np.full((20, 1), np.nan)
    scores[5:12, 0] = 9
    scores[7, 0] = np.nan
    assert np.isneginf(sustained(scores)[:9, 0]).all()
    assert len(alarms_of(trace("p", scores), np.array([5.0]))) == 1


def test_the_budget_holds_on_presses_that_were_not_calibrated_on() -> None:
    found = thresholds_for(maxima(noise(40, 60, seed=1)))
    accounts = [account_of(each, alarms_of(each, found.values), [], CHANNELS) for each in noise(40, 60, seed=2)]
    rate = judging.false_alarms_a_press_month(accounts)
    assert 0.05 < rate <= 1.0
    assert "2400 healthy press-days" in found.basis


def test_a_budget_that_the_days_cannot_promise_is_refused() -> None:
    with pytest.raises(BudgetError, match="20 healthy press-days"):
        thresholds_for(maxima(noise(2, 10, seed=1)))


def test_days_with_a_fault_are_no_ground_for_thresholds() -> None:
    fault = Episode("p0", "check_ring_wear", 0, None, 10 * DAY_MS, "fault")
    found = day_maxima(noise(1, 5, seed=1)[0], [fault])
    assert found.shape == (0, len(CHANNELS))
    with pytest.raises(BudgetError, match="0 healthy press-days"):
        thresholds_for(found)


def test_failures_alarms_and_upsets_are_told_apart() -> None:
    scores = np.zeros((10_000, 2))
    scores[1_500:1_600, 0] = 9  # a fault is at work: right
    scores[1_700:1_800, 1] = 9  # the other channel: trouble found, misnamed
    scores[6_000:6_010, 1] = 9  # an upset
    scores[9_000:9_010, 0] = 9  # nothing
    episodes = [
        Episode("p", "check_ring_wear", 1_000 * SHOT_MS, 3_000 * SHOT_MS, 3_100 * SHOT_MS, "fault"),
        Episode("p", "pump_leakage", 4_000 * SHOT_MS, 4_500 * SHOT_MS, 4_600 * SHOT_MS, "fault"),
        Episode("p", "moisture_high", 5_900 * SHOT_MS, None, 6_100 * SHOT_MS, "upset"),
        Episode("other", "pump_leakage", 0, None, 10_000 * SHOT_MS, "fault"),
    ]
    one = trace("p", scores)
    account = account_of(one, alarms_of(one, np.array([5.0, 5.0])), episodes, CHANNELS)
    assert account.right == {"check_ring_wear": 1}
    assert account.other == {"pump_leakage": 1}
    assert account.false == {"pump_leakage": 1, "check_ring_wear": 1}
    assert account.false_in_upset == {"moisture_high": 1}
    assert judging.recall([account]) == 0.5
    assert judging.recall([account], "pump_leakage") == 0.0
    assert judging.median_lead_h([account]) == pytest.approx((3_000 - 1_504) * SHOT_MS / HOUR_MS)
    assert judging.precision([account]) == 0.25
    assert math.isnan(judging.recall([account], "cooling_fouling"))


def test_the_interval_is_over_presses() -> None:
    accounts = [account_of(each, alarms_of(each, np.array([2.0, 2.0])), [], CHANNELS) for each in noise(20, 30, seed=4)]
    found = judging.figure(accounts, judging.false_alarms_a_press_month)
    assert found.low < found.value < found.high


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.floats(-5, 5), st.just(math.nan)), max_size=60), st.floats(-5, 5))
def test_alarms_are_in_order_and_a_higher_threshold_raises_no_earlier(scores: list[float], threshold: float) -> None:
    one = trace("p", np.array(scores, float).reshape(-1, 1))
    low, high = (alarms_of(one, np.array([level])) for level in (threshold, threshold + 1))
    assert all(alarm.raised_ms <= alarm.last_ms for alarm in low)
    assert not high or low[0].raised_ms <= high[0].raised_ms


@pytest.mark.parametrize("name", ["fixed_limits", "ewma", "cusum", "isolation_forest"])
def test_every_comparison_tells_a_shift_from_what_is_usual(name: str) -> None:
    rng = np.random.default_rng(1)
    usual, shifted = rng.normal(size=(2_000, 6)), rng.normal(size=(300, 6))
    shifted += 4
    usual[::50, 1] = np.nan
    compare = comparisons(usual, seed=1)[name]
    healthy, sick = compare(usual, usual), compare(shifted, shifted)
    assert (np.isfinite(healthy) | np.isnan(usual[:, : healthy.shape[1]])).all()
    assert (sick[50:] > np.nanquantile(healthy, 0.99, axis=0)).mean() > 0.8
