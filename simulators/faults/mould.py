"""Faults of the mould: cooling, parting line, gate, ejector."""

from dataclasses import replace
from typing import Final

import numpy as np

from simulators.press.condition import Condition, Value
from simulators.press.process import Process

FLOW_LOSS: Final = 0.5
SCALE_MM: Final = 0.15
"""1 mm of scale insulates like 50 mm of tool steel."""
PARTING_MM: Final = 0.09
FRICTION_GROWTH: Final = 0.6
GATE_BLOCKED: Final = 0.10
NOZZLE_CLOGGED: Final = 0.35


def cooling_fouling(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Scale and rust in the cooling channel: less flow, and a layer that insulates."""
    grown = np.asarray(severity)
    return replace(
        condition,
        coolant_flow_share=condition.coolant_flow_share * (1 - FLOW_LOSS * grown),
        scale_mm=condition.scale_mm + SCALE_MM * grown,
    )


def mould_parting_wear_flash(condition: Condition, severity: Value, _process: Process) -> Condition:
    """The parting line's edge is hammered away: melt gets between the halves."""
    return replace(condition, parting_gap_mm=condition.parting_gap_mm + PARTING_MM * np.asarray(severity))


def gate_or_nozzle_blocked(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Metal or burnt melt narrows the nozzle and one cavity's gate: pressure rises, that cavity lags behind."""
    grown = np.asarray(severity)
    return replace(
        condition,
        blocked_cavity_share=np.minimum(condition.blocked_cavity_share + GATE_BLOCKED * grown, 1.0),
        nozzle_open_share=condition.nozzle_open_share * (1 - NOZZLE_CLOGGED * grown),
    )


def ejector_core_friction(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Ejector pins and cores gall: more force, more time, more scatter."""
    friction = condition.ejector_friction_factor * (1 + FRICTION_GROWTH * np.asarray(severity))
    return replace(condition, ejector_friction_factor=friction)
