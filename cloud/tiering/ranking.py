"""Scores from scaled dimensions: weighted sum and TOPSIS side by side, each opened into its parts. Pure, vectorised."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cloud.tiering.evidence import Floats, Ints


@dataclass(frozen=True, slots=True)
class Scores:
    """Both scores, 0 to 1, and what each dimension gives to them.

    `parts` add up to `weighted`. `topsis_parts` add up to `topsis` - 1/2: how far a dimension draws the customer to the
    best (above zero) or to the worst.
    """

    weighted: Floats
    topsis: Floats
    parts: Floats
    topsis_parts: Floats


def score(scaled: Floats, weights: Floats) -> Scores:
    """Score customers whose dimensions are scaled 0 to 1; more is better in all of them."""
    parts = scaled * weights
    closeness, drawn = _topsis(scaled, weights)
    return Scores(parts.sum(axis=1), closeness, parts, drawn)


def _topsis(scaled: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Closeness to the best customer there could be of those given, and its parts.

    Columns are divided by their length as in Hwang and Yoon (1981). With squares P of the distance to the worst, B of
    that to the best, closeness - 1/2 = (P - B) / (2 (sqrt P + sqrt B)**2), and P - B is a sum over dimensions.
    """
    length = np.sqrt((scaled**2).sum(axis=0))
    weighted = np.divide(scaled, length, out=np.zeros_like(scaled), where=length > 0) * weights
    if not len(weighted):
        return np.zeros(0), np.zeros_like(weighted)
    from_worst = (weighted - weighted.min(axis=0)) ** 2
    from_best = (weighted.max(axis=0) - weighted) ** 2
    far, near = np.sqrt(from_worst.sum(axis=1)), np.sqrt(from_best.sum(axis=1))
    both = far + near
    closeness = np.divide(far, both, out=np.full(len(both), 0.5), where=both > 0)
    scale = np.divide(0.5, both**2, out=np.zeros_like(both), where=both > 0)
    return closeness, (from_worst - from_best) * scale[:, None]


def ranks(scores: Floats, ids: tuple[str, ...]) -> Ints:
    """0 for the highest score; ties break by id so that runs agree."""
    order = np.lexsort((np.asarray(ids), -scores))
    out = np.empty(len(scores), np.int64)
    out[order] = np.arange(len(scores))
    return out


def rank_correlation(first: Any, second: Any) -> float:
    """Spearman's rho with mean ranks for ties; NaN when one of them is constant."""
    a, b = _mean_ranks(np.asarray(first, np.float64)), _mean_ranks(np.asarray(second, np.float64))
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / length if length > 0 else float("nan")


def _mean_ranks(values: Floats) -> Floats:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    means: Floats = (ends - (count + 1) / 2)[group]
    return means
