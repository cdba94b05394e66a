"""Does a press at constant settings wander as measured? The noise block of the process model, sign and size."""

from functools import cache

import numpy as np
import pytest

from contract.vocabulary import PARAMETERS
from simulators.press.press import Press
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, PROCESSES, Process

CYCLES = 4_000
BOTH = pytest.mark.parametrize("process", [PP_CAP_4CAV, ABS_HOUSING_2CAV], ids=list(PROCESSES))


@cache
def healthy(process: Process) -> dict[str, np.ndarray]:
    block = Press("p", process=process, seed=3).block(CYCLES)
    closed = block.truth.has_closed
    found = {name: block.parameters[closed, at].astype(float) for at, name in enumerate(PARAMETERS)}
    found["part_g"] = block.truth.part_g[closed]
    found["pressure_integral"] = found["HoldSpecificPressureAverage"] * found["HoldTime"]
    return found


def spread_and_lag1(process: Process, name: str, *, is_relative: bool = True) -> tuple[float, float]:
    values = healthy(process)[name]
    spread = values.std() * (100 / values.mean() if is_relative else 1.0)
    return float(spread), float(np.corrcoef(values[1:], values[:-1])[0, 1])


# quantity: smallest and largest coefficient of variation (%) measured, smallest and largest lag-1 correlation measured.
MEASURED = {
    "CushionStroke": (2.44, 2.44, 0.06, 0.06),
    "DosingTime": (0.48, 0.63, 0.76, 0.79),
    "CycleTime": (0.04, 0.065, 0.23, 0.23),
    "TransferSpecificPressure": (0.63, 1.27, 0.72, 0.72),
    "SpecificPressureMaximum": (0.15, 1.32, 0.68, 0.80),
    "pressure_integral": (0.14, 0.14, 0.01, 0.01),
    "ClosingForce": (0.59, 0.59, 0.92, 0.92),
    "ScrewTorqueMaximum": (2.43, 2.43, -0.15, -0.15),
    "ScrewRevolutions": (0.66, 0.66, 0.75, 0.75),
    "part_g": (0.23, 0.23, 0.20, 0.20),
    "InjectionTime": (0.30, 0.30, 0.81, 0.81),
    "InjectionSpeedMaximum": (0.19, 0.19, 0.93, 0.93),
    "BackPressure": (0.89, 0.89, 0.91, 0.91),
}
WITHIN = 1.9
LAG1_WITHIN = 0.35


@BOTH
@pytest.mark.parametrize("name", MEASURED)
def test_a_scalar_spreads_and_lingers_as_measured(process: Process, name: str) -> None:
    low, high, lag1_low, lag1_high = MEASURED[name]
    spread_pct, lag1 = spread_and_lag1(process, name)
    assert low / WITHIN < spread_pct < high * WITHIN
    assert lag1_low - LAG1_WITHIN < lag1 < lag1_high + LAG1_WITHIN


@BOTH
@pytest.mark.parametrize(
    ("name", "low_k", "high_k", "lag1_low", "lag1_high"),
    [
        ("NozzleTemperature", 0.2, 0.45, 0.5, 0.9),
        ("BarrelTemperature2", 0.15, 0.68, 0.0, 0.75),
        ("MouldTemperature", 0.55, 1.0, 0.93, 1.0),
        ("OilTemperature", 0.3, 1.5, 0.0, 1.0),
    ],
)
def test_a_temperature_wanders_as_measured(
    process: Process, name: str, low_k: float, high_k: float, lag1_low: float, lag1_high: float
) -> None:
    sd_k, lag1 = spread_and_lag1(process, name, is_relative=False)
    assert low_k < sd_k < high_k
    assert lag1_low <= lag1 <= lag1_high


@BOTH
def test_oil_and_mould_follow_the_hall_over_the_day(process: Process) -> None:
    oil = healthy(process)["OilTemperature"]
    cycles_a_day = round(86_400 / healthy(process)["CycleTime"].mean())
    means = oil[: cycles_a_day // 2].mean(), oil[cycles_a_day // 2 : min(cycles_a_day, len(oil))].mean()
    assert means[0] - means[1] > 0.3


@BOTH
def test_presses_of_one_make_differ(process: Process) -> None:
    blocks = [Press(f"press-{number:02}", process=process, seed=1).block(20) for number in range(12)]
    means = np.array([block.parameters.mean(axis=0) for block in blocks])
    spread = dict(zip(PARAMETERS, means.std(axis=0) / np.abs(means.mean(axis=0)), strict=True))
    assert 0.003 < spread["SpecificPressureMaximum"] < 0.05
    assert 0.01 < spread["CushionStroke"] < 0.2
    assert 0.005 < spread["ScrewTorqueAverage"] < 0.1
    assert 0.01 < spread["CoolantFlow"] < 0.1
