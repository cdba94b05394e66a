"""Healthy production of many presses: what is usual for novelty, and what training has seen, for drift."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.evaluation.history import Histories, PressHistory
from models.evaluation.traces import Mask, Trace, is_faulty
from models.features.schema import FEATURES
from models.runtime import drift
from models.runtime.baseline_standing import IntArray, Standings
from models.runtime.baseline_tracks import STATE_INPUTS
from models.training.dataset import Matrix
from models.training.failure_modes import Progress
from models.training.novelty_state import INPUTS, States

EVERY = 5
"""Running means over 20 shots say nearly the same for so many."""
RUN_SHOTS = 4_000
"""Of each press and mould, in a row: long enough to see its slow wander."""
SCORED_EVERY = 40
"""Of all healthy shots, those that the heads are asked about: a score's level speaks of a hundred or two."""
_COLUMNS = np.array([STATE_INPUTS.index(name) for name in INPUTS])


@dataclass(frozen=True, slots=True, eq=False)
class Healthy:
    """By mould the states of healthy shots, and what training has seen of the features; runs to be scored."""

    states: dict[str, States]
    training: dict[str, drift.TrainingSummary]
    runs: tuple["Run", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Each SCORED_EVERY-th healthy shot of a press with a mould, with a baseline in force; at least one."""

    press_id: str
    mould_id: str
    ended_ms: IntArray
    features: Matrix
    states: Matrix


def healthy(histories: Histories, progress: Progress) -> Healthy:
    """Read all presses once more; upsets are healthy, whatever an engineer may think of them.

    Raises:
        HistoryError: a press cannot be read.
    """
    parts: dict[str, list[States]] = {}
    runs: list[tuple[Matrix, str, str]] = []
    to_score: list[Run] = []
    for number, press in enumerate(histories.presses):
        history = histories.read(press)
        is_well = ~is_faulty(Trace(press, history.ended_ms, np.zeros((len(history.ended_ms), 0))), histories.episodes)
        well = np.flatnonzero(is_well)
        own_of = {str(mould): well[history.mould_ids[well] == mould] for mould in np.unique(history.mould_ids)}
        runs += [(history.values[own[:RUN_SHOTS], : len(FEATURES)], mould, press) for mould, own in own_of.items()]
        scored = {mould: own[::SCORED_EVERY] for mould, own in own_of.items()}
        chosen = np.unique(np.concatenate([well[::EVERY], *scored.values()]))
        standings = history.standings(chosen)
        for mould, states in _states(history, chosen, standings, np.isin(chosen, well[::EVERY])).items():
            parts.setdefault(mould, []).append(states)
        to_score += _runs(history, chosen, standings, scored)
        progress("what is usual", number + 1, len(histories.presses))
    training = drift.summarise(
        np.concatenate([rows for rows, _, _ in runs]),
        np.concatenate([np.full(len(rows), mould) for rows, mould, _ in runs]).tolist(),
        np.concatenate([np.full(len(rows), press) for rows, _, press in runs]).tolist(),
        [spec.name for spec in FEATURES],
    )
    joined = {mould: States.joined(found) for mould, found in sorted(parts.items())}
    return Healthy(joined, training, tuple(to_score))


def _runs(history: PressHistory, chosen: IntArray, standings: Standings, scored: Mapping[str, IntArray]) -> list[Run]:
    return [
        Run(
            history.press_id,
            mould,
            history.ended_ms[chosen[own]],
            history.values[chosen[own], : len(FEATURES)],
            standings.inputs[own],
        )
        for mould, shots in scored.items()
        for own in [np.flatnonzero(np.isin(chosen, shots) & standings.in_force)]
        if len(own)
    ]


def _states(history: PressHistory, chosen: IntArray, standings: Standings, is_asked: Mask) -> dict[str, States]:
    told = np.flatnonzero(standings.in_force & is_asked)
    rows, moulds = standings.inputs[told][:, _COLUMNS], history.mould_ids[chosen][told]
    ended_ms = history.ended_ms[chosen][told]
    return {
        str(mould): States(rows[own], np.full(int(own.sum()), history.press_id), ended_ms[own])
        for mould in np.unique(moulds)
        for own in [moulds == mould]
    }
