"""Where filling and hold end on the curves of a shot, by what the press says or by what the curves show."""

import math
from dataclasses import dataclass

import numpy as np

from contract.shot import CURVE_SAMPLES_MAX, FloatArray, Shot

RELEASED_SHARE = 0.2
"""Hold is over when injection pressure has fallen for good under this share of its peak."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Sample counts from injection start: filling is [0, fill), hold is [fill, hold)."""

    fill: int
    hold: int


def phases_of(shot: Shot) -> Phases | None:
    """The phases; None when neither the parameters nor an injection pressure curve tell them."""
    if not shot.sample_interval_s > 0:
        return None
    pressure = shot.curves.get("InjectionPressure")
    injection_s = shot.parameters.get("InjectionTime", math.nan)
    hold_s = shot.parameters.get("HoldTime", math.nan)
    fill = _samples(injection_s, shot.sample_interval_s)
    if fill is None:
        fill = _peak(pressure)
    if fill is None:
        return None
    hold = _samples(injection_s + hold_s, shot.sample_interval_s)
    if hold is None:
        hold = _released(pressure)
    return Phases(fill, max(fill, hold if hold is not None else fill))


def _samples(time_s: float, interval_s: float) -> int | None:
    if not 0 < time_s < math.inf:
        return None
    return max(1, round(min(time_s / interval_s, CURVE_SAMPLES_MAX)))


def _peak(pressure: FloatArray | None) -> int | None:
    if pressure is None or not len(pressure) or np.isnan(pressure).all():
        return None
    return max(1, int(np.nanargmax(pressure)))


def _released(pressure: FloatArray | None) -> int | None:
    if pressure is None or not len(pressure) or np.isnan(pressure).all():
        return None
    above = np.flatnonzero(pressure > RELEASED_SHARE * np.nanmax(pressure))
    return int(above[-1]) + 1 if len(above) else None
