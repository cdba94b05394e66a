"""What a plant has without a learned model, under the same budget: limits, EWMA and CUSUM charts, an isolation forest.

Each says "trouble of some kind"; greater is worse. Limits and charts watch each value by itself, with a threshold of
its own; charts run on z, a press-and-mould's own distance from its baseline in robust deviations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.ensemble import IsolationForest

from models.evaluation.traces import Values

EWMA_WEIGHT: Final = 0.1
"""Roberts 1959; 0.05 to 0.25 in use (Montgomery, Introduction to Statistical Quality Control)."""
CUSUM_SLACK: Final = 0.5
"""Half of the shift of one deviation that the chart is tuned to (Page 1954)."""
CUSUM_MAX: Final = 1e6
FOREST_ROWS_MAX: Final = 20_000
Comparison = Callable[[Values, Values], Values]
"""From values in units of the mould's spread over all presses (n, V) and z (n, V), of one press in order, to scores
(n, channels); NaN where a value is missing."""


def fixed_limits(pooled: Values, _z: Values) -> Values:
    """How far each value is from what is usual for the mould on any press: limits that an engineer would set once."""
    return np.abs(pooled)


def ewma_chart(_pooled: Values, z: Values) -> Values:
    """The running means, in their own deviations: sqrt(w / (2 - w)) of those of z."""
    found, mean = np.empty(z.shape), np.zeros(z.shape[1])
    for row, values in enumerate(z):
        known = ~np.isnan(values)
        mean[known] += EWMA_WEIGHT * (values[known] - mean[known])
        found[row] = mean
    return np.asarray(np.abs(found) / np.sqrt(EWMA_WEIGHT / (2 - EWMA_WEIGHT)))


def cusum_chart(_pooled: Values, z: Values) -> Values:
    """The greater of the two cumulative sums of each value."""
    found = np.empty(z.shape)
    up, down = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    for row, values in enumerate(np.nan_to_num(z)):
        up = np.clip(up + values - CUSUM_SLACK, 0.0, CUSUM_MAX)
        down = np.clip(down - values - CUSUM_SLACK, 0.0, CUSUM_MAX)
        found[row] = np.maximum(up, down)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ForestComparison:
    """An isolation forest of z of healthy shots."""

    forest: IsolationForest

    def __call__(self, _pooled: Values, z: Values) -> Values:
        """How easily a shot is told from the healthy ones."""
        return np.asarray(-self.forest.score_samples(np.nan_to_num(z).astype(np.float32)))[:, None]


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
