"""Does the press answer to set points and to wear as real ones did? Signs and orders of size of the process model."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from contract.vocabulary import PARAMETERS
from simulators.faults.check_ring_wear import CheckRingWear
from simulators.faults.fault import Constant
from simulators.press.press import Press
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, PROCESSES, Process

CYCLES = 250
CYCLE_MS = 20_000


@cache
def run(process: Process, severity: float = 0.0) -> dict[str, np.ndarray]:
    """Each parameter over many cycles; the same chance whatever the process, so that differences are free of noise."""
    press = Press("p", process=process, seed=3, faults=[CheckRingWear(Constant(severity))], window_s=0.01)
    shots, truths = [], []
    for cycle in range(CYCLES):
        shots.append(press.cycle(cycle * CYCLE_MS).parameters)
        truths.append(press.truth())
    found = {name: np.array([shot[name] for shot in shots]) for name in PARAMETERS}
    found["part_g"] = np.array([truth.part_g for truth in truths])
    found["pressure_integral"] = found["HoldSpecificPressureAverage"] * found["HoldTime"]
    found["hold_travel"] = found["TransferStroke"] - found["CushionStroke"]
    closed = np.array([truth.has_closed and not truth.has_bottomed for truth in truths])
    return found | {"closed": closed}


def change_pct(process: Process, changed: Process, name: str) -> float:
    return float(100 * (run(changed)[name].mean() / run(process)[name].mean() - 1))


BOTH = pytest.mark.parametrize("process", [PP_CAP_4CAV, ABS_HOUSING_2CAV], ids=list(PROCESSES))


# Bounds are the measured effect (docs/reference/press_model.md) divided and multiplied by 2.5, where it is no zero.
@BOTH
def test_a_colder_barrel_needs_more_pressure_and_leaves_a_larger_cushion(process: Process) -> None:
    colder = replace(process, melt_degc=process.melt_degc - 30)
    assert 13.4 < change_pct(process, colder, "SpecificPressureMaximum") < 84
    assert 13.8 < change_pct(process, colder, "TransferSpecificPressure") < 87
    assert 13.0 < change_pct(process, colder, "CushionStroke") < 81
    assert -4.8 < change_pct(process, colder, "DosingTime") < -0.7
    assert 0.05 < change_pct(process, colder, "part_g") < 3.5  # measured 0.8-1.4: ours is smaller, the page says so


@BOTH
def test_half_the_speed_doubles_the_time_and_lowers_the_peak(process: Process) -> None:
    slower = replace(process, speed_mm_s=process.speed_mm_s * 0.48)
    assert change_pct(process, slower, "InjectionTime") == pytest.approx(96.1, rel=0.2)
    assert -37 < change_pct(process, slower, "SpecificPressureMaximum") < -7.4
    assert abs(change_pct(process, slower, "part_g")) < 0.1


@BOTH
def test_a_short_hold_loses_weight_and_pressure_integral(process: Process) -> None:
    shorter = replace(process, hold_s=process.hold_s / 4)
    assert change_pct(process, shorter, "pressure_integral") == pytest.approx(-70.3, rel=0.1)
    assert -5 < change_pct(process, shorter, "part_g") < -0.8
    assert change_pct(process, shorter, "CushionStroke") > 6.4
    assert change_pct(process, shorter, "CycleTime") < 0


@BOTH
def test_a_low_pressure_limit_slows_the_fill(process: Process) -> None:
    # The limit is set below the peak by as much as the intervention was: 800 bar was above, 300 below.
    peak = run(process)["SpecificPressureMaximum"].mean()
    limited = replace(process, pressure_limit_bar=peak * 0.708, hold_bar=process.hold_bar * 0.4)
    assert change_pct(process, limited, "SpecificPressureMaximum") == pytest.approx(-29.2, rel=0.1)
    assert 28 < change_pct(process, limited, "InjectionTime") < 180
    assert change_pct(process, limited, "CushionStroke") > 5
    assert change_pct(process, limited, "pressure_integral") == pytest.approx(-56.1, rel=0.15)


@BOTH
def test_nominal_figures_lie_in_the_ranges_of_the_example_process(process: Process) -> None:
    ranges = {
        "PP_cap_4cav": {
            "SpecificPressureMaximum": (550, 800),
            "TransferSpecificPressure": (500, 750),
            "HoldSpecificPressureAverage": (300, 450),
            "CushionVolume": (4, 8),
            "BackPressure": (40, 80),
            "InjectionTime": (0.8, 1.0),
            "CycleTime": (17.0, 18.0),
            "DosingTime": (6.0, 7.0),
        },
        "ABS_housing_2cav": {
            "SpecificPressureMaximum": (850, 1_200),
            "TransferSpecificPressure": (800, 1_100),
            "HoldSpecificPressureAverage": (450, 650),
            "CushionVolume": (5, 10),
            "BackPressure": (60, 110),
            "InjectionTime": (1.6, 2.0),
            "CycleTime": (31.0, 33.0),
            "DosingTime": (10.0, 12.0),
        },
    }
    for name, (low, high) in ranges[process.name].items():
        assert low < run(process)[name].mean() < high, name


@BOTH
def test_wear_shows_in_the_cushion_first(process: Process) -> None:
    healthy, worn, condemned = run(process), run(process, 0.4), run(process, 1.0)

    def ratio(name: str, of: dict[str, np.ndarray]) -> float:
        return float(of[name][of["closed"]].mean() / healthy[name][healthy["closed"]].mean())

    assert 0.6 < ratio("CushionStroke", worn) < 0.9
    assert ratio("CushionStroke", condemned) < 0.4 or not condemned["closed"].any()
    assert 1.05 < ratio("hold_travel", worn) < 1.6
    assert 1.2 < condemned["hold_travel"].mean() / healthy["hold_travel"].mean() < 1.8
    assert 0.95 < condemned["SpecificPressureMaximum"].mean() / healthy["SpecificPressureMaximum"].mean() < 0.99
    sd = [of["CushionStroke"][of["closed"]].std() for of in (healthy, worn)]
    assert 1.3 < sd[1] / sd[0] < 6


@BOTH
def test_a_healthy_press_wanders_as_measured(process: Process) -> None:
    healthy = run(process)

    def lag1(name: str) -> float:
        values = healthy[name]
        return float(np.corrcoef(values[1:], values[:-1])[0, 1])

    def cv_pct(name: str) -> float:
        return float(100 * healthy[name].std() / healthy[name].mean())

    assert lag1("ClosingForce") > 0.8
    assert lag1("MouldTemperature") > 0.85
    assert 0.45 < lag1("SpecificPressureMaximum") < 0.9
    assert abs(lag1("CushionStroke")) < 0.35
    assert abs(lag1("ScrewTorqueMaximum")) < 0.4  # the lot of white noise, and a little of the viscosity
    assert 1.2 < cv_pct("CushionStroke") < 3.5
    assert 0.15 < cv_pct("SpecificPressureMaximum") < 1.4
    assert 0.3 < cv_pct("DosingTime") < 0.9
    assert cv_pct("CycleTime") < 0.1
