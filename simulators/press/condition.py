"""In what condition is a press in this very cycle? The quantities through which wear, drift and chance act."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """Everything that the equations of a cycle take beside the set points; the defaults are a press as designed."""

    viscosity_factor: float = 1.0
    melt_offset_k: float = 0.0
    mould_offset_k: float = 0.0
    oil_degc: float = 45.0
    speed_factor: float = 1.0
    hold_factor: float = 1.0
    back_factor: float = 1.0
    dosing_factor: float = 1.0
    torque_factor: float = 1.0
    clamp_factor: float = 1.0
    handling_factor: float = 1.0
    dose_offset_mm: float = 0.0
    check_ring_gap_mm: float = 0.015
    closing_cm3: float = 0.5
    """Melt that flows back over the check ring until it has closed."""
    closing_sd_cm3: float = 0.15
    gap_spread: float = 0.02
    """Standard deviation of the gap's logarithm from shot to shot: the ring seats differently each time."""
    non_closing_probability: float = 3e-4
