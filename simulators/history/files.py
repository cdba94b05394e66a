"""A press's record on disk: Parquet files that are there whole or not at all, the truth in a folder of its own."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.vocabulary import FAILURE_MODES, SIGNALS
from models.features.schema import VALUES
from simulators.history.plan import PressPlan
from simulators.history.press_record import Part

SEVERITY_EVERY, QUALITY_EVERY = 100, 10
"""Every so-maniest shot has its truth written."""
ROWS, CURVE_ROWS = 16_384, 64
"""Rows of a row group: some 7 MB of shots, 2 MB of curves. Small groups cost twice the space and ten times the work."""
KEY: Final = [("press_id", pa.string()), ("ended_ms", pa.int64())]
SHOTS: Final = pa.schema(
    [
        *KEY,
        ("cycle_counter", pa.int64()),
        ("mould_id", pa.string()),
        ("job_name", pa.string()),
        *((spec.name, pa.float32()) for spec in VALUES),
    ]
)
CURVES: Final = pa.schema(
    [*KEY, ("sample_interval_s", pa.float64()), *((name, pa.list_(pa.float32())) for name in SIGNALS)]
)
EVENTS: Final = pa.schema(
    [("press_id", pa.string()), ("at_ms", pa.int64()), ("kind", pa.string()), ("detail", pa.string())]
)
EPISODES: Final = pa.schema(
    [
        ("press_id", pa.string()),
        ("mode", pa.string()),
        ("onset_ms", pa.int64()),
        ("failed_ms", pa.int64()),
        ("ended_ms", pa.int64()),
        ("kind", pa.string()),
    ]
)
SEVERITY: Final = pa.schema([*KEY, *((mode, pa.float32()) for mode in FAILURE_MODES)])
QUALITY: Final = pa.schema([*KEY, ("part_g", pa.float32()), ("dimension_mm", pa.float32()), ("is_good", pa.bool_())])
KINDS: Final = {
    "truth/quality": (QUALITY, ROWS),
    "truth/severity": (SEVERITY, ROWS),
    "curves": (CURVES, CURVE_ROWS),
    "shots": (SHOTS, ROWS),
}
"""The files of a press, by their folder; `shots` gets its name last and says that all are there."""
EVENTS_FILE, EPISODES_FILE = "events.parquet", "truth/episodes.parquet"
OPERATOR_MS: Final = 3_600_000
"""How long a change of set points counts as an upset."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a press."""

    shots: int = 0
    curves: int = 0


class PressWriter:
    """Writes one press's parts as they come; `finish` gives the files their names.

    Args:
        folder: of the record.
        press_id: the press.
        every: keep every so-maniest shot.
        curves_every: keep the curves of every so-maniest shot.
    """

    def __init__(self, folder: Path, press_id: str, *, every: int, curves_every: int) -> None:
        assert min(every, curves_every) >= 1
        self._press_id = press_id
        self._every = every
        self._curves_every = curves_every
        self._shots_seen = 0
        self._files = {kind: _Growing(_path(folder, kind, press_id), *about) for kind, about in KINDS.items()}

    def write(self, part: Part) -> None:
        """Take a part in; full row groups go to disk."""
        places = np.arange(self._shots_seen, self._shots_seen + len(part.block))
        self._shots_seen += len(part.block)
        self._add("shots", part, places % self._every == 0, _shots)
        self._add("curves", part, places % self._curves_every == 0, _curves)
        self._add("truth/severity", part, places % SEVERITY_EVERY == 0, _severity)
        self._add("truth/quality", part, places % QUALITY_EVERY == 0, _quality)

    def _add(self, kind: str, part: Part, wanted: np.ndarray, columns: Any) -> None:
        kept = np.flatnonzero(wanted)
        if not len(kept):
            return
        key = {"press_id": pa.array([self._press_id] * len(kept)), "ended_ms": part.block.ended_ms[kept]}
        self._files[kind].add({**key, **columns(part, kept)})

    def finish(self) -> Counts:
        """Close the files and give them their names, the shots last.

        Raises:
            OSError: the disk is full; nothing has its name then.
        """
        for file in self._files.values():
            file.close()
        for file in self._files.values():
            file.publish()
        return Counts(self._files["shots"].rows, self._files["curves"].rows)

    def abandon(self) -> None:
        """Leave nothing behind."""
        for file in self._files.values():
            file.abandon()


