"""How does a press wander? Press-to-press differences once, then AR(1) drift and chance from cycle to cycle."""

from dataclasses import replace
from math import pi, sin
from typing import Final

import numpy as np

from simulators.press.condition import Condition

# What drifts, its stationary standard deviation and its lag-1 correlation; after the noise block of the process model.
_DRIFTS: Final = (
    ("viscosity_factor", 0.02, 0.72),
    ("melt_offset_k", 0.30, 0.75),
    ("mould_offset_k", 0.75, 0.98),
    ("speed_factor", 0.0019, 0.93),
    ("hold_factor", 0.001, 0.50),
    ("back_factor", 0.0089, 0.91),
    ("dosing_factor", 0.006, 0.78),
    ("clamp_factor", 0.0055, 0.92),
    ("handling_factor", 0.0012, 0.23),
    ("torque_factor", 0.024, 0.0),
    ("oil_degc", 0.38, 0.0),
    ("dose_offset_mm", 0.01, 0.0),
)
_NAMES: Final = tuple(name for name, _, _ in _DRIFTS)
_SD: Final = np.array([sd for _, sd, _ in _DRIFTS])
_LAG1: Final = np.array([lag1 for _, _, lag1 in _DRIFTS])
_STEP_SD: Final = _SD * np.sqrt(1 - _LAG1**2)

DAY_MS: Final = 86_400_000
MOULD_SWING_K: Final = 0.6
OIL_SWING_K: Final = 1.5


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
    )


class Drift:
    """The wandering of one press; each `step` is one cycle."""

    def __init__(self, base: Condition, rng: np.random.Generator) -> None:
        self._base = base
        self._rng = rng
        self._state = rng.standard_normal(len(_NAMES)) * _SD

    def step(self, utc_ms: int) -> Condition:
        """The condition of the next cycle: the press's own, the drift, and the hall's daily swing."""
        self._state = _LAG1 * self._state + _STEP_SD * self._rng.standard_normal(len(_NAMES))
        base, swing = self._base, sin(2 * pi * (utc_ms % DAY_MS) / DAY_MS)
        drifted = {name: getattr(base, name) + float(by) for name, by in zip(_NAMES, self._state, strict=True)}
        drifted["mould_offset_k"] += MOULD_SWING_K * swing
        drifted["oil_degc"] += OIL_SWING_K * swing
        return replace(base, **drifted)
