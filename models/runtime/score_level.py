"""Do the heads say of a press what they say of healthy ones? The level of each score, beside that of training.

A score is watched by the running mean of its logarithm (EWMA, S. W. Roberts, Technometrics 1 (1959) 239-250), as one
score of a failure head says little: it jumps over two powers of ten on a healthy press. Levels need no first shots of
the press: what the heads take in stands beside the press's own baseline already. Training leaves the usual level and
the bounds that healthy presses keep to (`models.training.score_levels`). numpy only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

WEIGHT: Final = 0.01
"""Of the newest score: a level speaks of the last hundred shots or two."""
SCORE_MIN: Final = 1e-4
"""Scores below it are alike: a chance of 1 in 10,000 is none."""
SETTLED_SHOTS: Final = 150
"""So many shots of which a head spoke until its level is told: a running mean begins at what is usual."""
SCORES_MAX: Final = 200


class ScoreSummary(BaseModel):
    """The usual level of one score's logarithm, and from where to where healthy presses go."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float
    usual: float
    high: float
    budget: float = Field(gt=0, description="Healthy press-days a month with any score beyond, at most.")

    @model_validator(mode="after")
    def _is_between(self) -> "ScoreSummary":
        if not self.low < self.usual < self.high:
            raise ValueError("the usual level is not between low and high")
        return self


class ScoreWatch:
    """The levels of one press with one mould. Not for several threads at once."""

    def __init__(self, summaries: Mapping[str, ScoreSummary]) -> None:
        self._names = list(summaries)
        self._summaries = summaries
        self._usual = np.array([each.usual for each in summaries.values()])
        self._level = self._usual.copy()
        self._spoken = np.zeros(len(self._names), np.int64)

    def take(self, scores: Mapping[str, float]) -> None:
        """One shot's scores; where no head spoke a level stays."""
        logarithms = logarithms_of(self._names, scores)
        known = logarithms == logarithms
        self._level[known] += WEIGHT * (logarithms[known] - self._level[known])
        self._spoken += known

    def times(self) -> dict[str, float]:
        """By score how many times its usual level it stands at; none before it has settled."""
        found = np.exp(self._level - self._usual)
        settled = self._spoken >= SETTLED_SHOTS
        return {name: float(each) for name, each, told in zip(self._names, found, settled, strict=True) if told}

    def drifted(self, times: Mapping[str, float]) -> list[str]:
        """Those of `times` that are beyond their bounds, furthest first."""
        beyond = {name: self.excess(name, each) for name, each in times.items()}
        return sorted((name for name, each in beyond.items() if each > 1), key=lambda name: -beyond[name])

    def excess(self, name: str, times: float) -> float:
        """How much of the way to its bound, on its side, a score has gone; over 1 it is beyond."""
        own, moved = self._summaries[name], float(np.log(times))
        return moved / (own.high - own.usual if moved > 0 else own.low - own.usual)

    @property
    def scores(self) -> int:
        """How many are watched."""
        return len(self._names)

    @property
    def shots(self) -> int:
        """How many shots a head has spoken of."""
        return int(self._spoken.max(initial=0))


def logarithms_of(names: Sequence[str], scores: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """The logarithms of these scores; NaN where the heads did not speak."""
    get = scores.get
    found: npt.NDArray[np.float64] = np.log(np.maximum([get(name, np.nan) for name in names], SCORE_MIN))
    return found


def levels_of(logarithms: npt.NDArray[Any], usual: npt.NDArray[Any], *, every: int = 1) -> npt.NDArray[np.float64]:
    """The levels after each of the rows (n, K) of a press in order, each so-maniest shot, as a watch has them."""
    weight, level = 1 - (1 - WEIGHT) ** every, usual.astype(np.float64)
    found = np.empty(logarithms.shape)
    for row, values in enumerate(logarithms):
        level = np.where(np.isnan(values), level, level + weight * (values - level))
        found[row] = level
    return found
