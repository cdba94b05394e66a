"""Where filling and hold end on the curves of each shot, by what the press says or by what the curves show."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.shot import CURVE_SAMPLES_MAX, FloatArray

RELEASED_SHARE = 0.2
"""Hold is over when injection pressure has fallen for good under this share of its peak."""
Counts = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """Of n shots, sample counts from injection start: filling is [0, fill), hold is [fill, hold).

    Where `is_known` is false, neither the parameters nor an injection pressure curve tell the phases.
    """

    fill: Counts
    hold: Counts
    is_known: Flags


def phases_of(
    injection_s: FloatArray, hold_s: FloatArray, pressure: FloatArray, lengths: Counts, interval_s: float
) -> Phases:
    """The phases of n shots.

    Args:
        injection_s: InjectionTime as the press reports it, (n,); NaN where it does not.
        hold_s: HoldTime, the same way.
        pressure: injection pressure without holes, (n, samples).
        lengths: how many samples of it were recorded, (n,).
        interval_s: between two samples, above 0.
    """
    injection = injection_s.astype(np.float64)
    fill, has_fill = _samples(injection, interval_s)
    hold, has_hold = _samples(injection + hold_s, interval_s)
    if not (has_fill & has_hold).all():
        peak, released = _peak(pressure, lengths), _released(pressure, lengths)
        fill = np.where(has_fill, fill, np.maximum(peak, 1))
        hold = np.where(has_hold, hold, released)
        has_fill = has_fill | (lengths > 0)
    return Phases(fill, np.maximum(fill, hold), has_fill)


def _samples(time_s: npt.NDArray[np.float64], interval_s: float) -> tuple[Counts, Flags]:
    is_told = (time_s > 0) & (time_s < np.inf)
    with np.errstate(over="ignore"):
        count = np.minimum(np.where(is_told, time_s, 0.0) / interval_s, CURVE_SAMPLES_MAX)
    return np.maximum(np.rint(count), 1).astype(np.intp), is_told


def _peak(pressure: FloatArray, lengths: Counts) -> Counts:
    recorded = np.arange(pressure.shape[1]) < lengths[:, None]
    return np.asarray(np.where(recorded, pressure, -np.inf).argmax(axis=1))


def _released(pressure: FloatArray, lengths: Counts) -> Counts:
    """After the last sample above the share; 0 where none is."""
    recorded = np.arange(pressure.shape[1]) < lengths[:, None]
    highest = np.where(recorded, pressure, -np.inf).max(axis=1, keepdims=True)
    above = recorded & (pressure > RELEASED_SHARE * highest)
    return np.asarray(np.where(above.any(axis=1), above.shape[1] - above[:, ::-1].argmax(axis=1), 0))
