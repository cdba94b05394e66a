"""What a plant has without a learned model, under the same budget: limits, EWMA and CUSUM charts, an isolation forest.

Each gives one score a shot that says "trouble of some kind"; greater is worse. Charts run on z, a press-and-mould's own
distance from its baseline in robust deviations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from models.evaluation.traces import Values

EWMA_WEIGHT: Final = 0.1
"""Roberts 1959; 0.05 to 0.25 in use (Montgomery, Introduction to Statistical Quality Control)."""
CUSUM_SLACK: Final = 0.5
"""Half of the shift of one deviation that the chart is tuned to (Page 1954)."""
CUSUM_MAX: Final = 1e6
FOREST_ROWS_MAX: Final = 20_000
Comparison = Callable[[Values, Values], Values]
"""From values in units of the mould's spread over all presses (n, V) and z (n, V), of one press in order, to (n,)."""


def fixed_limits(pooled: Values, _z: Values) -> Values:
    """The furthest value from what is usual for the mould on any press: limits that an engineer would set once."""
    return _worst(np.abs(pooled))


def ewma_chart(_pooled: Values, z: Values) -> Values:
    """The furthest running mean, in its own deviations: sqrt(w / (2 - w)) of those of z."""
    found, mean = np.empty(z.shape), np.zeros(z.shape[1])
    for row, values in enumerate(z):
        known = ~np.isnan(values)
        mean[known] += EWMA_WEIGHT * (values[known] - mean[known])
        found[row] = mean
    return np.asarray(_worst(np.abs(found)) / np.sqrt(EWMA_WEIGHT / (2 - EWMA_WEIGHT)))


def cusum_chart(_pooled: Values, z: Values) -> Values:
    """The greatest of the two-sided cumulative sums."""
    found = np.empty(len(z))
    up, down = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    for row, values in enumerate(np.nan_to_num(z)):
        up = np.clip(up + values - CUSUM_SLACK, 0.0, CUSUM_MAX)
        down = np.clip(down - values - CUSUM_SLACK, 0.0, CUSUM_MAX)
        found[row] = max(up.max(), down.max())
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ForestComparison:
    """An isolation forest of z of healthy shots."""

    forest: IsolationForest

    def __call__(self, _pooled: Values, z: Values) -> Values:
        """How easily a shot is told from the healthy ones."""
        return np.asarray(-self.forest.score_samples(np.nan_to_num(z).astype(np.float32)))


def comparisons(healthy_z: Values, *, seed: int) -> Mapping[str, Comparison]:
    """All of them by name; `healthy_z` (n, V) teaches the forest."""
    rng = np.random.default_rng(seed)
    kept = rng.choice(len(healthy_z), min(len(healthy_z), FOREST_ROWS_MAX), replace=False)
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(np.nan_to_num(healthy_z[kept]).astype(np.float32))
    return {
        "fixed_limits": fixed_limits,
        "ewma": ewma_chart,
        "cusum": cusum_chart,
        "isolation_forest": ForestComparison(forest),
    }


def _worst(distances: Values) -> Values:
    """The greatest of each row; NaN where all are missing."""
    known = ~np.isnan(distances)
    found: npt.NDArray[np.float64] = np.where(known, distances, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), found, np.nan)
