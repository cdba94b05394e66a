"""A press history of another version, or a damaged one, is refused with the file and what it lacks."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deploy import evaluate_models
from models.evaluation.history import HistoryError, open_histories, read_press
from tests import synthetic_history
from tests.rollout_bundles import bundle_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return synthetic_history.write(tmp_path / "history", presses=1, days=8, seed=1)


def _without(column: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).drop_columns([column]), path)


def _renamed(path: Path) -> None:
    table = pq.read_table(path)
    names = ["CushionLength" if name == "CushionStroke" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


CASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a feature is not there": ("shots/P-00.parquet", _without("CycleTime"), "CycleTime: it is of another version"),
    "a feature has another name": ("shots/P-00.parquet", _renamed, "CushionStroke: it is of another version"),
    "shots without times": ("shots/P-00.parquet", _without("ended_ms"), "ended_ms: it is of another version"),
    "cut shots": ("shots/P-00.parquet", _cut, "cannot be read"),
    "other bytes": ("shots/P-00.parquet", lambda path: path.write_bytes(b"x" * 500) and None, "cannot be read"),
    "no events": ("events.parquet", Path.unlink, "is not there"),
    "events of another version": ("events.parquet", _without("kind"), "kind: it is of another version"),
    "a truth of another version": ("truth/episodes.parquet", _without("mode"), "mode: it is of another version"),
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


def test_a_whole_history_is_read(folder: Path) -> None:
    assert len(read_press(folder, "P-00").ended_ms)


def test_evaluate_says_of_another_version_that_it_is_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _without("CycleTime")(folder / "shots/P-00.parquet")
    bundle_file(tmp_path / "b.zip")
    arguments = ["--bundle", str(tmp_path / "b.zip"), "--history", str(folder), "--out", str(tmp_path / "out")]
    assert evaluate_models.main(arguments) == 1
    assert "zhisan models evaluate: " in capsys.readouterr().err
