"""Novelty against the press's own baseline: T2 and SPE of a PCA that presses of a mould share, with contributions.

The inputs are running means of z over about 20 shots (`models.runtime.baseline_tracks`): distances from the centre that
this press itself has with this mould, in its own scales. What presses of a mould share is how these distances move
together. With u = z over its usual size, loadings P (W, k), variances l (k,) and scores t = u P:

    T2  = sum of t^2 / l           = sum over inputs of ((t / l^(1/2)) P^T)^2
    SPE = sum of (u - t P^T)^2     = sum over inputs of the same squares

so the squares are complete contributions: they sum to the statistic. J. E. Jackson, "A User's Guide to Principal
Components" (1991), chapters 1 and 2; C. F. Alcala and S. J. Qin, "Reconstruction-based contribution for process
monitoring with principal component analysis", Automatica 45 (2009) 1593-1600, where these are the complete
decomposition contributions. Both come from two matrix products.

Limits are conformal: the day's highest value of each press-day of healthy presses that the PCA has not seen, in order,
and of d of them the ceil((d + 1)(1 - a))-th, which the highest of a further such day exceeds with a chance of at most a
(V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2). Days of one press are
alike, so the chance holds on average over presses, not for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from models.evaluation.budget import AIMED_SHARE, BUDGET_A_PRESS_MONTH, conformal_limit, highest_a_day
from models.evaluation.traces import MONTH_DAYS
from models.features.schema import VALUES
from models.runtime.baseline_tracks import FAST_SHOTS
from models.training.dataset import Matrix
from models.training.export import TrainedHead, onnx_model, trained_head

Wide = npt.NDArray[np.float64]
INPUTS: Final = tuple(f"{spec.name}@ewma{FAST_SHOTS}" for spec in VALUES if "LargestResidual" not in spec.name)
"""Where a residual is largest jumps about in healthy shots; how large residuals are is in their root mean squares."""
REQUIRED: Final = (f"CycleTime@ewma{FAST_SHOTS}",)
"""Without a baseline in force nothing is said; any other value may be missing and then counts as usual."""
CLASSES: Final = ("T2", "SPE")
VARIANCE_KEPT = 0.9
HELD_AT = 8.0
"""A shot further out than this many of its usual sizes does not turn the loadings."""
SIZE_MIN = 0.05
MULTIPLE_MAX = 50.0
"""Statistics saturate here: what is fifty times its limit is no stranger for being a thousand times it."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Rows (n, W) float32 of INPUTS from healthy shots with a baseline in force, their presses and times, (n,)."""

    rows: Matrix
    presses: npt.NDArray[np.str_]
    ended_ms: npt.NDArray[np.int64]

    def of(self, presses: Sequence[str]) -> "States":
        """Those of some presses."""
        own = np.isin(self.presses, presses)
        return States(self.rows[own], self.presses[own], self.ended_ms[own])

    @classmethod
    def joined(cls, parts: "Sequence[States]") -> "States":
        """In their order."""
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.presses for part in parts]),
            np.concatenate([part.ended_ms for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What the presses of a mould share: usual size of each input (W,), loadings (W, k), deviations of scores (k,)."""

    sizes: Wide
    loadings: Wide
    deviations: Wide

    def contributions(self, rows: Matrix) -> Wide:
        """Of each input to T2 and to SPE, (n, 2, W); they sum to the statistics."""
        unit = np.nan_to_num(rows.astype(np.float64)) / self.sizes
        scores = unit @ self.loadings
        back = np.concatenate([scores / self.deviations, scores]) @ self.loadings.T
        whitened, model = back[: len(rows)], back[len(rows) :]
        return np.stack([whitened**2, (unit - model) ** 2], axis=1)

    def statistics(self, rows: Matrix) -> Wide:
        """T2 and SPE, (n, 2)."""
        found: Wide = self.contributions(rows).sum(axis=2)
        return found


def components_of(states: States) -> Components:
    """The components around the baselines themselves, not around the mean: a press that drifted is no centre."""
    filled = np.nan_to_num(states.rows.astype(np.float64))
    sizes = np.maximum(np.sqrt((filled**2).mean(axis=0)), SIZE_MIN)
    unit = np.clip(filled / sizes, -HELD_AT, HELD_AT)
    variances, vectors = np.linalg.eigh(unit.T @ unit / len(unit))
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
    count = int(np.searchsorted(np.cumsum(variances), VARIANCE_KEPT * variances.sum())) + 1
    return Components(sizes, vectors[:, :count], np.sqrt(variances[:count]))


def day_highest(statistics: Wide, presses: npt.NDArray[np.str_], ended_ms: npt.NDArray[np.int64]) -> Wide:
    """The highest of each statistic (n, k) on each press-day, (days, k)."""
    parts = []
    for press in np.unique(presses):
        own = np.flatnonzero(presses == press)
        own = own[np.argsort(ended_ms[own], kind="stable")]
        parts.append(highest_a_day(statistics[own], ended_ms[own]))
    return np.concatenate(parts)


def train(
    learning: States,
    limiting: States,
    testing: States,
    mould_id: str,
    *,
    file: str,
    budget: float = BUDGET_A_PRESS_MONTH,
) -> TrainedHead:
    """The novelty head of a mould; no press may be in two of the three.

    Args:
        learning: for the components.
        limiting: for the limits.
        testing: for the figures.
        mould_id: the mould.
        file: the head's name in the bundle.
        budget: false alarms a press and month, of both statistics together.
    """
    components = components_of(learning)
    chance = budget * AIMED_SHARE / MONTH_DAYS / len(CLASSES)
    highest = day_highest(components.statistics(limiting.rows), limiting.presses, limiting.ended_ms)
    found = [conformal_limit(column, chance) for column in highest.T]
    limits = np.array([limit for limit, _ in found])

    def reference(rows: Matrix) -> Wide:
        return np.minimum(components.statistics(rows) / limits, MULTIPLE_MAX)

    tested = day_highest(reference(testing.rows), testing.presses, testing.ended_ms)
    basis = f"{budget:g} false alarms a press and month, set for {AIMED_SHARE:g} of it on {len(highest)} press-days"
    is_enough = all(enough for _, enough in found)
    filled = np.nan_to_num(learning.rows)
    return trained_head(
        "novelty",
        file,
        to_onnx(components, limits),
        reference,
        inputs=INPUTS,
        required=REQUIRED,
        classes=CLASSES,
        normal_rows={mould_id: filled},
        rows=filled[np.argsort(components.statistics(filled).sum(axis=1), kind="stable")],
        thresholds=dict.fromkeys(CLASSES, 1.0),
        threshold_basis=basis if is_enough else f"{basis}: too few, so the highest of all",
        trained_on=_size(learning),
        metrics={
            "components": len(components.deviations),
            "press_days": len(tested),
            "false_alarms_per_press_month": float((tested > 1).any(axis=1).mean() * MONTH_DAYS),
        },
        measured_on=f"{_size(testing)} that neither components nor limits have seen",
    )


def to_onnx(components: Components, limits: Wide) -> bytes:
    """`outputs` (n, 2): T2 and SPE over their limits; `contributions` (n, 2W): of each input to both, the same way."""
    nodes = [
        helper.make_node("Cast", ["inputs"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("IsNaN", ["wide"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "wide"], ["filled"]),
        helper.make_node("Mul", ["filled", "by_size"], ["unit"]),
        helper.make_node("MatMul", ["unit", "loadings"], ["scores"]),
        helper.make_node("Mul", ["scores", "by_deviation"], ["white"]),
        helper.make_node("Concat", ["white", "scores"], ["both"], axis=0),
        helper.make_node("MatMul", ["both", "loadings_back"], ["back"]),
        helper.make_node("Split", ["back"], ["whitened", "model"], axis=0, num_outputs=2),
        helper.make_node("Sub", ["unit", "model"], ["rest"]),
        helper.make_node("Mul", ["whitened", "whitened"], ["of_t2"]),
        helper.make_node("Mul", ["rest", "rest"], ["of_spe"]),
        helper.make_node("Mul", ["of_t2", "by_limit_t2"], ["t2_parts"]),
        helper.make_node("Mul", ["of_spe", "by_limit_spe"], ["spe_parts"]),
        helper.make_node("ReduceSum", ["t2_parts", "axis"], ["t2"], keepdims=1),
        helper.make_node("ReduceSum", ["spe_parts", "axis"], ["spe"], keepdims=1),
        helper.make_node("Concat", ["t2", "spe"], ["multiples"], axis=1),
        helper.make_node("Min", ["multiples", "highest"], ["held"]),
        helper.make_node("Cast", ["held"], ["outputs"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["t2_parts", "spe_parts"], ["parts"], axis=1),
        helper.make_node("Cast", ["parts"], ["contributions"], to=TensorProto.FLOAT),
    ]
    constants = {
        "zero": np.zeros(1),
        "by_size": 1 / components.sizes,
        "loadings": np.ascontiguousarray(components.loadings),
        "loadings_back": np.ascontiguousarray(components.loadings.T),
        "by_deviation": 1 / components.deviations,
        "by_limit_t2": 1 / limits[:1],
        "by_limit_spe": 1 / limits[1:],
        "highest": np.array([MULTIPLE_MAX]),
        "axis": np.array([1], np.int64),
    }
    width = len(components.sizes)
    model = onnx.load_from_string(onnx_model("novelty", nodes, constants, width, len(CLASSES)))
    model.graph.output.append(
        helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["n", len(CLASSES) * width])
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _size(states: States) -> str:
    return f"{len(states.rows)} shots of {len(np.unique(states.presses))} simulated presses"
