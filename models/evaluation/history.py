"""Months of production from disk: the shots of each press, what its plant noted, and apart from them the truth.

Reads what `zhisan sim press-history` writes (docs/reference/press_history.md). Features come from `shots/` and what the
plant knows from `events.parquet`; the truth is read from `truth/` for labels and for judging, and is no input.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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


KINDS = frozenset({"fault", "upset"})
_VALUE_NAMES = tuple(spec.name for spec in VALUES)


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
            HistoryError: a file is missing, damaged, of other features, or a column holds what it must not.
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
    ended_ms = _read(path, {"ended_ms": INTEGER})["ended_ms"]
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
        HistoryError: a file is missing, damaged, of other features, or a column holds what it must not.
    """
    path = folder / "shots" / f"{press_id}.parquet"
    table = _read(path, {"ended_ms": INTEGER, "mould_id": TEXT, **dict.fromkeys(_VALUE_NAMES, NUMBER)})
    events_path = folder / "events.parquet"
    events = _read(events_path, {"press_id": TEXT, "at_ms": INTEGER, "kind": TEXT})
    own = events.filter(pc.equal(events["press_id"], press_id))
    ended_ms = table["ended_ms"].to_numpy()
    if (np.diff(ended_ms) < 0).any():
        raise HistoryError(f"{path}: ended_ms goes back in time")
    at, kinds = own["at_ms"].to_numpy(), own["kind"].to_pylist()
    return PressHistory(
        press_id,
        ended_ms,
        np.array(table["mould_id"].to_pylist(), str),
        _values(path, table),
        tuple(int(a) for a, kind in zip(at, kinds, strict=True) if kind == RELEARN),
    )


def _values(path: Path, table: pa.Table) -> FloatArray:
    """(n, V); what is missing is NaN, and what is no number at all is refused."""
    with np.errstate(over="ignore"):
        values = np.stack([table[name].to_numpy().astype(np.float32) for name in _VALUE_NAMES], axis=1)
    endless = np.isinf(values).any(axis=0)
    if endless.any():
        names = [name for name, bad in zip(_VALUE_NAMES, endless.tolist(), strict=True) if bad]
        raise HistoryError(f"{path}: {', '.join(names[:5])} has infinite values; write what is missing as NaN or null")
    return values


def read_episodes(folder: Path) -> list[Episode]:
    """The truth: what was wrong with which press, and when.

    Raises:
        HistoryError: the file is missing or damaged, or a column holds something else.
    """
    path = folder / "truth" / "episodes.parquet"
    columns = {"press_id": TEXT, "mode": TEXT, "onset_ms": INTEGER, "ended_ms": INTEGER, "kind": TEXT}
    table = _read(path, {**columns, "failed_ms": INTEGER_OR_NONE})
    unknown = sorted(set(table["kind"].to_pylist()) - KINDS)
    if unknown:
        raise HistoryError(f"{path}: kind {unknown[0]!r} is none of {', '.join(sorted(KINDS))}")
    return [Episode(**row) for row in table.to_pylist()]


def _read(path: Path, columns: Mapping[str, "_Kind"]) -> pa.Table:
    """The columns, each of its kind."""
    try:
        schema = pq.read_schema(path)
        lacking = [name for name in columns if name not in schema.names]
        if lacking:
            raise HistoryError(f"{path}: lacks the columns {', '.join(lacking[:5])}: it is of another version")
        table = pq.read_table(path, columns=list(columns))
    except FileNotFoundError as error:
        raise HistoryError(f"{path}: is not there") from error
    except (OSError, pa.ArrowException) as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from error
    for name, kind in columns.items() if len(table) else ():
        column = table[name]
        if not kind.holds(column.type):
            raise HistoryError(f"{path}: column {name} is {column.type}, {kind.words} are wanted")
        if column.null_count and not kind.may_lack:
            raise HistoryError(f"{path}: column {name} lacks {column.null_count} of {len(column)} values")
    return table


def _is_number(given: pa.DataType) -> bool:
    return bool(pa.types.is_floating(given) or pa.types.is_integer(given) or pa.types.is_null(given))


def _is_text(given: pa.DataType) -> bool:
    plain = given.value_type if pa.types.is_dictionary(given) else given
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a column has to hold."""

    words: str
    holds: Callable[[pa.DataType], bool]
    may_lack: bool = False


TEXT = _Kind("texts", _is_text)
INTEGER = _Kind("integers", pa.types.is_integer)
INTEGER_OR_NONE = _Kind("integers", lambda given: pa.types.is_integer(given) or pa.types.is_null(given), may_lack=True)
NUMBER = _Kind("numbers", _is_number, may_lack=True)
