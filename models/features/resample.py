"""The curves that are kept of a shot: from injection start, on one grid, bounded. Training and serving share it."""

from dataclasses import replace

import numpy as np

from contract.shot import Shot

INTERVAL_S = 0.005
SAMPLES_MAX = 1_000


def resample(shot: Shot, interval_s: float = INTERVAL_S, samples_max: int = SAMPLES_MAX) -> Shot:
    """The shot with its curves on the grid `i * interval_s`, at most `samples_max` long, by linear interpolation.

    A curve is never stretched beyond its last sample. With `samples_max` 0, or an interval that cannot be, the curves
    are left out; a shot without curves, or already on the grid, comes back as it is.
    """
    if not shot.curves:
        return shot
    if samples_max == 0 or not shot.sample_interval_s > 0:
        return replace(shot, curves={}, sample_interval_s=0.0)
    if shot.sample_interval_s == interval_s:
        if all(len(samples) <= samples_max for samples in shot.curves.values()):
            return shot
        return replace(shot, curves={name: samples[:samples_max] for name, samples in shot.curves.items()})
    step = interval_s / shot.sample_interval_s
    curves = {}
    for name, samples in shot.curves.items():
        count = min(samples_max, int((len(samples) - 1) / step) + 1) if len(samples) else 0
        at = np.arange(count) * step
        before = at.astype(np.intp)
        weight = (at - before).astype(np.float32)
        after = np.minimum(before + 1, max(len(samples) - 1, 0))
        curves[name] = samples[before] + (samples[after] - samples[before]) * weight if count else samples[:0]
    return replace(shot, curves=curves, sample_interval_s=interval_s)
