"""How is the next shot's melt made? Dosing time, back pressure, turns and screw torque."""

from dataclasses import dataclass

import numpy as np

from simulators.press.condition import Condition, over
from simulators.press.flow import Melt, plastic_stress_pa
from simulators.press.material import Array
from simulators.press.process import Process

BACK_LOSS_PER_BAR = 0.0009
"""Share of the output that each bar of back pressure costs."""
MELT_LOSS_PER_K = -0.0006
"""Relative output for each kelvin above the material's dosing reference: hotter melt slips more on the barrel."""
CLEARANCE_LOSS = 0.25
"""Dosing time that a doubled clearance between flight and barrel costs."""
CLEARANCE_TORQUE = -0.05
MOISTURE_LOSS = 0.03
FLIGHTED_AREA_M2 = 0.127
TORQUE_FACTOR = 3.2
"""Torque of the whole screw against the metering zone's shear."""
MELT_TORQUE_SHARE = 0.25
"""Of the torque, what follows the melt's viscosity; the rest is the solids bed's friction."""
START_TORQUE = 1.18
"""The first turn's torque against the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Dosing:
    """One plasticising stroke of n cycles; each (n,)."""

    time_s: Array
    back_bar: Array
    turns: Array
    torque_nm: Array
    torque_max_nm: Array
    stroke_mm: Array


def dose(process: Process, condition: Condition, melt: Melt, cushion_mm: Array) -> Dosing:
    """Refill from the cushion to the dosing position: dm/dt = k rpm (1 - c p_back), slip over a worn flight."""
    machine, count = process.machine, len(melt)
    wear = over(condition.screw_clearance_factor, count) - 1
    back_bar = process.back_bar * over(condition.back_factor, count)
    stroke_mm = np.maximum(process.dose_mm + over(condition.dose_offset_mm, count) - cushion_mm, 1.0)
    slip = 1 + MELT_LOSS_PER_K * (melt.melt_degc - process.material.dosing_reference_degc)
    rate_cm3_s = process.dosing_cm3_per_turn * process.rpm / 60 * over(condition.dosing_factor, count) * slip
    rate_cm3_s = rate_cm3_s * (1 - BACK_LOSS_PER_BAR * back_bar) / (1 + CLEARANCE_LOSS * wear)
    rate_cm3_s = rate_cm3_s * (1 - MOISTURE_LOSS * over(condition.moisture_share, count))
    torque_nm = _torque_nm(process, melt) * over(condition.torque_factor, count) * (1 + CLEARANCE_TORQUE * wear)
    time_s = stroke_mm * machine.screw_area_cm2 / 10 / rate_cm3_s
    return Dosing(
        time_s=time_s,
        back_bar=back_bar,
        turns=process.rpm / 60 * time_s,
        torque_nm=torque_nm,
        torque_max_nm=torque_nm * START_TORQUE,
        stroke_mm=stroke_mm,
    )


def _torque_nm(process: Process, melt: Melt) -> Array:
    """Wall stress x flighted area x radius, a quarter of it at the melt's viscosity, the rest at the reference's."""
    flow, reference_degc = process.material.flow, process.material.dosing_reference_degc
    of_melt = plastic_stress_pa(process, melt.zero_shear_pa_s)
    of_solids = plastic_stress_pa(process, np.array([flow.zero_shear_pa_s(reference_degc)]))
    stress_pa = of_melt * MELT_TORQUE_SHARE + of_solids * (1 - MELT_TORQUE_SHARE)
    return stress_pa * FLIGHTED_AREA_M2 * process.machine.screw_diameter_mm / 2e3 * TORQUE_FACTOR
