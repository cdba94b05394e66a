"""Weights of the dimensions: from a pairwise matrix (AHP), from the data (entropy), or by hand. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from cloud.tiering.evidence import Floats
from kit.errors import ZhisanError

RATIO_MAX: Final = 0.1
"""Saaty's bound of a pairwise matrix that can be believed."""
RANDOM_INDEX: Final = {1: 0.0, 2: 0.0, 3: 0.58, 4: 0.90, 5: 1.12, 6: 1.24, 7: 1.32, 8: 1.41, 9: 1.45, 10: 1.49}
"""The mean consistency index of random matrices (Saaty 1980)."""
SAATY_MAX: Final = 9.0
DEFAULT_PAIRWISE: Final = (
    (1.0, 2.0, 3.0, 2.0, 2.0),
    (1 / 2, 1.0, 2.0, 1.0, 1.0),
    (1 / 3, 1 / 2, 1.0, 1 / 2, 1 / 2),
    (1 / 2, 1.0, 2.0, 1.0, 1.0),
    (1 / 2, 1.0, 2.0, 1.0, 1.0),
)
"""Revenue over all, demonstration last, the other three alike."""


class WeightsError(ZhisanError):
    """Weights cannot be made of what was given; `ratio` is the consistency ratio where that is why."""

    def __init__(self, field: str, why: str, *, ratio: float | None = None) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why
        self.ratio = ratio


def from_pairwise(matrix: Sequence[Sequence[float]]) -> tuple[Floats, float]:
    """AHP: the principal eigenvector of a pairwise matrix, and its consistency ratio.

    Raises:
        WeightsError: not square, not reciprocal, not of Saaty's scale, or a ratio above RATIO_MAX.
    """
    checked = _checked_pairwise(matrix)
    count = len(checked)
    values, vectors = np.linalg.eig(checked)
    first = int(np.argmax(values.real))
    weights = np.abs(vectors[:, first].real)
    ratio = consistency_ratio(float(values[first].real), count)
    if ratio > RATIO_MAX:
        raise WeightsError(
            "pairwise",
            f"consistency ratio {ratio:.3f} is above {RATIO_MAX}: some judgements contradict each other; "
            f"look first at {_least_consistent(checked, weights)}",
            ratio=ratio,
        )
    return weights / weights.sum(), ratio


def consistency_ratio(eigenvalue: float, count: int) -> float:
    """How far the judgements contradict each other, 1 being as far as random ones."""
    if count < 3:
        return 0.0
    return max(0.0, (eigenvalue - count) / (count - 1) / RANDOM_INDEX[count])


def from_entropy(scaled: Floats) -> Floats:
    """By how much each dimension tells customers apart: one in which all are alike weighs nothing.

    Raises:
        WeightsError: fewer than two customers, or all are alike in everything.
    """
    if len(scaled) < 2:
        raise WeightsError("entropy", "needs at least two customers")
    share = scaled / np.maximum(scaled.sum(axis=0), 1e-300)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    apart = np.maximum(0.0, 1 + (share * logs).sum(axis=0) / np.log(len(scaled)))
    if apart.sum() < 1e-12:
        raise WeightsError("entropy", "all customers are alike in every dimension")
    weights: Floats = apart / apart.sum()
    return weights


def by_hand(weights: Sequence[float], count: int) -> Floats:
    """Weights as told, brought to a sum of 1.

    Raises:
        WeightsError: not one per dimension, below zero, not a number, or all zero.
    """
    told = np.asarray(weights, np.float64)
    if told.shape != (count,):
        raise WeightsError("weights", f"must be {count}, one for each dimension")
    if not np.isfinite(told).all() or (told < 0).any():
        raise WeightsError("weights", "must be numbers from 0")
    if told.sum() <= 0:
        raise WeightsError("weights", "must not all be 0")
    shares: Floats = told / told.sum()
    return shares


def _checked_pairwise(matrix: Sequence[Sequence[float]]) -> Floats:
    if not 2 <= len(matrix) <= max(RANDOM_INDEX) or any(len(row) != len(matrix) for row in matrix):
        raise WeightsError("pairwise", "must be square, of 2 to 10 rows")
    told = np.asarray(matrix, np.float64)
    if not np.isfinite(told).all() or (told < 1 / SAATY_MAX - 1e-6).any() or (told > SAATY_MAX + 1e-6).any():
        raise WeightsError("pairwise", "every judgement must be 1/9 to 9")
    wrong = np.argwhere(np.abs(told * told.T - 1) > 0.02)
    if len(wrong):
        row, column = (int(at) + 1 for at in wrong[0])
        raise WeightsError("pairwise", f"row {row}, column {column} is not the reciprocal of its opposite")
    return told


def _least_consistent(matrix: Floats, weights: Floats) -> str:
    """The judgement furthest from what the weights say."""
    off = np.abs(np.log(matrix * weights[None, :] / weights[:, None]))
    row, column = np.unravel_index(int(np.argmax(np.triu(off))), off.shape)
    return f"row {int(row) + 1}, column {int(column) + 1}"
