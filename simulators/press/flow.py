"""What pressure does a melt flow need, and what flows back over the check ring? Channels and the leak.

Arrays over n cycles are (n,); along a cycle's knots (n, knots).
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from simulators.press.condition import Condition, over
from simulators.press.material import KELVIN, PA_PER_BAR, Array
from simulators.press.process import Machine, Process

JUNCTION_LOSS = 1.15
"""Entrance and corner losses of the flow path, 10-20 % of the channels' own."""
SKIN_CONSTANT = 0.31
"""Set so that the skin is a tenth of the wall a side at PP 230/35 °C, 1.6 mm, 0.9 s."""
SKIN_SHARE_MAX = 0.3
SCREW_CHANNEL_MM = 4.0
"""Depth of the screw's metering section."""
MOISTURE_THINNING = 0.2
"""Share of the viscosity that undried granulate loses: steam and hydrolysis."""
MELT_MIN_K = 15.0
"""Above the glass transition: colder than this no press is let to turn its screw."""
NOZZLE_LEAK_CM3_S = 10.0
"""Through a leak of the bore's own area at 500 bar and the reference viscosity."""
_ORDERS = np.array([1.0, 3.0, 5.0])
_DEPTHS = 4 / pi * np.sin(pi * np.outer(np.array([0.05, 0.15, 0.25, 0.35, 0.45]), _ORDERS)) / _ORDERS


@dataclass(frozen=True, slots=True, eq=False)
class Melt:
    """The melt of n cycles: its temperatures and its zero-shear viscosity, drift included; each (n,)."""

    melt_degc: Array
    mould_degc: Array
    zero_shear_pa_s: Array

    def __len__(self) -> int:
        return len(self.melt_degc)


def melt_of(process: Process, condition: Condition, melt_degc: Array, mould_degc: Array) -> Melt:
    """The melt at its true temperatures, thinned by what the lot and its moisture make of it."""
    count, flow = len(melt_degc), process.material.flow
    melt_degc = np.maximum(melt_degc, flow.d2_k - KELVIN + MELT_MIN_K)
    thinned = over(condition.viscosity_factor, count) * (1 - MOISTURE_THINNING * over(condition.moisture_share, count))
    return Melt(melt_degc, mould_degc, thinned * flow.zero_shear_pa_s(melt_degc))


def skin_share(process: Process, melt: Melt, fill_s: Array) -> Array:
    """The frozen layer a side as a share of the wall, after a fill of `fill_s`; (n,).

    delta / h = c (a t / h^2)^(1/3) (Tnf - Tw) / (Tm - Tnf): Leveque's growth in a channel with flow.
    """
    material, wall = process.material, process.mould.wall_mm
    driving = (material.no_flow_degc - melt.mould_degc) / np.maximum(melt.melt_degc - material.no_flow_degc, 5.0)
    growth = np.cbrt(material.diffusivity_mm2_s * fill_s / wall**2)
    return np.clip(SKIN_CONSTANT * growth * driving, 0.0, SKIN_SHARE_MAX)


def runner_bar(process: Process, melt: Melt, flow_cm3_s: Array, nozzle_open: Array) -> Array:
    """Pressure over nozzle and runner, both round and without a skin, at a flow; the nozzle's radius may be clogged."""
    mould = process.mould
    nozzle = _round_bar(
        process, melt, flow_cm3_s, mould.nozzle_length_mm, mould.nozzle_radius_mm * nozzle_open[:, None]
    )
    runner = _round_bar(process, melt, flow_cm3_s, mould.runner_length_mm, np.array([[mould.runner_radius_mm]]))
    return JUNCTION_LOSS * (nozzle + runner)


def cavity_bar(process: Process, melt: Melt, flow_cm3_s: Array, skin: Array, open_cavities: Array) -> Array:
    """Pressure over the whole flow length of the open cavities, each a slit narrowed by its skin, at a flow."""
    mould, flow = process.mould, process.material.flow
    height_m, width_m = mould.wall_mm * (1 - 2 * skin) * 1e-3, mould.flow_width_mm * 1e-3
    q = flow_cm3_s * (1e-6 / open_cavities)[:, None]
    rate = q * (6 / (width_m * height_m**2) * (2 * flow.n + 1) / (3 * flow.n))[:, None]
    viscosity = flow.viscosity_pa_s(melt.zero_shear_pa_s[:, None], rate)
    factor = JUNCTION_LOSS * 12 * mould.flow_length_mm * 1e-3 / (width_m * height_m**3) / PA_PER_BAR
    return np.asarray(factor[:, None] * viscosity * q)


