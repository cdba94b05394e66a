"""How does a press wander? Press-to-press differences once, then AR(1) drift and chance from cycle to cycle."""

from dataclasses import replace
from math import pi
from typing import Any, Final

import numpy as np

from simulators.press.condition import Condition
from simulators.press.material import Array
from simulators.press.slow import carry

# What drifts, its stationary standard deviation and its lag-1 correlation; after the noise block of the process model.
DRIFTS: Final = (
    ("viscosity_factor", 0.02, 0.72),
    ("density_factor", 0.0022, 0.2),
    ("barrel_wave_k", 0.30, 0.75),
    ("mould_offset_k", 0.75, 0.98),
    ("speed_factor", 0.0019, 0.93),
    ("hold_factor", 0.001, 0.50),
    ("back_factor", 0.0089, 0.91),
    ("dosing_factor", 0.006, 0.78),
    ("clamp_factor", 0.0045, 0.92),
    ("handling_factor", 0.0012, 0.23),
    ("torque_factor", 0.024, 0.0),
    ("oil_degc", 0.38, 0.0),
    ("dose_offset_mm", 0.01, 0.0),
    ("coolant_flow_share", 0.006, 0.9),
    ("tie_bar_imbalance_share", 0.001, 0.9),
)
_NAMES: Final = tuple(name for name, _, _ in DRIFTS)
SD: Final = np.array([sd for _, sd, _ in DRIFTS])
_LAG1: Final = np.array([lag1 for _, _, lag1 in DRIFTS])
_STEP_SD: Final = SD * np.sqrt(1 - _LAG1**2)

DAY_MS: Final = 86_400_000
MOULD_SWING_K: Final = 0.4
AMBIENT_SWING_K: Final = 2.5


def designed(rng: np.random.Generator) -> Condition:
    """One press of many: no two have the same calibration, wear-in and barrel."""
    return Condition(
        viscosity_factor=float(np.exp(rng.normal(0, 0.02))),
        melt_offset_k=float(rng.normal(0, 1.0)),
        mould_offset_k=float(rng.normal(0, 1.0)),
        oil_degc=float(rng.uniform(42, 48)),
        speed_factor=1 + float(rng.normal(0, 0.005)),
        hold_factor=1 + float(rng.normal(0, 0.008)),
        back_factor=1 + float(rng.normal(0, 0.02)),
        dosing_factor=1 + float(rng.normal(0, 0.015)),
        torque_factor=1 + float(rng.normal(0, 0.03)),
        clamp_factor=1 + float(rng.normal(0, 0.01)),
        handling_factor=1 + float(rng.normal(0, 0.02)),
        dose_offset_mm=float(rng.normal(0, 0.25)),
        check_ring_gap_mm=float(rng.uniform(0.01, 0.02)),
        closing_cm3=float(rng.uniform(0.4, 0.6)),
        coolant_flow_share=1 + float(rng.normal(0, 0.04)),
        tie_bar_imbalance_share=float(rng.uniform(0.035, 0.06)),
        ejector_friction_factor=float(np.exp(rng.normal(0, 0.05))),
    )


def wandered(base: Condition, state: Array, pushed: Array, begun_ms: Array) -> tuple[Array, Condition]:
    """The drift's next state, and the condition of n cycles: the press's own, the drift, and the hall's daily swing.

    Args:
        base: the press as built.
        state: of the drifts, (drifts,).
        pushed: standard normals, (n, drifts).
        begun_ms: when each cycle began, UTC, (n,).
    """
    found = carry(state, np.broadcast_to(_LAG1, pushed.shape), _STEP_SD * pushed)
    swing = np.sin(2 * pi / DAY_MS * (begun_ms % DAY_MS))
    drifted: dict[str, Any] = {name: getattr(base, name) + found[:, at] for at, name in enumerate(_NAMES)}
    drifted["mould_offset_k"] = drifted["mould_offset_k"] + MOULD_SWING_K * swing
    drifted["ambient_degc"] = base.ambient_degc + AMBIENT_SWING_K * swing
    return found[-1].copy(), replace(base, **drifted)
