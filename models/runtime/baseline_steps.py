"""Did somebody turn a knob? A quantity that the press's control holds jumps from one shot to the next, and stays there.

Wear and blockage creep; a shot that failed is followed by one that did not. What jumps by STEP_Z scales and stays for
STEP_SHOTS is a change of set points, as far as the press itself can tell. Temperatures take minutes to follow their set
points, as they do in a failure: those changes must be told (`Baselines.recentre`).
"""

from dataclasses import dataclass, field
from math import isnan
from typing import Final

import numpy as np

from models.features.schema import index
from models.runtime.baseline_normal import Wide

SET_VALUES: Final = (
    "HoldTime",
    "CoolingTime",
    "PlastificationRotationalSpeedAverage",
    "TransferStroke",
    "InjectionStartPosition",
    "HoldSpecificPressureAverage",
    "InjectionSpeedAverage",
    "ClosingForce",
    "BackPressure",
)
"""What the control holds at its set point, shot by shot."""
STEP_Z, STEP_SHOTS, STAYS_SHARE = 8.0, 5, 0.5
_COLUMNS: Final = np.array([index(name) for name in SET_VALUES])


@dataclass(slots=True, eq=False)
class Steps:
    """What the set values were in the last shot, and a jump that may be a step.

    Attributes:
        last: z of SET_VALUES in the last shot that had them; NaN before.
        jump: of each; NaN for those that did not jump.
        start: z before the jump.
        shots: that have stayed so far; 0 without a jump.
    """

    last: Wide = field(default_factory=lambda: np.full(len(SET_VALUES), np.nan))
    jump: Wide = field(default_factory=lambda: np.full(len(SET_VALUES), np.nan))
    start: Wide = field(default_factory=lambda: np.full(len(SET_VALUES), np.nan))
    shots: int = 0

    def quiet(self, z: Wide) -> int:
        """How many of the next shots, z (n, V), come before a doubtful one; at least 1, and 1 after a jump."""
        if self.shots:
            return 1
        if len(z) == 1:
            return 1
        held = z[:, _COLUMNS]
        is_doubtful = (np.abs(np.diff(held, axis=0, prepend=self.last[None])) > STEP_Z).any(axis=1)
        lost = np.isnan(held)
        is_doubtful |= (lost & ~lost.all(axis=0)).any(axis=1)
        return max(1, int(is_doubtful.argmax())) if is_doubtful.any() else len(z)

    def take(self, z: Wide) -> tuple[str, ...]:
        """Take in shots that `quiet` let through; the values that made a step with the last of them."""
        held = z[-1, _COLUMNS]
        if not self.shots:
            jump = held - self.last
            jumps = np.abs(jump) > STEP_Z
            if jumps.any() and len(z) == 1:
                self.jump, self.start, self.shots = np.where(jumps, jump, np.nan), self.last, 1
        else:
            stays = np.abs(held - self.start - self.jump) <= STAYS_SHARE * np.abs(self.jump)
            self.jump = np.where(stays, self.jump, np.nan)
            self.shots = self.shots + 1 if stays.any() else 0
        self.last = np.where(np.isnan(held), self.last, held)
        if self.shots < STEP_SHOTS:
            return ()
        self.shots = 0
        return tuple(name for name, jump in zip(SET_VALUES, self.jump.tolist(), strict=True) if not isnan(jump))
