"""What becomes of holes in curves? Each is bridged in a straight line, and a curve ends with its last finite sample."""

import numpy as np

from contract.shot import FloatArray
from models.features.phases import Counts


def bridged(curves: FloatArray) -> tuple[FloatArray, Counts]:
    """The curves (n, S, samples) without holes, zero past their ends, and how long each is, (n, S).

    A curve that has no finite sample has the length 0. What leads up to the first finite sample has its value.
    """
    samples = curves.shape[2]
    is_whole = np.isfinite(curves).all(axis=2)
    lengths = np.full(is_whole.shape, samples, np.intp)
    if is_whole.all():
        return curves, lengths
    whole = curves.copy()
    for shot, signal in np.argwhere(~is_whole):
        whole[shot, signal], lengths[shot, signal] = _bridged(curves[shot, signal])
    return whole, lengths


def _bridged(samples: FloatArray) -> tuple[FloatArray, int]:
    good = np.flatnonzero(np.isfinite(samples))
    found = np.zeros_like(samples)
    if not len(good):
        return found, 0
    length = int(good[-1]) + 1
    found[:length] = samples[:length]
    if len(good) < length:
        found[:length] = np.interp(np.arange(length), good, samples[good])
    return found, length
