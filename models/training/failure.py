"""The failure head: the probability of each failure mode, by gradient boosting, calibrated on presses of their own."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from models.evaluation.alarms import ON_DELAY_SHOTS, sustained
from models.evaluation.budget import conformal_limit
from models.features.schema import FEATURES
from models.training.dataset import HEALTHY, Dataset, Mask, Matrix, Split
from models.training.export import TrainedHead, onnx_model, trained_head
from models.training.trees import of_gradient_boosting

INPUTS = (
    *(spec.name for spec in FEATURES if "." in spec.name),
    "CushionStroke",
    "DosingTime",
    "InjectionTime",
    "HoldSpecificPressureAverage",
    "PlastificationVolume",
    "SpecificPressureMaximum",
    "TransferSpecificPressure",
)
"""All curve features and the standard parameters that feel the injection side."""
REQUIRED = tuple(name for name in INPUTS if name.startswith(("InjectionPressure.", "ScrewPosition.")))
"""Every press with curves has these two; all other channels may be missing."""
MISSING_SHARE = 0.3
"""How often a channel that is not required is taken away in the second copy of the learning rows."""
FALSE_ALARM_SHARE_MAX = 0.01
"""The false-alarm budget: healthy presses of which an alarm is raised, so many shots in a row over the threshold."""
THRESHOLD_MIN = 0.5
"""An alarm says that it is more likely than not, also where the budget would allow more alarms."""


def train(data: Dataset, modes: Sequence[str], split: Split, *, seed: int) -> TrainedHead:
    """One against the rest for each mode; trees, calibration and figures come from different presses."""
    rows = data.columns(INPUTS)
    models = [_CalibratedTrees(rows, data.labels == mode, data.presses, split, seed) for mode in modes]

    def reference(wanted: Matrix) -> npt.NDArray[np.float64]:
        return np.column_stack([model.probability(wanted) for model in models])

    healthy, probability = data.labels == HEALTHY, reference(rows)
    judged = split.calibrating & healthy
    thresholds, basis = _thresholds(probability[judged], data.presses[judged], modes)
    metrics: dict[str, float] = {}
    for column, mode in enumerate(modes):
        truth, found = (data.labels == mode)[split.testing], probability[split.testing, column]
        bare = models[column].probability(_bare(rows[split.testing]))
        figures = _figures(truth, found, thresholds[mode])
        figures["roc_auc_required_only"] = float(roc_auc_score(truth, bare))
        figures["roc_auc_unseen_mould"] = _unseen_mould(data, rows, data.labels == mode, split, seed)
        metrics |= {f"{mode}.{name}": value for name, value in figures.items()}
    learned = split.learning & healthy
    return trained_head(
        "failure",
        "failure.onnx",
        _to_onnx(models),
        reference,
        inputs=INPUTS,
        required=REQUIRED,
        classes=modes,
        normal_rows={str(mould): rows[learned & (data.moulds == mould)] for mould in np.unique(data.moulds)},
        rows=rows[split.learning][np.argsort(data.labels[split.learning], kind="stable")],
        thresholds=thresholds,
        threshold_basis=basis,
        trained_on=f"{_size(data, split.learning)}; calibrated on {_size(data, split.calibrating)}",
        metrics=metrics,
        measured_on=f"{_size(data, split.testing)} that neither trees nor calibration have seen",
    )


class _CalibratedTrees:
    """Gradient boosting whose raw sum is taken to a probability by Platt's sigmoid.

    Isotonic calibration does not survive the way to float32: outputs differ by up to 0.06 (DESIGN 7).
    """

    def __init__(self, rows: Matrix, truth: Mask, presses: npt.NDArray[np.str_], split: Split, seed: int) -> None:
        self.trees = _fitted(rows[split.learning], truth[split.learning], presses[split.learning], seed)
        platt = LogisticRegression(C=1e3)
        platt.fit(self._raw(rows[split.calibrating])[:, None], truth[split.calibrating])
        self.slope, self.offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])

    def probability(self, rows: Matrix) -> npt.NDArray[np.float64]:
        return 1.0 / (1.0 + np.exp(-(self.slope * self._raw(rows) + self.offset)))

    def _raw(self, rows: Matrix) -> npt.NDArray[np.float64]:
        return np.asarray(self.trees.decision_function(rows))


def _fitted(rows: Matrix, truth: Mask, presses: npt.NDArray[np.str_], seed: int) -> HistGradientBoostingClassifier:
    """Trees that have seen every press twice: as it is, and with channels missing, as on presses with fewer sensors."""
    trees = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=30,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    poorer = _without_channels(rows, presses, np.random.default_rng(seed))
    return trees.fit(np.concatenate([rows, poorer]), np.concatenate([truth, truth]))


def _without_channels(rows: Matrix, presses: npt.NDArray[np.str_], rng: np.random.Generator) -> Matrix:
    """Each press loses each optional channel (a signal, or a parameter) with the chance MISSING_SHARE."""
    poorer = rows.copy()
    _, press_of = np.unique(presses, return_inverse=True)
    for channel in sorted({_channel(name) for name in INPUTS if name not in REQUIRED}):
        lost = rng.random(press_of.max() + 1) < MISSING_SHARE
        columns = [column for column, name in enumerate(INPUTS) if _channel(name) == channel]
        poorer[np.ix_(lost[press_of], columns)] = np.nan
    return poorer


def _channel(feature: str) -> str:
    return feature.partition(".")[0]


def _bare(rows: Matrix) -> Matrix:
    """A press that offers no more than what is required."""
    bare = rows.copy()
    bare[:, [column for column, name in enumerate(INPUTS) if name not in REQUIRED]] = np.nan
    return bare


def _thresholds(
    healthy: npt.NDArray[np.float64], presses: npt.NDArray[np.str_], modes: Sequence[str]
) -> tuple[dict[str, float], str]:
    """Conformal on the worst row of shots of each healthy press; and what they were chosen for, in words."""
    worst = np.stack([sustained(healthy[presses == press]).max(axis=0) for press in np.unique(presses)])
    share = FALSE_ALARM_SHARE_MAX / len(modes)
    found = [conformal_limit(column, share) for column in worst.T]
    limits = np.nextafter([limit for limit, _ in found], np.inf)
    basis = (
        f"at most {FALSE_ALARM_SHARE_MAX:g} of healthy presses raise an alarm: conformal on the worst "
        f"{ON_DELAY_SHOTS} shots in a row of each of {len(worst)} presses, {limits.max():.3g}"
    )
    if not all(enough for _, enough in found):
        basis += " (too few: the highest of all)"
    basis += f"; and at least {THRESHOLD_MIN:g}, more likely than not"
    return dict(zip(modes, np.maximum(limits, THRESHOLD_MIN).tolist(), strict=True)), basis


def _figures(truth: Mask, found: npt.NDArray[np.float64], threshold: float) -> dict[str, float]:
    return {
        "roc_auc": float(roc_auc_score(truth, found)),
        "average_precision": float(average_precision_score(truth, found)),
        "brier": float(brier_score_loss(truth, found)),
        "recall_at_threshold": float((found[truth] >= threshold).mean()),
        "false_share_at_threshold": float((found[~truth] >= threshold).mean()),
    }


def _unseen_mould(data: Dataset, rows: Matrix, truth: Mask, split: Split, seed: int) -> float:
    """The worst ROC AUC on a mould whose shots no tree has seen: why the head speaks of its own moulds only."""
    worst = 1.0
    for mould in np.unique(data.moulds):
        others = split.learning & (data.moulds != mould)
        if not others.any():
            return float("nan")
        trees = _fitted(rows[others], truth[others], data.presses[others], seed)
        judged = split.testing & (data.moulds == mould)
        worst = min(worst, float(roc_auc_score(truth[judged], trees.decision_function(rows[judged]))))
    return worst


def _to_onnx(models: Sequence[_CalibratedTrees]) -> bytes:
    raws = [f"raw_{number}" for number in range(len(models))]
    nodes = [
        *(
            of_gradient_boosting(model.trees._predictors, 1).node("inputs", raw)
            for model, raw in zip(models, raws, strict=True)
        ),
        helper.make_node("Concat", raws, ["raw"], axis=1),
        helper.make_node("Mul", ["raw", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["outputs"]),
    ]
    baselines = [float(np.ravel(model.trees._baseline_prediction)[0]) for model in models]
    offsets = [model.offset + model.slope * baseline for model, baseline in zip(models, baselines, strict=True)]
    constants = {
        "slope": np.array([model.slope for model in models], np.float32),
        "offset": np.array(offsets, np.float32),
    }
    return onnx_model("failure", nodes, constants, len(INPUTS), len(models))


def _size(data: Dataset, rows: Mask) -> str:
    return f"{rows.sum()} shots of {len(np.unique(data.presses[rows]))} simulated presses"
