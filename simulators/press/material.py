"""How does a polymer melt flow and shrink? Cross-WLF viscosity and two-domain Tait specific volume."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
ArrayOrFloat = TypeVar("ArrayOrFloat", float, Array)

KELVIN = 273.15
PA_PER_BAR = 1e5
TAIT_C = 0.0894
"""The universal constant of the Tait equation."""
_STRESS_STEPS = 4


@dataclass(frozen=True, slots=True)
class CrossWlf:
    """Constants of the Cross-WLF viscosity; Pa, Pa·s, K; none of our materials has a pressure term (D3 = 0)."""

    n: float
    tau_star_pa: float
    d1_pa_s: float
    d2_k: float
    a1: float
    a2_k: float

    def zero_shear_pa_s(self, melt_degc: ArrayOrFloat) -> ArrayOrFloat:
        """eta0 = D1 exp(-A1 (T - D2) / (A2 + T - D2))."""
        above_k = melt_degc + KELVIN - self.d2_k
        zero_shear: ArrayOrFloat = self.d1_pa_s * np.exp(-self.a1 * above_k / (self.a2_k + above_k))
        return zero_shear

    def viscosity_pa_s(self, zero_shear_pa_s: Any, shear_rate_1_s: ArrayOrFloat) -> ArrayOrFloat:
        """Eta = eta0 / (1 + (eta0 g / tau*)^(1-n)); eta0 is a float, or an array that broadcasts."""
        reduced = shear_rate_1_s * (zero_shear_pa_s / self.tau_star_pa)
        viscosity: ArrayOrFloat = zero_shear_pa_s / (1.0 + reduced ** (1.0 - self.n))
        return viscosity

    def shear_rate_1_s(self, zero_shear_pa_s: float | Array, stress_pa: Array) -> Array:
        """The shear rate at which eta(g) g equals a stress >= 0: Newton from the sum of the two asymptotes."""
        s = np.maximum(stress_pa / self.tau_star_pa, 1e-9)
        y = s + s ** (1.0 / self.n)
        for _ in range(_STRESS_STEPS):
            power = y**-self.n
            y = np.maximum(y - (y - s * (1.0 + y * power)) / (1.0 - s * (1.0 - self.n) * power), s)
        return np.asarray(y * (self.tau_star_pa / zero_shear_pa_s))


@dataclass(frozen=True, slots=True)
class Tait:
    """Constants of the two-domain Tait equation; m3/kg, K, Pa."""

    b1m: float
    b2m: float
    b3m: float
    b4m: float
    b1s: float
    b2s: float
    b3s: float
    b4s: float
    b5: float
    b6: float
    b7: float
    b8: float
    b9: float

    def melt_cm3_g(self, pressure_bar: ArrayOrFloat, melt_degc: ArrayOrFloat) -> ArrayOrFloat:
        """Specific volume above the transition."""
        offset_k = melt_degc + KELVIN - self.b5
        compliance = PA_PER_BAR / (self.b3m * np.exp(-self.b4m * offset_k))
        v0 = (self.b1m + self.b2m * offset_k) * 1e3
        specific: ArrayOrFloat = v0 - v0 * TAIT_C * np.log1p(pressure_bar * compliance)
        return specific

    def specific_cm3_g(self, pressure_bar: Array, mean_degc: Array) -> Array:
        """Specific volume on either side of the transition temperature b5 + b6 p."""
        offset_k, pressure_pa = mean_degc + (KELVIN - self.b5), pressure_bar * PA_PER_BAR
        melt = (self.b1m + self.b2m * offset_k) * (
            1.0 - TAIT_C * np.log1p(pressure_pa / (self.b3m * np.exp(-self.b4m * offset_k)))
        )
        solid = (self.b1s + self.b2s * offset_k) * (
            1.0 - TAIT_C * np.log1p(pressure_pa / (self.b3s * np.exp(-self.b4s * offset_k)))
        ) + self.b7 * np.exp(np.minimum(self.b8 * offset_k - self.b9 * pressure_pa, 0.0))
        return np.asarray(np.where(offset_k > self.b6 * pressure_pa, melt, solid) * 1e3)


@dataclass(frozen=True, slots=True)
class Material:
    """One polymer: flow, pvT and heat; the no-flow temperature is where the gate counts as frozen."""

    name: str
    flow: CrossWlf
    pvt: Tait
    conductivity_w_mk: float
    heat_j_kgk: float
    no_flow_degc: float
    dosing_reference_degc: float
    ejection_degc: float
    diffusivity_mm2_s: float = 0.08


PP_MFR12: Final = Material(
    name="PP MFR 12",
    flow=CrossWlf(n=0.2853, tau_star_pa=25_000, d1_pa_s=1.28e13, d2_k=263.15, a1=27.8, a2_k=51.6),
    pvt=Tait(
        b1m=0.001274,
        b2m=8.95e-7,
        b3m=8.82e7,
        b4m=0.00472,
        b1s=0.00116,
        b2s=3.55e-7,
        b3s=1.78e8,
        b4s=0.00358,
        b5=434.15,
        b6=3.63e-7,
        b7=1.14e-4,
        b8=0.0473,
        b9=8.37e-9,
    ),
    conductivity_w_mk=0.17,
    heat_j_kgk=2600,
    no_flow_degc=135,
    dosing_reference_degc=230,
    ejection_degc=90,
)

ABS: Final = Material(
    name="ABS",
    flow=CrossWlf(n=0.2694, tau_star_pa=88_600, d1_pa_s=7.41e10, d2_k=373.15, a1=23.76, a2_k=51.6),
    pvt=Tait(
        b1m=0.0009749,
        b2m=5.56e-7,
        b3m=1.77e8,
        b4m=0.00329,
        b1s=0.0009749,
        b2s=2.33e-7,
        b3s=2.95e8,
        b4s=0.00187,
        b5=373.15,
        b6=3.18e-7,
        b7=0.0,
        b8=0.0,
        b9=0.0,
    ),
    conductivity_w_mk=0.18,
    heat_j_kgk=2300,
    no_flow_degc=115,
    dosing_reference_degc=240,
    ejection_degc=88,
)

PP_HIGH_FLOW: Final = Material(
    name="PP MFR 30",
    flow=CrossWlf(n=0.251, tau_star_pa=36_000, d1_pa_s=564.0, d2_k=493.0, a1=2_803.3, a2_k=165_097.1),
    pvt=PP_MFR12.pvt,
    conductivity_w_mk=0.17,
    heat_j_kgk=2600,
    no_flow_degc=135,
    dosing_reference_degc=230,
    ejection_degc=90,
)

PS_FLOW: Final = CrossWlf(n=0.252, tau_star_pa=30_800, d1_pa_s=4.76e10, d2_k=373.15, a1=25.7, a2_k=61.06)
"""Polystyrene; its pressure term (D3 5.1e-7 K/Pa) is left out, as no process uses it."""

HDPE_FLOW: Final = CrossWlf(n=0.393539, tau_star_pa=64_568.9, d1_pa_s=3.76174e15, d2_k=153.15, a1=33.21, a2_k=51.6)
HDPE_PVT: Final = Tait(
    b1m=0.00124953,
    b2m=1.026e-6,
    b3m=1.042143e8,
    b4m=0.004941,
    b1s=0.00107005,
    b2s=2.077e-7,
    b3s=3.3241950e8,
    b4s=2.46e-6,
    b5=390.65,
    b6=1.543e-7,
    b7=1.89858e-4,
    b8=0.0283477,
    b9=1.023e-8,
)
