"""From scores to alarms, as the cloud raises them: so many shots in a row, and one alarm until it has been quiet."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.evaluation.traces import Times, Trace, Values

ON_DELAY_SHOTS = 5
"""Shots in a row over the threshold: the cloud's own default (cloud.alarms.domain.AlarmRules)."""
QUIET_MS = 24 * 3600 * 1000
"""A channel that comes over its threshold again within a day goes on with the same alarm."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of one channel, raised once; `last_ms` is when it was last over its threshold."""

    press_id: str
    channel: int
    raised_ms: int
    last_ms: int


def sustained(scores: Values, shots: int = ON_DELAY_SHOTS) -> Values:
    """(n, channels): the least of the last `shots` scores, which is what has to pass a threshold; -inf before.

    An abstention breaks no row of others: it stands for the score before it.
    """
    filled = _carried(scores)
    if len(filled) < shots:
        return np.full(filled.shape, -np.inf)
    found = sliding_window_view(filled, shots, axis=0).min(axis=-1)
    return np.concatenate([np.full((shots - 1, scores.shape[1]), -np.inf), found])


def alarms_of(trace: Trace, thresholds: Values) -> list[Alarm]:
    """The alarms of one press, by time; `thresholds` (channels,)."""
    over = sustained(trace.scores) >= thresholds
    found = []
    for channel in range(trace.scores.shape[1]):
        at = trace.ended_ms[over[:, channel]]
        if len(at):
            found += _merged(trace.press_id, channel, at)
    return sorted(found, key=lambda alarm: (alarm.raised_ms, alarm.channel))


def _merged(press_id: str, channel: int, at: Times) -> list[Alarm]:
    breaks = np.flatnonzero(np.diff(at) > QUIET_MS)
    firsts, lasts = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(at) - 1]])
    return [Alarm(press_id, channel, int(at[a]), int(at[b])) for a, b in zip(firsts, lasts, strict=True)]


def _carried(scores: Values) -> Values:
    """Each missing score replaced by the one before it; -inf where there is none."""
    known = ~np.isnan(scores)
    last = np.maximum.accumulate(np.where(known, np.arange(len(scores))[:, None], -1), axis=0)
    return np.where(last >= 0, np.take_along_axis(scores, np.maximum(last, 0), axis=0), -np.inf)
