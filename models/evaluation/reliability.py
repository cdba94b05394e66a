"""Did what was said come about? Probabilities beside what followed, in bins, and the Brier score of all together."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.judging import BOOTSTRAPS, CONFIDENCE, Figure
from models.evaluation.traces import Mask, Values

BINS: Final = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
"""Failures are rare, so most bins are low."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose probability lies in a bin: how many, what was said on the mean, what came with its interval."""

    low: float
    high: float
    rows: int
    said: float
    came: Figure


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of one mode (or all) and horizon: Brier score, that of always saying the base rate, and the bins.

    `skill` is the share of the latter that the former saves: over 0 the probabilities are better than the base rate.
    """

    rows: int
    brier: float
    brier_of_base_rate: float
    skill: Figure
    bins: tuple[Bin, ...]


def reliability_of(said: Values, came: Mask, presses: npt.NDArray[np.str_], *, seed: int = 1) -> Reliability:
    """Of rows without a missing value, with intervals over presses drawn with replacement.

    Args:
        said: (n,) what was said.
        came: (n,) whether it came.
        presses: (n,) whose row it is: rows of a press are no independent witnesses.
        seed: of the draws.
    """
    if not len(said):
        return Reliability(0, np.nan, np.nan, Figure(np.nan, np.nan, np.nan), ())
    names, press = np.unique(presses, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAPS)

    def by_press(values: npt.NDArray[np.floating]) -> Values:
        return np.bincount(press, values, len(names)).astype(np.float64)

    def ratio(above: Values, below: Values) -> Figure:
        """Of sums over presses; of the draws those count in which there is something below."""
        told = draws @ below > 0
        drawn = (draws @ above)[told] / (draws @ below)[told]
        tail = (1 - CONFIDENCE) / 2
        return Figure(float(above.sum() / below.sum()), *np.quantile(drawn, [tail, 1 - tail]).tolist())

    places = np.clip(np.digitize(said, BINS) - 1, 0, len(BINS) - 2)
    bins = tuple(
        Bin(
            float(BINS[number]),
            float(BINS[number + 1]),
            int(own.sum()),
            float(said[own].mean()),
            ratio(by_press((own & came).astype(float)), by_press(own.astype(float))),
        )
        for number in range(len(BINS) - 1)
        if (own := places == number).any()
    )
    base = float(came.mean())
    missed, missed_by_base = (said - came) ** 2, (base - came) ** 2
    skill = ratio(by_press(missed_by_base - missed), by_press(missed_by_base)) if base else Figure(*3 * (np.nan,))
    return Reliability(len(said), float(missed.mean()), base * (1 - base), skill, bins)
