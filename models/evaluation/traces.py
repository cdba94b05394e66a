"""What is judged: the scores of each press over time, and what was really wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

DAY_MS = 24 * 3600 * 1000
MONTH_DAYS = 30
Values = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One press: `scores` (n, channels) at `ended_ms` (n,) rising; NaN where a head abstained. Greater is worse."""

    press_id: str
    ended_ms: Times
    scores: Values

    def __post_init__(self) -> None:
        assert self.scores.ndim == 2
        assert len(self.scores) == len(self.ended_ms)
        assert (np.diff(self.ended_ms) >= 0).all()


@dataclass(frozen=True, slots=True)
class Episode:
    """A fault, from its onset to its failure or its repair before that, or an upset, which is no fault."""

    press_id: str
    mode: str
    onset_ms: int
    failed_ms: int | None
    """When severity reached 1; None when it was repaired before."""
    ended_ms: int
    """When it was repaired, or when the record ends."""
    kind: Literal["fault", "upset"]


def is_faulty(trace: Trace, episodes: Sequence[Episode]) -> Mask:
    """Where any fault is at work, repair included: no time to count a false alarm in."""
    found = np.zeros(len(trace.ended_ms), bool)
    for episode in episodes:
        if episode.kind == "fault" and episode.press_id == trace.press_id:
            found |= (trace.ended_ms >= episode.onset_ms) & (trace.ended_ms <= episode.ended_ms)
    return found


def months_of(trace: Trace, wanted: Mask) -> float:
    """Months of 30 days in which the press made shots that are wanted: days with at least one, over 30."""
    return len(np.unique(trace.ended_ms[wanted] // DAY_MS)) / MONTH_DAYS
