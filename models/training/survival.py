"""When will it fail, and of what? A discrete-time hazard for each failure mode, by gradient boosting, calibrated.

The time ahead is cut at the horizons. In each interval a press that is still whole either fails of the mode, or does
not, or is no longer watched (repaired, end of record), which says nothing of that interval: Singer and Willett, "It's
about time: using discrete-time survival analysis", J. Educational Statistics 18 (1993). One boosted score for each mode
is taken to the hazard of each interval (`models.training.calibration`), and hazards multiply to probabilities, so that
a longer horizon never has the smaller one. Scores for calibration are those of models that have not seen the press.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from kit.errors import ZhisanError
from models.training.calibration import Calibration, calibrated
from models.training.dataset import Matrix
from models.training.export import onnx_model
from models.training.trees import of_gradient_boosting

HORIZONS_H: Final = (8.0, 24.0, 72.0)
FOLDS = 4
PRESSES_WITH_FAILURE_MIN = 3
"""A mode that failed on fewer presses cannot be learned on some and calibrated on others."""
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
    """One mode: the boosted score, and how it is taken to the hazard of each interval."""

    trees: HistGradientBoostingClassifier
    hazards: tuple[Calibration, ...]
    unseen: Mapping[str, HistGradientBoostingClassifier]
    """By press: trees that have learned nothing from it."""

    def probabilities(self, rows: npt.NDArray[np.floating], press_id: str | None = None) -> Values:
        """(n, horizons): of failing within each horizon; of a press that was learned from, by trees that were not."""
        trees = self.unseen.get(press_id, self.trees) if press_id is not None else self.trees
        return _by_horizon(np.asarray(trees.decision_function(rows), np.float64), self.hazards)


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
        ensemble = of_gradient_boosting(_side_by_side(self.models), len(self.modes))
        nodes = [
            ensemble.node("inputs", "sums"),
            helper.make_node("Add", ["sums", "baselines"], ["flat"]),
            helper.make_node("Reshape", ["flat", "apart"], ["score"]),
            helper.make_node("Softplus", ["score"], ["bend"]),
            helper.make_node("Mul", ["score", "low"], ["straight"]),
            helper.make_node("Mul", ["bend", "more"], ["bent"]),
            helper.make_node("Sum", ["straight", "bent", "offsets"], ["logits"]),
            helper.make_node("Softplus", ["logits"], ["against"]),
            helper.make_node("MatMul", ["against", "summed"], ["alive_log"]),
            helper.make_node("Exp", ["alive_log"], ["alive"]),
            helper.make_node("Sub", ["one", "alive"], ["cube"]),
            helper.make_node("Reshape", ["cube", "together"], ["outputs"]),
        ]
        hazards = [model.hazards for model in self.models]
        constants: dict[str, npt.NDArray] = {
            "baselines": np.array([np.ravel(model.trees._baseline_prediction)[0] for model in self.models], np.float32),
            "apart": np.array([-1, len(self.modes), 1], np.int64),
            "low": np.array([[each.low for each in own] for own in hazards], np.float32),
            "more": np.array([[each.high - each.low for each in own] for own in hazards], np.float32),
            "offsets": np.array([[each.offset for each in own] for own in hazards], np.float32),
            "summed": -np.triu(np.ones((len(HORIZONS_H), len(HORIZONS_H)), np.float32)),
            "one": np.array([1.0], np.float32),
            "together": np.array([-1, len(self.outputs)], np.int64),
        }
        return onnx_model("survival", nodes, constants, inputs, len(self.outputs))


def fit(
    rows: Matrix,
    ahead: Sequence[Ahead],
    modes: Sequence[str],
    presses: npt.NDArray,
    *,
    counted: Mask,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Survival:
    """Learn from the histories of many presses.

    Args:
        rows: (n, inputs) float32, NaN where missing.
        ahead: by mode what came after each row.
        modes: their ids.
        presses: (n,) whose row it is; folds keep presses whole.
        counted: (n,) the rows that stand as often as in use: those that calibrate.
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
        model, probabilities = _mode_model(rows, after, presses, counted, seed)
        models.append(model)
        unseen.append(probabilities)
        if progress is not None:
            progress(len(models))
    return Survival(tuple(modes), tuple(models), np.concatenate(unseen, axis=1))


def is_learnable(ahead: Ahead, presses: npt.NDArray) -> bool:
    """Whether a mode failed on so many presses that it can be learned on some and judged on others."""
    return len(_failing(ahead, presses)) >= PRESSES_WITH_FAILURE_MIN


def _failing(ahead: Ahead, presses: npt.NDArray) -> npt.NDArray:
    return np.unique(presses[ahead.within(HORIZONS_H[-1])[1]])


def _mode_model(rows: Matrix, ahead: Ahead, presses: npt.NDArray, counted: Mask, seed: int) -> tuple[ModeModel, Values]:
    """The model, and what trees and a calibration that have both not seen the press say of each row."""
    scores = np.zeros(len(rows))
    unseen: dict[str, HistGradientBoostingClassifier] = {}
    folds = press_folds(ahead, presses)
    for learning, judging in folds:
        trees = trees_of(rows, ahead, learning, seed)
        scores[judging] = trees.decision_function(rows[judging])
        unseen |= dict.fromkeys(np.unique(presses[judging]).tolist(), trees)
    told = np.zeros((len(rows), len(HORIZONS_H)))
    for learning, judging in folds:
        others = np.zeros(len(rows), bool)
        others[learning] = True
        told[judging] = _by_horizon(scores[judging], _hazards(scores, ahead, presses, counted & others))
    trees = trees_of(rows, ahead, np.arange(len(rows)), seed)
    return ModeModel(trees, _hazards(scores, ahead, presses, counted), unseen), told


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


def _hazards(scores: Values, ahead: Ahead, presses: npt.NDArray, counted: Mask) -> tuple[Calibration, ...]:
    found = []
    for number in range(len(HORIZONS_H)):
        tells, fails = ahead.interval(number)
        tells = tells & counted
        found.append(calibrated(scores[tells], fails[tells], presses[tells]))
    return tuple(found)


def _by_horizon(score: Values, hazards: Sequence[Calibration]) -> Values:
    """(n, horizons): of failing within each; monotone in the score."""
    against = np.stack([np.logaddexp(0.0, hazard.logit(score)) for hazard in hazards], axis=1)
    return np.asarray(-np.expm1(-np.cumsum(against, axis=1)))


def _side_by_side(models: Sequence[ModeModel]) -> list[list[object]]:
    """The trees by iteration, those of each mode at its own place, as of one boosting with a target a mode."""
    return [
        [model.trees._predictors[iteration][0] for model in models]
        for iteration in range(len(models[0].trees._predictors))
    ]
