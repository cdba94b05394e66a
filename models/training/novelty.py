"""The novelty head of a mould: Hotelling's T2 and the squared prediction error (SPE) of a PCA, over their limits.

J. E. Jackson, "A User's Guide to Principal Components" (1991), chapters 1 and 2. The limits are quantiles on healthy
shots of presses that the PCA has not seen, so that a new press does not look strange for being new.
"""

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from models.training.dataset import HEALTHY, Dataset, Mask, Matrix, Split
from models.training.export import TrainedHead, onnx_model, trained_head
from models.training.failure import INPUTS

VARIANCE_KEPT = 0.95
LIMIT_QUANTILE = 0.995
MULTIPLE_MAX = 50.0
"""Both saturate here: what is fifty times its limit is no stranger for being a thousand times it."""
CLASSES = ("T2", "SPE")


def train(data: Dataset, mould_id: str, split: Split, *, file: str) -> TrainedHead:
    """Learn from healthy shots of one mould what is usual there; inputs that never move are left out."""
    of_mould = data.moulds == mould_id
    healthy = of_mould & (data.labels == HEALTHY)
    whole = data.columns(INPUTS)
    moves = np.nanstd(whole[healthy & split.learning], axis=0) > 0
    inputs, rows = [name for name, is_kept in zip(INPUTS, moves, strict=True) if is_kept], whole[:, moves]
    usable = ~np.isnan(rows).any(axis=1)
    learning, limiting, testing = (mask & usable for mask in (split.learning, split.calibrating, split.testing))
    scaler = StandardScaler().fit(rows[healthy & learning].astype(np.float64))
    pca = PCA(VARIANCE_KEPT, svd_solver="full").fit(scaler.transform(rows[healthy & learning].astype(np.float64)))
    limits = np.quantile(_statistics(scaler, pca, rows[healthy & limiting]), LIMIT_QUANTILE, axis=0)

    def reference(wanted: Matrix) -> npt.NDArray[np.float64]:
        return np.minimum(_statistics(scaler, pca, wanted) / limits, MULTIPLE_MAX)

    def share_over(mask: Mask) -> float:
        return float((reference(rows[mask]) > 1).any(axis=1).mean())

    return trained_head(
        "novelty",
        file,
        _to_onnx(scaler, pca, limits),
        reference,
        inputs=inputs,
        required=inputs,
        classes=CLASSES,
        normal_rows={mould_id: rows[healthy & learning]},
        rows=rows[of_mould & learning][np.argsort(data.labels[of_mould & learning], kind="stable")],
        thresholds=dict.fromkeys(CLASSES, 1.0),
        threshold_basis=f"{1 - LIMIT_QUANTILE:.1%} of {_size(data, healthy & limiting)} over each limit",
        trained_on=_size(data, healthy & learning),
        metrics={
            "components": pca.n_components_,
            "false_share": share_over(healthy & testing),
            "found_share": share_over(of_mould & ~healthy & testing),
        },
        measured_on=f"{_size(data, of_mould & testing)} that neither PCA nor limits have seen",
    )


def _statistics(scaler: StandardScaler, pca: PCA, rows: Matrix) -> npt.NDArray[np.float64]:
    """T2 and SPE of each row."""
    z = scaler.transform(rows.astype(np.float64))
    scores = pca.transform(z)
    rest = z - pca.inverse_transform(scores)
    t2 = ((scores**2) / pca.explained_variance_).sum(axis=1)
    return np.column_stack([t2, (rest**2).sum(axis=1)])


def _to_onnx(scaler: StandardScaler, pca: PCA, limits: npt.NDArray[np.float64]) -> bytes:
    """In double precision inside: a pressure of 380 +- 0.3 bar loses its fourth digit when centred in float32."""
    nodes = [
        helper.make_node("Cast", ["inputs"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "centre"], ["moved"]),
        helper.make_node("Mul", ["moved", "by_scale"], ["z"]),
        helper.make_node("MatMul", ["z", "loadings"], ["scores"]),
        helper.make_node("MatMul", ["scores", "loadings_back"], ["model"]),
        helper.make_node("Sub", ["z", "model"], ["rest"]),
        helper.make_node("Mul", ["scores", "by_deviation"], ["unit_scores"]),
        helper.make_node("ReduceSumSquare", ["unit_scores", "axis"], ["t2"], keepdims=1),
        helper.make_node("ReduceSumSquare", ["rest", "axis"], ["spe"], keepdims=1),
        helper.make_node("Concat", ["t2", "spe"], ["statistics"], axis=1),
        helper.make_node("Mul", ["statistics", "by_limit"], ["multiples"]),
        helper.make_node("Min", ["multiples", "highest"], ["held"]),
        helper.make_node("Cast", ["held"], ["outputs"], to=TensorProto.FLOAT),
    ]
    constants = {
        # scikit-learn's PCA centres once more; the scaler has left it nothing but rounding.
        "centre": scaler.mean_ + pca.mean_ * scaler.scale_,
        "by_scale": 1 / scaler.scale_,
        "loadings": np.ascontiguousarray(pca.components_.T),
        "loadings_back": pca.components_,
        "by_deviation": 1 / np.sqrt(pca.explained_variance_),
        "by_limit": 1 / limits,
        "highest": np.array([MULTIPLE_MAX]),
        "axis": np.array([1], np.int64),
    }
    return onnx_model("novelty", nodes, constants, len(scaler.mean_), len(CLASSES))


def _size(data: Dataset, rows: Mask) -> str:
    return f"{rows.sum()} shots of {len(np.unique(data.presses[rows]))} simulated presses"
