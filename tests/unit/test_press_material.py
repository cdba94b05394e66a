"""Do the material constants give the figures that they were checked against?"""

import numpy as np
import pytest

from simulators.press.material import ABS, PP_MFR12, Material


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
    ],
)
def test_viscosity_at_the_points_of_the_sources(
    material: Material, melt_degc: float, shear_rate_1_s: float, viscosity_pa_s: float
) -> None:
    zero_shear = material.flow.zero_shear_pa_s(melt_degc)
    assert material.flow.viscosity_pa_s(zero_shear, float(shear_rate_1_s)) == pytest.approx(viscosity_pa_s, rel=0.03)


@pytest.mark.parametrize(("material", "melt_degc", "zero_shear_pa_s"), [(PP_MFR12, 230, 1_480), (ABS, 239, 2_210)])
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
