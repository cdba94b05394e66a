"""What do mould, toggle and ejector do in a cycle? Forces and times of the clamping unit."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.press.condition import Condition, over
from simulators.press.hydraulics import Supply
from simulators.press.material import Array
from simulators.press.process import Process

MOULD_HEIGHT_M: Final = 0.35
STEEL_EXPANSION_1_K: Final = 1.2e-5
COLD_K: Final = 6.0
"""By which platens and tie bars are colder after a night than in production."""
PROTECTION_KN: Final = 12.0
"""Moving platen, guides and grease at the slow end of closing."""
PROTECTION_PLAY_1_MM: Final = 8.0
CLOSING_PLAY_1_MM: Final = 1.0
COLD_FRICTION: Final = 0.12
IMBALANCE_COLD: Final = 0.01
SLIDING_SHARE: Final = 1 / 3
"""Of closing and opening, what runs at the set speed; the rest is acceleration and slow ends."""
EJECTION_SLOWING: Final = 0.25
SHRINK_ON_1_K: Final = -0.006
"""Ejector force for each kelvin of a warmer mould: the part grips its core less."""
LEAK_SLOWING: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Clamp:
    """The clamping unit in n cycles; each (n,)."""

    locking_kn: Array
    imbalance: Array
    protection_kn: Array
    closing_s: Array
    opening_s: Array
    ejection_s: Array
    ejector_kn: Array
    handling_s: Array
    """All of the cycle that is not injection, hold or cooling."""


def clamp_of(process: Process, condition: Condition, given: Supply, mould_off_k: Array, shake: Array) -> Clamp:
    """Lock by the toggle's stretch, protect, eject; `shake` is the shot's standard normal draw of the ejector."""
    machine, count = process.machine, len(mould_off_k)
    play, friction = over(condition.toggle_play_mm, count), over(condition.ejector_friction_factor, count)
    cold = 1 - over(condition.warm_up_share, count)
    grown_mm = MOULD_HEIGHT_M * STEEL_EXPANSION_1_K * 1e3 * (mould_off_k - COLD_K * cold)
    locking = process.clamp_kn * over(condition.clamp_factor, count)
    locking = np.maximum(locking + machine.clamp_stiffness_kn_mm * (grown_mm - play), 50.0)
    slower = (1 + LEAK_SLOWING * (given.leak_share - 0.04)) * (
        1 - SLIDING_SHARE + SLIDING_SHARE / process.mould_speed_share
    )
    factor = over(condition.handling_factor, count)
    closing = process.closing_s * slower * (1 + CLOSING_PLAY_1_MM * play) * factor
    opening = process.opening_s * slower * factor
    # Sticking parts come off unevenly: the spread grows with the friction above a sound ejector's.
    force = process.ejector_kn * friction * (1 + SHRINK_ON_1_K * mould_off_k) * (1 + 0.02 * friction * shake)
    ejection = process.ejection_s * (1 + EJECTION_SLOWING * (friction - 1)) * factor
    rest = process.handling_s - process.closing_s - process.opening_s - process.ejection_s
    return Clamp(
        locking_kn=locking,
        imbalance=over(condition.tie_bar_imbalance_share, count) + IMBALANCE_COLD * cold,
        protection_kn=PROTECTION_KN * (1 + PROTECTION_PLAY_1_MM * play) * (1 + COLD_FRICTION * cold),
        closing_s=closing,
        opening_s=opening,
        ejection_s=ejection,
        ejector_kn=np.maximum(force, 0.0),
        handling_s=closing + opening + ejection + rest * factor,
    )
