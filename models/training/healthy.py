"""Healthy production of many presses: what is usual for novelty, and what training has seen, for drift."""

from dataclasses import dataclass

import numpy as np

from models.evaluation.history import Histories, PressHistory
from models.evaluation.traces import Mask, Trace, is_faulty
from models.features.schema import FEATURES
from models.runtime import drift
from models.runtime.baseline_tracks import STATE_INPUTS
from models.training.dataset import Matrix
from models.training.failure_modes import Progress
from models.training.novelty_state import INPUTS, States

EVERY = 5
"""Running means over 20 shots say nearly the same for so many."""
RUN_SHOTS = 4_000
"""Of each press and mould, in a row: long enough to see its slow wander."""
_COLUMNS = np.array([STATE_INPUTS.index(name) for name in INPUTS])


@dataclass(frozen=True, slots=True, eq=False)
class Healthy:
    """By mould the states of healthy shots; and what training has seen of the features."""

    states: dict[str, States]
    training: dict[str, drift.TrainingSummary]


def healthy(histories: Histories, progress: Progress) -> Healthy:
    """Read all presses once more; upsets are healthy, whatever an engineer may think of them.

    Raises:
        HistoryError: a press cannot be read.
    """
    parts: dict[str, list[States]] = {}
    runs: list[tuple[Matrix, str, str]] = []
    for number, press in enumerate(histories.presses):
        history = histories.read(press)
        is_well = ~is_faulty(Trace(press, history.ended_ms, np.zeros((len(history.ended_ms), 0))), histories.episodes)
        for mould, states in _states(history, is_well).items():
            parts.setdefault(mould, []).append(states)
        for mould in np.unique(history.mould_ids):
            own = np.flatnonzero((history.mould_ids == mould) & is_well)[:RUN_SHOTS]
            runs.append((history.values[own, : len(FEATURES)], str(mould), press))
        progress("what is usual", number + 1, len(histories.presses))
    training = drift.summarise(
        np.concatenate([rows for rows, _, _ in runs]),
        np.concatenate([np.full(len(rows), mould) for rows, mould, _ in runs]).tolist(),
        np.concatenate([np.full(len(rows), press) for rows, _, press in runs]).tolist(),
        [spec.name for spec in FEATURES],
    )
    return Healthy({mould: States.joined(found) for mould, found in sorted(parts.items())}, training)


def _states(history: PressHistory, is_well: Mask) -> dict[str, States]:
    chosen = np.flatnonzero(is_well)[::EVERY]
    standings = history.standings(chosen)
    told = np.flatnonzero(standings.in_force)
    rows, moulds = standings.inputs[told][:, _COLUMNS], history.mould_ids[chosen][told]
    ended_ms = history.ended_ms[chosen][told]
    return {
        str(mould): States(rows[own], np.full(int(own.sum()), history.press_id), ended_ms[own])
        for mould in np.unique(moulds)
        for own in [moulds == mould]
    }
