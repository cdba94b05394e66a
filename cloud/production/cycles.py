"""The cycle time that is expected of a press with a mould: the median of its own cycles, robust to stops. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cloud.production.oee import CYCLE_S_MAX

BIN_RATIO = 1.005
"""Cycle times within half a percent are counted together."""
CYCLE_S_MIN = 0.5
SHOTS_MIN = 20
"""With fewer cycles nothing is expected yet."""
WEIGHT_MAX = 20_000
"""Beyond so many cycles every count is halved: a press that was set up anew gets a new median in the long run."""


@dataclass(frozen=True, slots=True)
class CycleTimes:
    """How often each cycle time was seen, by bin; the order in which cycles arrive does not matter."""

    counts: Mapping[int, int] = field(default_factory=dict)

    def with_cycles(self, cycles_s: Iterable[float]) -> "CycleTimes":
        """These and more; what is no believable cycle time is passed over."""
        counts = dict(self.counts)
        for cycle_s in cycles_s:
            if CYCLE_S_MIN <= cycle_s <= CYCLE_S_MAX:
                at = _bin(cycle_s)
                counts[at] = counts.get(at, 0) + 1
        if sum(counts.values()) > WEIGHT_MAX:
            counts = {at: count // 2 for at, count in counts.items() if count > 1}
        return CycleTimes(counts)

    def median_s(self) -> float | None:
        """The median, to a quarter of a percent; None below SHOTS_MIN cycles."""
        total = sum(self.counts.values())
        if total < SHOTS_MIN:
            return None
        reached = 0
        for at in sorted(self.counts):
            reached += self.counts[at]
            if 2 * reached >= total:
                return _middle_s(at)
        raise AssertionError("half of the total is reached within the counts")


def _bin(cycle_s: float) -> int:
    return math.floor(math.log(cycle_s / CYCLE_S_MIN) / math.log(BIN_RATIO))


def _middle_s(at: int) -> float:
    return CYCLE_S_MIN * math.pow(BIN_RATIO, at + 0.5)
