"""What does the press's control see of a cycle? Sampled, noisy curves and the scalars that it reports."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.shot import CURVE_SAMPLES_MAX, FloatArray
from simulators.press.cycle import SIGNAL_ORDER, SPEED_LOSS_BAR_S_MM, Cycle

# Standard deviation of a sensor's white noise, in the signal's unit: sampling, quantisation, wiring.
SENSOR_SD: Final[Mapping[str, float]] = {
    "InjectionPressure": 1.5,
    "CavityPressure": 1.0,
    "ScrewPosition": 0.01,
    "ScrewVelocity": 0.15,
    "HydraulicPressure": 0.25,
    "MeltTemperature": 0.1,
    "ClampForce": 1.2,
    "MouldTemperature": 0.05,
}
_SD_COLUMN: Final = np.array([[SENSOR_SD[name]] for name in SIGNAL_ORDER], dtype=np.float32)


def curves(cycle: Cycle, interval_s: float, window_s: float | None, rng: np.random.Generator) -> dict[str, FloatArray]:
    """All signals from injection start, every `interval_s`, over the cycle or its first `window_s`."""
    span_s = cycle.cycle_s if window_s is None else min(window_s, cycle.cycle_s)
    samples = min(int(span_s / interval_s), CURVE_SAMPLES_MAX)
    time = np.arange(samples) * interval_s
    after = np.clip(np.searchsorted(cycle.knots_s, time, side="right"), 1, len(cycle.knots_s) - 1)
    step = np.maximum(cycle.knots_s[after] - cycle.knots_s[after - 1], 1e-9)
    weight = ((time - cycle.knots_s[after - 1]) / step).astype(np.float32)
    knots = cycle.knots.astype(np.float32)
    found = np.take(knots, after, axis=1)
    before = np.take(knots, after - 1, axis=1)
    found -= before
    found *= weight
    found += before
    noise = rng.standard_normal(found.shape, dtype=np.float32)
    noise *= _SD_COLUMN
    found += noise
    return {name: found[row] for row, name in enumerate(SIGNAL_ORDER)}


def parameters(cycle: Cycle, rng: np.random.Generator) -> dict[str, float]:
    """The scalars of `contract.vocabulary.PARAMETERS`, each with the noise of its own measurement."""
    injection, process, machine = cycle.injection, cycle.process, cycle.process.machine
    area = machine.screw_area_cm2 / 10
    transfer, fill_end = injection.transfer, injection.fill_end
    injection_s = float(injection.time_s[transfer])
    fill, hold = slice(0, transfer + 1), slice(fill_end, None)
    start_mm, cushion_mm = float(injection.position_mm[0]), float(injection.position_mm[-1])
    peak = float(injection.pressure_bar.max())
    hold_time_s = float(injection.time_s[-1] - injection.time_s[fill_end])
    hold_average = float(np.trapezoid(injection.pressure_bar[hold], injection.time_s[hold])) / hold_time_s
    speed_max = float(injection.speed_mm_s[fill].max())
    flow_index = float(np.trapezoid(injection.pressure_bar[fill], injection.time_s[fill]))
    transfer_bar = float(injection.pressure_bar[transfer])
    transfer_speed = float(injection.speed_mm_s[transfer])
    dosing, volume = cycle.dosing, (start_mm - cushion_mm) * area
    clamp = cycle.knots[SIGNAL_ORDER.index("ClampForce")]
    hydraulic = cycle.knots[SIGNAL_ORDER.index("HydraulicPressure")][: len(injection.time_s)]
    true = {
        "CycleTime": (cycle.cycle_s, 0.001),
        "InjectionTime": (injection_s, 0.0005),
        "HoldTime": (hold_time_s, 0.0005),
        "CoolingTime": (cycle.cooling_s, 0.0005),
        "DosingTime": (dosing.time_s, 0.005),
        "BackPressure": (dosing.back_bar, 0.2),
        "CavityPressureMaximum": (float(injection.sensor_bar.max()), 0.8),
        "CushionStroke": (cushion_mm, 0.01),
        "FlowIndex": (flow_index, 0.1),
        "HoldSpecificPressureAverage": (hold_average, 0.3),
        "HoldSpecificPressureMaximum": (float(injection.pressure_bar[hold].max()), 1.0),
        "HydraulicPressureMaximum": (float(hydraulic.max()), 0.15),
        "InjectionSpeedAverage": ((start_mm - process.vp_mm) / injection_s, 0.02),
        "InjectionSpeedMaximum": (speed_max, 0.05),
        "InjectionStartPosition": (start_mm, 0.01),
        "PlastificationRotationalSpeedAverage": (dosing.rpm, 0.1),
        "PlastificationSpecificPressureAverage": (dosing.back_bar, 0.2),
        "PlastificationSpecificPressureMaximum": (dosing.back_bar * 1.08, 0.6),
        "SpecificPressureMaximum": (peak, 1.0),
        "TransferCavityPressure": (float(injection.sensor_bar[transfer]), 0.8),
        "TransferHydraulicPressure": (
            transfer_bar / machine.intensification + SPEED_LOSS_BAR_S_MM * transfer_speed + 2.0,
            0.15,
        ),
        "TransferSpecificPressure": (transfer_bar, 1.0),
        "TransferStroke": (process.vp_mm, 0.01),
        "MeltTemperature": (cycle.melt.melt_degc, 0.1),
        "MouldTemperature": (cycle.melt.mould_degc, 0.05),
        "ClosingForce": (process.clamp_kn * cycle.condition.clamp_factor, 1.0),
        "ClampForceMaximum": (float(clamp.max()), 1.0),
        "ScrewTorqueAverage": (dosing.torque_nm, 1.0),
        "ScrewTorqueMaximum": (dosing.torque_max_nm, 3.0),
        "OilTemperature": (cycle.condition.oil_degc, 0.05),
        "EnergyPerCycle": (cycle.energy_kwh, 0.0001),
    }
    measured: npt.NDArray[np.float64] = rng.standard_normal(len(true))
    found = {name: value + sd * float(z) for (name, (value, sd)), z in zip(true.items(), measured, strict=True)}
    found["CushionStroke"] = max(found["CushionStroke"], 0.0)
    found["CushionVolume"] = found["CushionStroke"] * area
    found["TransferVolume"] = found["TransferStroke"] * area
    found["VPChangeOverPosition"] = found["TransferStroke"]
    found["PlastificationVolume"] = dosing.stroke_mm * area
    found["ShotVolume"] = volume
    return found
