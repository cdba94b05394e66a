"""Laws of features and of the curves they are made of."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from contract.shot import Shot
from contract.vocabulary import PARAMETERS, SIGNALS
from models.features.extract import extract
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
