"""What does the press's control report of its cycles? The scalars, each with its own gauge's noise and step."""

from typing import Final

import numpy as np

from contract.shot import FloatArray
from contract.vocabulary import PARAMETERS, SIGNALS
from simulators.press.block import BoolArray
from simulators.press.cycle import Cycles
from simulators.press.hydraulics import SAG_BAR
from simulators.press.injection import Injection
from simulators.press.material import Array
from simulators.press.trace import clamp_kn, hydraulic_bar

# Name -> standard deviation of the measurement and step of the display, in the parameter's unit.
_GAUGES: Final = {
    "CycleTime": (0.001, 0.001),
    "InjectionTime": (0.0005, 0.0005),
    "HoldTime": (0.0005, 0.0005),
    "CoolingTime": (0.0005, 0.0005),
    "DosingTime": (0.005, 0.001),
    "BackPressure": (0.2, 0.05),
    "CavityPressureMaximum": (0.8, 0.1),
    "CushionStroke": (0.01, 0.002),
    "FlowIndex": (0.1, 0.01),
    "HoldSpecificPressureAverage": (0.3, 0.1),
    "HoldSpecificPressureMaximum": (1.0, 0.1),
    "HydraulicPressureMaximum": (0.15, 0.02),
    "InjectionSpeedAverage": (0.02, 0.01),
    "InjectionSpeedMaximum": (0.05, 0.01),
    "InjectionStartPosition": (0.01, 0.002),
    "PlastificationRotationalSpeedAverage": (0.1, 0.02),
    "PlastificationSpecificPressureAverage": (0.2, 0.05),
    "PlastificationSpecificPressureMaximum": (0.6, 0.05),
    "SpecificPressureMaximum": (1.0, 0.1),
    "TransferCavityPressure": (0.8, 0.1),
    "TransferHydraulicPressure": (0.15, 0.02),
    "TransferSpecificPressure": (1.0, 0.1),
    "TransferStroke": (0.01, 0.002),
    "MeltTemperature": (0.1, 0.02),
    "MouldTemperature": (0.05, 0.01),
    "ClosingForce": (1.0, 0.1),
    "ClampForceMaximum": (1.0, 0.1),
    "ScrewTorqueAverage": (1.0, 0.1),
    "ScrewTorqueMaximum": (3.0, 0.1),
    "OilTemperature": (0.05, 0.01),
    "EnergyPerCycle": (0.0001, 0.00005),
    "BarrelTemperature1": (0.12, 0.1),
    "BarrelTemperature2": (0.12, 0.1),
    "BarrelTemperature3": (0.12, 0.1),
    "BarrelTemperature4": (0.12, 0.1),
    "NozzleTemperature": (0.12, 0.1),
    "HeaterDuty1": (0.8, 0.1),
    "HeaterDuty2": (0.8, 0.1),
    "HeaterDuty3": (0.8, 0.1),
    "HeaterDuty4": (0.8, 0.1),
    "NozzleHeaterDuty": (1.2, 0.1),
    "ScrewRevolutions": (0.02, 0.01),
    "CoolantFlow": (0.05, 0.01),
    "CoolantTemperatureRise": (0.04, 0.01),
    "MouldClosingTime": (0.003, 0.001),
    "MouldOpeningTime": (0.003, 0.001),
    "EjectionTime": (0.002, 0.001),
    "EjectorForceMaximum": (0.03, 0.01),
    "TieBarImbalance": (0.1, 0.01),
    "MouldProtectionForce": (0.15, 0.01),
    "SystemPressureMaximum": (0.1, 0.05),
    "PumpPower": (0.03, 0.01),
}
_SD: Final = np.array([sd for sd, _ in _GAUGES.values()])
_STEP: Final = np.array([step for _, step in _GAUGES.values()])
_SIGNAL_OF: Final = {
    **dict.fromkeys(("CavityPressureMaximum", "TransferCavityPressure"), "CavityPressure"),
    **dict.fromkeys(("HydraulicPressureMaximum", "TransferHydraulicPressure"), "HydraulicPressure"),
    **dict.fromkeys(("ClosingForce", "ClampForceMaximum"), "ClampForce"),
    "MeltTemperature": "MeltTemperature",
    "MouldTemperature": "MouldTemperature",
}
"""Which curve's gauge a parameter comes from: one that drops out takes both."""
GAUGES: Final = (
    *dict.fromkeys(_SIGNAL_OF.values()),
    "OilTemperature",
    "CoolantFlow",
    "CoolantTemperatureRise",
    "TieBarImbalance",
    "EjectorForceMaximum",
    "BarrelTemperature2",
)
"""What may drop out; the machine cannot run without the gauges of screw and pressure."""
_DROPS: Final = np.array(
    [[_SIGNAL_OF.get(name, name) == gauge for name in PARAMETERS] for gauge in GAUGES], dtype=np.bool_
)
_SIGNAL_DROPS: Final = np.array([[name == gauge for name in SIGNALS] for gauge in GAUGES], dtype=np.bool_)
RIPPLE_BACK: Final = 0.5
"""By which a doubled clearance makes the back pressure's noise grow."""


