"""Months of production from disk: the shots of each press, what its plant noted, and apart from them the truth.

Reads what `zhisan sim press-history` writes (docs/reference/press_history.md). Features come from `shots/` and what the
plant knows from `events.parquet`; the truth is read from `truth/` for labels and for judging, and is no input.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.shot import FloatArray
from kit.errors import ZhisanError
from models.evaluation.traces import Episode
from models.features.schema import VALUES
from models.runtime.baseline import Baselines, Standings, tracks_block

META = "meta.json"
RELEARN = "maintenance"
"""After it a baseline is learnt anew. Of changed set points a gateway hears nothing: nothing is made of them here."""


class HistoryError(ZhisanError):
    """The folder is no press history; the message names the file."""


@dataclass(frozen=True, slots=True, eq=False)
class PressHistory:
    """One press's shots in order: `values` (n, V) float32; and what its plant noted, as UTC milliseconds."""

    press_id: str
    ended_ms: npt.NDArray[np.int64]
    mould_ids: npt.NDArray[np.str_]
    values: FloatArray
    relearn_ms: tuple[int, ...]

    def standings(self, rows: npt.NDArray[np.int64] | None = None) -> Standings:
        """Where the shots stand, by baselines that begin with the record; `rows`: those wanted, ascending."""
        return tracks_block(
            Baselines(),
            self.press_id,
            self.mould_ids,  # type: ignore[arg-type]
            self.ended_ms,
            self.values,
            relearn_ms=self.relearn_ms,
            rows=rows,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """The presses of one or several folders, each read when it is asked for, with the truth of all."""

    presses: tuple[str, ...]
    """Of several folders they are called `folder/press`."""
    episodes: tuple[Episode, ...]
    ends_ms: Mapping[str, int]
    """By press, when its record ends."""
    labels: int
    """Alarms that engineers had judged, among what the episodes come from."""
    _places: Mapping[str, tuple[Path, str]]

    def read(self, press_id: str) -> PressHistory:
        """One press.

        Raises:
            HistoryError: a file is missing, damaged, or of other features than this version's.
        """
        folder, name = self._places[press_id]
        return replace(read_press(folder, name), press_id=press_id)


def open_histories(folders: Sequence[Path]) -> Histories:
    """What the folders hold; shots are not read yet.

    Raises:
        HistoryError: a folder is no press history, or two have one name.
    """
    if len({folder.name for folder in folders}) < len(folders):
        raise HistoryError("two histories have one name; rename one of the folders")
    places: dict[str, tuple[Path, str]] = {}
    episodes: list[Episode] = []
    labels = 0
    for folder in folders:
        name = "" if len(folders) == 1 else f"{folder.name}/"
        places |= {f"{name}{press}": (folder, press) for press in press_ids(folder)}
        episodes += [replace(episode, press_id=f"{name}{episode.press_id}") for episode in read_episodes(folder)]
        labels += int(read_meta(folder).get("labels", 0))
    ends_ms = {press: _end_ms(folder / "shots" / f"{name}.parquet") for press, (folder, name) in places.items()}
    return Histories(tuple(places), tuple(episodes), ends_ms, labels, places)


def read_meta(folder: Path) -> dict[str, Any]:
    """How the history was made.

    Raises:
        HistoryError: there is no `meta.json`, or it is damaged.
    """
    path = folder / META
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HistoryError(f"{path}: is not there") from error
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: is damaged: {error}") from error
    if not isinstance(meta, dict):
        raise HistoryError(f"{path}: is no object")
    return meta


def _end_ms(path: Path) -> int:
    ended_ms = _read(path, ["ended_ms"])["ended_ms"]
    return int(ended_ms[-1].as_py()) if len(ended_ms) else 0


def press_ids(folder: Path) -> list[str]:
    """The presses of a history, in order.

    Raises:
        HistoryError: there are none.
    """
    found = sorted(path.stem for path in (folder / "shots").glob("*.parquet"))
    if not found:
        raise HistoryError(f"{folder}: has no shots/*.parquet; make it with `zhisan sim press-history`")
    return found


def read_press(folder: Path, press_id: str) -> PressHistory:
    """One press.

    Raises:
        HistoryError: a file is missing, damaged, or of other features than this version's.
    """
    path = folder / "shots" / f"{press_id}.parquet"
    wanted = ["ended_ms", "mould_id", *(spec.name for spec in VALUES)]
    table = _read(path, wanted)
    events = _read(folder / "events.parquet", ["press_id", "at_ms", "kind"])
    own = events.filter(pc.equal(events["press_id"], press_id))
    at, kinds = own["at_ms"].to_numpy(), own["kind"].to_pylist()
    return PressHistory(
        press_id,
        table["ended_ms"].to_numpy(),
        np.array(table["mould_id"].to_pylist()),
        np.stack([table[spec.name].to_numpy().astype(np.float32) for spec in VALUES], axis=1),
        tuple(int(a) for a, kind in zip(at, kinds, strict=True) if kind == RELEARN),
    )


def read_episodes(folder: Path) -> list[Episode]:
    """The truth: what was wrong with which press, and when.

    Raises:
        HistoryError: the file is missing or damaged.
    """
    columns = ["press_id", "mode", "onset_ms", "failed_ms", "ended_ms", "kind"]
    return [Episode(**row) for row in _read(folder / "truth" / "episodes.parquet", columns).to_pylist()]


def _read(path: Path, columns: list[str]) -> pa.Table:
    try:
        found = pq.read_schema(path).names
        lacking = [name for name in columns if name not in found]
        if lacking:
            raise HistoryError(f"{path}: lacks the columns {', '.join(lacking[:5])}: it is of another version")
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise HistoryError(f"{path}: is not there") from error
    except (OSError, pa.ArrowException) as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from error
