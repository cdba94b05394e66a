"""Each failure mode moves the signals that the field's literature names, in their direction and size.

The ranges are those of the project's process model at severity 1, a little widened where ours is off:
docs/reference/failure_modes.md has both beside each other.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.vocabulary import FAILURE_MODES, PARAMETERS
from simulators.faults import upsets
from simulators.faults.catalogue import DAY_MS, MODES, growth_ms, law_of, wear
from simulators.faults.fault import Constant, Fault, Fouling, Progression, Steps
from simulators.press.block import Block
from simulators.press.condition import Condition
from simulators.press.press import Press
from simulators.press.process import PROCESSES

NAMES = list(PARAMETERS)
CYCLES = 300
PP, ABS = PROCESSES.values()

# mode: parameter, percent change of its mean at severity 1 from .. to, over both processes
MEANS = [
    ("check_ring_wear", "CushionStroke", -100, -10),
    ("check_ring_wear", "ShotVolume", 1, 10),
    ("screw_barrel_wear", "DosingTime", 5, 27),
    ("screw_barrel_wear", "ScrewRevolutions", 5, 27),
    ("heater_band_open", "SpecificPressureMaximum", 3, 35),
    ("heater_band_open", "BarrelTemperature3", -30, -5),
    ("thermocouple_drift", "SpecificPressureMaximum", -15, -2),
    ("thermocouple_drift", "MeltTemperature", 1, 6),
    ("pump_leakage", "InjectionSpeedAverage", -7, -2.5),
    ("pump_leakage", "OilTemperature", 4, 20),
    ("valve_lag_stiction", "InjectionSpeedMaximum", 0.9, 16.5),
    ("valve_lag_stiction", "HoldSpecificPressureMaximum", 2, 8),
    ("accumulator_precharge_loss", "SystemPressureMaximum", -12, -2),
    ("oil_cooler_fouling", "OilTemperature", 20, 60),
    ("cooling_fouling", "CoolantFlow", -50, -10),
    ("cooling_fouling", "MouldTemperature", 3, 30),
    ("mould_parting_wear_flash", "CavityPressureMaximum", -7, -1),
    ("nozzle_leak_drool", "CushionStroke", -35, -5),
    ("gate_or_nozzle_blocked", "SpecificPressureMaximum", 10, 45),
    ("toggle_tiebar_wear", "ClosingForce", -6, -1),
    ("toggle_tiebar_wear", "MouldClosingTime", 1, 6),
    ("toggle_tiebar_wear", "MouldProtectionForce", 10, 45),
    ("ejector_core_friction", "EjectorForceMaximum", 10, 65),
    ("ejector_core_friction", "EjectionTime", 2, 20),
]
# mode, parameter, how many times its spread at severity 1, from .. to
SPREADS = [
    ("check_ring_wear", "CushionStroke", 2, 7),
    ("valve_lag_stiction", "InjectionTime", 2, 8),
]


def block(process: object, faults: list[Fault]) -> Block:
    return Press("p", process=process, seed=5, faults=faults).block(CYCLES)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def healthy() -> dict[str, Block]:
    return {name: block(process, []) for name, process in PROCESSES.items()}


def column(found: Block, parameter: str) -> np.ndarray:
    return found.parameters[:, NAMES.index(parameter)].astype(float)


def test_every_mode_of_the_vocabulary_is_there_and_has_a_sign() -> None:
    assert tuple(MODES) == FAILURE_MODES
    assert {mode for mode, *_ in MEANS} == set(FAILURE_MODES)


@pytest.mark.parametrize("process", list(PROCESSES.values()), ids=list(PROCESSES))
@pytest.mark.parametrize(("mode", "parameter", "low", "high"), MEANS)
def test_a_condemned_part_moves_its_signals_as_far_as_is_known(
    healthy: dict[str, Block], process: object, mode: str, parameter: str, low: float, high: float
) -> None:
    before = column(healthy[process.name], parameter)  # type: ignore[attr-defined]
    after = column(block(process, [wear(mode, Constant(1.0))]), parameter)
    changed = 100 * (np.nanmean(after) / np.nanmean(before) - 1)
    assert low <= changed <= high
    less = column(block(process, [wear(mode, Constant(0.3))]), parameter)
    early = 100 * (np.nanmean(less) / np.nanmean(before) - 1)
    assert abs(early) <= abs(changed) + 0.1, "it grows"


@pytest.mark.parametrize("process", list(PROCESSES.values()), ids=list(PROCESSES))
@pytest.mark.parametrize(("mode", "parameter", "low", "high"), SPREADS)
def test_a_condemned_part_scatters_its_signals(
    healthy: dict[str, Block], process: object, mode: str, parameter: str, low: float, high: float
) -> None:
    before = np.nanstd(column(healthy[process.name], parameter))  # type: ignore[attr-defined]
    after = np.nanstd(column(block(process, [wear(mode, Constant(1.0))]), parameter))
    assert low <= after / before <= high


@pytest.mark.parametrize(("process", "low", "high"), [(PP, 0.3, 1.6), (ABS, 0.3, 1.6)], ids=list(PROCESSES))
def test_flash_makes_parts_heavier(healthy: dict[str, Block], process: object, low: float, high: float) -> None:
    before = healthy[process.name].truth.part_g.mean()  # type: ignore[attr-defined]
    after = block(process, [wear("mould_parting_wear_flash", Constant(1.0))]).truth.part_g.mean()
    assert low <= 100 * (after / before - 1) <= high


def values_of(condition: Condition, count: int) -> np.ndarray:
    """All quantities of a condition, (quantities, count)."""
    rows = []
    for name in Condition.__slots__:
        value = getattr(condition, name)
        rows += [np.broadcast_to(each, (count,)) for each in (value if isinstance(value, tuple) else (value,))]
    return np.array(rows, float)


@pytest.mark.parametrize("mode", list(MODES))
def test_severity_0_changes_nothing_and_n_cycles_are_as_one_by_one(mode: str) -> None:
    effect = MODES[mode].effect
    assert np.array_equal(values_of(effect(Condition(), 0.0, PP), 1), values_of(Condition(), 1))
    severities = np.array([0.0, 0.2, 0.99, 1.0])
    whole = values_of(effect(Condition(), severities, PP), 4)
    alone = [values_of(effect(Condition(), float(severity), PP), 1)[:, 0] for severity in severities]
    assert np.allclose(whole, np.stack(alone, axis=1))


@given(
    st.sampled_from(list(MODES)),
    st.integers(0, 2**31),
    st.floats(0.5, 50),
    st.lists(st.integers(-10, 900), max_size=20),
)
def test_a_progression_begins_at_0_never_falls_and_ends_at_1(
    mode: str, seed: int, time_factor: float, days: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    onset, grows = 5 * DAY_MS, growth_ms(mode, rng, time_factor=time_factor)
    law = law_of(mode, onset, grows, rng)
    found = [law.at(day * DAY_MS) for day in sorted(days)]
    assert found == sorted(found)
    assert all(0 <= severity <= 1 for severity in found)
    assert law.at(onset) == 0.0
    assert law.at(onset + grows) == pytest.approx(1.0)


def test_the_laws_have_their_shapes() -> None:
    wear_law, fouling = Progression(0, 100, 2.0), Fouling(0, 100, 0.5)
    assert wear_law.at(50) == 0.25
    assert fouling.at(50) > 0.6, "fast at first"
    steps = Steps(Progression(0, 100, 1.0), (0.3, 0.6, 1.0))
    assert [steps.at(t) for t in (29, 30, 59, 60, 99, 100)] == [0.0, 0.3, 0.3, 0.6, 0.6, 1.0]


def test_upsets_come_and_go_and_leave_the_press_as_it_was() -> None:
    lot = upsets.lot_change(100, 1_000, 0.1, 200)
    assert [lot.severity(t) for t in (99, 100, 200, 300, 800, 900, 1_000, 1_001)] == [0, 0, 0.5, 1, 1, 0.5, 0, 0]
    assert lot.apply(Condition(), 1.0, PP).viscosity_factor == pytest.approx(1.1)
    for upset in (lot, upsets.moisture(0, 9, 0.5), upsets.heat_wave(0, 9, 8.0), upsets.dropout(0, 9)):
        assert upset.mode in upsets.UPSETS
        assert upset.mode not in FAILURE_MODES
