"""Months of production from disk: the shots of each press, what its plant noted, and apart from them the truth.

Reads what `zhisan sim press-history` writes (docs/reference/press_history.md). Features come from `shots/` and what the
plant knows from `events.parquet`; the truth is read from `truth/` for labels and for judging, and is no input.
"""

from dataclasses import dataclass
from pathlib import Path

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

RELEARN, RECENTRE = "maintenance", "set_point_change"
"""What a plant notes after which a baseline is learnt anew, or its level found anew."""


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
    recentre_ms: tuple[int, ...]

    def standings(self, rows: npt.NDArray[np.int64] | None = None) -> Standings:
        """Where the shots stand, by baselines that begin with the record; `rows`: those wanted, ascending."""
        return tracks_block(
            Baselines(),
            self.press_id,
            self.mould_ids,  # type: ignore[arg-type]
            self.ended_ms,
            self.values,
            relearn_ms=self.relearn_ms,
            recentre_ms=self.recentre_ms,
            rows=rows,
        )


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
        tuple(int(a) for a, kind in zip(at, kinds, strict=True) if kind == RECENTRE),
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
