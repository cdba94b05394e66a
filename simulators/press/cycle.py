"""What happens in one cycle? Injection, hold, cooling beside dosing, handling: equations only, no chance, no noise."""

from dataclasses import dataclass

import numpy as np

from simulators.press.condition import Condition
from simulators.press.dosing import Dosing, dose, energy_kwh
from simulators.press.flow import Melt, melt_of, slab_s
from simulators.press.injection import Injection, inject
from simulators.press.material import PA_PER_BAR, Array
from simulators.press.process import Process

DOSING_DELAY_S = 0.3
DECOMPRESSION_S = 0.25
RELIEF_S = 0.06
"""How fast the pressure before the screw falls after hold."""
OPENING_S = 0.6
BREATHING = 0.12
"""Share of the mould's opening force that adds to the tonnage: the toggle's stiffness against the mould's."""
SHEAR_HEAT = 0.25
"""Share of p / (rho c) that the melt keeps as shear heat in the nozzle."""
MOULD_RISE_K = 4.0
SPEED_LOSS_BAR_S_MM = 0.06
"""Hydraulic pressure lost in valves and hoses for each mm/s of screw speed."""
_LATER_KNOTS = 24


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """One cycle as it truly ran; `knots` has a row for each of `contract.vocabulary.SIGNALS`, in its order."""

    process: Process
    condition: Condition
    melt: Melt
    injection: Injection
    dosing: Dosing
    cooling_s: float
    cycle_s: float
    energy_kwh: float
    knots_s: Array
    knots: Array


def run_cycle(process: Process, condition: Condition, gap_mm: float, closing_cm3: float) -> Cycle:
    """Solve a cycle; `gap_mm` and `closing_cm3` are this shot's draw of how the check ring seats."""
    melt = melt_of(process, condition.viscosity_factor, condition.melt_offset_k, condition.mould_offset_k)
    injection = inject(process, condition, melt, gap_mm, closing_cm3)
    dosing = dose(process, condition, melt, float(injection.position_mm[-1]))
    hold_end_s = float(injection.time_s[-1])
    # The press waits with opening until the next shot is dosed.
    cooling_s = max(process.cool_s, DOSING_DELAY_S + dosing.time_s + DECOMPRESSION_S)
    cycle_s = hold_end_s + cooling_s + process.handling_s * condition.handling_factor
    work = np.trapezoid(injection.pressure_bar * np.maximum(injection.speed_mm_s, 0.0), injection.time_s)
    injection_j = float(work) * process.machine.screw_area_cm2 * 1e-4 * 1e-3 * PA_PER_BAR
    knots_s, knots = _knots(process, condition, melt, injection, dosing, cooling_s, cycle_s)
    energy = energy_kwh(process, dosing, injection_j, cycle_s)
    return Cycle(process, condition, melt, injection, dosing, cooling_s, cycle_s, energy, knots_s, knots)


def _knots(
    process: Process,
    condition: Condition,
    melt: Melt,
    injection: Injection,
    dosing: Dosing,
    cooling_s: float,
    cycle_s: float,
) -> tuple[Array, Array]:
    machine = process.machine
    end = float(injection.time_s[-1])
    begin_dosing = end + DOSING_DELAY_S
    end_dosing = begin_dosing + dosing.time_s
    pulled = end_dosing + DECOMPRESSION_S
    opening = end + cooling_s
    opened = min(opening + OPENING_S, cycle_s)
    cushion = float(injection.position_mm[-1])
    dosed = cushion + dosing.stroke_mm
    start = dosed + machine.decompression_mm

    later = np.unique(
        np.concatenate(
            (
                [end + RELIEF_S / 2, end + RELIEF_S, begin_dosing, begin_dosing + 0.05, end_dosing, end_dosing + 0.05],
                [pulled, pulled + 0.02, opening, opened],
                np.linspace(end + 2 * RELIEF_S, cycle_s, _LATER_KNOTS),
            )
        )
    )
    time = np.concatenate((injection.time_s, later))
    corners = [begin_dosing, end_dosing, pulled]
    position = np.interp(later, corners, [cushion, dosed, start])
    dosing_speed = -dosing.stroke_mm / dosing.time_s
    speed = np.where((later > begin_dosing) & (later <= end_dosing), dosing_speed, 0.0)
    speed = np.where((later > end_dosing) & (later <= pulled), -machine.decompression_mm / DECOMPRESSION_S, speed)
    relieved = injection.pressure_bar[-1] * np.exp(-(later - end) / (RELIEF_S / 2))
    pressure = np.where((later > begin_dosing) & (later <= end_dosing), dosing.back_bar, relieved)
    shrunk = np.exp(-(later - end) / 2.5) * (later < opening)
    sensor, mean_cavity = injection.sensor_bar[-1] * shrunk, injection.mean_cavity_bar[-1] * shrunk

    pressure = np.concatenate((injection.pressure_bar, pressure))
    speed = np.concatenate((injection.speed_mm_s, speed))
    mean_cavity = np.concatenate((injection.mean_cavity_bar, mean_cavity))
    locked = np.interp(time, [opening, opened], [1.0, 0.0]) if opened > opening else np.where(time < opening, 1.0, 0.0)
    if opened < cycle_s - OPENING_S:  # closed and locked again for the next shot
        locked = np.interp(time, [opening, opened, cycle_s - OPENING_S, cycle_s], [1.0, 0.0, 0.0, 1.0])
    clamp = process.clamp_kn * condition.clamp_factor + BREATHING * mean_cavity * process.mould.projected_cm2 / 100
    since_fill = np.maximum(time - injection.time_s[injection.fill_end], 0.0)
    heat_k = SHEAR_HEAT * pressure * (PA_PER_BAR / (process.material.heat_j_kgk * 800.0))
    contact = 1.0 - np.exp(-time / 0.6)
    mould_rise = MOULD_RISE_K * (melt.melt_degc - melt.mould_degc) / 195.0 * contact
    rows = {
        "InjectionPressure": pressure,
        "CavityPressure": np.concatenate((injection.sensor_bar, sensor)),
        "ScrewPosition": np.concatenate((injection.position_mm, position)),
        "ScrewVelocity": speed,
        "HydraulicPressure": pressure / machine.intensification + SPEED_LOSS_BAR_S_MM * np.maximum(speed, 0.0) + 2.0,
        "MeltTemperature": melt.melt_degc + heat_k,
        "ClampForce": clamp * locked,
        "MouldTemperature": melt.mould_degc + mould_rise * np.exp(-since_fill / (2 * slab_s(process, 2.0))),
    }
    return time, np.stack([rows[name] for name in SIGNAL_ORDER])


SIGNAL_ORDER = (
    "InjectionPressure",
    "CavityPressure",
    "ScrewPosition",
    "ScrewVelocity",
    "HydraulicPressure",
    "MeltTemperature",
    "ClampForce",
    "MouldTemperature",
)
