"""Discrete-time survival: probabilities hold on unseen presses, longer horizons are never less likely, ONNX agrees."""

import numpy as np
import onnxruntime
import pytest

from models.training import survival
from models.training.dataset import Matrix
from models.training.survival import HORIZONS_H, Ahead, Survival, SurvivalError

MODES = ("first", "second")
INPUTS = 5


def histories(presses: int, seed: int) -> tuple[Matrix, list[Ahead], np.ndarray]:
    """Each press wears in one way or the other towards a failure, or is repaired before it; a row every two hours."""
    rng = np.random.default_rng(seed)
    rows, names, failure, watched = [], [], [], []
    for number in range(presses):
        hours = np.arange(0.0, 600.0, 2.0)
        way, failed_h = number % 3, rng.uniform(300, 560)
        is_repaired = rng.random() < 0.3
        repaired_h = failed_h - rng.uniform(0, 40) if is_repaired else np.inf
        wear = np.clip((hours - failed_h + 150) / 150, 0, 1) ** 2 * (hours < min(failed_h, repaired_h))
        table = rng.normal(0, 0.15, (len(hours), INPUTS))
        if way < 2:
            table[:, way] += wear
        left = np.where(hours < failed_h, failed_h - hours, np.inf)
        until = np.where(hours < repaired_h, np.minimum(repaired_h - hours, 600 - hours), 600 - hours)
        rows.append(table)
        names.append(np.full(len(hours), f"p{number}"))
        failure.append(
            [np.where(is_repaired, np.inf, left) if way == mode else np.full(len(hours), np.inf) for mode in (0, 1)]
        )
        watched.append([until if way == mode else 600 - hours for mode in (0, 1)])
    found: Matrix = np.vstack(rows).astype(np.float32)
    found[rng.random(found.shape) < 0.02] = np.nan
    ahead = [
        Ahead(np.concatenate([f[mode] for f in failure]), np.concatenate([w[mode] for w in watched])) for mode in (0, 1)
    ]
    return found, ahead, np.concatenate(names)


@pytest.fixture(scope="module")
def model() -> Survival:
    rows, ahead, presses = histories(45, seed=1)
    return survival.fit(rows, ahead, MODES, presses, counted=np.ones(len(rows), bool), seed=1)


def test_probabilities_hold_on_presses_that_were_never_seen(model: Survival) -> None:
    rows, ahead, _ = histories(60, seed=2)
    found = model.predict(rows)
    for mode, after in enumerate(ahead):
        for horizon, hours in enumerate(HORIZONS_H):
            known = (after.failure_h <= hours) | (after.watched_h >= hours)
            truth = (after.failure_h <= hours)[known]
            told = found[known, mode * len(HORIZONS_H) + horizon]
            assert abs(told.mean() - truth.mean()) < 0.35 * truth.mean() + 0.002
            brier, base = ((told - truth) ** 2).mean(), truth.mean() * (1 - truth.mean())
            assert brier < (0.95 if hours == 8 else 0.75) * base, (mode, hours)


def test_a_longer_horizon_is_never_less_likely_and_names_stand_in_order(model: Survival) -> None:
    found = model.predict(histories(5, seed=3)[0]).reshape(-1, len(MODES), len(HORIZONS_H))
    assert (np.diff(found, axis=2) >= 0).all()
    assert model.outputs[:4] == ("first@8h", "first@24h", "first@72h", "second@8h")


def test_the_graph_answers_as_the_models_do_with_gaps(model: Survival) -> None:
    rows, _, _ = histories(10, seed=4)
    rows = np.concatenate([rows, np.full((1, INPUTS), np.nan, np.float32)])
    session = onnxruntime.InferenceSession(model.to_onnx(INPUTS), providers=["CPUExecutionProvider"])
    (found,) = session.run(["outputs"], {"inputs": rows})
    assert np.abs(found - model.predict(rows)).max() <= 1e-5


def test_an_interval_tells_only_what_was_watched() -> None:
    ahead = Ahead(np.array([5.0, 10.0, np.inf, np.inf]), np.array([99.0, 99.0, 6.0, 30.0]))
    tells, fails = ahead.interval(0)
    assert tells.tolist() == [True, True, False, True]
    assert fails.tolist() == [True, False, False, False]
    tells, fails = ahead.interval(1)
    assert tells.tolist() == [False, True, False, True]
    assert fails.tolist() == [False, True, False, False]
    assert ahead.interval(2)[0].tolist() == [False, False, False, False]


def test_a_mode_that_hardly_ever_failed_is_refused_by_name() -> None:
    rows, ahead, presses = histories(45, seed=1)
    never = Ahead(np.full(len(rows), np.inf), ahead[1].watched_h)
    with pytest.raises(SurvivalError, match="second failed on 0 presses"):
        survival.fit(rows, [ahead[0], never], MODES, presses, counted=np.ones(len(rows), bool), seed=1)
