"""What is left to chance in a cycle? Streams of random numbers, each drawn cycle by cycle whatever the block's size."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final
from zlib import crc32

import numpy as np

from contract.shot import FloatArray
from contract.vocabulary import SIGNALS
from simulators.press.block import BoolArray
from simulators.press.condition import Condition, over
from simulators.press.cycle import Draws
from simulators.press.drift import DRIFTS
from simulators.press.fill import Seat
from simulators.press.material import Array
from simulators.press.recording import GAUGES, NOISE_COLUMNS

NON_CLOSING_GAP_MM: Final = 0.35
"""The gap of a ring that did not close in this shot."""
LEVELS: Final = 65_536
"""Of a sensor's noise: the normal distribution's quantiles in 16 bits, +-4.3 standard deviations."""
_WORD_LEVELS: Final = 4
"""Levels that one raw word of 64 bits holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The chance of n cycles before any condition scales it; `fate` is uniform, the others standard normal."""

    pushed: Array
    """Of the drifts, (n, drifts)."""
    shot: Array
    """Of gap, closing, valve and ejector, (n, 4)."""
    fate: Array
    """(n,); a check ring does not close below its probability."""


class Chance:
    """The random streams of one press; those of the physics do not depend on what is recorded."""

    def __init__(self, press_id: str, seed: int) -> None:
        own, drifts, shots, fates, gauges, drops, samples = np.random.default_rng(
            [seed, crc32(press_id.encode())]
        ).spawn(7)
        self.own = own
        """Of the press itself, drawn once."""
        self._drifts, self._shots, self._fates = drifts, shots, fates
        self._gauges, self._drops, self._samples = gauges, drops, samples

    def draw(self, count: int) -> Drawn:
        """The next `count` cycles' chance."""
        pushed = self._drifts.standard_normal((count, len(DRIFTS)))
        return Drawn(pushed, self._shots.standard_normal((count, 4)), self._fates.random(count))

    def gauges(self, count: int) -> Array:
        """Noise of the scalars, (count, gauges)."""
        return self._gauges.standard_normal((count, NOISE_COLUMNS))

    def dropped(self, condition: Condition, count: int) -> BoolArray:
        """Which gauges miss which cycles, (count, GAUGES)."""
        probability = over(condition.dropout_probability, count)
        return np.asarray(self._drops.random((count, len(GAUGES))) < probability[:, None])

    def samples(self, count: int, samples: int) -> FloatArray:
        """Noise of the curves, (count, signals, samples)."""
        size = len(SIGNALS) * samples
        words = -(-size // _WORD_LEVELS)
        raw = self._samples.integers(0, 2**64, size=(count, words), dtype=np.uint64)
        return _quantiles().take(raw.view(np.uint16)[:, :size]).reshape(count, len(SIGNALS), samples)


@lru_cache(maxsize=1)
def _quantiles() -> FloatArray:
    normal = NormalDist()
    upper = [normal.inv_cdf(0.5 + (level + 0.5) / LEVELS) for level in range(LEVELS // 2)]
    return np.array([*(-value for value in reversed(upper)), *upper], dtype=np.float32)


def draws_of(condition: Condition, drawn: Drawn) -> tuple[Draws, BoolArray]:
    """How each ring seats: its gap, what flowed back before, and whether it closed at all; the rest passes through."""
    count = len(drawn.fate)
    gap_mm = over(condition.check_ring_gap_mm, count) * np.exp(over(condition.gap_spread, count) * drawn.shot[:, 0])
    closing = over(condition.closing_cm3, count) + over(condition.closing_sd_cm3, count) * drawn.shot[:, 1]
    has_closed = np.asarray(drawn.fate >= over(condition.non_closing_probability, count))
    seat = Seat(np.where(has_closed, gap_mm, NON_CLOSING_GAP_MM), np.maximum(closing, 0.0))
    return Draws(seat=seat, stick=drawn.shot[:, 2], shake=drawn.shot[:, 3]), has_closed
