"""Remaining useful life with an interval: boosted trees, conformal by unit. Rows in, hours (or cycles) out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold

from models.training.dataset import Matrix
from models.training.export import onnx_model
from models.training.trees import of_gradient_boosting

OUTPUTS = ("expected", "low", "high")
COVERAGE = 0.9
FOLDS = 5
DRAWS = 200
"""One row of each unit is one draw: rows of a unit are no independent witnesses."""
Settings = Mapping[str, float | int | bool]
SETTINGS: Settings = {
    "learning_rate": 0.05,
    "max_iter": 200,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 50,
    "max_features": 0.3,
    "early_stopping": False,
}
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RemainingLife:
    """Three boosted models and how far the outer two are moved apart so that they hold what they promise."""

    expected: HistGradientBoostingRegressor
    low: HistGradientBoostingRegressor
    high: HistGradientBoostingRegressor
    widening: float
    cap: float
    out_of_fold: Values
    """(n, 3): what models that had not seen a row's unit say of it, widened."""

    def predict(self, rows: Matrix) -> Values:
        """(n, 3): expected, low and high; within 0..cap, low <= expected <= high."""
        return _in_order(self.expected.predict(rows), self.low.predict(rows), self.high.predict(rows), self)

    def to_onnx(self, inputs: int) -> bytes:
        """The same as one graph: `inputs` (n, inputs) to `outputs` (n, 3)."""
        models = (self.expected, self.low, self.high)
        nodes = [
            of_gradient_boosting(model._predictors, 1).node("inputs", f"sum_{name}")
            for name, model in zip(OUTPUTS, models, strict=True)
        ]
        baselines = [float(np.ravel(model._baseline_prediction)[0]) for model in models]
        offsets = np.array(baselines) + np.array([0.0, -self.widening, self.widening])
        nodes += [
            helper.make_node("Concat", [f"sum_{name}" for name in OUTPUTS], ["sums"], axis=1),
            helper.make_node("Add", ["sums", "offsets"], ["raw"]),
            helper.make_node("Clip", ["raw", "zero", "cap"], ["clipped"]),
            helper.make_node("Split", ["clipped"], list(OUTPUTS), axis=1, num_outputs=3),
            helper.make_node("Min", ["expected", "low"], ["lowest"]),
            helper.make_node("Max", ["expected", "high"], ["highest"]),
            helper.make_node("Concat", ["expected", "lowest", "highest"], ["outputs"], axis=1),
        ]
        constants = {
            "offsets": offsets.astype(np.float32),
            "zero": np.array(0.0, np.float32),
            "cap": np.array(self.cap, np.float32),
        }
        return onnx_model("remaining_life", nodes, constants, inputs, len(OUTPUTS))


def fit(
    rows: Matrix, remaining: Values, units: npt.NDArray, *, cap: float, seed: int, settings: Settings = SETTINGS
) -> RemainingLife:
    """Learn from run-to-failure histories.

    The interval is conformalised quantile regression (Romano, Patterson and Candes 2019) with units, not rows, as what
    is exchangeable: scores are those of models that have not seen the unit, one row of each unit a draw.

    Args:
        rows: (n, inputs) float32, NaN where missing.
        remaining: (n,) until failure, in the unit of the answer; longer than `cap` counts as `cap`.
        units: (n,) whose history a row belongs to; at least FOLDS different ones.
        cap: beyond it "long" is all that is said: early wear shows nothing (125 cycles on C-MAPSS, by convention).
        seed: of trees and draws.
        settings: of the boosting.
    """
    capped = np.minimum(remaining, cap)
    out_of_fold = np.zeros((len(rows), 3))
    for learning, judging in GroupKFold(FOLDS).split(rows, capped, units):
        models = _fitted(rows[learning], capped[learning], seed, settings)
        out_of_fold[judging] = np.stack([model.predict(rows[judging]) for model in models], axis=1)
    misses = np.maximum(out_of_fold[:, 1] - capped, capped - out_of_fold[:, 2])
    widening = _by_unit_quantile(misses, units, seed)
    expected, low, high = _fitted(rows, capped, seed, settings)
    found = RemainingLife(expected, low, high, widening, cap, out_of_fold)
    out_of_fold[:] = _in_order(out_of_fold[:, 0], out_of_fold[:, 1], out_of_fold[:, 2], found)
    return found


def _fitted(rows: Matrix, capped: Values, seed: int, settings: Settings) -> tuple[HistGradientBoostingRegressor, ...]:
    tail = (1 - COVERAGE) / 2
    expected = HistGradientBoostingRegressor(**settings, random_state=seed)
    outer = [
        HistGradientBoostingRegressor(**settings, loss="quantile", quantile=share, random_state=seed)
        for share in (tail, 1 - tail)
    ]
    return tuple(model.fit(rows, capped) for model in (expected, *outer))


def _by_unit_quantile(misses: Values, units: npt.NDArray, seed: int) -> float:
    """The conformal quantile of one row a unit, averaged over draws."""
    rng = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    level = min(np.ceil((len(rows_of) + 1) * COVERAGE) / len(rows_of), 1.0)
    drawn = [misses[[rng.choice(rows) for rows in rows_of]] for _ in range(DRAWS)]
    return float(np.mean([np.quantile(draw, level, method="higher") for draw in drawn]))


def _in_order(expected: Values, low: Values, high: Values, model: RemainingLife) -> Values:
    stacked = np.stack([expected, low - model.widening, high + model.widening], axis=1).clip(0.0, model.cap)
    stacked[:, 1] = np.minimum(stacked[:, 1], stacked[:, 0])
    stacked[:, 2] = np.maximum(stacked[:, 2], stacked[:, 0])
    return stacked
