"""Faults of the clamping unit."""

from dataclasses import replace
from typing import Final

import numpy as np

from simulators.press.condition import Condition, Value
from simulators.press.process import Process

PLAY_MM: Final = 0.045
IMBALANCE_GROWTH: Final = 0.10


def toggle_tiebar_wear(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Pins and bushings of the toggle wear unevenly: play, less force, and one tie bar that carries more."""
    worn = np.asarray(severity)
    return replace(
        condition,
        toggle_play_mm=condition.toggle_play_mm + PLAY_MM * worn,
        tie_bar_imbalance_share=condition.tie_bar_imbalance_share + IMBALANCE_GROWTH * worn,
    )
