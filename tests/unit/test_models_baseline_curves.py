"""Reference curves and residuals: figures of geometry, strange shots, and what is lost."""

import numpy as np
import pytest

from contract.vocabulary import SIGNALS
from models.features.schema import FEATURES, RESIDUALS, index
from models.runtime.baseline import Baselines, Options
from models.runtime.baseline_curves import REFERENCE_SHOTS, CurveReference


def _curves(shots: int, *, seed: int = 0) -> np.ndarray:
    """Pressure of 500 bar for 1 s and 300 bar for 2 s, then none; all signals alike, with a noise of 1."""
    time = np.arange(1_000) * 0.005
    curve = np.where(time < 1, 500.0, np.where(time < 3, 300.0, 0.0))
    noise = np.random.default_rng(seed).standard_normal((shots, len(SIGNALS), 1_000))
    return (curve + noise).astype(np.float32)


def test_residuals_are_distances_from_the_curve_that_the_first_shots_showed() -> None:
    reference = CurveReference()
    for curves in _curves(REFERENCE_SHOTS):
        reference.learn(curves, 1.0, 2.0)
    assert (reference.fill, reference.hold) == (200, 600)
    curves = _curves(2, seed=1)
    curves[1, :, 100] += 40
    curves[1, :, 200:600] += 5
    plain, odd = (dict(zip([r.name for r in RESIDUALS], row, strict=True)) for row in reference.residuals(curves))
    assert plain["InjectionPressure.FillResidual"] == pytest.approx(1.0, abs=0.15)
    assert odd["InjectionPressure.FillResidual"] == pytest.approx(np.sqrt(1 + 40**2 / 200), rel=0.15)
    assert odd["ScrewPosition.HoldResidual"] == pytest.approx(np.sqrt(1 + 25), rel=0.05)
    assert odd["CavityPressure.LargestResidual"] == pytest.approx(40, abs=5)
    assert odd["CavityPressure.LargestResidualTime"] == pytest.approx(0.5)


def test_a_third_of_strange_curves_does_not_bend_the_reference() -> None:
    curves = _curves(REFERENCE_SHOTS)
    curves[::3] += 1_000
    curves[1, 0] = np.nan
    curves[2, :, 700:] = np.nan
    bent, reference = CurveReference(), CurveReference()
    for odd, plain in zip(curves, _curves(REFERENCE_SHOTS), strict=True):
        bent.learn(odd, 1.0, 2.0)
        reference.learn(plain, 1.0, 2.0)
    assert bent.curves is not None and reference.curves is not None  # noqa: PT018
    assert np.abs(bent.curves - reference.curves).max() < 3


def test_lost_samples_and_lost_curves_leave_what_is_left() -> None:
    reference = CurveReference()
    for curves in _curves(REFERENCE_SHOTS):
        reference.learn(curves, np.nan, np.nan)
    assert (reference.hold, reference.fill > 0) == (600, True)
    curves = _curves(1, seed=1)
    curves[0, 0, 300:320] = np.nan
    curves[0, 1] = np.inf
    curves[0, 2, 400:] = np.nan
    found = reference.residuals(curves)[0]
    names = [spec.name for spec in RESIDUALS]
    assert np.isfinite(found[names.index("InjectionPressure.HoldResidual")])
    assert np.isnan(found[[place for place, name in enumerate(names) if name.startswith("CavityPressure")]]).all()
    short = reference.residuals(curves[:, :, :300])[0]
    assert np.isfinite(short[names.index("ScrewPosition.HoldResidual")])


def test_a_press_without_injection_pressure_has_no_residuals() -> None:
    curves = _curves(REFERENCE_SHOTS)
    curves[:, 0] = np.nan
    reference = CurveReference()
    for each in curves:
        reference.learn(each, np.nan, np.nan)
    assert np.isnan(reference.residuals(curves)).all()


def test_with_curves_residuals_become_values_of_their_own() -> None:
    shots = 130
    rows = np.random.default_rng(0).normal(50, 1, (shots, len(FEATURES))).astype(np.float32)
    rows[:, index("InjectionTime")], rows[:, index("HoldTime")] = 1.0, 2.0
    curves = _curves(shots)
    curves[120:, :, 250:260] += 60
    baselines = Baselines(options=Options(settle_shots=3, learn_shots=100, ripen_every=0))
    found = baselines.observe_block("p", "A", 20_000 * np.arange(shots), rows, curves)
    column = index("InjectionPressure.HoldResidual")
    assert np.isnan(found.values[3 : 3 + REFERENCE_SHOTS, column]).all()
    assert np.isfinite(found.values[3 + REFERENCE_SHOTS :, column]).all()
    assert np.abs(found.z[104:120, column]).max() < 6
    assert found.z[120:, column].min() > 20


def test_after_a_large_change_of_set_points_residuals_are_from_a_new_reference() -> None:
    """Else they would be as large as the change for ever, and a failure would hide in them."""
    options = Options(settle_shots=0, learn_shots=100, recentre_shots=60, ripen_every=0)
    baselines = Baselines(options=options)
    rows = np.random.default_rng(0).normal(50, 1, (260, len(FEATURES))).astype(np.float32)
    rows[:, index("InjectionTime")], rows[:, index("HoldTime")] = 1.0, 2.0
    curves = _curves(260)
    curves[120:] *= 1.1
    rows[120:, index("HoldSpecificPressureAverage")] += 30
    found = baselines.observe_block("p", "A", 20_000 * np.arange(260), rows, curves)
    column = index("InjectionPressure.HoldResidual")
    assert [note.kind for note in found.notes] == ["set_points", "recentred"]
    assert found.z[121, column] > 20
    assert np.abs(found.z[-60:, column]).max() < 6
