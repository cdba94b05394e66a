"""What can pump, accumulator and valve give in a cycle, and how warm does it make the oil?"""

from dataclasses import dataclass
from math import log10

import numpy as np

from simulators.press.condition import Condition, over
from simulators.press.material import KELVIN, Array
from simulators.press.process import Process

OIL_REFERENCE_DEGC = 45.0
# ISO VG 46: 46 mm²/s at 40 °C, 6.8 at 100 °C (ISO 3448, class middle); ASTM D341 between.
_VISCOSITIES = ((40.0, 46.0), (100.0, 6.8))
PUMP_LEAK_SHARE = 0.04
"""A sound pump's own leak at system pressure and 45 °C."""
PRECHARGE_BAR = 100.0
PRECHARGE_LOSS = 0.108
"""Fall of the pressure peak when the gas has lost `PRECHARGE_SPAN` of its pressure."""
PRECHARGE_SPAN = 0.308
PRECHARGE_EXPONENT = 1.4
SAG_BAR = 12.0
"""By which a full accumulator sags while it helps the pump; the weaker the gas, the more."""
LEAK_SYSTEM = 0.085
"""Fall of system pressure for each share of leaked flow."""
LEAK_EFFICIENCY = 1.3
LEAK_DROOP = 0.35
"""Of the leaked share what the speed control does not make good."""
VALVE_DROP_BAR = 5.0
LAG_VISCOSITY_EXPONENT = 0.3
STICTION_DELAY_S = 0.012
STICTION_SPEED = 0.012
STICTION_OVERSHOOT = 0.16
STICTION_RIPPLE = 0.03
SATURATION_POWER = 8
"""How sharply the speed leaves its set value for the valve's limit."""

OIL_HEAT_J_K = 413_000.0
"""250 l, 870 kg/m³, 1.9 kJ/(kg K)."""
TANK_W_K, COOLER_W_K = 53.0, 47.0
WATER_DEGC = 23.0
LOSS_W = 2_200.0
"""Of pump and valves in the example processes."""
LEAK_LOSS_W = 7_000.0
"""Heat of a pump that leaked all its flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """What the hydraulics can do in n cycles; each (n,)."""

    system_bar: Array
    speed_max_mm_s: Array
    """At no load."""
    speed_factor: Array
    overshoot: Array
    """Of the screw's speed when the valve breaks loose."""
    delay_s: Array
    lag_s: Array
    ripple: Array
    """Amplitude of the hold pressure's limit cycle, as a share."""
    leak_share: Array
    """All that the pump leaks."""


def oil_mm2_s(oil_degc: Array) -> Array:
    """Kinematic viscosity, ASTM D341: log log (v + 0.7) = A - B log T."""
    (cold, thick), (hot, thin) = _VISCOSITIES
    slope = (log10(log10(thick + 0.7)) - log10(log10(thin + 0.7))) / (log10(hot + KELVIN) - log10(cold + KELVIN))
    level = log10(log10(thick + 0.7)) + slope * log10(cold + KELVIN)
    return np.asarray(10**10 ** (level - slope * np.log10(oil_degc + KELVIN)) - 0.7)


def supply(process: Process, condition: Condition, oil_degc: Array, stick: Array) -> Supply:
    """What the hydraulics give at an oil temperature; `stick` is the shot's standard normal draw of the valve."""
    machine, count = process.machine, len(oil_degc)
    thin = oil_mm2_s(np.array([OIL_REFERENCE_DEGC]))[0] / oil_mm2_s(oil_degc)
    excess = over(condition.pump_leak_share, count) + PUMP_LEAK_SHARE * (thin - 1)
    stiction = over(condition.valve_stiction_share, count)
    lost = np.clip(1 - over(condition.accumulator_precharge_bar, count) / PRECHARGE_BAR, 0.0, 1.0)
    fall = PRECHARGE_LOSS * (lost / PRECHARGE_SPAN) ** PRECHARGE_EXPONENT
    return Supply(
        system_bar=machine.system_bar * np.maximum((1 - fall) * (1 - LEAK_SYSTEM * excess), 0.2),
        speed_max_mm_s=machine.speed_max_mm_s * (1 - excess - PUMP_LEAK_SHARE),
        speed_factor=(1 - LEAK_DROOP * excess) * (1 + STICTION_SPEED * stiction * stick),
        overshoot=STICTION_OVERSHOOT * stiction,
        delay_s=machine.valve_delay_s + STICTION_DELAY_S * stiction * np.abs(stick),
        lag_s=over(condition.valve_lag_s, count) * thin**-LAG_VISCOSITY_EXPONENT,
        ripple=STICTION_RIPPLE * stiction,
        leak_share=excess + PUMP_LEAK_SHARE,
    )


def held_speed(process: Process, given: Supply, wanted_mm_s: Array, pressure_bar: Array) -> Array:
    """The speed that the valve gives against a load (n, knots): an orifice, v ~ sqrt(p_system - p_load), softly met."""
    machine = process.machine
    lost = 1 - given.system_bar / machine.system_bar
    system = given.system_bar - SAG_BAR * (1 + 8 * lost)
    drop = system[:, None] - pressure_bar / machine.intensification - VALVE_DROP_BAR
    limit = given.speed_max_mm_s[:, None] * np.sqrt(np.maximum(drop, 1.0) / machine.system_bar)
    square = (wanted_mm_s / limit) ** 2
    return np.asarray(wanted_mm_s * (1 + square * square * square * square) ** (-1 / SATURATION_POWER))


def oil_balance(condition: Condition, count: int) -> tuple[Array, Array]:
    """Where the oil's temperature goes, °C, and how fast, 1/s: losses against cooler and tank."""
    conductance = COOLER_W_K * over(condition.oil_cooler_share, count) + TANK_W_K
    ambient = over(condition.ambient_degc, count)
    heat_w = LOSS_W + LEAK_LOSS_W * over(condition.pump_leak_share, count)
    inflow = COOLER_W_K * over(condition.oil_cooler_share, count) * WATER_DEGC + TANK_W_K * ambient
    return (heat_w + inflow) / conductance, conductance / OIL_HEAT_J_K
