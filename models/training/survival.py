"""When will it fail, and of what? A discrete-time hazard for each failure mode, by gradient boosting, calibrated.

The time ahead is cut at the horizons. In each interval a press that is still whole either fails of the mode, or does
not, or is no longer watched (repaired, end of record), which says nothing of that interval: Singer and Willett, "It's
about time: using discrete-time survival analysis", J. Educational Statistics 18 (1993). One boosted score for each mode
is taken to the hazard of each interval by a logistic function with a common slope, so that a longer horizon never has
the smaller probability. Scores for calibration are those of models that have not seen the press.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from kit.errors import ZhisanError
from models.training.dataset import Matrix
from models.training.export import onnx_model
from models.training.trees import of_gradient_boosting

HORIZONS_H: Final = (8.0, 24.0, 72.0)
FOLDS = 4
PRESSES_WITH_FAILURE_MIN = 3
"""A mode that failed on fewer presses cannot be learned on some and calibrated on others."""
SLOPE_MIN = 0.05
"""A score that says nothing of unseen presses gets this: nearly the base rate everywhere."""
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class SurvivalError(ZhisanError):
    """The histories are too few for a mode; the message names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What comes after each row, for one mode: hours to its failure (inf: none seen) and hours still watched."""

    failure_h: Values
    watched_h: Values

    def within(self, hours: float) -> tuple[Mask, Mask]:
        """(rows that tell whether it failed within so long, which of all rows did)."""
        fails = (self.failure_h <= hours) & (self.failure_h <= self.watched_h)
        return fails | ((self.failure_h > hours) & (self.watched_h >= hours)), fails

    def interval(self, number: int) -> tuple[Mask, Mask]:
        """(rows that tell of the interval, which of all rows fail in it); the interval is (start, end]."""
        start, end = (0.0, *HORIZONS_H)[number], HORIZONS_H[number]
        fails = (self.failure_h > start) & (self.failure_h <= end) & (self.failure_h <= self.watched_h)
        survives = (self.failure_h > end) & (self.watched_h >= end)
        return fails | survives, fails


@dataclass(frozen=True, slots=True, eq=False)
class ModeModel:
    """One mode: the boosted score, and the hazard of each interval as sigmoid(slope x score + offset)."""

    trees: HistGradientBoostingClassifier
    slope: float
    offsets: tuple[float, ...]
    unseen: Mapping[str, HistGradientBoostingClassifier]
    """By press: trees that have learned nothing from it."""

    def probabilities(self, rows: npt.NDArray[np.floating], press_id: str | None = None) -> Values:
        """(n, horizons): of failing within each horizon; of a press that was learned from, by trees that were not."""
        trees = self.unseen.get(press_id, self.trees) if press_id is not None else self.trees
        return self.calibrated(np.asarray(trees.decision_function(rows), np.float64))

    def calibrated(self, score: Values) -> Values:
        """(n, horizons), from what the trees add up to; monotone in it."""
        alive = np.stack([1 / (1 + np.exp(self.slope * score + offset)) for offset in self.offsets], axis=1)
        return np.asarray(1 - np.cumprod(alive, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """All modes; `out_of_fold` (n, modes x horizons) are the probabilities by models that have not seen the press."""

    modes: tuple[str, ...]
    models: tuple[ModeModel, ...]
    out_of_fold: Values

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs: all horizons of the first mode, then of the next; `check_ring_wear@24h`."""
        return tuple(f"{mode}@{hours:g}h" for mode in self.modes for hours in HORIZONS_H)

    def predict(self, rows: Matrix, press_id: str | None = None) -> Values:
        """(n, modes x horizons), in the order of `outputs`; with a press, by models that have not seen it."""
        wide = rows.astype(np.float64)  # scikit-learn would do it once a mode
        return np.concatenate([model.probabilities(wide, press_id) for model in self.models], axis=1)

    def to_onnx(self, inputs: int) -> bytes:
        """The same as one graph: one node for the trees of all modes, then a few products."""
        count = len(self.modes)
        baselines = [float(np.ravel(model.trees._baseline_prediction)[0]) for model in self.models]
        ensemble = of_gradient_boosting(_side_by_side(self.models), count)
        nodes = [ensemble.node("inputs", "sums"), helper.make_node("Mul", ["sums", "slopes"], ["scaled"])]
        constants: dict[str, npt.NDArray] = {
            "slopes": np.array([model.slope for model in self.models], np.float32),
            "one": np.array([1.0], np.float32),
            "apart": np.array([-1, count, 1], np.int64),
            "together": np.array([-1, count * len(HORIZONS_H)], np.int64),
        }
        alive = ""
        reshaped = []
        for number in range(len(HORIZONS_H)):
            offsets = [m.offsets[number] + m.slope * b for m, b in zip(self.models, baselines, strict=True)]
            constants[f"offset_{number}"] = np.array(offsets, np.float32)
            nodes += [
                helper.make_node("Add", ["scaled", f"offset_{number}"], [f"logit_{number}"]),
                helper.make_node("Neg", [f"logit_{number}"], [f"against_{number}"]),
                helper.make_node("Sigmoid", [f"against_{number}"], [f"survives_{number}"]),
            ]
            if number:
                nodes.append(helper.make_node("Mul", [alive, f"survives_{number}"], [f"alive_{number}"]))
            alive = f"alive_{number}" if number else "survives_0"
            nodes += [
                helper.make_node("Sub", ["one", alive], [f"by_{number}"]),
                helper.make_node("Reshape", [f"by_{number}", "apart"], [f"column_{number}"]),
            ]
            reshaped.append(f"column_{number}")
        nodes += [
            helper.make_node("Concat", reshaped, ["cube"], axis=2),
            helper.make_node("Reshape", ["cube", "together"], ["outputs"]),
        ]
        return onnx_model("survival", nodes, constants, inputs, len(self.outputs))


