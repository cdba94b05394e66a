"""Training rows from months of production: states beside each press's own baseline, and what came after them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.history import PressHistory
from models.evaluation.traces import Episode, Mask
from models.runtime.baseline_tracks import STATE_INPUTS
from models.training.dataset import Matrix
from models.training.survival import HORIZONS_H, Ahead

HOUR_MS = 3600 * 1000
FAR_EVERY_MS, NEAR_EVERY_MS = HOUR_MS, HOUR_MS // 2
"""Rows are taken so often: far from a failure, and within the last hours before one."""
NEAR_MS = 96 * HOUR_MS
assert HORIZONS_H[-1] * HOUR_MS <= NEAR_MS
INPUTS: tuple[str, ...] = tuple(name for name in STATE_INPUTS if not name.endswith("@z"))
"""What the failure heads take in: running means and spreads. A single shot's z is noise to them."""
INPUT_COLUMNS = np.array([STATE_INPUTS.index(name) for name in INPUTS])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Training rows: `inputs` (n, INPUTS) float32; press, mould and time of each."""

    inputs: Matrix
    presses: npt.NDArray[np.str_]
    moulds: npt.NDArray[np.str_]
    ended_ms: npt.NDArray[np.int64]

    def of(self, wanted: Mask) -> "Rows":
        """Those that are wanted."""
        return Rows(self.inputs[wanted], self.presses[wanted], self.moulds[wanted], self.ended_ms[wanted])

    @classmethod
    def joined(cls, parts: "Sequence[Rows]") -> "Rows":
        """In their order."""
        return cls(
            np.concatenate([part.inputs for part in parts]),
            np.concatenate([part.presses for part in parts]),
            np.concatenate([part.moulds for part in parts]),
            np.concatenate([part.ended_ms for part in parts]),
        )


def training_rows(history: PressHistory, episodes: Sequence[Episode]) -> Rows:
    """The rows of a press to learn from: in force, thinly while all is well and densely before a failure."""
    failures = [e.failed_ms for e in episodes if e.press_id == history.press_id and e.failed_ms is not None]
    chosen = chosen_rows(history.ended_ms, failures)
    standings = history.standings(chosen)
    told = np.flatnonzero(standings.in_force)
    return Rows(
        standings.inputs[told][:, INPUT_COLUMNS],
        np.full(len(told), history.press_id),
        history.mould_ids[chosen][told],
        history.ended_ms[chosen][told],
    )


def chosen_rows(ended_ms: npt.NDArray[np.int64], failures_ms: Sequence[int]) -> npt.NDArray[np.int64]:
    """Which shots become rows: one each FAR_EVERY_MS, one each NEAR_EVERY_MS in the NEAR_MS before a failure."""
    failures = np.append(np.sort(np.array(failures_ms, np.int64)), np.iinfo(np.int64).max)
    left = failures[np.searchsorted(failures, ended_ms)] - ended_ms
    step = np.where(left <= NEAR_MS, ended_ms // NEAR_EVERY_MS, ended_ms // FAR_EVERY_MS + 10**9)
    return np.flatnonzero(np.diff(step, prepend=-1)).astype(np.int64)


def one_an_hour(rows: Rows) -> Mask:
    """(n,): the first of each press and hour, as often as in use; before a failure they are denser."""
    found: Mask = np.ones(len(rows.ended_ms), bool)
    hours = rows.ended_ms // FAR_EVERY_MS
    found[1:] = (np.diff(hours) != 0) | (rows.presses[1:] != rows.presses[:-1])
    return found


def ahead_of(rows: Rows, episodes: Sequence[Episode], mode: str, ends_ms: Mapping[str, int]) -> Ahead:
    """What came after each row, for one mode, by the truth.

    A fault that was repaired before it failed tells nothing of what would have come after the repair; neither does the
    time behind the end of the press's record.
    """
    failure_h = np.full(len(rows.ended_ms), np.inf)
    names, places = np.unique(rows.presses, return_inverse=True)
    ends = np.array([ends_ms[name] for name in names.tolist()], np.int64)
    watched_h = (ends[places] - rows.ended_ms) / HOUR_MS
    for episode in episodes:
        if episode.kind != "fault" or episode.mode != mode:
            continue
        own = rows.presses == episode.press_id
        if episode.failed_ms is not None:
            before = own & (rows.ended_ms < episode.failed_ms)
            failure_h[before] = np.minimum(failure_h[before], (episode.failed_ms - rows.ended_ms[before]) / HOUR_MS)
        else:
            before = own & (rows.ended_ms < episode.ended_ms)
            watched_h[before] = np.minimum(watched_h[before], (episode.ended_ms - rows.ended_ms[before]) / HOUR_MS)
    return Ahead(failure_h, watched_h)


def between_failure_and_repair(rows: Rows, episodes: Sequence[Episode]) -> npt.NDArray[np.bool_]:
    """(n,): the press has failed and is not repaired yet; such shots are no example of anything ahead."""
    found = np.zeros(len(rows.ended_ms), bool)
    for episode in episodes:
        if episode.failed_ms is not None:
            own = rows.presses == episode.press_id
            found |= own & (rows.ended_ms >= episode.failed_ms) & (rows.ended_ms <= episode.ended_ms)
    return found
