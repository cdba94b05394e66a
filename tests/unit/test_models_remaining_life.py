"""Remaining life: the interval holds what it promises on units that were not learned from, and ONNX says the same."""

import numpy as np
import onnxruntime
import pytest

from models.training import remaining_life
from models.training.dataset import Matrix
from models.training.remaining_life import RemainingLife

CAP = 60.0


def histories(units: int, seed: int) -> tuple[Matrix, np.ndarray, np.ndarray]:
    """Run-to-failure: one column follows the wear, as noisily as its unit is, one is noise; some cells are missing."""
    rng = np.random.default_rng(seed)
    rows, remaining, names = [], [], []
    for unit in range(units):
        life = int(rng.integers(60, 140))
        left = np.arange(life)[::-1].astype(float)
        wear = np.exp(-left / 30) + rng.normal(0, rng.uniform(0.02, 0.1), life)
        rows.append(np.stack([wear, rng.normal(size=life)], axis=1))
        remaining.append(left)
        names.append(np.full(life, unit))
    table = np.vstack(rows).astype(np.float32)
    table[rng.random(table.shape) < 0.02] = np.nan
    return table, np.concatenate(remaining), np.concatenate(names)


@pytest.fixture(scope="module")
def model() -> RemainingLife:
    return remaining_life.fit(*histories(40, seed=1), cap=CAP, seed=1)


def test_the_interval_holds_its_promise_on_units_that_were_never_seen(model: RemainingLife) -> None:
    rows, remaining, _ = histories(60, seed=2)
    found, truth = model.predict(rows), np.minimum(remaining, CAP)
    inside = ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean()
    assert 0.82 <= inside <= 0.99
    assert (found[:, 2] - found[:, 1]).mean() < 0.8 * CAP, "and it says something"
    error = np.sqrt(((found[:, 0] - truth) ** 2).mean())
    assert error < 0.5 * truth.std()


def test_answers_are_in_order_and_in_bounds_whatever_comes(model: RemainingLife) -> None:
    rows = np.array([[np.nan, np.nan], [1e30, -1e30], [-1e30, 1e30], [0, 0]], np.float32)
    found = model.predict(rows)
    assert (found >= 0).all()
    assert (found <= CAP).all()
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 0] <= found[:, 2]).all()


def test_the_graph_answers_as_the_models_do(model: RemainingLife) -> None:
    rows, _, _ = histories(10, seed=3)
    session = onnxruntime.InferenceSession(model.to_onnx(2), providers=["CPUExecutionProvider"])
    (found,) = session.run(["outputs"], {"inputs": rows})
    assert np.abs(found - model.predict(rows)).max() <= 1e-4
