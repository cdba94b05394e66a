"""Did what was said come about? Probabilities beside what followed, in bins, and the Brier score of all together."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.evaluation.traces import Mask, Values

BINS: Final = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
"""Failures are rare, so most bins are low."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose probability lies in a bin: how many, what was said on the mean, what came."""

    low: float
    high: float
    rows: int
    said: float
    came: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of one mode (or all) and horizon: Brier score, that of always saying the base rate, and the bins."""

    rows: int
    brier: float
    brier_of_base_rate: float
    bins: tuple[Bin, ...]


def reliability_of(said: Values, came: Mask) -> Reliability:
    """Of rows without a missing value: what was said (n,) and whether it came (n,)."""
    if not len(said):
        return Reliability(0, np.nan, np.nan, ())
    places = np.clip(np.digitize(said, BINS) - 1, 0, len(BINS) - 2)
    bins = tuple(
        Bin(float(BINS[n]), float(BINS[n + 1]), int(own.sum()), float(said[own].mean()), float(came[own].mean()))
        for n in range(len(BINS) - 1)
        if (own := places == n).any()
    )
    base = float(came.mean())
    return Reliability(len(said), float(((said - came) ** 2).mean()), base * (1 - base), bins)