def parameters(cycles: Cycles, noise: Array, dropped: BoolArray) -> FloatArray:
    """(n, P) in the order of the vocabulary, from standard normals (n, gauges) and what dropped out (n, GAUGES)."""
    true = _true(cycles)
    measured = np.stack([true[name] for name in _GAUGES], axis=1) + _SD * noise[:, : len(_GAUGES)]
    measured = np.rint(measured / _STEP) * _STEP
    found = {name: measured[:, at] for at, name in enumerate(_GAUGES)}
    area = cycles.process.machine.screw_area_cm2 / 10
    found["CushionStroke"] = np.maximum(found["CushionStroke"], 0.0)
    for name in ("HeaterDuty1", "HeaterDuty2", "HeaterDuty3", "HeaterDuty4", "NozzleHeaterDuty"):
        found[name] = np.clip(found[name], 0.0, 100.0)
    found["CushionVolume"] = found["CushionStroke"] * area
    found["TransferVolume"] = found["TransferStroke"] * area
    found["VPChangeOverPosition"] = found["TransferStroke"]
    found["PlastificationVolume"] = cycles.dosing.stroke_mm * area
    injection = cycles.injection
    found["ShotVolume"] = (injection.position_mm[:, 0] - injection.position_mm[:, -1]) * area
    ordered = np.stack([found[name] for name in PARAMETERS], axis=1).astype(np.float32)
    if dropped.any():
        ordered[(dropped[:, :, None] & _DROPS).any(axis=1)] = np.nan
    return ordered


def dropped_signals(dropped: BoolArray) -> BoolArray:
    """Which curves the gauges that dropped out take with them, (n, signals)."""
    return np.asarray((dropped[:, :, None] & _SIGNAL_DROPS).any(axis=1))


NOISE_COLUMNS: Final = len(_GAUGES)


def _true(cycles: Cycles) -> dict[str, Array]:
    injection, process, machine = cycles.injection, cycles.process, cycles.process.machine
    dosing, clamp, count = cycles.dosing, cycles.clamp, len(cycles)
    at, end = injection.transfer, injection.fill_end
    injection_s, hold_s = injection.time_s[:, at], injection.time_s[:, -1] - injection.time_s[:, end]
    pressure, start_mm = injection.pressure_bar, injection.position_mm[:, 0]
    hold = pressure[:, end:]
    hydraulic = hydraulic_bar(process, pressure, injection.speed_mm_s)
    back_noise = 1 + RIPPLE_BACK * (np.asarray(cycles.condition.screw_clearance_factor) - 1)
    ripple = 1 + cycles.given.ripple
    sag = SAG_BAR * (injection.speed_mm_s[:, : at + 1].max(axis=1) / machine.speed_max_mm_s) ** 2
    zones = {f"BarrelTemperature{zone + 1}": cycles.barrel.indicated_degc[:, zone] for zone in range(4)}
    duties = {f"HeaterDuty{zone + 1}": 100 * cycles.barrel.duty[:, zone] for zone in range(4)}
    return (
        zones
        | duties
        | {
            "CycleTime": cycles.cycle_s,
            "InjectionTime": injection_s,
            "HoldTime": hold_s,
            "CoolingTime": cycles.cooling_s,
            "DosingTime": dosing.time_s,
            "BackPressure": dosing.back_bar,
            "CavityPressureMaximum": injection.sensor_bar.max(axis=1),
            "CushionStroke": injection.position_mm[:, -1],
            "FlowIndex": _area(injection, pressure, 0, at + 1),
            "HoldSpecificPressureAverage": _area(injection, pressure, end, None) / hold_s,
            "HoldSpecificPressureMaximum": hold.max(axis=1) * ripple,
            "HydraulicPressureMaximum": hydraulic.max(axis=1),
            "InjectionSpeedAverage": (start_mm - injection.vp_mm) / injection_s,
            "InjectionSpeedMaximum": injection.speed_mm_s[:, : at + 1].max(axis=1),
            "InjectionStartPosition": start_mm,
            "PlastificationRotationalSpeedAverage": np.full(count, process.rpm),
            "PlastificationSpecificPressureAverage": dosing.back_bar,
            "PlastificationSpecificPressureMaximum": dosing.back_bar * (1 + 0.08 * back_noise),
            "SpecificPressureMaximum": pressure.max(axis=1),
            "TransferCavityPressure": injection.sensor_bar[:, at],
            "TransferHydraulicPressure": hydraulic[:, at],
            "TransferSpecificPressure": pressure[:, at],
            "TransferStroke": injection.vp_mm,
            "MeltTemperature": cycles.melt.melt_degc,
            "MouldTemperature": cycles.melt.mould_degc,
            "ClosingForce": clamp.locking_kn,
            "ClampForceMaximum": clamp_kn(process, clamp.locking_kn[:, None], injection.mean_cavity_bar).max(axis=1),
            "ScrewTorqueAverage": dosing.torque_nm,
            "ScrewTorqueMaximum": dosing.torque_max_nm,
            "OilTemperature": cycles.oil_degc,
            "EnergyPerCycle": cycles.energy_kwh,
            "NozzleTemperature": cycles.barrel.indicated_degc[:, 4],
            "NozzleHeaterDuty": 100 * cycles.barrel.duty[:, 4],
            "ScrewRevolutions": dosing.turns,
            "CoolantFlow": cycles.coolant_l_min,
            "CoolantTemperatureRise": cycles.coolant_rise_k,
            "MouldClosingTime": clamp.closing_s,
            "MouldOpeningTime": clamp.opening_s,
            "EjectionTime": clamp.ejection_s,
            "EjectorForceMaximum": clamp.ejector_kn,
            "TieBarImbalance": 100 * clamp.imbalance,
            "MouldProtectionForce": clamp.protection_kn,
            "SystemPressureMaximum": cycles.given.system_bar - 0.1 * sag,
            "PumpPower": cycles.pump_kw,
        }
    )


def _area(injection: Injection, values: Array, first: int, last: int | None) -> Array:
    """Trapezoids over a part of the knots, (n,)."""
    steps, part = np.diff(injection.time_s[:, first:last], axis=1), values[:, first:last]
    return np.asarray((steps * (part[:, 1:] + part[:, :-1]) / 2).sum(axis=1))
