"""From where to where do the levels of healthy presses' scores go? Bounds from a false-alarm budget.

The highest and the lowest level of each healthy press-day are draws, all scores and both sides together: conformal at
one common level, as alarms are (`models.evaluation.budget`). Probabilities are those of models that have not seen the
press where there are such; levels of all moulds are one, since heads speak of distances from a press's own baseline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from models.evaluation.budget import BUDGET_A_PRESS_MONTH, BudgetError, highest_a_day, thresholds_for
from models.evaluation.traces import Times, Values
from models.runtime.score_level import SCORES_MAX, SETTLED_SHOTS, ScoreSummary, levels_of

BOUND_MIN = log(1.1)
"""A tenth more or less is no move."""
SPOKEN_MIN = 0.5
"""A score that is there for fewer of the rows is not watched."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRun:
    """Healthy shots of one press and mould in order: logarithms of the scores (n, K), NaN where no head spoke."""

    ended_ms: Times
    logarithms: Values


def summaries_of(
    names: Sequence[str], runs: Sequence[ScoredRun], *, every: int, budget: float = BUDGET_A_PRESS_MONTH
) -> dict[str, ScoreSummary]:
    """By score what is usual; none where the days are too few to promise the budget.

    Args:
        names: of the columns.
        runs: of many presses; each row is one of `every` shots.
        every: so many shots lie between two rows.
        budget: healthy press-days a month with any level beyond its bounds.
    """
    rows = np.concatenate([np.zeros((0, len(names))), *(run.logarithms for run in runs)])
    if not len(rows):
        return {}
    told = np.flatnonzero((~np.isnan(rows)).mean(axis=0) >= SPOKEN_MIN)[:SCORES_MAX]
    if not len(told):
        return {}
    usual = np.nanmedian(rows[:, told], axis=0)
    settled = ceil(SETTLED_SHOTS / every)
    highest = []
    for run in runs:
        moved = levels_of(run.logarithms[:, told], usual, every=every)[settled:] - usual
        if len(moved):
            highest.append(highest_a_day(np.concatenate([moved, -moved], axis=1), run.ended_ms[settled:]))
    days = np.concatenate([np.zeros((0, 2 * len(told))), *highest])
    try:
        bounds = np.maximum(thresholds_for(days, budget_a_press_month=budget).values, BOUND_MIN)
    except BudgetError:
        return {}
    up, down = bounds[: len(told)], bounds[len(told) :]
    return {
        names[place]: ScoreSummary(
            low=round(float(middle - below), 4),
            usual=round(float(middle), 4),
            high=round(float(middle + above), 4),
            budget=budget,
        )
        for place, middle, above, below in zip(told.tolist(), usual, up, down, strict=True)
    }


def watched(names: Sequence[str]) -> list[str]:
    """Those of a bundle's scores that tell something of their own: of a mode's horizons the longest."""
    last: Mapping[str, str] = {name.partition("@")[0]: name for name in names}
    return list(last.values())