def fit(
    rows: Matrix,
    ahead: Sequence[Ahead],
    modes: Sequence[str],
    presses: npt.NDArray,
    *,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Survival:
    """Learn from the histories of many presses.

    Args:
        rows: (n, inputs) float32, NaN where missing.
        ahead: by mode what came after each row.
        modes: their ids.
        presses: (n,) whose row it is; folds keep presses whole.
        seed: of the trees.
        progress: told how many modes are done.

    Raises:
        SurvivalError: a mode failed on fewer than PRESSES_WITH_FAILURE_MIN presses.
    """
    assert len(ahead) == len(modes)
    models, unseen = [], []
    for mode, after in zip(modes, ahead, strict=True):
        if not is_learnable(after, presses):
            raise SurvivalError(
                f"{mode} failed on {len(_failing(after, presses))} presses; {PRESSES_WITH_FAILURE_MIN} are needed to "
                "learn and to judge"
            )
        model, scores = _mode_model(rows, after, presses, seed)
        models.append(model)
        unseen.append(model.calibrated(scores))
        if progress is not None:
            progress(len(models))
    return Survival(tuple(modes), tuple(models), np.concatenate(unseen, axis=1))


def is_learnable(ahead: Ahead, presses: npt.NDArray) -> bool:
    """Whether a mode failed on so many presses that it can be learned on some and judged on others."""
    return len(_failing(ahead, presses)) >= PRESSES_WITH_FAILURE_MIN


def _failing(ahead: Ahead, presses: npt.NDArray) -> npt.NDArray:
    return np.unique(presses[ahead.within(HORIZONS_H[-1])[1]])


def _mode_model(rows: Matrix, ahead: Ahead, presses: npt.NDArray, seed: int) -> tuple[ModeModel, Values]:
    scores = np.zeros(len(rows))
    unseen: dict[str, HistGradientBoostingClassifier] = {}
    for learning, judging in press_folds(ahead, presses):
        trees = trees_of(rows, ahead, learning, seed)
        scores[judging] = trees.decision_function(rows[judging])
        unseen |= dict.fromkeys(np.unique(presses[judging]).tolist(), trees)
    slope, offsets = _calibrated(scores, ahead)
    return ModeModel(trees_of(rows, ahead, np.arange(len(rows)), seed), slope, offsets, unseen), scores


def press_folds(ahead: Ahead, presses: npt.NDArray) -> Sequence[tuple[npt.NDArray, npt.NDArray]]:
    """Presses kept whole, and those that failed spread over the folds."""
    _, failed = ahead.within(HORIZONS_H[-1])
    fold_of: dict[str, int] = {}
    for is_failing in (True, False):
        chosen = [press for press in np.unique(presses) if bool(failed[presses == press].any()) is is_failing]
        fold_of |= {press: number % FOLDS for number, press in enumerate(chosen)}
    folds = np.array([fold_of[press] for press in presses])
    splits = GroupKFold(FOLDS).split(presses, groups=folds) if len(np.unique(folds)) == FOLDS else iter(())
    found = list(splits)
    if not found:
        raise SurvivalError(f"{len(fold_of)} presses are too few for {FOLDS} folds")
    return found


def trees_of(rows: Matrix, ahead: Ahead, learning: npt.NDArray, seed: int) -> HistGradientBoostingClassifier:
    """Rows that live through an interval are witnesses against failing, rows that fail in one are such for it.

    A row that fails later than in the first is both, so the score rises the nearer the failure is; how often failures
    come is left to the calibration.
    """
    told = [ahead.interval(number) for number in range(len(HORIZONS_H))]
    seen = learning[np.any([tells & ~fails for tells, fails in told], axis=0)[learning]]
    failed = learning[np.any([fails for _, fails in told], axis=0)[learning]]
    trees = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=60,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        max_features=0.3,
        max_bins=64,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    return trees.fit(
        np.concatenate([rows[seen], rows[failed]]),
        np.concatenate([np.zeros(len(seen)), np.ones(len(failed))]),
    )


def _calibrated(scores: Values, ahead: Ahead) -> tuple[float, tuple[float, ...]]:
    columns, truths = [], []
    for number in range(len(HORIZONS_H)):
        tells, fails = ahead.interval(number)
        marks = np.zeros((int(tells.sum()), len(HORIZONS_H)))
        marks[:, number] = 1.0
        columns.append(np.column_stack([scores[tells], marks]))
        truths.append(fails[tells])
    logistic = LogisticRegression(C=1e2, fit_intercept=False, max_iter=1_000)
    logistic.fit(np.concatenate(columns), np.concatenate(truths))
    slope, *offsets = logistic.coef_[0].tolist()
    return max(slope, SLOPE_MIN), tuple(offsets)


def _side_by_side(models: Sequence[ModeModel]) -> list[list[object]]:
    """The trees by iteration, those of each mode at its own place, as of one boosting with a target a mode."""
    return [
        [model.trees._predictors[iteration][0] for model in models]
        for iteration in range(len(models[0].trees._predictors))
    ]
