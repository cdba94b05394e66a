"""A model over months that it has not seen: alarms under the budget beside those of charts, and its calibration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from models.evaluation.alarms import alarms_of
from models.evaluation.budget import BUDGET_A_PRESS_MONTH, Thresholds, day_maxima, thresholds_for
from models.evaluation.comparisons import Comparison, comparisons
from models.evaluation.history import PressHistory, press_ids, read_episodes, read_press
from models.evaluation.judging import PressAccount, account_of
from models.evaluation.reliability import Reliability, reliability_of
from models.evaluation.traces import Episode, Trace, Values, is_faulty
from models.runtime.baseline import Standings
from models.training.dataset import Matrix
from models.training.rows import INPUT_COLUMNS, Rows, ahead_of, chosen_rows
from models.training.survival import HORIZONS_H

HEALTHY_ROWS_A_PRESS = 2_000
"""Of the presses that set the comparisons' thresholds: enough to say what is usual."""
MODEL: Final = "model"
Progress = Callable[[str, int, int], None]


class FailureHead(Protocol):
    """What is judged: a bundle's failure head, or one that has just been trained."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Failure modes, in the order of the outputs."""

    @property
    def alarm_thresholds(self) -> Values:
        """(modes,): of the probability within the longest horizon."""

    def probabilities(self, inputs: Matrix) -> Values:
        """(n, modes, horizons); NaN where it abstains."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accounts by method: the model first, then the comparisons; all at thresholds for the same budget."""

    presses: tuple[str, ...]
    calibrating: tuple[str, ...]
    modes: tuple[str, ...]
    episodes: tuple[Episode, ...]
    shots: int
    abstained: float
    accounts: Mapping[str, tuple[PressAccount, ...]]
    thresholds: Mapping[str, Thresholds]
    reliability: Mapping[str, Mapping[float, Reliability]]
    """By mode (and `all`) and horizon in hours."""


