"""A press history of another version, or a damaged one, is refused with the file and what it lacks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import synthetic_history
from deploy import evaluate_models
from models.evaluation.history import HistoryError, open_histories, read_press
from models.features.schema import index
from tests.rollout_bundles import bundle_file

DAYS = 8
SHOTS = DAYS * synthetic_history.DAY_MS // synthetic_history.SHOT_MS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return synthetic_history.write(tmp_path / "history", presses=1, days=DAYS, seed=1)


def _without(column: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).drop_columns([column]), path)


def _renamed(path: Path) -> None:
    table = pq.read_table(path)
    names = ["CushionLength" if name == "CushionStroke" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _with(column: str, values: Callable[[int], list[object]]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        table = pq.read_table(path)
        place = table.column_names.index(column)
        pq.write_table(table.set_column(place, column, pa.array(values(len(table)))), path)

    return damage


CASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a feature is not there": ("shots/P-00.parquet", _without("CycleTime"), "CycleTime: it is of another version"),
    "a feature has another name": ("shots/P-00.parquet", _renamed, "CushionStroke: it is of another version"),
    "shots without times": ("shots/P-00.parquet", _without("ended_ms"), "ended_ms: it is of another version"),
    "cut shots": ("shots/P-00.parquet", _cut, "cannot be read"),
    "other bytes": ("shots/P-00.parquet", lambda path: path.write_bytes(b"x" * 500) and None, "cannot be read"),
    "no events": ("events.parquet", Path.unlink, "is not there"),
    "events of another version": ("events.parquet", _without("kind"), "kind: it is of another version"),
    "a truth of another version": ("truth/episodes.parquet", _without("mode"), "mode: it is of another version"),
    "times as text": ("shots/P-00.parquet", _with("ended_ms", lambda n: ["1"] * n), "ended_ms is string, integers"),
    "times with gaps": (
        "shots/P-00.parquet",
        _with("ended_ms", lambda n: [None, *range(n - 1)]),
        f"ended_ms lacks 1 of {SHOTS}",
    ),
    "times that go back": ("shots/P-00.parquet", _with("ended_ms", lambda n: [n - i for i in range(n)]), "goes back"),
    "a value as text": ("shots/P-00.parquet", _with("CycleTime", lambda n: ["x"] * n), "CycleTime is string, numbers"),
    "an infinite value": (
        "shots/P-00.parquet",
        _with("CycleTime", lambda n: [float("-inf")] + [1.0] * (n - 1)),
        "CycleTime has infinite values",
    ),
    "a value beyond float32": (
        "shots/P-00.parquet",
        _with("CycleTime", lambda n: [1e300] * n),
        "CycleTime has infinite",
    ),
    "moulds as numbers": ("shots/P-00.parquet", _with("mould_id", lambda n: [7] * n), "mould_id is int64, texts"),
    "events without a time": ("events.parquet", _with("at_ms", lambda n: [None] * n), "at_ms is null, integers"),
    "a fault that failed in words": (
        "truth/episodes.parquet",
        _with("failed_ms", lambda n: ["soon"] * n),
        "failed_ms is string, integers",
    ),
    "an episode of another kind": ("truth/episodes.parquet", _with("kind", lambda n: ["woe"] * n), "'woe' is none of"),
    "no shots": ("shots/P-00.parquet", Path.unlink, "has no shots"),
    "damaged meta": ("meta.json", lambda path: path.write_text("{") and None, "is damaged"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_refused_by_file_and_reason(folder: Path, case: str) -> None:
    name, damage, said = CASES[case]
    damage(folder / name)
    with pytest.raises(HistoryError, match=said) as refused:
        open_histories([folder]).read("P-00")
    assert str(folder) in str(refused.value)


def test_a_whole_history_is_read_whatever_numbers_are_stored_as(folder: Path) -> None:
    assert len(read_press(folder, "P-00").ended_ms) == SHOTS
    path = folder / "shots/P-00.parquet"
    _with("CycleTime", lambda n: [None] * n)(path)
    _with("CushionStroke", lambda n: [5] * n)(path)
    pq.write_table(pq.read_table(path), path, use_dictionary=["mould_id"])
    history = read_press(folder, "P-00")
    assert np.isnan(history.values[:, index("CycleTime")]).all()
    assert (history.values[:, index("CushionStroke")] == 5).all()


def test_evaluate_says_of_another_version_that_it_is_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _without("CycleTime")(folder / "shots/P-00.parquet")
    bundle_file(tmp_path / "b.zip")
    arguments = ["--bundle", str(tmp_path / "b.zip"), "--history", str(folder), "--out", str(tmp_path / "out")]
    assert evaluate_models.main(arguments) == 1
    assert "zhisan models evaluate: " in capsys.readouterr().err
