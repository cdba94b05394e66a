"""The curves that are kept of a shot: from injection start, on one grid, bounded. Training and serving share it."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray, Shot

INTERVAL_S = 0.005
SAMPLES_MAX = 1_000
Indices = npt.NDArray[np.intp]


def resample(shot: Shot, interval_s: float = INTERVAL_S, samples_max: int = SAMPLES_MAX) -> Shot:
    """The shot with its curves on the grid `i * interval_s`, at most `samples_max` long, by linear interpolation.

    A curve is never stretched beyond its last sample. With `samples_max` 0, or an interval that cannot be, the curves
    are left out; a shot without curves, or already on the grid, comes back as it is.
    """
    if not shot.curves:
        return shot
    if samples_max == 0 or not 0 < shot.sample_interval_s < math.inf:
        return replace(shot, curves={}, sample_interval_s=0.0)
    if shot.sample_interval_s == interval_s:
        if all(len(samples) <= samples_max for samples in shot.curves.values()):
            return shot
        return replace(shot, curves={name: samples[:samples_max] for name, samples in shot.curves.items()})
    step = interval_s / shot.sample_interval_s
    grids = {length: _grid(length, step, samples_max) for length in {len(curve) for curve in shot.curves.values()}}
    with np.errstate(over="ignore", invalid="ignore"):  # a sample that is not finite makes its neighbours so
        curves = {name: _between(samples, *grids[len(samples)]) for name, samples in shot.curves.items()}
    return replace(shot, curves=curves, sample_interval_s=interval_s)


def resample_block(curves: FloatArray, sample_interval_s: float) -> FloatArray:
    """The curves (n, signals, samples) of many shots on the same grid as `resample` gives of each, INTERVAL_S."""
    before, after, weight = _grid(curves.shape[2], INTERVAL_S / sample_interval_s, SAMPLES_MAX)
    first = curves[:, :, before]
    return first + (curves[:, :, after] - first) * weight


def _grid(length: int, step: float, samples_max: int) -> tuple[Indices, Indices, FloatArray]:
    """The samples before and after each place of the grid, and the share of the way from one to the other."""
    count = int(min((length - 1) / step, samples_max - 1)) + 1 if length else 0
    at = np.arange(count) * step
    before = at.astype(np.intp)
    return before, np.minimum(before + 1, max(length - 1, 0)), (at - before).astype(np.float32)


def _between(samples: FloatArray, before: Indices, after: Indices, weight: FloatArray) -> FloatArray:
    first = samples[before]
    return first + (samples[after] - first) * weight
