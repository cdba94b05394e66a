"""A small press history without physics: values that wander, and some of them that leave before their mode's failure.

Made in a second; the record of `zhisan sim press-history` takes minutes. It shows that code works and what it costs,
and says nothing of how well anything is foreseen.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.features.schema import VALUES

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SHOT_MS = 120_000
MOULDS = ("M-1", "M-2")
SIGNAL = {"check_ring_wear": "CushionStroke", "pump_leakage": "OilTemperature"}
"""By mode, the value that rises from its onset on."""
GROWS_H, RISE = 40, 12.0
"""From onset to failure; and how many deviations the value is off then."""
QUIET_DAYS, APART_DAYS = 3, 4
"""Before the first onset, and from the last possible onset to the next first possible one or the end."""
_NAMES = [spec.name for spec in VALUES]
_SD = 0.5


def values_of(count: int, seed: int) -> np.ndarray:
    """Healthy values (count, V), each around a level of its own, with a slow wander."""
    rng = np.random.default_rng(seed)
    levels = 20.0 + np.arange(len(_NAMES))
    wander = np.repeat(rng.normal(0, 0.3, (count // 60 + 1, len(_NAMES))), 60, axis=0)[:count]
    return (levels + _SD * (wander + rng.normal(0, 1, (count, len(_NAMES))))).astype(np.float32)


def worn(
    values: np.ndarray,
    ended_ms: np.ndarray,
    mode: str,
    onset_ms: int,
    failed_ms: int,
    *,
    signal: Mapping[str, str] = SIGNAL,
) -> None:
    """Let the mode's value rise from its onset to its failure, in place."""
    share = np.clip((ended_ms - onset_ms) / (failed_ms - onset_ms), 0, 1) * (ended_ms <= failed_ms)
    values[:, _NAMES.index(signal[mode])] += (RISE * _SD * share).astype(np.float32)


def write(
    folder: Path,
    *,
    presses: int,
    days: int,
    seed: int,
    labels: int = 0,
    signal: Mapping[str, str] = SIGNAL,
    failures: int = 1,
) -> Path:
    """A history; every press but each fourth fails so often, each time of another mode, and is repaired."""
    rng = np.random.default_rng(seed)
    for part in ("shots", "truth"):
        (folder / part).mkdir(parents=True)
    episodes, events = [], []
    for number in range(presses):
        press = f"P-{number:02}"
        ended_ms = np.arange(days * DAY_MS // SHOT_MS, dtype=np.int64) * SHOT_MS + 1_700_000_000_000
        values = values_of(len(ended_ms), 1_000 * seed + number)
        room = (days - QUIET_DAYS) / failures
        for turn in range(failures if number % 4 != 3 else 0):
            mode = list(signal)[(number * failures + turn) % len(signal)]
            first = QUIET_DAYS + turn * room
            onset_ms = int(ended_ms[0] + rng.uniform(first, first + room - APART_DAYS) * DAY_MS)
            failed_ms = onset_ms + GROWS_H * HOUR_MS
            worn(values, ended_ms, mode, onset_ms, failed_ms, signal=signal)
            episodes.append((press, mode, onset_ms, failed_ms, failed_ms + HOUR_MS, "fault"))
            events.append((press, failed_ms + HOUR_MS, "maintenance", "repair"))
        table = {"ended_ms": ended_ms, "mould_id": [MOULDS[number % 2]] * len(ended_ms)}
        table |= {name: values[:, place] for place, name in enumerate(_NAMES)}
        pq.write_table(pa.table(table), folder / "shots" / f"{press}.parquet")
    columns = ["press_id", "mode", "onset_ms", "failed_ms", "ended_ms", "kind"]
    _write(folder / "truth" / "episodes.parquet", columns, episodes)
    _write(folder / "events.parquet", ["press_id", "at_ms", "kind", "detail"], events)
    (folder / "meta.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    return folder


def _write(path: Path, columns: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    pq.write_table(pa.table({name: [row[place] for row in rows] for place, name in enumerate(columns)}), path)
