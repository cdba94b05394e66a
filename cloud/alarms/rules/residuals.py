"""What a feature does beyond its own AR(1): learnt from the first shots of a press, mould and job, then held. Pure.

Readings of a press follow one another: at an AR(1) of 0.7 Nelson's tests would flag 23 % of normal shots. What is left
when each reading is told from the one before is independent, and 2.4 % of it is flagged, as Nelson meant.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from cloud.alarms.rules.nelson import WINDOW

LEARN_SHOTS: Final = 200
"""So many readings are kept until they have taught centre, phi and sigma; no more is ever kept."""
PHI_MAX: Final = 0.98
OUTLIER_SIGMA: Final = 3.5
MAD_TO_SIGMA: Final = 1.4826
TINY: Final = 1e-9
NO_RESIDUAL_SIGMA: Final = 1e-6
"""Less is the rounding of a reading that never changes."""


@dataclass(frozen=True, slots=True)
class Fit:
    """x[t] = `level` + `phi` x[t-1] + noise of `sigma`."""

    phi: float
    level: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Residuals:
    """What is known of one feature of a press under `recipe` (job and mould): still learning while there is no fit."""

    recipe: str = ""
    learnt: tuple[float, ...] = ()
    fit: Fit | None = None
    last: float | None = None
    window: tuple[float, ...] = ()
    """The last residuals in sigmas, at most WINDOW."""


def follow(before: Residuals, recipe: str, value: float) -> Residuals:
    """After one more reading. Another job or mould is learnt anew; a missing reading breaks the row of residuals."""
    state = before if before.recipe == recipe else Residuals(recipe)
    if not np.isfinite(value):
        return replace(state, last=None, window=())
    if state.fit is None:
        learnt = (*state.learnt, value)
        if len(learnt) < LEARN_SHOTS:
            return replace(state, learnt=learnt)
        return Residuals(recipe, (), fitted(learnt), value)
    if state.last is None:
        return replace(state, last=value)
    residual = (value - state.fit.level - state.fit.phi * state.last) / state.fit.sigma
    residual = residual if abs(residual) > NO_RESIDUAL_SIGMA else 0.0
    return replace(state, last=value, window=(*state.window, residual)[-WINDOW:])


def fitted(values: tuple[float, ...]) -> Fit:
    """Least squares on successive readings, again without the pairs whose residual is beyond OUTLIER_SIGMA.

    Readings beyond that of their median (by MAD) are drawn in first, so that one of them tilts nothing. phi is
    corrected for the bias of short rows, (1 + 3 phi) / n (Kendall 1954, Biometrika 41).
    """
    readings = np.asarray(values, np.float64)
    centre = float(np.median(readings))
    spread = max(MAD_TO_SIGMA * float(np.median(np.abs(readings - centre))), TINY * (1 + abs(centre)))
    held = np.clip(readings - centre, -OUTLIER_SIGMA * spread, OUTLIER_SIGMA * spread)
    past, now = held[:-1], held[1:]
    kept = np.ones(len(now), np.bool_)
    phi, level, sigma = 0.0, 0.0, spread
    for _ in range(2):
        x, y = past[kept], now[kept]
        variance = float(np.var(x))
        phi = float(np.mean((x - x.mean()) * (y - y.mean()))) / variance if variance > 0 else 0.0
        level = float(y.mean() - phi * x.mean())
        residuals = now - level - phi * past
        middle = np.abs(residuals - np.median(residuals))
        kept = middle <= OUTLIER_SIGMA * max(MAD_TO_SIGMA * float(np.median(middle)), TINY * spread)
    mean = level / (1 - phi) if phi < 1 else float(held.mean())
    phi = min(max(phi + (1 + 3 * phi) / len(now), -PHI_MAX), PHI_MAX)
    level = mean * (1 - phi)
    residuals = (now - level - phi * past)[kept]
    sigma = max(float(np.sqrt(np.sum(residuals**2) / max(len(residuals) - 2, 1))), TINY * (1 + abs(centre)))
    return Fit(phi, level + centre * (1 - phi), sigma)


def as_stored(state: Residuals) -> dict[str, Any]:
    """As JSON."""
    fit = None if state.fit is None else [state.fit.phi, state.fit.level, state.fit.sigma]
    return {
        "recipe": state.recipe,
        "learnt": list(state.learnt),
        "fit": fit,
        "last": state.last,
        "window": list(state.window),
    }


def from_stored(stored: dict[str, Any]) -> Residuals:
    """The other way."""
    fit = None if stored["fit"] is None else Fit(*stored["fit"])
    return Residuals(stored["recipe"], tuple(stored["learnt"]), fit, stored["last"], tuple(stored["window"]))
