"""Thresholds from a false-alarm budget: conformal on the worst of each healthy press-day, never set by hand.

A day's worst sustained score of each channel is one draw; days of presses without a fault are exchangeable with those
to come as far as the plant stays as it is. Half of the budget is what is aimed at: under slow drift the rest is used up
(DESIGN 15: budget 1 gave 1.19 alarms a press-month, 0.5 gave 0.67).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from kit.errors import ZhisanError
from models.evaluation.alarms import sustained
from models.evaluation.traces import DAY_MS, MONTH_DAYS, Episode, Times, Trace, Values, is_faulty

BUDGET_A_PRESS_MONTH = 1.0
AIMED_SHARE = 0.5
LEVELS = 400


class BudgetError(ZhisanError):
    """There are too few healthy days to promise the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """`values` (channels,), and what they were chosen for and on."""

    values: Values
    budget_a_press_month: float
    healthy_days: int
    alarm_days: int

    @property
    def basis(self) -> str:
        """In words, for the manifest."""
        return (
            f"at most {self.budget_a_press_month:g} false alarm a press and month over all modes: conformal on "
            f"{self.healthy_days} healthy press-days, {self.alarm_days} of them over a threshold (half of the budget)"
        )


def day_maxima(trace: Trace, episodes: Sequence[Episode]) -> Values:
    """(days, channels): the worst sustained score of each healthy day of a press; upsets are healthy."""
    healthy = ~is_faulty(trace, episodes)
    if not healthy.any():
        return np.zeros((0, trace.scores.shape[1]))
    return highest_a_day(sustained(trace.scores)[healthy], trace.ended_ms[healthy])


def highest_a_day(scores: Values, ended_ms: Times) -> Values:
    """(days, channels): the highest of `scores` (n, channels) of one press on each of its days; `ended_ms` rising."""
    days = ended_ms // DAY_MS
    return np.asarray(np.maximum.reduceat(scores, np.flatnonzero(np.diff(days, prepend=days[0] - 1)), axis=0))


def conformal_limit(highest: Values, chance: float) -> tuple[float, bool]:
    """The limit that a further draw exceeds with at most that chance, and whether there were draws enough for it.

    With too few it is the highest of all, which one in (draws + 1) exceeds.

    Args:
        highest: (draws,), the highest score of each press-day or press.
        chance: of one too many.
    """
    rank = ceil((len(highest) + 1) * (1 - chance))
    return float(np.sort(highest)[min(rank, len(highest)) - 1]), rank <= len(highest)


def thresholds_for(maxima: Values, *, budget_a_press_month: float = BUDGET_A_PRESS_MONTH) -> Thresholds:
    """The most sensitive thresholds, all channels at the same conformal level, that keep the budget together.

    Args:
        maxima: (days, channels), of `day_maxima`.
        budget_a_press_month: false alarms of all channels together.

    Raises:
        BudgetError: the healthy days are too few: with n of them a share under 1 / (n + 1) cannot be promised.
    """
    days = len(maxima)
    share = budget_a_press_month * AIMED_SHARE / MONTH_DAYS
    if 1 / (days + 1) > share:
        raise BudgetError(f"{days} healthy press-days cannot promise {budget_a_press_month:g} alarms a press-month")
    ordered = np.sort(maxima, axis=0)
    chosen = np.nextafter(ordered[-1], np.inf)
    alarm_days = 0
    for allowed in np.unique(np.linspace(1, max(int(share * (days + 1)), 1), LEVELS).astype(int)):
        values = np.nextafter(ordered[days - allowed], np.inf)
        over = int((maxima >= values).any(axis=1).sum())
        if (over + 1) / (days + 1) > share:
            break
        chosen, alarm_days = values, over
    return Thresholds(chosen, budget_a_press_month, days, alarm_days)
