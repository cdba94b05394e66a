"""How far is each value of a shot from what this press shows with this mould? Baselines that learn, hold and come back.

A baseline begins when a press first runs a mould. It lets the press settle, learns from the next shots, is in force,
and once more adjusts centre and scale to what the first day brings (`Stage`). Then it stands: what drifts away from it
is what the models are to see. docs/reference/baselines.md says what becomes of it after a standstill, a job change, a
change of set points and maintenance.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from contract.shot import FloatArray
from models.features.schema import FEATURES, VALUES
from models.runtime.baseline_bytes import BaselineError, pack, unpack
from models.runtime.baseline_entry import Entry
from models.runtime.baseline_normal import MouldNormal, Normal, Note, mould_normal
from models.runtime.baseline_standing import IntArray, Options, Stage, Standings
from models.runtime.baseline_tracks import STATE_INPUTS, state_index

__all__ = [
    "STATE_INPUTS",
    "BaselineError",
    "BaselineState",
    "Baselines",
    "MouldNormal",
    "Normal",
    "Note",
    "Options",
    "Stage",
    "Standings",
    "state_index",
    "tracks_block",
]

ENTRIES_MAX = 400
"""40 presses with ten moulds each; then the one that was longest not in use goes."""
FLEET_MIN = 8
"""So many other presses with the mould say what is normal there."""
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class BaselineState:
    """What a page shows of one baseline; times are UTC milliseconds, 0 for not yet."""

    press_id: str
    mould_id: str
    stage: Stage
    shots: int
    """Since it came into force."""
    learnt_ms: int
    notes: tuple[Note, ...]
    """What was odd while it learnt, oldest first."""
    doing: Stage
    """What it does as soon as the press has settled."""
    progress: tuple[int, int]
    """How many shots the stage has, and how many it takes; (0, 0) for one that has no end of its own."""
    is_again: bool
    """Whether it learns anew what it had known."""


class Baselines:
    """The baselines of a gateway's presses. Not for several threads at once.

    Args:
        options: how many shots each stage takes.
        normals: by mould, what baselines usually look like there; else, from FLEET_MIN presses on, those at hand.
        entries_max: how many baselines are kept.
    """

    def __init__(
        self,
        *,
        options: Options | None = None,
        normals: Mapping[str, MouldNormal] | None = None,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        assert entries_max >= 1, "there is nothing without an entry"
        self._options = options or Options()
        self._normals = dict(normals or {})
        self._entries_max = entries_max
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._mould_of: dict[str, str] = {}

    def observe(
        self, press_id: str, mould_id: str, ended_ms: int, features: FloatArray, curves: FloatArray | None = None
    ) -> Standings:
        """Where the press's next shot stands; arrays of one row.

        Args:
            press_id: the press.
            mould_id: its mould; another one than in the shot before is a job change.
            ended_ms: when the shot ended, UTC.
            features: of `models.features.extract.extract`, (F,).
            curves: of `models.features.extract.curves_of` the resampled shot, (1, S, samples); None without any.
        """
        return self.observe_block(press_id, mould_id, np.array([ended_ms]), features[None], curves)

    def observe_block(
        self, press_id: str, mould_id: str, ended_ms: IntArray, values: FloatArray, curves: FloatArray | None = None
    ) -> Standings:
        """Where the press's next n shots stand, all with one mould: the same as one by one, to rounding.

        Args:
            press_id: the press.
            mould_id: its mould.
            ended_ms: when each shot ended, UTC, (n,).
            values: features (n, F), or with residuals that are known already (n, V).
            curves: on the grid of `models.features.resample`, (n, S, samples); None without any.
        """
        assert values.shape[1] in {len(FEATURES), len(VALUES)}, "these are no feature vectors"
        entry = self._entry(press_id, mould_id)
        whole = np.full((len(values), len(VALUES)), np.nan, np.float32)
        whole[:, : values.shape[1]] = values
        return entry.observe(ended_ms, whole, curves, lambda: self._normal_of(press_id, mould_id))

    def relearn(self, press_id: str, mould_id: str | None = None) -> None:
        """After maintenance: the press learns anew, with this mould or with all of its moulds as each comes back."""
        for (press, mould), entry in self._entries.items():
            if press == press_id and mould_id in {None, mould}:
                entry.relearn()

    def recentre(self, press_id: str) -> None:
        """After a change of set points: the level of the mould in use is found anew, as after a job change."""
        entry = self._entries.get((press_id, self._mould_of.get(press_id, "")))
        if entry is not None:
            entry.come_back()

    def forget(self, press_id: str, mould_id: str | None = None) -> None:
        """What is known of the press with this mould, or with all, is no measure: as if it had never run."""
        if mould_id in {None, self._mould_of.get(press_id)}:
            self._mould_of.pop(press_id, None)
        for key in [key for key in self._entries if key[0] == press_id and mould_id in {None, key[1]}]:
            del self._entries[key]

    def states(self) -> list[BaselineState]:
        """All baselines, by press and mould."""
        return [_state(key, entry) for key, entry in sorted(self._entries.items())]

    def state(self, press_id: str) -> BaselineState | None:
        """That of the mould which the press has in; None before its first shot."""
        key = press_id, self._mould_of.get(press_id, "")
        entry = self._entries.get(key)
        return _state(key, entry) if entry is not None else None

    def normal(self, press_id: str, mould_id: str) -> Normal | None:
        """Centres and scales in force; None while they are learnt for the first time."""
        entry = self._entries.get((press_id, mould_id))
        return entry.normal if entry is not None else None

    def dump(self, press_id: str) -> bytes:
        """All of a press, to be loaded after a restart; about 25 kB a mould, up to 0.3 MB more while one is learnt."""
        kept = {mould: entry for (press, mould), entry in self._entries.items() if press == press_id}
        return pack(press_id, self._mould_of.get(press_id, ""), kept)

    def load(self, data: bytes) -> str:
        """Take back what `dump` gave, in place of what is known of that press; which press it is.

        Raises:
            BaselineError: it is damaged, of a newer program, or of other values; nothing has changed then.
        """
        press_id, mould_id, entries = unpack(data, self._options)
        self.forget(press_id)
        if mould_id:
            self._mould_of[press_id] = mould_id
        for mould, entry in entries.items():
            self._keep((press_id, mould), entry)
        return press_id

    def _entry(self, press_id: str, mould_id: str) -> Entry:
        key = press_id, mould_id
        entry = self._entries.get(key)
        if entry is None:
            entry = Entry(self._options)
            self._keep(key, entry)
        elif self._mould_of.get(press_id) != mould_id:
            entry.come_back()
        self._entries.move_to_end(key)
        self._mould_of[press_id] = mould_id
        return entry

    def _keep(self, key: Key, entry: Entry) -> None:
        self._entries[key] = entry
        while len(self._entries) > self._entries_max:
            (press, mould), _ = self._entries.popitem(last=False)
            if self._mould_of.get(press) == mould:
                del self._mould_of[press]

    def _normal_of(self, press_id: str, mould_id: str) -> MouldNormal | None:
        """What is normal with a mould on other presses."""
        if mould_id in self._normals:
            return self._normals[mould_id]
        others = [
            entry.normal
            for (press, mould), entry in self._entries.items()
            if mould == mould_id and press != press_id and entry.normal is not None
        ]
        return mould_normal(others) if len(others) >= FLEET_MIN else None


def _state(key: Key, entry: Entry) -> BaselineState:
    is_again = entry.normal is None and entry.before is not None
    notes = tuple(entry.notes)
    return BaselineState(*key, entry.stage, entry.shots, entry.learnt_ms, notes, entry.doing, entry.progress, is_again)


def tracks_block(
    baselines: Baselines,
    press_id: str,
    mould_ids: Sequence[str],
    ended_ms: IntArray,
    values: FloatArray,
    *,
    relearn_ms: Sequence[int] = (),
    recentre_ms: Sequence[int] = (),
    rows: IntArray | None = None,
    at_once: int = 2_000,
) -> Standings:
    """The standings of a press's whole history, for training: the same as on a gateway, shot by shot, to rounding.

    Args:
        baselines: where the press's baselines are kept, and from where it goes on.
        press_id: the press.
        mould_ids: of each shot, in order, (n,).
        ended_ms: when each ended, (n,).
        values: features (n, F), or with residuals (n, V).
        relearn_ms: when maintenance was done.
        recentre_ms: when set points were changed.
        rows: the shots that are wanted, ascending; all without it.
        at_once: shots worked on at a time, so that a long history needs little memory.
    """
    moulds = np.asarray(mould_ids)
    acts = sorted([*((at, True) for at in relearn_ms), *((at, False) for at in recentre_ms)])
    places = np.searchsorted(ended_ms, [at for at, _ in acts], side="right")
    changes = np.flatnonzero(moulds[1:] != moulds[:-1]) + 1
    cuts = sorted({0, len(moulds), *places.tolist(), *changes.tolist(), *range(0, len(moulds), at_once)})
    wanted = np.ones(len(moulds), bool) if rows is None else np.isin(np.arange(len(moulds)), rows)
    parts = []
    for start, end in pairwise(cuts):
        for place, (_, is_repair) in zip(places, acts, strict=True):
            if place == start:
                (baselines.relearn if is_repair else baselines.recentre)(press_id)
        part = slice(start, end)
        found = baselines.observe_block(press_id, str(moulds[start]), ended_ms[part], values[part])
        parts.append(found.of(wanted[part]))
    return Standings.joined(parts)
