"""Faults of pump, valve, accumulator and oil cooler."""

from dataclasses import replace
from typing import Final

import numpy as np

from simulators.press.condition import Condition, Value
from simulators.press.process import Process

PUMP_LEAK: Final = 0.07
"""Severe leakage of the UCI hydraulic test rig: flow -4.1 %, efficiency -6.1 %."""
VALVE_LAG_GROWTH: Final = 1.0
PRECHARGE_LOSS: Final = 0.308
"""From 130 to 90 bar on the UCI rig."""
COOLER_LOSS: Final = 0.9


def pump_leakage(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Pistons and port plate wear: more of the flow leaks inside and heats the oil."""
    return replace(condition, pump_leak_share=condition.pump_leak_share + PUMP_LEAK * np.asarray(severity))


def valve_lag_stiction(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Varnish on the proportional valve's spool: it answers later, sticks, and breaks loose with a jerk."""
    worn = np.asarray(severity)
    return replace(
        condition,
        valve_stiction_share=condition.valve_stiction_share + worn,
        valve_lag_s=condition.valve_lag_s * (1 + VALVE_LAG_GROWTH * worn),
    )


def accumulator_precharge_loss(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Gas leaves the accumulator through bladder or valve."""
    left = 1 - PRECHARGE_LOSS * np.asarray(severity)
    return replace(condition, accumulator_precharge_bar=condition.accumulator_precharge_bar * left)


def oil_cooler_fouling(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Scale and biofilm on the cooler's water side: a tenth of its conductance is left."""
    left = 1 - COOLER_LOSS * np.asarray(severity)
    return replace(condition, oil_cooler_share=condition.oil_cooler_share * left)
