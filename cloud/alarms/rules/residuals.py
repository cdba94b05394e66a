"""What a feature does beyond its own AR(1): learnt from the first shots of a press, mould and job, then held. Pure.

Readings of a press follow one another: at an AR(1) of 0.7 Nelson's tests would flag 23 % of normal shots. What is left
when each reading is told from the one before is independent, and 2.4 % of it is flagged, as Nelson meant.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from cloud.alarms.rules.nelson import WINDOW
from models.ar1 import Ar1, fit

LEARN_SHOTS: Final = 200
"""So many readings are kept until they have taught centre, phi and sigma; no more is ever kept."""
NO_RESIDUAL_SIGMA: Final = 1e-6
"""Less is the rounding of a reading that never changes."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """What is known of one feature of a press under `recipe` (job and mould): still learning while there is no fit."""

    recipe: str = ""
    learnt: tuple[float, ...] = ()
    fit: Ar1 | None = None
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
        return Residuals(recipe, (), fit(learnt), value)
    if state.last is None:
        return replace(state, last=value)
    residual = state.fit.residual(value, state.last)
    residual = residual if abs(residual) > NO_RESIDUAL_SIGMA else 0.0
    return replace(state, last=value, window=(*state.window, residual)[-WINDOW:])


def as_stored(state: Residuals) -> dict[str, Any]:
    """As JSON."""
    learnt = None if state.fit is None else [state.fit.phi, state.fit.level, state.fit.sigma]
    return {
        "recipe": state.recipe,
        "learnt": list(state.learnt),
        "fit": learnt,
        "last": state.last,
        "window": list(state.window),
    }


def from_stored(stored: dict[str, Any]) -> Residuals:
    """The other way."""
    found = None if stored["fit"] is None else Ar1(*stored["fit"])
    return Residuals(stored["recipe"], tuple(stored["learnt"]), found, stored["last"], tuple(stored["window"]))
