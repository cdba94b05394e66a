"""Where has each value of a press been lately? Running means of z over about 20 and 200 shots, and its spread over 20.

A running mean is an exponentially weighted one of the readings that are there: sum of w z over sum of w, with
w = (1 - a)^age and a = 2 / (shots + 1). A missing reading weighs nothing. Of a z without memory, of spread 1, it
spreads by sqrt(a / (2 - a)): S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1
(1959) 239-250.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.shot import FloatArray
from models.features.schema import VALUES
from models.runtime.baseline_normal import Normal, Wide

FAST_SHOTS, SLOW_SHOTS = 20, 200
BLOCK: Final = 64
WEIGHT_MIN: Final = 0.02
"""A running mean of less than this share of readings is missing."""
SD_FLOOR: Final = 0.05
"""In scales; keeps the ratio of two spreads that are next to nothing at 1."""
LOG_RATIO_MAX: Final = 5.0
KINDS: Final = ("z", f"ewma{FAST_SHOTS}", f"ewma{SLOW_SHOTS}", f"sd{FAST_SHOTS}")
STATE_INPUTS: Final = tuple(f"{spec.name}@{kind}" for kind in KINDS for spec in VALUES)
"""The state vector: z of this shot, its fast and slow running mean, and the logarithm of its short spread over the
typical one; each for all of `VALUES` in their order."""

_COUNT: Final = len(VALUES)
_INDEX: Final = {name: place for place, name in enumerate(STATE_INPUTS)}


def state_index(name: str) -> int:
    """Where an input stands in the state vector.

    Raises:
        KeyError: there is no such input.
    """
    return _INDEX[name]


def _recursion(shots: int) -> tuple[Wide, Wide]:
    """What remains of the sums after each of BLOCK shots, (BLOCK, 1), and what each shot adds to them, lower left."""
    weight = 2 / (shots + 1)
    age = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
    adds: Wide = np.where(age >= 0, weight * (1 - weight) ** np.maximum(age, 0.0), 0.0)
    remains: Wide = (1 - weight) ** np.arange(1.0, BLOCK + 1)[:, None]
    return remains, adds


_FAST, _SLOW = _recursion(FAST_SHOTS), _recursion(SLOW_SHOTS)


@dataclass(slots=True, eq=False)
class Tracks:
    """Weighted sums: `fast` of z, weight and z squared (3V,), `slow` of z and weight (2V,)."""

    fast: Wide
    slow: Wide

    @classmethod
    def empty(cls) -> "Tracks":
        """Before the first shot."""
        return cls(np.zeros(3 * _COUNT), np.zeros(2 * _COUNT))

    def follow(self, z: Wide, typical_sd: Wide) -> FloatArray:
        """Take in at most BLOCK shots of z (n, V); the state vector after each of them, (n, 4V) float32."""
        shots = len(z)
        sums = np.empty((shots, 3 * _COUNT))
        weight = sums[:, _COUNT : 2 * _COUNT]
        np.equal(z, z, out=weight, casting="unsafe")  # 0 for NaN
        filled = sums[:, :_COUNT]
        filled[...] = z
        filled[np.isnan(z)] = 0.0
        np.multiply(filled, filled, out=sums[:, 2 * _COUNT :])
        fast = _FAST[0][:shots] * self.fast + _FAST[1][:shots, :shots] @ sums
        slow = _SLOW[0][:shots] * self.slow + _SLOW[1][:shots, :shots] @ sums[:, : 2 * _COUNT]
        self.fast, self.slow = fast[-1].copy(), slow[-1].copy()
        return _vectors(z, fast, slow, typical_sd)

    def standstill(self, z: Wide, typical_sd: Wide) -> FloatArray:
        """The state vectors of shots that the running means do not take in, (n, 4V) float32."""
        shape = (len(z), 1)
        return _vectors(z, np.tile(self.fast, shape), np.tile(self.slow, shape), typical_sd)

    def slow_level(self) -> Wide:
        """The slow running mean of each value, (V,); 0 where there is none."""
        weight = self.slow[_COUNT:]
        level: Wide = np.where(weight > WEIGHT_MIN, self.slow[:_COUNT] / np.maximum(weight, WEIGHT_MIN), 0.0)
        return level

    def to(self, before: Normal, after: Normal) -> "Tracks":
        """The same readings, measured by another normal; those that were not followed before start anew."""
        by, moved = before.scale / after.scale, (before.centre - after.centre) / after.scale
        by, moved = np.nan_to_num(by), np.nan_to_num(moved)
        z, weight, square = self.fast.reshape(3, _COUNT)
        weight = np.where(by > 0, weight, 0.0)
        square = by**2 * square + 2 * by * moved * z + moved**2 * weight
        fast = np.concatenate([by * z + moved * weight, weight, square])
        z, weight = self.slow.reshape(2, _COUNT)
        weight = np.where(by > 0, weight, 0.0)
        return Tracks(fast, np.concatenate([by * z + moved * weight, weight]))


def short_sd(z: Wide) -> Wide:
    """The median over shots of the spread of about 20 in a row, (V,), from z (n, V) in order; 1 where unknown."""
    tracks, ones = Tracks.empty(), np.ones(_COUNT)
    parts = [tracks.follow(z[start : start + BLOCK], ones) for start in range(0, len(z), BLOCK)]
    logs = np.sort(np.concatenate(parts)[min(2 * FAST_SHOTS, len(z) // 2) :, 3 * _COUNT :], axis=0)
    known = np.isfinite(logs).sum(axis=0)
    middle = np.take_along_axis(logs, np.maximum(known - 1, 0)[None] // 2, axis=0)[0]
    return np.where(known > 0, np.exp(middle) * (1 + SD_FLOOR) - SD_FLOOR, 1.0).astype(np.float64)


def _vectors(z: Wide, fast: Wide, slow: Wide, typical_sd: Wide) -> FloatArray:
    found = np.empty((len(z), 4 * _COUNT), np.float32)
    found[:, :_COUNT] = z
    weight = fast[:, _COUNT : 2 * _COUNT]
    weight = np.where(weight > WEIGHT_MIN, weight, np.nan)
    mean = fast[:, :_COUNT] / weight
    found[:, _COUNT : 2 * _COUNT] = mean
    slow_weight = slow[:, _COUNT:]
    found[:, 2 * _COUNT : 3 * _COUNT] = slow[:, :_COUNT] / np.where(slow_weight > WEIGHT_MIN, slow_weight, np.nan)
    variance = fast[:, 2 * _COUNT :] / weight - mean * mean
    ratio = (np.sqrt(np.maximum(variance, 0.0)) + SD_FLOOR) / (typical_sd + SD_FLOOR)
    found[:, 3 * _COUNT :] = np.clip(np.log(ratio), -LOG_RATIO_MAX, LOG_RATIO_MAX)
    return found
