"""From shots to their feature vectors: numpy only, one function for training and for the gateway."""

import math

import numpy as np
import numpy.typing as npt

from contract.shot import CURVE_SAMPLES_MAX, FloatArray, Shot
from contract.vocabulary import PARAMETERS, SIGNALS
from models.features.curves import bridged
from models.features.landmarks import Wide, landmarks
from models.features.phases import phases_of
from models.features.schema import FEATURES, index

SAMPLES_AT_ONCE = 400_000
"""Of all curves together; a part of a block that stays in the processor's cache is done sooner."""
_INJECTION_TIME, _HOLD_TIME = index("InjectionTime"), index("HoldTime")
_PRESSURE = list(SIGNALS).index("InjectionPressure")


def extract(shot: Shot) -> FloatArray:
    """The vector of `FEATURES`, float32; NaN where the shot lacks what a feature is made of, or it is not finite.

    A curve is read up to CURVE_SAMPLES_MAX and ends with its last finite sample; others that are not finite are
    bridged in a straight line.
    """
    parameters = np.array([[shot.parameters.get(name, math.nan) for name in PARAMETERS]])
    vector: FloatArray = extract_block(parameters, curves_of(shot), shot.sample_interval_s)[0]
    return vector


def extract_block(parameters: npt.NDArray[np.floating], curves: FloatArray | None, interval_s: float) -> FloatArray:
    """The vectors of n shots, (n, F) float32: each what `extract` gives of that shot alone.

    Args:
        parameters: in the order of `contract.vocabulary.PARAMETERS`, (n, P); NaN where missing.
        curves: in the order of `contract.vocabulary.SIGNALS`, (n, S, samples); NaN where missing and past the end.
        interval_s: between two samples; where it is not above 0 there are no curves to read.
    """
    vectors = np.full((len(parameters), len(FEATURES)), np.nan, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # readings beyond float32 end as NaN below
        vectors[:, : len(PARAMETERS)] = parameters
        if curves is not None and curves.shape[2] and interval_s > 0:
            assert curves.shape[:2] == (len(parameters), len(SIGNALS)), "curves do not fit the parameters"
            step = max(1, SAMPLES_AT_ONCE // (curves.shape[1] * curves.shape[2]))
            for start in range(0, len(vectors), step):
                part = slice(start, start + step)
                vectors[part, len(PARAMETERS) :] = _of_curves(vectors[part], curves[part], interval_s)
    vectors[~np.isfinite(vectors)] = np.nan
    return vectors


def curves_of(shot: Shot) -> FloatArray | None:
    """The shot's curves as one block, (1, S, samples) float32, NaN where one is missing or ends; None without any."""
    known = [(row, shot.curves[name]) for row, name in enumerate(SIGNALS) if name in shot.curves]
    if not known:
        return None
    length = min(max(len(samples) for _, samples in known), CURVE_SAMPLES_MAX)
    block = np.full((1, len(SIGNALS), length), np.nan, np.float32)
    for row, samples in known:
        block[0, row, : len(samples)] = samples[:length]
    return block


def _of_curves(vectors: FloatArray, curves: FloatArray, interval_s: float) -> Wide:
    samples, lengths = bridged(curves[:, :, :CURVE_SAMPLES_MAX])
    phases = phases_of(
        vectors[:, _INJECTION_TIME], vectors[:, _HOLD_TIME], samples[:, _PRESSURE], lengths[:, _PRESSURE], interval_s
    )
    return landmarks(samples, lengths, phases, interval_s)
