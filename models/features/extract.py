"""From a shot to its feature vector: numpy only, the same function in training and on the gateway."""

import math
from collections.abc import Callable

import numpy as np

from contract.shot import CURVE_SAMPLES_MAX, FloatArray, Shot
from contract.vocabulary import PARAMETERS
from models.features.phases import Phases, phases_of
from models.features.schema import FEATURES, index

_NAN = math.nan
Found = list[tuple[str, float]]


def extract(shot: Shot) -> FloatArray:
    """The vector of `FEATURES`, float32; NaN where the shot lacks what a feature is made of, or it is not finite.

    A curve is read up to CURVE_SAMPLES_MAX; samples that are not finite are bridged in a straight line.
    """
    vector = np.full(len(FEATURES), np.nan, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # readings beyond float32 end as NaN below
        for position, name in enumerate(PARAMETERS):
            vector[position] = shot.parameters.get(name, _NAN)
        phases = phases_of(shot)
        if phases is not None:
            _add_landmarks(vector, shot, phases)
    vector[~np.isfinite(vector)] = np.nan
    return vector


def _add_landmarks(vector: FloatArray, shot: Shot, phases: Phases) -> None:
    for signal, landmarks in _LANDMARKS.items():
        samples = _clean(shot.curves.get(signal))
        if samples is not None:
            for name, value in landmarks(samples, phases, shot.sample_interval_s):
                vector[index(f"{signal}.{name}")] = value
    vector[index("HydraulicPressure.Intensification")] = _ratio(
        vector[index("InjectionPressure.HoldMean")], vector[index("HydraulicPressure.HoldMean")]
    )


def _clean(samples: FloatArray | None) -> FloatArray | None:
    if samples is None or not len(samples):
        return None
    samples = samples[:CURVE_SAMPLES_MAX]
    bad = ~np.isfinite(samples)
    if not bad.any():
        return samples
    good = np.flatnonzero(~bad)
    if not len(good):
        return None
    return np.interp(np.arange(len(samples)), good, samples[good]).astype(np.float32)


def _injection_pressure(samples: FloatArray, phases: Phases, interval_s: float) -> Found:
    fill, hold = samples[: phases.fill], samples[phases.fill : phases.hold]
    return [
        ("FillPeak", _max(fill)),
        ("FillIntegral", _integral(fill, interval_s)),
        ("FillSlope", _slope(fill, interval_s)),
        ("PeakTime", _peak_time(samples[: phases.hold], interval_s)),
        ("HoldMean", _mean(hold)),
        ("HoldSlope", _slope(hold, interval_s)),
        ("HoldIntegral", _integral(hold, interval_s)),
        ("HoldRipple", _ripple(_second_half(hold))),
    ]


def _cavity_pressure(samples: FloatArray, phases: Phases, interval_s: float) -> Found:
    hold = samples[phases.fill : phases.hold]
    return [
        ("Peak", _max(samples[: phases.hold])),
        ("PeakTime", _peak_time(samples[: phases.hold], interval_s)),
        ("AtTransfer", _at(samples, phases.fill)),
        ("HoldMean", _mean(hold)),
        ("HoldSlope", _slope(_second_half(hold), interval_s)),
        ("Integral", _integral(samples, interval_s)),
    ]


def _screw_position(samples: FloatArray, phases: Phases, interval_s: float) -> Found:
    start, transfer, end = _at(samples, 0), _at(samples, phases.fill), _at(samples, phases.hold - 1)
    return [
        ("Start", start),
        ("AtTransfer", transfer),
        ("AtHoldEnd", end),
        ("FillStroke", start - transfer),
        ("HoldTravel", transfer - end),
        ("HoldCreep", -_slope(_second_half(samples[phases.fill : phases.hold]), interval_s)),
    ]


def _screw_velocity(samples: FloatArray, phases: Phases, _interval_s: float) -> Found:
    fill = samples[: phases.fill]
    quarter = len(fill) // 4
    return [
        ("FillMean", _mean(fill)),
        ("FillMax", _max(fill)),
        ("FillSd", _sd(fill[quarter : len(fill) - quarter])),
        ("HoldMean", _mean(samples[phases.fill : phases.hold])),
    ]


def _hydraulic_pressure(samples: FloatArray, phases: Phases, _interval_s: float) -> Found:
    hold = samples[phases.fill : phases.hold]
    return [
        ("FillPeak", _max(samples[: phases.fill])),
        ("HoldMean", _mean(hold)),
        ("HoldRipple", _ripple(_second_half(hold))),
    ]


def _melt_temperature(samples: FloatArray, phases: Phases, _interval_s: float) -> Found:
    fill = samples[: phases.fill]
    return [("FillMean", _mean(fill)), ("Rise", _max(fill) - _at(samples, 0))]


def _clamp_force(samples: FloatArray, phases: Phases, _interval_s: float) -> Found:
    return [
        ("Peak", _max(samples)),
        ("Breathing", _max(samples[: phases.hold]) - _at(samples, 0)),
        ("HoldMean", _mean(samples[phases.fill : phases.hold])),
    ]


def _mould_temperature(samples: FloatArray, _phases: Phases, _interval_s: float) -> Found:
    return [("Mean", _mean(samples)), ("Rise", _max(samples) - _at(samples, 0))]


_LANDMARKS: dict[str, Callable[[FloatArray, Phases, float], Found]] = {
    "InjectionPressure": _injection_pressure,
    "CavityPressure": _cavity_pressure,
    "ScrewPosition": _screw_position,
    "ScrewVelocity": _screw_velocity,
    "HydraulicPressure": _hydraulic_pressure,
    "MeltTemperature": _melt_temperature,
    "ClampForce": _clamp_force,
    "MouldTemperature": _mould_temperature,
}


def _mean(part: FloatArray) -> float:
    return float(part.mean()) if len(part) else _NAN


def _max(part: FloatArray) -> float:
    return float(part.max()) if len(part) else _NAN


def _sd(part: FloatArray) -> float:
    return float(part.std()) if len(part) > 1 else _NAN


def _at(samples: FloatArray, position: int) -> float:
    return float(samples[min(max(position, 0), len(samples) - 1)])


def _second_half(part: FloatArray) -> FloatArray:
    return part[len(part) // 2 :]


def _integral(part: FloatArray, interval_s: float) -> float:
    """Trapezoidal, in the signal's unit times seconds."""
    if len(part) < 2:
        return _NAN
    return (float(part.sum()) - (float(part[0]) + float(part[-1])) / 2) * interval_s


def _slope(part: FloatArray, interval_s: float) -> float:
    """Least squares over equal steps, in the signal's unit a second."""
    count = len(part)
    if count < 2:
        return _NAN
    at = np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)
    return float(at @ part) * 12 / (count * (count * count - 1)) / interval_s


def _ripple(part: FloatArray) -> float:
    """Standard deviation around the least-squares line."""
    if len(part) < 3:
        return _NAN
    at = np.arange(len(part), dtype=np.float32) - np.float32((len(part) - 1) / 2)
    rest = part - part.mean() - at * np.float32(_slope(part, 1.0))
    return float(rest.std())


def _peak_time(part: FloatArray, interval_s: float) -> float:
    return float(part.argmax()) * interval_s if len(part) else _NAN


def _ratio(above: float, below: float) -> float:
    return above / below if below and math.isfinite(below) else _NAN
