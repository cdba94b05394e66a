"""What a reading keeps of the one before: an AR(1) fitted to a row in control, for charts and rules alike. Pure.

Readings of a press follow one another (a lag-1 correlation of 0.7 to 0.9 is usual). What is left when each is told
from the one before is independent, and its spread is what limits and tests of control charts ask for.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

PHI_MAX: Final = 0.98
"""Beyond it a row is a walk, and its spread is not known from its steps."""
OUTLIER_SIGMA: Final = 3.5
MAD_TO_SIGMA: Final = 1.4826
TINY: Final = 1e-9
PAIRS_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class Ar1:
    """x[t] = `level` + `phi` x[t-1] + noise of `sigma`."""

    phi: float
    level: float
    sigma: float

    @property
    def spread(self) -> float:
        """The standard deviation of the readings themselves, once the row has run for long."""
        return self.sigma / math.sqrt(1 - self.phi**2)

    def residual(self, value: float, before: float) -> float:
        """What a reading has beyond what the one before foretold, in sigmas."""
        return (value - self.level - self.phi * before) / self.sigma


def fit(values: npt.ArrayLike) -> Ar1:
    """Least squares on successive readings, again without the pairs whose residual is beyond OUTLIER_SIGMA.

    Readings beyond that of their median (by MAD) are drawn in first, so that one of them tilts nothing. phi is
    corrected for the bias of short rows, (1 + 3 phi) / n (Kendall 1954, Biometrika 41). A missing reading (NaN) counts
    for nothing, and no pair is taken across it; a row with fewer than PAIRS_MIN pairs is taken for one without memory.
    """
    readings = np.asarray(values, np.float64)
    known = readings[np.isfinite(readings)]
    centre, spread = scale_of(known)
    spread = max(spread, TINY * (1 + abs(centre)))
    held = np.clip(readings - centre, -OUTLIER_SIGMA * spread, OUTLIER_SIGMA * spread)
    is_pair = np.isfinite(held[:-1]) & np.isfinite(held[1:])
    past, now = held[:-1][is_pair], held[1:][is_pair]
    if len(now) < PAIRS_MIN:
        return Ar1(0.0, centre, spread)
    kept = np.ones(len(now), np.bool_)
    phi, level = 0.0, 0.0
    for _ in range(2):
        x, y = past[kept], now[kept]
        variance = float(np.var(x))
        phi = float(np.mean((x - x.mean()) * (y - y.mean()))) / variance if variance > 0 else 0.0
        level = float(y.mean() - phi * x.mean())
        away = now - level - phi * past
        away = np.abs(away - np.median(away))
        kept = away <= OUTLIER_SIGMA * max(MAD_TO_SIGMA * float(np.median(away)), TINY * spread)
    mean = level / (1 - phi) if phi < 1 else float(np.nanmean(held))
    phi = min(max(phi + (1 + 3 * phi) / len(now), -PHI_MAX), PHI_MAX)
    level = mean * (1 - phi)
    left = (now - level - phi * past)[kept]
    sigma = max(float(np.sqrt(np.sum(left**2) / max(len(left) - 2, 1))), TINY * (1 + abs(centre)))
    return Ar1(phi, level + centre * (1 - phi), sigma)


def scale_of(known: Values) -> tuple[float, float]:
    """Median, and the spread that the median distance from it tells; one wild reading moves neither."""
    centre = float(np.median(known))
    return centre, MAD_TO_SIGMA * float(np.median(np.abs(known - centre)))
