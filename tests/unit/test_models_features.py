"""Features: what each is on a curve drawn by hand, and what becomes of shots that are poor, odd or too long."""

from pathlib import Path

import numpy as np
import pytest

from contract.shot import CURVE_SAMPLES_MAX, Shot
from contract.vocabulary import PARAMETERS, SIGNALS
from models.features.extract import extract, extract_block
from models.features.phases import phases_of
from models.features.resample import INTERVAL_S, resample, resample_block
from models.features.schema import FEATURES, FEATURES_HASH, RESIDUALS, VALUES, VALUES_HASH, index


def _shot(curves: dict[str, np.ndarray], **parameters: float) -> Shot:
    return Shot("p", 0, parameters, {name: np.asarray(c, np.float32) for name, c in curves.items()}, 0.005)


def _at(shot: Shot, name: str) -> float:
    return float(extract(shot)[index(name)])


def test_names_are_unique_and_parameters_come_first() -> None:
    names = [spec.name for spec in VALUES]
    assert len(set(names)) == len(names)
    assert names[: len(PARAMETERS)] == list(PARAMETERS)
    assert [index(name) for name in names] == list(range(len(names)))
    assert all(spec.unit and spec.doc.endswith(".") for spec in VALUES)
    assert {name.partition(".")[0] for name in names[len(PARAMETERS) :]} == set(SIGNALS)
    assert len(FEATURES_HASH) == len(VALUES_HASH) == 16
    assert names == [spec.name for spec in FEATURES + RESIDUALS]


def test_every_feature_is_documented_as_the_schema_says(root: Path) -> None:
    lines = (root / "docs/reference/features.md").read_text(encoding="utf-8").splitlines()
    wanted = [f"| {number} | `{spec.name}` | {spec.unit} | {spec.doc} |" for number, spec in enumerate(VALUES)]
    assert [line for line in lines if line.startswith("| ") and "`" in line] == wanted
    assert all(any(value in line for line in lines) for value in (FEATURES_HASH, VALUES_HASH))


def test_a_shot_of_parameters_alone_has_these_and_nothing_else() -> None:
    shot = Shot("p", 0, {"CycleTime": 74.8, "CushionStroke": float("nan"), "Unknown": 1.0})
    vector = extract(shot)
    assert vector.dtype == np.float32
    assert vector[index("CycleTime")] == np.float32(74.8)
    assert np.isnan(np.delete(vector, index("CycleTime"))).all()


@pytest.mark.parametrize("reading", [float("inf"), float("-inf"), float("nan"), 1e300])
def test_a_reading_that_is_no_float32_number_is_missing_with_and_without_curves(reading: float) -> None:
    parameters = {"CycleTime": reading, "CushionStroke": 8.0, "InjectionTime": 1.0}
    for shot in (Shot("p", 0, parameters), _shot({"InjectionPressure": np.ones(500)}, **parameters)):
        vector = extract(shot)
        assert np.isnan(vector[index("CycleTime")])
        assert vector[index("CushionStroke")] == 8.0


def test_a_ramp_drawn_by_hand_gives_the_figures_of_its_geometry() -> None:
    """Pressure rises 0 -> 100 bar in 1 s and stays at 50 bar for 1 s; the screw goes 60 -> 10 mm, then creeps."""
    time = np.arange(400) * 0.005
    pressure = np.where(time < 1, 100 * time, 50.0)
    position = np.where(time < 1, 60 - 50 * time, 10 - 2 * (time - 1))
    shot = _shot({"InjectionPressure": pressure, "ScrewPosition": position}, InjectionTime=1.0, HoldTime=1.0)
    found = {
        name: _at(shot, name)
        for name in (
            "InjectionPressure.FillSlope",
            "InjectionPressure.FillIntegral",
            "InjectionPressure.HoldMean",
            "InjectionPressure.HoldSlope",
            "ScrewPosition.FillStroke",
            "ScrewPosition.HoldCreep",
            "ScrewPosition.HoldTravel",
        )
    }
    assert found == pytest.approx(
        {
            "InjectionPressure.FillSlope": 100.0,
            "InjectionPressure.FillIntegral": 0.995**2 * 50,
            "InjectionPressure.HoldMean": 50.0,
            "InjectionPressure.HoldSlope": 0.0,
            "ScrewPosition.FillStroke": 50.0,
            "ScrewPosition.HoldCreep": 2.0,
            "ScrewPosition.HoldTravel": 1.99,
        },
        rel=1e-4,
        abs=1e-3,
    )


def _phases(
    pressure: np.ndarray, injection_s: float = np.nan, hold_s: float = np.nan, length: int = 1_000
) -> tuple[int, int] | None:
    curve = np.asarray(pressure, np.float32)[None]
    injection, hold = np.array([injection_s], np.float32), np.array([hold_s], np.float32)
    phases = phases_of(injection, hold, curve, np.array([length]), 0.005)
    return (int(phases.fill[0]), int(phases.hold[0])) if phases.is_known[0] else None


def test_phases_come_from_the_press_and_else_from_the_curve() -> None:
    pressure = np.concatenate([np.linspace(0, 900, 200), np.full(300, 400.0), np.zeros(500)])
    assert _phases(pressure, 1.0, 2.0) == (200, 600)
    assert _phases(pressure) == (199, 500)
    assert _phases(pressure, 1.0) == (200, 500)
    assert _phases(pressure, length=0) is None


