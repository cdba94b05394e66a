"""Do the material constants give the figures that they were checked against?"""

from math import pi

import numpy as np
import pytest

from simulators.press.material import (
    ABS,
    HDPE_FLOW,
    HDPE_PVT,
    PP_HIGH_FLOW,
    PP_MFR12,
    PS_FLOW,
    CrossWlf,
    Material,
)


@pytest.mark.parametrize(
    ("material", "melt_degc", "shear_rate_1_s", "viscosity_pa_s"),
    [
        (PP_MFR12, 230, 100, 325),
        (PP_MFR12, 230, 1_000, 76),
        (PP_MFR12, 230, 10_000, 15),
        (ABS, 240, 100, 736),
        (ABS, 240, 1_000, 190),
        (ABS, 240, 10_000, 38),
        (ABS, 239, 2_000, 120),
        (PP_HIGH_FLOW, 230, 1_000, 60),
    ],
)
def test_viscosity_at_the_points_of_the_sources(
    material: Material, melt_degc: float, shear_rate_1_s: float, viscosity_pa_s: float
) -> None:
    zero_shear = material.flow.zero_shear_pa_s(melt_degc)
    assert material.flow.viscosity_pa_s(zero_shear, float(shear_rate_1_s)) == pytest.approx(viscosity_pa_s, rel=0.03)


@pytest.mark.parametrize(
    ("material", "melt_degc", "zero_shear_pa_s"), [(PP_MFR12, 230, 1_480), (ABS, 239, 2_210), (PP_HIGH_FLOW, 230, 475)]
)
def test_zero_shear_viscosity_of_the_sources(material: Material, melt_degc: float, zero_shear_pa_s: float) -> None:
    assert material.flow.zero_shear_pa_s(melt_degc) == pytest.approx(zero_shear_pa_s, rel=0.005)


@pytest.mark.parametrize(
    ("material", "pressure_bar", "degc", "density_kg_m3"),
    [
        (PP_MFR12, 1, 23, 900),
        (PP_MFR12, 1, 230, 749),
        (PP_MFR12, 1_000, 230, 818),
        (ABS, 1, 23, 1_045),
        (ABS, 1, 230, 955),
    ],
)
def test_density_at_the_points_of_the_sources(
    material: Material, pressure_bar: float, degc: float, density_kg_m3: float
) -> None:
    specific = material.pvt.specific_cm3_g(np.array([float(pressure_bar)]), np.array([float(degc)]))
    assert 1e3 / specific[0] == pytest.approx(density_kg_m3, rel=0.002)


def melt_flow_g_10min(flow: CrossWlf, degc: float, load_kg: float, density_g_cm3: float) -> float:
    """ISO 1133: what a load of so many kilograms presses through a die of 2.095 x 8 mm in ten minutes.

    Q = pi R^3 / tau_w^3 times the integral of tau^2 g(tau) from 0 to the wall's stress tau_w = p R / (2 L).
    """
    radius_m, length_m, piston_m2 = 2.095e-3 / 2, 8e-3, pi * (9.55e-3) ** 2 / 4
    wall_pa = load_kg * 9.80665 / piston_m2 * radius_m / (2 * length_m)
    stress = np.linspace(0.0, wall_pa, 2_000)
    rate = flow.shear_rate_1_s(flow.zero_shear_pa_s(degc), stress)
    flow_m3_s = pi * radius_m**3 / wall_pa**3 * np.trapezoid(stress**2 * rate, stress)
    return float(flow_m3_s * 1e6 * density_g_cm3 * 600)


@pytest.mark.parametrize(
    ("flow", "degc", "load_kg", "density_g_cm3", "mfr"),
    [
        (PP_MFR12.flow, 230, 2.16, 0.749, 12.0),
        (PP_HIGH_FLOW.flow, 230, 2.16, 0.749, 30.0),
        (ABS.flow, 220, 10.0, 0.96, 30.0),
        (PS_FLOW, 200, 5.0, 0.97, 18.7),
        (HDPE_FLOW, 190, 2.16, 1 / float(HDPE_PVT.melt_cm3_g(0.0, 190.0)), 7.6),
    ],
    ids=["PP_MFR12", "PP_high_flow", "ABS", "PS", "HDPE"],
)
def test_the_melt_flow_rate_of_the_sources(
    flow: CrossWlf, degc: float, load_kg: float, density_g_cm3: float, mfr: float
) -> None:
    assert melt_flow_g_10min(flow, degc, load_kg, density_g_cm3) == pytest.approx(mfr, rel=0.08)


def test_cold_solid_is_denser_than_melt_and_pressure_packs_both() -> None:
    degc = np.array([23.0, 230.0])
    for pvt in (PP_MFR12.pvt, ABS.pvt, HDPE_PVT):
        loose, packed = (pvt.specific_cm3_g(np.full(2, bar), degc) for bar in (1.0, 800.0))
        assert loose[0] < loose[1]
        assert (packed < loose).all()
