"""Limits of an individuals chart for values that remember the one before, for pages and rules alike. Pure.

Neighbouring shots are alike (lag-1 correlation of 0.7 to 0.9 is usual), so the moving range of a Shewhart chart sees
too little of the spread and its limits cry wolf. A process x(t) - m = phi (x(t-1) - m) + e(t) has two honest charts:

- of the value, around m with the stationary spread `sigma`;
- of the residual e(t), around 0 with `residual_sigma` = sigma sqrt(1 - phi^2), which is free of memory.

`models.ar1` fits both, for the rules of alarms too.

Alwan and Roberts, Time-series modeling for statistical process control, J. Business & Economic Statistics 6 (1988);
Vasilopoulos and Stamboulis, Modification of control chart limits in the presence of data correlation, J. Quality
Technology 10 (1978); Montgomery, Introduction to Statistical Quality Control, the chapter on autocorrelated data.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.ar1 import Values, fit, scale_of

RUN_MIN: Final = 25
"""Values without which there are no limits: the least that textbooks take for a first phase."""
SIGMAS: Final = 3.0


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """What is in control: centre, spread, memory from value to value, and from how many values that is known."""

    centre: float
    sigma: float
    phi: float
    count: int

    @property
    def low(self) -> float:
        """The lower limit of a value."""
        return self.centre - SIGMAS * self.sigma

    @property
    def high(self) -> float:
        """The upper limit of a value."""
        return self.centre + SIGMAS * self.sigma

    @property
    def residual_sigma(self) -> float:
        """The spread of what a value has beyond what the one before foretold."""
        return self.sigma * math.sqrt(1 - self.phi**2)


def limits_of(run: npt.ArrayLike) -> ControlLimits | None:
    """The limits that a run in control gives, in the order of its shots.

    A missing value (NaN) counts for nothing, and no step is taken across it. None for fewer than RUN_MIN values, and
    for a run in which nothing moves: then every next value would be out of control.
    """
    values = np.asarray(run, np.float64)
    known = values[np.isfinite(values)]
    if len(known) < RUN_MIN:
        return None
    centre, wide = scale_of(known)
    if wide <= 0:
        return None
    found = fit(values)
    return ControlLimits(centre, found.spread, found.phi, len(known))


def residuals(limits: ControlLimits, values: npt.ArrayLike) -> Values:
    """Of each value what it has beyond what the one before foretold, in `residual_sigma`; the first has none (NaN)."""
    away = np.asarray(values, np.float64) - limits.centre
    out = np.full(len(away), np.nan)
    out[1:] = (away[1:] - limits.phi * away[:-1]) / limits.residual_sigma
    return out
