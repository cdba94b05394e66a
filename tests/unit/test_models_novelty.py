"""Novelty beside the press's own baseline: complete contributions, the same from the graph, limits that hold."""

import numpy as np
import onnxruntime
import pytest

from models.features.schema import VALUES
from models.runtime.baseline_tracks import STATE_INPUTS, state_index
from models.runtime.novelty import reasons_of
from models.training import novelty_state
from models.training.export import TrainedHead
from models.training.novelty_state import INPUTS, States, components_of, to_onnx

WIDTH = len(INPUTS)
HOUR_MS = 3600 * 1000
LIMITS = np.array([12.0, 30.0])


def states(presses: int, days: int, seed: int) -> States:
    """Healthy presses: three common causes move all inputs together, beside noise of each; a row an hour."""
    causes = np.random.default_rng(0).normal(size=(3, WIDTH))
    rng = np.random.default_rng(seed)
    count = presses * days * 24
    rows = (rng.normal(size=(count, 3)) @ causes + rng.normal(0, 0.3, (count, WIDTH))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.01] = np.nan
    hours = np.tile(np.arange(days * 24), presses)
    return States(rows, np.repeat([f"p{n}" for n in range(presses)], days * 24), hours * HOUR_MS)


def answers(model: bytes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs, contributions = session.run(["outputs", "contributions"], {"inputs": rows})
    return outputs, contributions


def test_contributions_sum_to_the_statistics_and_the_graph_says_the_same() -> None:
    components = components_of(states(6, 20, seed=1))
    rows = states(2, 5, seed=2).rows
    parts, whole = components.contributions(rows), components.statistics(rows)
    assert np.allclose(parts.sum(axis=2), whole)
    outputs, contributions = answers(to_onnx(components, LIMITS), rows)
    assert np.allclose(outputs, np.minimum(whole / LIMITS, novelty_state.MULTIPLE_MAX), rtol=1e-6)
    assert np.allclose(contributions.reshape(-1, 2, WIDTH), parts / LIMITS[:, None], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def head() -> TrainedHead:
    learning, limiting, testing = states(8, 30, seed=3), states(20, 30, seed=4), states(20, 30, seed=5)
    return novelty_state.train(learning, limiting, testing, "M", file="novelty.onnx")


def test_limits_hold_their_budget_on_presses_that_set_none_of_them(head: TrainedHead) -> None:
    assert 0.0 < head.head.metrics["false_alarms_per_press_month"] <= 1.5
    assert "600 press-days" in head.head.threshold_basis
    assert head.head.metrics["components"] >= 3


def test_too_few_days_for_the_budget_are_told() -> None:
    few = novelty_state.train(states(4, 5, 1), states(4, 5, 2), states(4, 5, 3), "M", file="novelty.onnx")
    assert "too few, so the highest of all" in few.head.threshold_basis


def test_what_has_moved_is_the_first_reason(head: TrainedHead) -> None:
    rows = np.zeros((1, WIDTH), np.float32)
    rows[0, INPUTS.index("CushionStroke@ewma20")] = 25.0
    outputs, contributions = answers(head.model, rows)
    assert outputs.max() > 1
    state = np.full(len(STATE_INPUTS), np.nan, np.float32)
    state[[state_index(name) for name in INPUTS]] = rows[0]
    first = reasons_of(INPUTS, contributions[0], np.arange(len(VALUES), dtype=np.float32), state)[0]
    assert (first.feature, first.sigma) == ("CushionStroke", 25.0)
    assert first.value == [spec.name for spec in VALUES].index("CushionStroke")
