"""Calibration of a mode: order stays, its mean is the base rate, few witnesses are held to it; and intervals."""

import numpy as np
import pytest

from models.evaluation.reliability import reliability_of
from models.training.calibration import SLOPE_MIN, Calibration, calibrated

ROWS = 20_000


def too_sure(seed: int, presses: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of trees that are right where they see nothing, and three times too sure where they see something."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-4, 2, ROWS)
    fails = rng.random(ROWS) < 1 / (1 + np.exp(-truth))
    return np.where(truth > 0, 3 * truth, truth), fails, rng.integers(0, presses, ROWS).astype(str)


def hazard(found: Calibration, score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-found.logit(score)))


def test_trees_that_are_too_sure_are_bent_down_where_they_are() -> None:
    score, fails, presses = too_sure(1)
    found = calibrated(score, fails, presses, ridge=0.01)
    assert found.high < 0.6 < 0.8 < found.low
    score, fails, presses = too_sure(2)
    told = reliability_of(hazard(found, score), fails, presses)
    for each in told.bins:
        if each.rows > 200:
            assert each.came.low - 0.03 <= each.said <= each.came.high + 0.03
    assert told.skill.low > 0.2
    raw = reliability_of(1 / (1 + np.exp(-score)), fails, presses)
    assert told.brier < raw.brier


def test_order_stays_and_the_mean_is_the_base_rate() -> None:
    score, fails, presses = too_sure(3)
    for ridge in (0.0, 1.0, 100.0):
        found = calibrated(score, fails, presses, ridge=ridge)
        assert (np.diff(hazard(found, np.linspace(-30, 30, 1_000))) > 0).all()
        assert hazard(found, score).mean() == pytest.approx(fails.mean(), rel=0.02)


def test_the_fewer_presses_failed_the_nearer_it_stays_to_the_base_rate() -> None:
    score, fails, _ = too_sure(4)
    slopes = []
    for presses in (100, 4, 1):
        names = (np.arange(ROWS) % presses).astype(str)
        slopes.append(calibrated(score, fails, names).low)
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[2] < 0.7 * slopes[0]
    never = calibrated(score, np.zeros(ROWS, bool), names)
    assert never.low == never.high == SLOPE_MIN
    assert 0 < hazard(never, score).mean() < 1e-4


def test_intervals_are_over_presses_and_not_over_rows() -> None:
    rng = np.random.default_rng(5)
    came = np.repeat(rng.random(20) < 0.5, 500)
    said = np.full(len(came), 0.5)
    by_press = reliability_of(said, came, np.repeat(np.arange(20).astype(str), 500)).bins[0].came
    by_row = reliability_of(said, came, np.arange(len(came)).astype(str)).bins[0].came
    assert by_press.high - by_press.low > 5 * (by_row.high - by_row.low)
    assert by_press.low < 0.5 < by_press.high


def test_of_no_rows_nothing_is_told() -> None:
    told = reliability_of(np.zeros(0), np.zeros(0, bool), np.zeros(0, str))
    assert (told.rows, told.bins) == (0, ())
