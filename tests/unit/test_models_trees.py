"""Our TreeEnsemble node against scikit-learn and against skl2onnx, at the places where trees go wrong."""

import numpy as np
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)

from models.training.export import onnx_model
from models.training.trees import of_forest, of_gradient_boosting

COLUMNS = 6


def _data(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((rows, COLUMNS)) * [1, 1e-3, 1e3, 1, 1e6, 1]).astype(np.float32)
    x[:, 5] = np.round(x[:, 5])
    y = (x[:, 0] + x[:, 1] * 500 + x[:, 5] + rng.standard_normal(rows) * 0.3 > 0).astype(int)
    y += (x[:, 2] > 800) * (classes - 2)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x, np.minimum(y, classes - 1)


def _fitted(classes: int) -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    x, y = _data(2_000, classes, seed=1)
    return HistGradientBoostingClassifier(max_iter=30, random_state=1).fit(x, y), x


def _raw(trees: HistGradientBoostingClassifier, x: np.ndarray) -> np.ndarray:
    """The sum of the trees by our node, with scikit-learn's baseline."""
    targets = trees._baseline_prediction.size
    model = onnx_model(
        "t", [of_gradient_boosting(trees._predictors, targets).node("inputs", "outputs")], {}, 6, targets
    )
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"inputs": x})[0] + trees._baseline_prediction.astype(np.float32)


def _wanted(trees: HistGradientBoostingClassifier, x: np.ndarray) -> np.ndarray:
    raw = trees.decision_function(x)
    return raw[:, None] if raw.ndim == 1 else raw


@pytest.mark.parametrize("classes", [2, 4])
def test_the_node_sums_as_scikit_learn_does_with_gaps(classes: int) -> None:
    trees, x = _fitted(classes)
    fresh, _ = _data(1_000, classes, seed=2)
    for rows in (x, fresh, np.full((1, COLUMNS), np.nan, np.float32)):
        assert np.abs(_raw(trees, rows) - _wanted(trees, rows)).max() <= 1e-5


def test_rows_at_a_threshold_and_next_to_it_go_the_same_way() -> None:
    trees, x = _fitted(2)
    rows = []
    for [tree] in trees._predictors:
        for node in tree.nodes[tree.nodes["is_leaf"] == 0]:
            at = np.float32(node["num_threshold"])
            for value in (at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf))):
                row = np.nan_to_num(x[len(rows) % len(x)].copy())
                row[node["feature_idx"]] = value
                rows.append(row)
    hard = np.array(rows, np.float32)
    assert len(hard) >= 1_000
    assert np.abs(_raw(trees, hard) - _wanted(trees, hard)).max() <= 1e-5


@pytest.mark.filterwarnings("ignore:Field onnx.AttributeProto.ints:DeprecationWarning")  # of skl2onnx 1.20
def test_skl2onnx_agrees_and_needs_more_bytes() -> None:
    trees, x = _fitted(2)
    oracle = to_onnx(trees, x[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(oracle, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: x})[1][:, 1]
    ours = 1 / (1 + np.exp(-_raw(trees, x)[:, 0]))
    assert np.abs(theirs - ours).max() <= 1e-5
    mine = onnx_model("t", [of_gradient_boosting(trees._predictors, 1).node("inputs", "outputs")], {}, COLUMNS, 1)
    assert len(mine) < len(oracle)


def test_a_tree_that_is_one_leaf_gives_its_value() -> None:
    x = np.zeros((50, COLUMNS), np.float32)
    trees = HistGradientBoostingClassifier(max_iter=3).fit(x, np.arange(50) % 2)
    assert np.abs(_raw(trees, x) - _wanted(trees, x)).max() <= 1e-6


@pytest.mark.parametrize("leaf", [1, 7, 2_000])
@pytest.mark.parametrize("kind", [ExtraTreesClassifier, RandomForestClassifier])
def test_a_forest_answers_as_scikit_learn_does_with_gaps_and_with_leaves_of_several_classes(
    kind: type, leaf: int
) -> None:
    x, y = _data(2_000, 4, seed=1)
    forest = kind(20, min_samples_leaf=leaf, random_state=1).fit(x, y)
    model = onnx_model("t", [of_forest(forest.estimators_).node("inputs", "outputs")], {}, COLUMNS, 4)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    fresh, _ = _data(1_000, 4, seed=2)
    for rows in (x, fresh):
        assert np.abs(session.run(None, {"inputs": rows})[0] - forest.predict_proba(rows)).max() <= 1e-6


def test_a_forest_of_quantities_answers_as_scikit_learn_does() -> None:
    x, y = _data(2_000, 4, seed=1)
    forest = ExtraTreesRegressor(20, random_state=1).fit(x, y * 1.5 - 2)
    model = onnx_model("t", [of_forest(forest.estimators_).node("inputs", "outputs")], {}, COLUMNS, 1)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"inputs": x})[0][:, 0] - forest.predict(x)).max() <= 1e-5
