"""Laws of features and of the curves they are made of."""

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from contract.shot import Shot
from contract.vocabulary import PARAMETERS, SIGNALS
from models.features.extract import extract, extract_block
from models.features.phases import RELEASED_SHARE
from models.features.resample import INTERVAL_S, SAMPLES_MAX, resample
from models.features.schema import FEATURES, index

CURVE = npst.arrays(np.float32, st.integers(0, 60), elements=st.floats(-1e6, 1e6, width=32) | st.floats(width=32))
SHOTS = st.builds(
    Shot,
    press_id=st.just("p"),
    ended_ms=st.just(0),
    parameters=st.dictionaries(st.sampled_from(sorted(PARAMETERS)), st.floats(), max_size=8),
    curves=st.dictionaries(st.sampled_from(sorted(SIGNALS)), CURVE, max_size=8),
    sample_interval_s=st.sampled_from([0.0, 0.002, 0.005, 0.02, 1.0, 1e308, float("inf"), float("nan")]),
)


@given(SHOTS)
def test_any_shot_gives_a_vector_without_infinities(shot: Shot) -> None:
    vector = extract(shot)
    assert vector.shape == (len(FEATURES),)
    assert vector.dtype == np.float32
    assert not np.isinf(vector).any()


@given(SHOTS)
def test_extraction_leaves_the_shot_alone_and_repeats_itself(shot: Shot) -> None:
    before = {name: samples.copy() for name, samples in shot.curves.items()}
    np.testing.assert_array_equal(extract(shot), extract(shot))
    for name, samples in shot.curves.items():
        np.testing.assert_array_equal(samples, before[name])


@given(st.lists(SHOTS, max_size=6), st.sampled_from([0.005, 1.0, 0.0]), st.integers(1, 5_000))
def test_a_shot_has_the_same_vector_alone_and_in_any_block(shots: list[Shot], interval_s: float, at_once: int) -> None:
    length = max((len(curve) for shot in shots for curve in shot.curves.values()), default=0)
    curves = np.full((len(shots), len(SIGNALS), length), np.nan, np.float32)
    parameters = np.full((len(shots), len(PARAMETERS)), np.nan)
    for row, shot in enumerate(shots):
        for name, value in shot.parameters.items():
            parameters[row, index(name)] = value
        for name, curve in shot.curves.items():
            curves[row, list(SIGNALS).index(name), : len(curve)] = curve
    with patch("models.features.extract.SAMPLES_AT_ONCE", at_once):
        block = extract_block(parameters, curves, interval_s)
    for row, shot in enumerate(shots):
        np.testing.assert_array_equal(block[row], extract(replace(shot, sample_interval_s=interval_s)))


@given(
    npst.arrays(np.float32, (len(SIGNALS), 120), elements=st.floats(-1_000, 1_000, width=32)),
    st.floats(0.01, 0.7),
    st.floats(0.01, 0.7),
    st.lists(st.integers(0, 119), max_size=6),
    st.integers(1, 120),
    st.sampled_from(["press", "curve"]),
)
@settings(max_examples=60)
def test_landmarks_are_what_the_plain_formulas_give(
    curves: np.ndarray, injection_s: float, hold_s: float, holes: list[int], length: int, told_by: str
) -> None:
    curves = curves.copy()
    curves[:, holes] = np.nan
    curves = curves[:, :length]
    parameters = {"InjectionTime": injection_s, "HoldTime": hold_s} if told_by == "press" else {}
    shot = Shot("p", 0, parameters, dict(zip(SIGNALS, curves, strict=True)), INTERVAL_S)
    vector = extract(shot)
    for name, wanted in _plainly(shot).items():
        np.testing.assert_allclose(vector[index(name)], wanted, rtol=2e-5, atol=2e-3, err_msg=name)