def _round_bar(process: Process, melt: Melt, flow_cm3_s: Array, length_mm: float, radius_mm: Array) -> Array:
    flow, radius_m = process.material.flow, radius_mm * 1e-3
    q = flow_cm3_s * 1e-6
    rate = q * (4 / (pi * radius_m**3) * (3 * flow.n + 1) / (4 * flow.n))
    viscosity = flow.viscosity_pa_s(melt.zero_shear_pa_s[:, None], rate)
    return np.asarray(8 * length_mm * 1e-3 / (pi * radius_m**4) / PA_PER_BAR * viscosity * q)


def leak_cm3_s(process: Process, melt: Melt, gap_mm: Array, pressure_bar: Array) -> Array:
    """Melt that flows back through the check ring's gap, (n,), at pressures (n, knots).

    Q = p w h^3 / (12 eta L) with eta at the gap's wall stress p h / (2 L), that is Q = w h^2 g(stress) / 6.
    """
    machine: Machine = process.machine
    gap_m, land_m = gap_mm * 1e-3, machine.check_ring_land_mm * 1e-3
    stress_pa = np.maximum(pressure_bar, 0.0) * (PA_PER_BAR * gap_m / (2 * land_m))[:, None]
    rate = process.material.flow.shear_rate_1_s(melt.zero_shear_pa_s[:, None], stress_pa)
    width_m = pi * machine.screw_diameter_mm * 1e-3
    return np.asarray(rate * (width_m * gap_m**2 / 6 * 1e6)[:, None])


def nozzle_leak_cm3_s(process: Process, melt: Melt, share: Array, pressure_bar: Array) -> Array:
    """Melt that escapes between nozzle and sprue bush: like an orifice in a thinning melt, about p^2."""
    reference = process.material.flow.zero_shear_pa_s(process.material.dosing_reference_degc)
    factor = NOZZLE_LEAK_CM3_S * share * reference / melt.zero_shear_pa_s
    return np.asarray(factor[:, None] * (np.maximum(pressure_bar, 0.0) / 500.0) ** 2)


def freeze_s(process: Process, melt: Melt) -> Array:
    """When the gate is frozen after the fill: t = h^2 / (pi^2 a) ln(4/pi (Tm - Tw) / (Tnf - Tw)); 0 at once; (n,)."""
    material = process.material
    ratio = (melt.melt_degc - melt.mould_degc) / np.maximum(material.no_flow_degc - melt.mould_degc, 1.0)
    return np.maximum(slab_s(process, process.mould.gate_mm) * np.log(4 / pi * np.maximum(ratio, 1e-3)), 0.0)


def slab_s(process: Process, thickness_mm: float) -> float:
    """The slab's slowest time constant, h^2 / (pi^2 a)."""
    return thickness_mm**2 / (pi**2 * process.material.diffusivity_mm2_s)


def layers_degc(process: Process, melt: Melt, after_s: Array) -> Array:
    """Temperatures after the fill at five depths of the cavity's half wall, from the wall in; (n, 5, times).

    The slab's series, theta = 4/pi sum 1/k sin(k pi z / h) exp(-k^2 t / tau), k = 1, 3, 5; it freezes from the wall in.
    """
    first = np.exp(-after_s / slab_s(process, process.mould.wall_mm))[:, None, :]
    third = first**2 * first**2
    third = third * third * first
    fifth = third * third * first**7
    share = _DEPTHS[:, :1] * first + _DEPTHS[:, 1:2] * third + _DEPTHS[:, 2:] * fifth
    above = (melt.melt_degc - melt.mould_degc)[:, None, None]
    return np.asarray(melt.mould_degc[:, None, None] + above * np.clip(share, 0.0, 1.0))


def plastic_stress_pa(process: Process, zero_shear_pa_s: Array) -> Array:
    """Shear stress in the screw channel at the dosing speed: the power law of the torque; (n,)."""
    rate = np.full_like(zero_shear_pa_s, pi * process.machine.screw_diameter_mm * process.rpm / 60 / SCREW_CHANNEL_MM)
    return process.material.flow.viscosity_pa_s(zero_shear_pa_s, rate) * rate
