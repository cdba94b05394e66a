"""Does each cause show where and as far as the process model's failure modes say? One field at a time."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from contract.vocabulary import PARAMETERS
from simulators.press.condition import Condition, Value
from simulators.press.press import Press
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, PROCESSES, Process

CYCLES = 200
BOTH = pytest.mark.parametrize("process", [PP_CAP_4CAV, ABS_HOUSING_2CAV], ids=list(PROCESSES))


class Cause:
    """Fields of the condition, from the first cycle on; a number in `times` multiplies."""

    mode = "cause"

    def __init__(self, fields: Mapping[str, Any], times: Mapping[str, float]) -> None:
        self._fields, self._times = fields, times

    def severity(self, utc_ms: int) -> float:
        return 1.0

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        scaled = {name: getattr(condition, name) * by for name, by in self._times.items()}
        return replace(condition, **self._fields, **scaled)


def figures(process: Process, fields: Mapping[str, Any], times: Mapping[str, float]) -> dict[str, np.ndarray]:
    faults = [Cause(fields, times)] if fields or times else []
    block = Press("p", process=process, seed=3, faults=faults).block(CYCLES)
    found = {name: block.parameters[:, at].astype(float) for at, name in enumerate(PARAMETERS)}
    found["part_g"], found["dimension_mm"] = block.truth.part_g, block.truth.dimension_mm
    found["hold_travel"] = found["TransferStroke"] - found["CushionStroke"]
    return found


@cache
def healthy(process: Process) -> dict[str, np.ndarray]:
    return figures(process, {}, {})


# cause -> (fields, factors, {quantity: (lowest, highest change)}): percent, kelvin for temperatures, points for duties.
CAUSES: dict[str, tuple[dict[str, Any], dict[str, float], dict[str, tuple[float, float]]]] = {
    "heater band open in zone 4": (
        {"zone_heater_share": (1.0, 1.0, 1.0, 0.0, 1.0)},
        {},
        {
            "HeaterDuty4": (70, 95),
            "BarrelTemperature4": (-45, -10),
            "NozzleHeaterDuty": (1, 15),
            "SpecificPressureMaximum": (5, 30),
            "CushionStroke": (5, 30),
            "ScrewTorqueAverage": (1, 20),
        },
    ),
    "thermocouple reads 12 K high": (
        {"zone_sensor_offset_k": (0.0, 0.0, 0.0, 12.0, 0.0)},
        {},
        {
            "BarrelTemperature4": (-0.2, 0.2),
            "MeltTemperature": (-9, -3),
            "HeaterDuty4": (-9, -2),
            "SpecificPressureMaximum": (2, 12),
        },
    ),
    "screw and barrel worn": (
        {"screw_clearance_factor": 2.0},
        {},
        {
            "DosingTime": (20, 30),
            "ScrewRevolutions": (20, 30),
            "MeltTemperature": (2, 8),
            "PumpPower": (2, 15),
        },
    ),
    "pump leaks": (
        {"pump_leak_share": 0.06},
        {},
        {
            "InjectionSpeedMaximum": (-4.5, -1),
            "SystemPressureMaximum": (-1.2, -0.2),
            "InjectionTime": (1, 6),
            "OilTemperature": (2, 8),
            "EnergyPerCycle": (3, 8),
            "MouldClosingTime": (1, 6),
        },
    ),
    "accumulator lost its gas": (
        {"accumulator_precharge_bar": 70.0},
        {},
        {"SystemPressureMaximum": (-11.5, -9), "InjectionTime": (1, 15), "InjectionSpeedAverage": (-12, -1)},
    ),
    "cooler fouled to a fifth": ({"oil_cooler_share": 0.2}, {}, {"OilTemperature": (9, 14), "PumpPower": (0.5, 5)}),
    "cooler fouled to 3 %": ({"oil_cooler_share": 0.03}, {}, {"OilTemperature": (17, 27)}),
    "coolant halved by scale": (
        {"scale_mm": 0.12},
        {"coolant_flow_share": 0.5},
        {
            "CoolantFlow": (-52, -48),
            "CoolantTemperatureRise": (80, 120),
            "MouldTemperature": (3, 10),
            "dimension_mm": (0.5, 4),
        },
    ),
    "parting line worn": (
        {"parting_gap_mm": 0.07},
        {},
        {"part_g": (0.2, 1.5), "CavityPressureMaximum": (-5, -0.5), "CushionStroke": (-15, -2)},
    ),
    "nozzle leaks": (
        {"nozzle_leak_share": 0.03},
        {},
        {"CushionStroke": (-45, -5), "hold_travel": (3, 60), "CavityPressureMaximum": (-5, -0.5)},
    ),
    "nozzle clogged": (
        {"nozzle_open_share": 0.6},
        {},
        {"SpecificPressureMaximum": (10, 40), "TransferSpecificPressure": (10, 40), "CavityPressureMaximum": (-12, -1)},
    ),
    "one cavity a tenth blocked": (
        {"blocked_cavity_share": 0.1},
        {},
        {
            "SpecificPressureMaximum": (0.5, 40),
            "part_g": (-6, -1.5),
            "hold_travel": (-80, -5),
            "CushionStroke": (5, 80),
        },
    ),
    "toggle worn": (
        {"toggle_play_mm": 0.04, "tie_bar_imbalance_share": 0.15},
        {},
        {
            "ClosingForce": (-5, -1),
            "TieBarImbalance": (100, 350),
            "MouldClosingTime": (1, 5),
            "MouldProtectionForce": (10, 40),
        },
    ),
    "ejector rubs": (
        {},
        {"ejector_friction_factor": 1.6},
        {"EjectorForceMaximum": (50, 70), "EjectionTime": (10, 18), "CycleTime": (0.1, 2)},
    ),
    "moist granulate": (
        {"moisture_share": 1.0},
        {},
        {"SpecificPressureMaximum": (-10, -2), "TransferSpecificPressure": (-10, -2), "DosingTime": (1, 5)},
    ),
    "thicker lot": (
        {},
        {"viscosity_factor": 1.3},
        {"SpecificPressureMaximum": (3, 15), "TransferSpecificPressure": (3, 15), "CushionStroke": (0.3, 10)},
    ),
    "hot hall": ({"ambient_degc": 33.0}, {}, {"OilTemperature": (3, 9), "MouldTemperature": (0.2, 1.5)}),
}


@BOTH
@pytest.mark.parametrize(
    ("cause", "quantity"), [(cause, quantity) for cause, (_, _, shows) in CAUSES.items() for quantity in shows]
)
def test_a_cause_shows_as_the_process_model_says(process: Process, cause: str, quantity: str) -> None:
    low, high = CAUSES[cause][2][quantity]
    was, now = healthy(process)[quantity].mean(), _of(process, cause)[quantity].mean()
    is_absolute = ("Temperature" in quantity or "Duty" in quantity) and quantity != "CoolantTemperatureRise"
    change = now - was if is_absolute else 100 * (now / was - 1)
    assert low < change < high


@cache
def _of(process: Process, cause: str) -> dict[str, np.ndarray]:
    fields, times, _ = CAUSES[cause]
    return figures(process, fields, times)


@BOTH
def test_a_sticking_valve_shows_in_spread_overshoot_and_ripple(process: Process) -> None:
    stuck = Cause({"valve_stiction_share": 1.0, "valve_lag_s": 0.08}, {})
    sound = Press("p", process=process, seed=3).block(CYCLES, with_curves=True)
    block = Press("p", process=process, seed=3, faults=[stuck]).block(CYCLES, with_curves=True)
    names = list(PARAMETERS)

    def ratio(name: str, of: str) -> float:
        column = names.index(name)
        return float(getattr(block.parameters[:, column], of)() / getattr(sound.parameters[:, column], of)())

    assert 2 < ratio("InjectionTime", "std") < 6
    assert 1.02 < ratio("HoldSpecificPressureMaximum", "mean") < 1.08
    assert 1.02 < ratio("InjectionSpeedMaximum", "mean") < 1.17
    assert sound.curves is not None
    assert block.curves is not None
    hold = slice(500, 850)  # 2.5-4.25 s
    ripple = [(curves[:, 0, hold] - curves[:, 0, hold].mean()).std() for curves in (sound.curves, block.curves)]
    assert 0.005 < (ripple[1] ** 2 - ripple[0] ** 2) ** 0.5 / block.curves[:, 0, hold].mean() < 0.03


@BOTH
def test_more_of_a_cause_is_more_of_its_sign(process: Process) -> None:
    for name, quantity, values in (
        ("check_ring_gap_mm", "CushionStroke", (0.02, 0.05, 0.08)),
        ("screw_clearance_factor", "DosingTime", (1.2, 1.6, 2.0)),
        ("oil_cooler_share", "OilTemperature", (0.7, 0.4, 0.1)),
        ("parting_gap_mm", "part_g", (0.02, 0.05, 0.08)),
        ("nozzle_open_share", "SpecificPressureMaximum", (0.9, 0.75, 0.6)),
        ("toggle_play_mm", "ClosingForce", (0.01, 0.03, 0.05)),
    ):
        changes = [
            abs(figures(process, {name: value}, {})[quantity].mean() - healthy(process)[quantity].mean())
            for value in values
        ]
        assert changes[0] < changes[1] < changes[2], name