def evaluate(
    folder: Path, head: FailureHead, *, seed: int, every: int = 1, progress: Progress | None = None
) -> Evaluation:
    """Judge on a history that was not learned from.

    A quarter of its presses sets the thresholds of the comparisons; the model has its own. The others are judged on.

    Raises:
        HistoryError: the folder is no history of this version's features.
        BudgetError: a quarter of the presses has too few healthy days.
    """
    presses, episodes = press_ids(folder), read_episodes(folder)
    calibrating = presses[1::4]
    tell = progress or (lambda _what, _done, _of_all: None)
    usual = _Usual(seed)
    maxima: dict[str, list[Values]] = {}
    for number, press in enumerate(calibrating):
        usual.learn(_scored(read_press(folder, press), every), episodes)
        tell("what is usual", number + 1, len(calibrating))
    usual.fix()
    for number, press in enumerate(calibrating):
        shots = _scored(read_press(folder, press), every)
        for name, compare in usual.comparisons.items():
            maxima.setdefault(name, []).append(day_maxima(_trace(shots, compare, usual), episodes))
        tell("thresholds of the comparisons", number + 1, len(calibrating))
    thresholds = {name: thresholds_for(np.concatenate(found)) for name, found in maxima.items()}
    thresholds[MODEL] = Thresholds(head.alarm_thresholds, BUDGET_A_PRESS_MONTH, 0, 0)
    judged = [press for press in presses if press not in calibrating]
    accounts: dict[str, list[PressAccount]] = {MODEL: [], **{name: [] for name in usual.comparisons}}
    told = _Told()
    shots_seen = silent = 0
    for number, press in enumerate(judged):
        shots = _scored(read_press(folder, press), every)
        found = head.probabilities(shots.inputs)
        shots_seen, silent = shots_seen + len(found), silent + int(np.isnan(found[:, 0, 0]).sum())
        told.add(shots, found, episodes, head.modes)
        trace = Trace(press, shots.history.ended_ms[shots.rows], found[:, :, -1])
        accounts[MODEL].append(account_of(trace, alarms_of(trace, head.alarm_thresholds), episodes, head.modes))
        for name, compare in usual.comparisons.items():
            other = _together(_trace(shots, compare, usual), thresholds[name].values)
            alarms = alarms_of(other, np.zeros(1))
            accounts[name].append(account_of(other, alarms, episodes, (None,)))
        tell("judging", number + 1, len(judged))
    return Evaluation(
        tuple(judged),
        tuple(calibrating),
        head.modes,
        tuple(episode for episode in episodes if episode.press_id in judged),
        shots_seen,
        silent / max(shots_seen, 1),
        {name: tuple(found) for name, found in accounts.items()},
        thresholds,
        told.reliability(head.modes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Shots:
    """The shots of a press while its baseline is in force: their places in the history, and where they stand."""

    history: PressHistory
    rows: npt.NDArray[np.int64]
    standings: Standings

    @property
    def inputs(self) -> Matrix:
        return self.standings.inputs[:, INPUT_COLUMNS]


def _scored(history: PressHistory, every: int) -> _Shots:
    chosen = np.arange(0, len(history.ended_ms), every)
    standings = history.standings(chosen)
    in_force = standings.in_force
    return _Shots(history, chosen[in_force], standings.of(in_force))


class _Usual:
    """What is usual for a mould over all presses, and the comparisons that need to know it."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._seed = seed
        self._values: dict[str, list[Matrix]] = {}
        self._z: list[Matrix] = []
        self._normals: dict[str, tuple[Values, Values]] = {}
        self.comparisons: Mapping[str, Comparison] = {}

    def learn(self, shots: _Shots, episodes: Sequence[Episode]) -> None:
        ended_ms = shots.history.ended_ms[shots.rows]
        blank = Trace(shots.history.press_id, ended_ms, np.zeros((len(ended_ms), 1)))
        healthy = np.flatnonzero(~is_faulty(blank, episodes))
        kept = np.sort(self._rng.choice(healthy, min(len(healthy), HEALTHY_ROWS_A_PRESS), replace=False))
        moulds = shots.history.mould_ids[shots.rows[kept]]
        for mould in np.unique(moulds):
            self._values.setdefault(str(mould), []).append(shots.standings.values[kept[moulds == mould]])
        self._z.append(shots.standings.z[kept])

    def fix(self) -> None:
        for mould, parts in self._values.items():
            rows = np.concatenate(parts).astype(np.float64)
            centre = np.nanmedian(rows, axis=0)
            scale = 1.4826 * np.nanmedian(np.abs(rows - centre), axis=0)
            self._normals[mould] = centre, np.where(scale > 0, scale, np.nan)
        self.comparisons = comparisons(np.concatenate(self._z).astype(np.float64), seed=self._seed)

    def pooled(self, shots: _Shots) -> Values:
        """Values in units of their mould's spread over presses; NaN for a mould that was not met before."""
        moulds, found = shots.history.mould_ids[shots.rows], np.full(shots.standings.values.shape, np.nan)
        for mould in np.unique(moulds):
            if str(mould) in self._normals:
                centre, scale = self._normals[str(mould)]
                found[moulds == mould] = (shots.standings.values[moulds == mould] - centre) / scale
        return found


def _trace(shots: _Shots, compare: Comparison, usual: _Usual) -> Trace:
    scores = compare(usual.pooled(shots), shots.standings.z.astype(np.float64))
    return Trace(shots.history.press_id, shots.history.ended_ms[shots.rows], scores)


def _together(trace: Trace, thresholds: Values) -> Trace:
    """One channel: how far the worst value is over its threshold. Values that leave together are one alarm."""
    over = trace.scores - thresholds
    known = ~np.isnan(over)
    worst = np.where(known, over, -np.inf).max(axis=1)
    return Trace(trace.press_id, trace.ended_ms, np.where(known.any(axis=1), worst, np.nan)[:, None])


class _Told:
    """Probabilities beside what came, on rows taken as training takes them: no row counts for its neighbours."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int], list[Values]] = {}
        self._came: dict[tuple[int, int], list[npt.NDArray[np.bool_]]] = {}
        self._presses: dict[tuple[int, int], list[npt.NDArray[np.str_]]] = {}

    def add(self, shots: _Shots, found: Values, episodes: Sequence[Episode], modes: Sequence[str]) -> None:
        ended_ms = shots.history.ended_ms[shots.rows]
        kept = chosen_rows(ended_ms, [])
        names = np.full(len(kept), shots.history.press_id)
        rows = Rows(np.zeros((len(kept), 0), np.float32), names, names, ended_ms[kept])
        for number, mode in enumerate(modes):
            ahead = ahead_of(rows, episodes, mode, {shots.history.press_id: int(shots.history.ended_ms[-1])})
            for place, hours in enumerate(HORIZONS_H):
                said = found[kept, number, place]
                known, came = ahead.within(hours)
                known &= ~np.isnan(said)
                self._said.setdefault((number, place), []).append(said[known])
                self._came.setdefault((number, place), []).append(came[known])
                self._presses.setdefault((number, place), []).append(names[known])

    def reliability(self, modes: Sequence[str]) -> dict[str, dict[float, Reliability]]:
        found: dict[str, dict[float, Reliability]] = {}
        for place, hours in enumerate(HORIZONS_H):
            keys = [(number, place) for number in range(len(modes))]
            for mode, key in zip(modes, keys, strict=True):
                found.setdefault(mode, {})[hours] = self._of([key])
            found.setdefault("all", {})[hours] = self._of(keys)
        return found

    def _of(self, keys: Sequence[tuple[int, int]]) -> Reliability:
        return reliability_of(
            np.concatenate([part for key in keys for part in self._said[key]]),
            np.concatenate([part for key in keys for part in self._came[key]]),
            np.concatenate([part for key in keys for part in self._presses[key]]),
        )