class _Growing:
    """A Parquet file under a draft's name, in row groups."""

    def __init__(self, path: Path, schema: pa.Schema, group_rows: int) -> None:
        self.rows = 0
        self._path = path
        self._schema = schema
        self._group_rows = group_rows
        self._held: list[pa.Table] = []
        self._held_rows = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        words = [field.name for field in schema if field.type == pa.string()]
        self._writer = pq.ParquetWriter(_draft(path), schema, compression="zstd", use_dictionary=words)

    def add(self, columns: dict[str, Any]) -> None:
        table = pa.table(columns, schema=self._schema)
        self.rows += len(table)
        self._held.append(table)
        self._held_rows += len(table)
        if self._held_rows >= self._group_rows:
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._held_rows = self._held, [], 0
        if held:
            self._writer.write_table(pa.concat_tables(held), row_group_size=2 * self._group_rows)

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def publish(self) -> None:
        _draft(self._path).replace(self._path)

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk refuses the footer as well
            self._writer.close()
        _draft(self._path).unlink(missing_ok=True)


def _shots(part: Part, kept: np.ndarray) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "cycle_counter": part.block.cycle_counter[kept],
        "mould_id": [part.process.mould.mould_id] * len(kept),
        "job_name": [part.process.job_name] * len(kept),
    }
    values = np.ascontiguousarray(part.values[kept].T)
    return columns | {spec.name: values[column] for column, spec in enumerate(VALUES)}


def _curves(part: Part, kept: np.ndarray) -> dict[str, Any]:
    assert part.block.curves is not None
    columns: dict[str, Any] = {"sample_interval_s": np.full(len(kept), part.block.sample_interval_s)}
    return columns | {name: list(part.block.curves[kept, row]) for row, name in enumerate(SIGNALS)}


def _severity(part: Part, kept: np.ndarray) -> dict[str, Any]:
    found, none = part.block.truth.severities, np.zeros(len(part.block))
    return {mode: found.get(mode, none)[kept].astype(np.float32) for mode in FAILURE_MODES}


def _quality(part: Part, kept: np.ndarray) -> dict[str, Any]:
    truth = part.block.truth
    return {
        "part_g": truth.part_g[kept].astype(np.float32),
        "dimension_mm": truth.dimension_mm[kept].astype(np.float32),
        "is_good": part.is_good[kept],
    }


def write_plans(folder: Path, plans: Iterable[PressPlan]) -> tuple[int, int]:
    """What the plant notes, and the truth of what befell it, of all presses; how many rows of each."""
    events: list[dict[str, Any]] = []
    episodes: list[tuple[Any, ...]] = []
    for plan in plans:
        events += [{"press_id": plan.press_id, **asdict(event)} for event in plan.events]
        episodes += _episodes(plan)
    (folder / EPISODES_FILE).parent.mkdir(parents=True, exist_ok=True)
    _whole(folder / EVENTS_FILE, pa.Table.from_pylist(events, EVENTS))
    rows = [dict(zip(EPISODES.names, episode, strict=True)) for episode in episodes]
    _whole(folder / EPISODES_FILE, pa.Table.from_pylist(rows, EPISODES))
    return len(events), len(episodes)


def _episodes(plan: PressPlan) -> list[tuple[Any, ...]]:
    press, end_ms = plan.press_id, plan.end_ms
    faults = [(press, f.mode, f.onset_ms, f.failed_ms, min(f.ended_ms, end_ms), "fault") for f in plan.faults]
    upsets = [(press, u.kind, u.begin_ms, None, u.end_ms, "upset") for u in plan.upsets]
    operators = [
        (press, "set_point_change", at, None, min(at + OPERATOR_MS, end_ms), "upset") for at, _, _ in plan.set_points
    ]
    return [*faults, *upsets, *operators]


def written(folder: Path, press_id: str) -> Counts | None:
    """The rows of a press whose record is whole; None without."""
    if not _path(folder, "shots", press_id).exists():
        return None
    return Counts(*(pq.read_metadata(_path(folder, kind, press_id)).num_rows for kind in ("shots", "curves")))


def remove(folder: Path) -> None:
    """Take away all that a record consists of, and nothing else."""
    for kind in KINDS:
        for pattern in ("*.parquet", ".*.parquet.draft"):
            for path in (folder / kind).glob(pattern):
                path.unlink()
    for name in (EVENTS_FILE, EPISODES_FILE):
        (folder / name).unlink(missing_ok=True)


def _path(folder: Path, kind: str, press_id: str) -> Path:
    return folder / kind / f"{press_id}.parquet"


def _whole(path: Path, table: pa.Table) -> None:
    pq.write_table(table, _draft(path), compression="zstd")
    _draft(path).replace(path)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.draft")
