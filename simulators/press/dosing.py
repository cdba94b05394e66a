"""How is the next shot's melt made? Dosing time, back pressure, screw torque and the power of a cycle."""

from dataclasses import dataclass
from math import pi

from simulators.press.condition import Condition
from simulators.press.flow import Melt, plastic_stress_pa
from simulators.press.process import Process

BACK_LOSS_PER_BAR = 0.0009
"""Share of the output that each bar of back pressure costs."""
MELT_LOSS_PER_K = -0.0006
"""Relative output for each kelvin above the material's dosing reference: hotter melt slips more on the barrel."""
FLIGHTED_AREA_M2 = 0.127
TORQUE_FACTOR = 3.2
"""Torque of the whole screw against the metering zone's shear."""
MELT_TORQUE_SHARE = 0.25
"""Of the torque, what follows the melt's viscosity; the rest is the solids bed's friction."""
START_TORQUE = 1.18
"""The first turn's torque against the mean."""


@dataclass(frozen=True, slots=True)
class Dosing:
    """One plasticising stroke."""

    time_s: float
    back_bar: float
    rpm: float
    torque_nm: float
    torque_max_nm: float
    stroke_mm: float


def dose(process: Process, condition: Condition, melt: Melt, cushion_mm: float) -> Dosing:
    """Refill from the cushion to the dosing position: dm/dt = k rpm (1 - c p_back)."""
    machine = process.machine
    back_bar = process.back_bar * condition.back_factor
    stroke_mm = max(process.dose_mm + condition.dose_offset_mm - cushion_mm, 1.0)
    slip = 1 + MELT_LOSS_PER_K * (melt.melt_degc - process.material.dosing_reference_degc)
    rate_cm3_s = process.dosing_cm3_per_turn * process.rpm / 60 * condition.dosing_factor * slip
    rate_cm3_s *= 1 - BACK_LOSS_PER_BAR * back_bar
    torque_nm = _torque_nm(process, melt) * condition.torque_factor
    return Dosing(
        time_s=stroke_mm * machine.screw_area_cm2 / 10 / rate_cm3_s,
        back_bar=back_bar,
        rpm=process.rpm,
        torque_nm=torque_nm,
        torque_max_nm=torque_nm * START_TORQUE,
        stroke_mm=stroke_mm,
    )


def _torque_nm(process: Process, melt: Melt) -> float:
    """Wall stress x flighted area x radius, a quarter of it at the melt's viscosity, the rest at the reference's."""
    flow, reference_degc = process.material.flow, process.material.dosing_reference_degc
    reference = Melt(reference_degc, melt.mould_degc, flow.zero_shear_pa_s(reference_degc))
    of_melt, of_solids = plastic_stress_pa(process, melt), plastic_stress_pa(process, reference)
    stress_pa = of_melt * MELT_TORQUE_SHARE + of_solids * (1 - MELT_TORQUE_SHARE)
    return stress_pa * FLIGHTED_AREA_M2 * process.machine.screw_diameter_mm / 2e3 * TORQUE_FACTOR


def energy_kwh(process: Process, dosing: Dosing, injection_j: float, cycle_s: float) -> float:
    """Heaters and idling over the cycle, injection and dosing through the drive's efficiency."""
    machine = process.machine
    dosing_j = dosing.torque_nm * 2 * pi * dosing.rpm / 60 * dosing.time_s
    constant_j = (machine.heater_kw + machine.idle_kw) * 1e3 * cycle_s
    return (constant_j + (injection_j + dosing_j) / machine.drive_efficiency) / 3.6e6