def _plainly(shot: Shot) -> dict[str, float]:
    """Some landmarks of each kind, written as in docs/reference/features.md, one curve and one shot at a time."""
    curves = {name: _bridged(curve) for name, curve in shot.curves.items()}
    if not len(curves["InjectionPressure"]):
        return {}
    pressure = curves["InjectionPressure"]
    fill, hold = max(1, int(pressure.argmax())), 0
    above = np.flatnonzero(pressure > RELEASED_SHARE * pressure.max())
    hold = int(above[-1]) + 1 if len(above) else 0
    if shot.parameters:
        injection_s, hold_s = (float(np.float32(shot.parameters[name])) for name in ("InjectionTime", "HoldTime"))
        fill, hold = max(1, round(injection_s / INTERVAL_S)), max(1, round((injection_s + hold_s) / INTERVAL_S))
    hold = max(fill, hold)
    cavity, speed, held = curves["CavityPressure"], curves["ScrewVelocity"], pressure[fill:hold]
    late = held[len(held) // 2 :]
    middle = speed[:fill][len(speed[:fill]) // 4 : len(speed[:fill]) - len(speed[:fill]) // 4]
    return {
        "InjectionPressure.FillPeak": _or_nan(pressure[:fill], 1, np.max),
        "InjectionPressure.PeakTime": _or_nan(pressure[:hold], 1, np.argmax) * INTERVAL_S,
        "InjectionPressure.FillIntegral": _or_nan(pressure[:fill], 2, np.trapezoid) * INTERVAL_S,
        "InjectionPressure.HoldMean": _or_nan(held, 1, np.mean),
        "InjectionPressure.HoldIntegral": _or_nan(held, 2, np.trapezoid) * INTERVAL_S,
        "InjectionPressure.HoldSlope": _or_nan(held, 2, _slope) / INTERVAL_S,
        "InjectionPressure.HoldRipple": _or_nan(late, 3, lambda y: (y - np.polyval(_line(y), np.arange(len(y)))).std()),
        "CavityPressure.Integral": _or_nan(cavity, 2, np.trapezoid) * INTERVAL_S,
        "ScrewVelocity.FillSd": _or_nan(middle, 2, np.std),
        "MeltTemperature.Rise": _or_nan(curves["MeltTemperature"][:fill], 1, lambda y: y.max() - y[0]),
        "MouldTemperature.Mean": _or_nan(curves["MouldTemperature"], 1, np.mean),
        "ClampForce.Peak": _or_nan(curves["ClampForce"], 1, np.max),
    }


def _bridged(curve: np.ndarray) -> np.ndarray:
    good = np.flatnonzero(np.isfinite(curve))
    return np.interp(np.arange(good[-1] + 1), good, curve[good].astype(float)) if len(good) else np.empty(0)


def _or_nan(part: np.ndarray, least: int, figure: Callable[[np.ndarray], float]) -> float:
    return float(figure(part)) if len(part) >= least else np.nan


def _line(part: np.ndarray) -> np.ndarray:
    return np.polyfit(np.arange(len(part)), part, 1)


def _slope(part: np.ndarray) -> float:
    return float(_line(part)[0])


@given(st.floats(0.1, 100), st.integers(0, 2**32 - 1))
def test_pressure_features_scale_with_pressure(factor: float, seed: int) -> None:
    curve = np.random.default_rng(seed).uniform(1, 2, 500).astype(np.float32)
    once, scaled = (
        extract(Shot("p", 0, {"InjectionTime": 0.5, "HoldTime": 1.5}, {"InjectionPressure": samples}, INTERVAL_S))
        for samples in (curve, curve * np.float32(factor))
    )
    for name in ("FillPeak", "FillIntegral", "HoldMean", "HoldRipple", "HoldIntegral"):
        column = index(f"InjectionPressure.{name}")
        np.testing.assert_allclose(scaled[column], once[column] * factor, rtol=1e-3)


@given(SHOTS, st.integers(0, 50))
@settings(max_examples=60)
def test_resampling_is_bounded_and_repeating_it_changes_nothing(shot: Shot, samples_max: int) -> None:
    once = resample(shot, samples_max=samples_max)
    assert all(len(samples) <= samples_max for samples in once.curves.values())
    again = resample(once, samples_max=samples_max)
    assert once.curves.keys() == again.curves.keys()
    for name, samples in once.curves.items():
        np.testing.assert_array_equal(samples, again.curves[name])


@given(st.sampled_from([0.001, 0.002, 0.004, 0.0125]), st.integers(2, 4_000), st.floats(-50, 50), st.floats(-50, 50))
def test_a_straight_line_stays_the_same_line(interval_s: float, count: int, start: float, slope: float) -> None:
    line = (start + slope * np.arange(count) * interval_s).astype(np.float32)
    kept = resample(Shot("p", 0, {}, {"ScrewPosition": line}, interval_s)).curves["ScrewPosition"]
    assert len(kept) <= SAMPLES_MAX
    assert (len(kept) - 1) * INTERVAL_S <= (count - 1) * interval_s + 1e-9
    scale = abs(start) + abs(slope) * count * interval_s + 1
    np.testing.assert_allclose(kept, start + slope * np.arange(len(kept)) * INTERVAL_S, atol=1e-5 * scale)
