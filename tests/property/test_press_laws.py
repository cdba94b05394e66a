"""What holds for every press, whatever is set on it and however worn it is?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.shot import Shot
from contract.vocabulary import FAILURE_MODES, PARAMETERS, SIGNALS
from simulators.faults.catalogue import wear
from simulators.faults.fault import Constant, Progression
from simulators.press.condition import Condition, Value
from simulators.press.flow import leak_cm3_s, melt_of
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV, PROCESSES, Process

SHOTS = 3


@st.composite
def processes(draw: st.DrawFn) -> Process:
    """Set points that an operator may dial around an example."""
    base = draw(st.sampled_from(list(PROCESSES.values())))
    return replace(
        base,
        melt_degc=base.melt_degc + draw(st.floats(-35, 30)),
        mould_degc=base.mould_degc + draw(st.floats(-15, 25)),
        speed_mm_s=base.speed_mm_s * draw(st.floats(0.3, 1.6)),
        hold_bar=base.hold_bar * draw(st.floats(0.3, 1.5)),
        hold_s=base.hold_s * draw(st.floats(0.2, 2.0)),
        vp_mm=base.vp_mm + draw(st.floats(-2, 6)),
        pressure_limit_bar=base.pressure_limit_bar * draw(st.floats(0.4, 1.2)),
        cool_s=base.cool_s * draw(st.floats(0.3, 1.5)),
    )


def shots_of(process: Process, severity: float, seed: int = 1, press_id: str = "p") -> list[Shot]:
    press = Press(press_id, process=process, seed=seed, faults=[wear("check_ring_wear", Constant(severity))])
    return [press.cycle(number * 20_000) for number in range(SHOTS)]


@settings(max_examples=60, deadline=None)
@given(processes(), st.floats(0, 1))
def test_every_shot_is_complete_finite_and_within_the_machine(process: Process, severity: float) -> None:
    for shot in shots_of(process, severity):
        assert set(shot.parameters) == set(PARAMETERS)
        assert set(shot.curves) == set(SIGNALS)
        assert np.isfinite(list(shot.parameters.values())).all()
        values = shot.parameters
        assert {len(samples) for samples in shot.curves.values()} == {len(shot.curves["ScrewPosition"])}
        assert len(shot.curves["ScrewPosition"]) == pytest.approx(min(values["CycleTime"] / 0.002, 20_000), abs=3)
        for samples in shot.curves.values():
            assert samples.dtype == np.float32
            assert np.isfinite(samples).all()
        assert shot.curves["ScrewPosition"].min() > -0.1
        assert shot.curves["ScrewPosition"].max() < 200
        assert shot.curves["InjectionPressure"].max() < max(process.pressure_limit_bar, process.hold_bar * 1.03) + 10
        assert shot.curves["CavityPressure"].max() < shot.curves["InjectionPressure"].max() * 1.1 + 10
        assert 0 <= values["CushionStroke"] < process.dose_mm
        assert 0 < values["InjectionTime"] + values["HoldTime"] + values["CoolingTime"] < values["CycleTime"]


# Every field of the condition that a fault or an upset may move, from sound to far beyond condemned.
RANGES = {
    "viscosity_factor": (0.6, 1.6),
    "check_ring_gap_mm": (0.005, 0.3),
    "closing_cm3": (0.0, 5.0),
    "screw_clearance_factor": (1.0, 4.0),
    "pump_leak_share": (0.0, 0.4),
    "valve_lag_s": (0.01, 0.4),
    "valve_stiction_share": (0.0, 1.5),
    "accumulator_precharge_bar": (0.0, 110.0),
    "oil_cooler_share": (0.0, 1.1),
    "coolant_flow_share": (0.0, 1.3),
    "scale_mm": (0.0, 1.0),
    "parting_gap_mm": (0.0, 0.2),
    "nozzle_leak_share": (0.0, 0.5),
    "nozzle_open_share": (0.3, 1.0),
    "blocked_cavity_share": (0.0, 1.0),
    "toggle_play_mm": (0.0, 0.3),
    "tie_bar_imbalance_share": (0.0, 0.5),
    "ejector_friction_factor": (0.5, 4.0),
    "ambient_degc": (-10.0, 50.0),
    "moisture_share": (0.0, 1.0),
    "warm_up_share": (0.0, 1.0),
}


class Anything:
    """A cause that sets whatever it is told."""

    mode = "anything"

    def __init__(self, fields: dict[str, float], heaters: tuple[float, ...], offsets_k: tuple[float, ...]) -> None:
        self._fields = fields | {"zone_heater_share": heaters, "zone_sensor_offset_k": offsets_k}

    def severity(self, utc_ms: int) -> float:
        return 1.0

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        return replace(condition, **self._fields)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    processes(),
    st.fixed_dictionaries({}, optional={name: st.floats(*bounds) for name, bounds in RANGES.items()}),
    st.tuples(*[st.floats(0, 1)] * 5),
    st.tuples(*[st.floats(-30, 30)] * 5),
    st.integers(0, 10**8),
)
def test_no_condition_breaks_the_equations(
    process: Process,
    fields: dict[str, float],
    heaters: tuple[float, ...],
    offsets_k: tuple[float, ...],
    standstill_ms: int,
) -> None:
    press = Press("p", process=process, seed=1, faults=[Anything(fields, heaters, offsets_k)])
    first = press.block(3, with_curves=True)
    press.stop(int(first.ended_ms[-1]) + standstill_ms)
    for block in (first, press.block(2, with_curves=True)):
        assert np.isfinite(block.parameters).all()
        assert np.isfinite(block.truth.dimension_mm).all()
        assert (block.truth.part_g >= 0).all()  # 0: frozen before anything flowed
        assert (block.truth.part_g < 1.3 * process.mould.cavity_cm3 * 1.1).all()
        assert (np.diff(block.ended_ms) > 0).all()
        assert block.curves is not None
        assert np.isfinite(block.curves[:, :, :100]).all()
        assert block.curves[:, list(SIGNALS).index("ScrewPosition"), :100].min() > -0.1


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(list(PROCESSES.values())), st.integers(0, 2**32), st.floats(0, 1))
def test_the_seed_is_the_press(process: Process, seed: int, severity: float) -> None:
    first, again = shots_of(process, severity, seed), shots_of(process, severity, seed)
    for one, other in zip(first, again, strict=True):
        assert one.parameters == other.parameters
        assert all(np.array_equal(one.curves[name], other.curves[name]) for name in SIGNALS)
    for different in (shots_of(process, severity, seed + 1), shots_of(process, severity, seed, "q")):
        assert different[0].parameters != first[0].parameters
        cushions_mm = {shots[0].parameters["CushionStroke"] for shots in (first, different)}
        assert len(cushions_mm) == 2 or cushions_mm == {0.0}, "with a ring worn out both screws stand at the stop"


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(list(PROCESSES.values())), st.integers(1, 10**9))
def test_counters_count_on_and_the_next_cycle_time_is_known(process: Process, first_cycle: int) -> None:
    press = Press("p", process=process, seed=1, first_cycle=first_cycle)
    for number in range(SHOTS):
        announced_s = press.cycle_time_s
        shot = press.cycle(number)
        assert shot.cycle_counter == first_cycle + number == press.truth().cycle_counter
        assert shot.parameters["CycleTime"] == pytest.approx(announced_s, abs=0.01)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(list(PROCESSES.values())), st.floats(0, 1))
def test_how_much_is_recorded_does_not_change_what_happens(process: Process, severity: float) -> None:
    faults = [wear("check_ring_wear", Constant(severity))]
    whole = Press("p", process=process, seed=5, faults=faults)
    window = Press("p", process=process, seed=5, faults=faults, sample_interval_s=0.005, window_s=5.0)
    for number in range(SHOTS):
        full, part = whole.cycle(number), window.cycle(number)
        assert full.parameters == part.parameters
        assert len(part.curves["InjectionPressure"]) == 1_000
        assert part.sample_interval_s == 0.005
        every_tenth, every_fourth = full.curves["ScrewPosition"][:2_500:10], part.curves["ScrewPosition"][::4]
        np.testing.assert_allclose(every_tenth, every_fourth, atol=0.1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(PROCESSES.values())), st.floats(0.01, 0.3), st.floats(1.01, 3), st.floats(1, 2_000))
def test_the_leak_grows_with_gap_and_pressure(process: Process, gap_mm: float, factor: float, bar: float) -> None:
    melt = melt_of(process, Condition(), np.full(1, process.melt_degc), np.full(1, process.mould_degc))
    leak = leak_cm3_s(process, melt, np.array([gap_mm]), np.array([[0.0, bar, bar * factor]]))[0]
    wider = leak_cm3_s(process, melt, np.array([gap_mm * factor]), np.array([[bar]]))[0]
    assert leak[0] == pytest.approx(0.0, abs=1e-6)
    assert leak[1] < leak[2]
    assert wider[0] > leak[1] * factor**2.9  # at least the cube of the gap: shear thinning adds to it


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(PROCESSES.values())), st.floats(180, 280), st.floats(10, 5e6))
def test_the_shear_rate_of_a_stress_gives_the_stress_back(process: Process, degc: float, stress_pa: float) -> None:
    flow = process.material.flow
    zero_shear = flow.zero_shear_pa_s(degc)
    rate = flow.shear_rate_1_s(zero_shear, np.array([stress_pa]))
    assert (flow.viscosity_pa_s(zero_shear, rate) * rate)[0] == pytest.approx(stress_pa, rel=1e-6)


@given(
    st.integers(0, 10**13),
    st.integers(1, 10**10),
    st.floats(0.2, 5),
    st.integers(-(10**13), 10**13),
    st.integers(0, 10**12),
)
def test_wear_never_heals(onset_ms: int, growth_ms: int, exponent: float, at_ms: int, later_ms: int) -> None:
    worn = wear("check_ring_wear", Progression(onset_ms, growth_ms, exponent))
    before, after = worn.severity(at_ms), worn.severity(at_ms + later_ms)
    assert 0.0 <= before <= after <= 1.0
    assert worn.severity(onset_ms) == 0.0
    assert worn.severity(onset_ms + growth_ms) == 1.0
    assert worn.mode in FAILURE_MODES


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_wear_is_a_worse_condition(one: float, other: float) -> None:
    less, more = sorted((one, other))
    worn, healthy = wear("check_ring_wear", Constant(1.0)), Condition()
    better, worse = (worn.apply(healthy, severity, PP_CAP_4CAV) for severity in (less, more))
    assert better.check_ring_gap_mm <= worse.check_ring_gap_mm
    assert better.closing_cm3 <= worse.closing_cm3
    assert better.non_closing_probability <= worse.non_closing_probability
    assert worn.apply(healthy, 0.0, PP_CAP_4CAV) == healthy
