"""In what condition is a press in this very cycle? The quantities through which wear, drift and chance act."""

from dataclasses import dataclass

import numpy as np

from simulators.press.material import Array

Value = float | Array
"""Of one cycle, or of n cycles with shape (n,)."""
Zones = tuple[Value, Value, Value, Value, Value]
"""Of the barrel's zones 1 (hopper) to 4 and of the nozzle."""


def over(value: Value, count: int) -> Array:
    """A value as (count,)."""
    return np.broadcast_to(np.asarray(value, np.float64), (count,))


@dataclass(frozen=True, slots=True)
class Condition:
    """Everything that the equations of a cycle take beside the set points; the defaults are a press as designed."""

    viscosity_factor: Value = 1.0
    density_factor: Value = 1.0
    """Of the melt's density: filler, colour and gas are never evenly mixed."""
    melt_offset_k: Value = 0.0
    barrel_wave_k: Value = 0.0
    """Hunting of the barrel's control: in the melt and, weaker, in what the zones indicate."""
    mould_offset_k: Value = 0.0
    oil_degc: Value = 45.0
    """Of the oil when the cooler is clean and the hall has 23 °C; the balance adds to it."""
    speed_factor: Value = 1.0
    hold_factor: Value = 1.0
    back_factor: Value = 1.0
    dosing_factor: Value = 1.0
    torque_factor: Value = 1.0
    clamp_factor: Value = 1.0
    handling_factor: Value = 1.0
    dose_offset_mm: Value = 0.0
    check_ring_gap_mm: Value = 0.015
    closing_cm3: Value = 0.5
    """Melt that flows back over the check ring until it has closed."""
    closing_sd_cm3: Value = 0.15
    gap_spread: Value = 0.02
    """Standard deviation of the gap's logarithm from shot to shot: the ring seats differently each time."""
    non_closing_probability: Value = 3e-4
    zone_heater_share: Zones = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Of each heater's power what it still gives; 0 is an open band."""
    zone_sensor_offset_k: Zones = (0.0, 0.0, 0.0, 0.0, 0.0)
    """What each thermocouple reads above the truth."""
    screw_clearance_factor: Value = 1.0
    """Clearance between flight and barrel against new."""
    pump_leak_share: Value = 0.0
    """Of the pump's flow at full pressure what leaks inside, beside a sound pump's own."""
    valve_lag_s: Value = 0.04
    valve_stiction_share: Value = 0.0
    """Of the valve's stroke what it sticks within."""
    accumulator_precharge_bar: Value = 100.0
    oil_cooler_share: Value = 1.0
    """Of the clean cooler's conductance."""
    coolant_flow_share: Value = 1.0
    scale_mm: Value = 0.0
    """Lime in the mould's cooling channel."""
    parting_gap_mm: Value = 0.0
    """By which the worn parting line stands open under the mould's own closing."""
    nozzle_leak_share: Value = 0.0
    """Area of a leak at the nozzle's seat as a share of the nozzle's bore."""
    nozzle_open_share: Value = 1.0
    """Of the nozzle's radius; 0.6 is clogged."""
    blocked_cavity_share: Value = 0.0
    """Of one cavity's gate what is blocked; 1 is a cavity that stays empty."""
    toggle_play_mm: Value = 0.0
    tie_bar_imbalance_share: Value = 0.05
    ejector_friction_factor: Value = 1.0
    ambient_degc: Value = 23.0
    moisture_share: Value = 0.0
    """0 is dried as asked, 1 is undried."""
    dropout_probability: Value = 0.0
    """That a gauge misses a whole cycle: its parameters and its curve read NaN."""
    warm_up_share: Value = 1.0
    """How warm what has no balance of its own is (tie bars, platens): 0 after a night's standstill, 1 in production."""