def test_a_phase_beyond_all_bounds_ends_at_the_bound() -> None:
    assert _phases(np.ones(500), 3e38, 3e38) == (CURVE_SAMPLES_MAX, CURVE_SAMPLES_MAX)


def test_times_of_shape_are_those_of_a_curve_drawn_by_hand() -> None:
    """Speed rises to 60 mm/s in 0.1 s; pressure falls from 600 to 400 bar in 0.2 s; the cavity fills from 0.5 s on."""
    time = np.arange(1_000) * 0.005
    shot = _shot(
        {
            "ScrewVelocity": np.where(time < 1, np.minimum(600 * time, 60), 0),
            "InjectionPressure": np.where(time < 1, 600, np.maximum(600 - 1_000 * (time - 1), 400)),
            "CavityPressure": np.clip(400 * (time - 0.5), 0, 300),
        },
        InjectionTime=1.0,
        HoldTime=3.0,
    )
    assert _at(shot, "ScrewVelocity.RiseTime") == pytest.approx(0.09, abs=0.0051)
    assert _at(shot, "InjectionPressure.SettleTime") == pytest.approx(0.18, abs=0.0051)
    assert _at(shot, "CavityPressure.Arrival") == pytest.approx(0.575, abs=0.0051)


def test_a_curve_that_ends_with_missing_samples_is_a_shorter_curve() -> None:
    curve = np.linspace(10, 20, 800)
    padded = np.concatenate([curve, np.full(200, np.nan)])
    short, long = (extract(_shot({"ClampForce": c, "CavityPressure": c}, InjectionTime=1.0)) for c in (curve, padded))
    np.testing.assert_array_equal(short, long)


def test_a_block_without_shots_curves_or_samples_is_no_trouble() -> None:
    parameters = np.ones((2, len(PARAMETERS)), np.float32)
    none = np.zeros((2, len(SIGNALS), 0), np.float32)
    for curves, interval_s in ((None, 0.0), (none, 0.005), (np.ones((2, len(SIGNALS), 9), np.float32), 0.0)):
        vectors = extract_block(parameters, curves, interval_s)
        assert (vectors[:, : len(PARAMETERS)] == 1).all()
        assert np.isnan(vectors[:, len(PARAMETERS) :]).all()
    assert extract_block(parameters[:0], none[:0], 0.005).shape == (0, len(FEATURES))


def test_a_missing_channel_leaves_the_others_as_they_are() -> None:
    rng = np.random.default_rng(0)
    curves = {name: 100 + rng.standard_normal(1_000) for name in SIGNALS}
    whole = extract(_shot(curves, InjectionTime=1.0, HoldTime=3.0))
    assert np.isfinite(whole[len(PARAMETERS) :]).all()
    for gone in SIGNALS:
        rest = {name: curve for name, curve in curves.items() if name != gone}
        vector = extract(_shot(rest, InjectionTime=1.0, HoldTime=3.0))
        kept = [
            i for i, spec in enumerate(FEATURES) if not spec.name.startswith(f"{gone}.") and "Intens" not in spec.name
        ]
        np.testing.assert_array_equal(vector[kept], whole[kept])


def test_a_few_lost_samples_change_little_and_all_lost_is_missing() -> None:
    curve = np.linspace(10, 20, 1_000)
    holed = curve.copy()
    holed[100:103] = np.nan
    shots = [_shot({"MeltTemperature": c}, InjectionTime=1.0) for c in (curve, holed, np.full(1_000, np.nan))]
    whole, bridged, lost = (_at(shot, "MeltTemperature.FillMean") for shot in shots)
    assert bridged == pytest.approx(whole, rel=1e-5)
    assert np.isnan(lost)


def test_constant_channels_have_no_slope_and_no_ripple() -> None:
    shot = _shot(dict.fromkeys(SIGNALS, np.full(1_000, 7.0)), InjectionTime=1.0, HoldTime=3.0)
    for name in ("InjectionPressure.HoldSlope", "InjectionPressure.HoldRipple", "ScrewVelocity.FillSd"):
        assert _at(shot, name) == pytest.approx(0.0, abs=1e-4)


def test_a_curve_far_too_long_is_read_to_the_bound() -> None:
    long = np.linspace(0, 1, 100_000)
    shot = _shot({"ClampForce": long, "InjectionPressure": long}, InjectionTime=1.0, HoldTime=3.0)
    assert _at(shot, "ClampForce.Peak") == pytest.approx(long[CURVE_SAMPLES_MAX - 1], rel=1e-5)
    assert len(resample(shot).curves["ClampForce"]) == 1_000


def test_many_shots_are_resampled_as_each_alone() -> None:
    curves = np.random.default_rng(1).normal(size=(3, len(SIGNALS), 2_502)).astype(np.float32)
    found = resample_block(curves, 0.002)
    for own, kept in zip(curves, found, strict=True):
        alone = resample(Shot("p", 0, {}, dict(zip(SIGNALS, own, strict=True)), 0.002))
        assert alone.sample_interval_s == INTERVAL_S
        assert all((alone.curves[name] == kept[row]).all() for row, name in enumerate(SIGNALS))
