"""What pressure does a melt flow need, and what flows back over the check ring? Channels and the leak."""

from dataclasses import dataclass
from math import pi

import numpy as np

from simulators.press.material import KELVIN, PA_PER_BAR, Array
from simulators.press.process import Machine, Process

JUNCTION_LOSS = 1.15
"""Entrance and corner losses of the flow path, 10-20 % of the channels' own."""
SKIN_CONSTANT = 0.31
"""Set so that the skin is a tenth of the wall a side at PP 230/35 °C, 1.6 mm, 0.9 s."""
SKIN_SHARE_MAX = 0.3
SCREW_CHANNEL_MM = 4.0
"""Depth of the screw's metering section."""
_ORDERS = np.array([1.0, 3.0, 5.0])
_DEPTHS = 4 / pi * np.sin(pi * np.outer(np.array([0.05, 0.15, 0.25, 0.35, 0.45]), _ORDERS)) / _ORDERS


@dataclass(frozen=True, slots=True)
class Melt:
    """The melt of one cycle: its temperatures and its zero-shear viscosity, drift included."""

    melt_degc: float
    mould_degc: float
    zero_shear_pa_s: float


def skin_share(process: Process, melt: Melt, fill_s: float) -> float:
    """The frozen layer a side as a share of the wall, after a fill of `fill_s`.

    delta / h = c (a t / h^2)^(1/3) (Tnf - Tw) / (Tm - Tnf): Leveque's growth in a channel with flow.
    """
    material, wall = process.material, process.mould.wall_mm
    driving = (material.no_flow_degc - melt.mould_degc) / max(melt.melt_degc - material.no_flow_degc, 5.0)
    growth = (material.diffusivity_mm2_s * fill_s / wall**2) ** (1 / 3)
    share: float = SKIN_CONSTANT * growth * driving
    return min(max(share, 0.0), SKIN_SHARE_MAX)


def runner_bar(process: Process, melt: Melt, flow_cm3_s: Array) -> Array:
    """Pressure over nozzle and runner, both round and without a skin, at a flow."""
    mould = process.mould
    nozzle = _round_bar(process, melt, flow_cm3_s, mould.nozzle_length_mm, mould.nozzle_radius_mm)
    runner = _round_bar(process, melt, flow_cm3_s, mould.runner_length_mm, mould.runner_radius_mm)
    return JUNCTION_LOSS * (nozzle + runner)


def cavity_bar(process: Process, melt: Melt, flow_cm3_s: Array, skin: float) -> Array:
    """Pressure over the whole flow length of the cavities, each a slit narrowed by its skin, at a flow."""
    mould, flow = process.mould, process.material.flow
    height_m, width_m = mould.wall_mm * (1 - 2 * skin) * 1e-3, mould.flow_width_mm * 1e-3
    q = flow_cm3_s * (1e-6 / mould.cavities)
    rate = q * (6 / (width_m * height_m**2) * (2 * flow.n + 1) / (3 * flow.n))
    viscosity = flow.viscosity_pa_s(melt.zero_shear_pa_s, rate)
    factor = 12 * mould.flow_length_mm * 1e-3 / (width_m * height_m**3) / PA_PER_BAR
    return JUNCTION_LOSS * factor * viscosity * q


def _round_bar(process: Process, melt: Melt, flow_cm3_s: Array, length_mm: float, radius_mm: float) -> Array:
    flow, radius_m = process.material.flow, radius_mm * 1e-3
    q = flow_cm3_s * 1e-6
    rate = q * (4 / (pi * radius_m**3) * (3 * flow.n + 1) / (4 * flow.n))
    viscosity = flow.viscosity_pa_s(melt.zero_shear_pa_s, rate)
    return np.asarray(8 * length_mm * 1e-3 / (pi * radius_m**4) / PA_PER_BAR * viscosity * q)


def leak_cm3_s(process: Process, melt: Melt, gap_mm: float, pressure_bar: Array) -> Array:
    """Melt that flows back through the check ring's gap.

    Q = p w h^3 / (12 eta L) with eta at the gap's wall stress p h / (2 L), that is Q = w h^2 g(stress) / 6.
    """
    machine: Machine = process.machine
    gap_m, land_m = gap_mm * 1e-3, machine.check_ring_land_mm * 1e-3
    stress_pa = np.maximum(pressure_bar, 0.0) * (PA_PER_BAR * gap_m / (2 * land_m))
    rate = process.material.flow.shear_rate_1_s(melt.zero_shear_pa_s, stress_pa)
    width_m = pi * machine.screw_diameter_mm * 1e-3
    return np.asarray(rate * (width_m * gap_m**2 / 6 * 1e6))


def freeze_s(process: Process, melt: Melt) -> float:
    """When the gate is frozen after the fill: t = h^2 / (pi^2 a) ln(4/pi (Tm - Tw) / (Tnf - Tw)); 0 at once."""
    material = process.material
    ratio = (melt.melt_degc - melt.mould_degc) / max(material.no_flow_degc - melt.mould_degc, 1.0)
    return max(slab_s(process, process.mould.gate_mm) * float(np.log(4 / pi * max(ratio, 1e-3))), 0.0)


def slab_s(process: Process, thickness_mm: float) -> float:
    """The slab's slowest time constant, h^2 / (pi^2 a)."""
    return thickness_mm**2 / (pi**2 * process.material.diffusivity_mm2_s)


def layers_degc(process: Process, melt: Melt, after_s: Array) -> Array:
    """Temperatures after the fill at five depths of the cavity's half wall, shape (depths, times).

    The slab's series, theta = 4/pi sum 1/k sin(k pi z / h) exp(-k^2 t / tau), k = 1, 3, 5; it freezes from the wall in.
    """
    fourier = np.exp(-after_s / slab_s(process, process.mould.wall_mm))
    share = np.clip(_DEPTHS @ np.stack((fourier, fourier**9, fourier**25)), 0.0, 1.0)
    return np.asarray(melt.mould_degc + (melt.melt_degc - melt.mould_degc) * share)


def melt_of(process: Process, viscosity_factor: float, melt_offset_k: float, mould_offset_k: float) -> Melt:
    """The melt under a condition's drift."""
    degc = process.melt_degc + melt_offset_k
    assert degc + KELVIN > process.material.flow.d2_k, "below the glass transition nothing flows"
    zero_shear = viscosity_factor * process.material.flow.zero_shear_pa_s(degc)
    return Melt(degc, process.mould_degc + mould_offset_k, zero_shear)


def plastic_stress_pa(process: Process, melt: Melt) -> float:
    """Shear stress in the screw channel at the dosing speed: the power law of the torque."""
    rate = pi * process.machine.screw_diameter_mm * process.rpm / 60 / SCREW_CHANNEL_MM
    viscosity = process.material.flow.viscosity_pa_s(melt.zero_shear_pa_s, rate)
    return viscosity * rate
