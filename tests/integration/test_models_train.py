"""`zhisan models train` and `score`: a customer's CSV becomes a bundle that answers as the fitted models do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deploy import train_table
from models.runtime.bundle import BundleError, read_bundle
from models.training.tabular import export, protocol
from models.training.tabular.table import Table, TableError, read_table


def csv_of(tmp_path: Path, kind: str, *, count: int = 240) -> Path:
    """A table whose label follows two of three columns; groups differ in level, and every tenth cell is missing."""
    rng = default_rng(3)
    lines = []
    for n in range(count):
        group = n // 24
        a, b, c = rng.normal(group * 0.3, 1), rng.normal(), rng.normal()
        y = a + 0.5 * b + rng.normal(0, 0.2)
        label = {"two": "good" if y > 0.5 else "bad", "three": str(int(np.digitize(y, [0, 1]))), "quantity": f"{y:.3f}"}
        cells = [f"{a:.3f}", f"{b:.3f}", "" if n % 10 == 0 else f"{c:.3f}", f"press-{group}", str(n), label[kind]]
        lines.append(",".join(cells))
    path = tmp_path / f"{kind}.csv"
    path.write_text("\n".join(["a,b,c,press,shot,label", *lines]), encoding="utf-8")
    return path


def trained(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, *more: str) -> dict[str, Any]:
    out = tmp_path / "b.zip"
    arguments = ["--data", str(csv_of(tmp_path, kind)), "--label", "label", "--out", str(out), "--quick", *more]
    assert train_table.train(arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", ["two", "three", "quantity"])
def test_a_bundle_answers_as_the_fitted_models_do_and_is_judged_beside_baselines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    found = trained(tmp_path, capsys, kind, "--drop", "press,shot")
    assert found["task"] == ("regression" if kind == "quantity" else "classification")
    low, high = found["interval"]
    assert low < found["mean"] < high
    lazy = found["baselines"]["mean" if kind == "quantity" else "most_frequent"]
    assert found["mean"] < 0.7 * lazy if kind == "quantity" else found["mean"] > lazy + 0.2
    assert found["parity"] < 1e-5
    assert "Model card" in (tmp_path / "b.md").read_text(encoding="utf-8")
    with pytest.raises(BundleError, match="other features"):
        read_bundle(tmp_path / "b.zip")
    answers = tmp_path / "s.csv"
    data = tmp_path / f"{kind}.csv"
    assert train_table.score(["--bundle", str(tmp_path / "b.zip"), "--data", str(data), "--out", str(answers)]) == 0
    lines = answers.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 241
    if kind != "quantity":
        named = [line.rsplit(",", 1)[1] for line in lines[1:]]
        truth = [line.rsplit(",", 1)[1] for line in data.read_text(encoding="utf-8").splitlines()[1:]]
        assert np.mean([a == b for a, b in zip(named, truth, strict=True)]) > 0.9


def test_groups_and_time_keep_rows_apart_and_random_folds_stand_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = trained(tmp_path, capsys, "two", "--group", "press", "--time", "shot")
    assert "blocks in time" in str(found["protocol"])
    assert "no group on both sides" in str(found["protocol"])
    assert isinstance(found["random_split"], float)


def folds_of(table: Table) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(protocol._outer(table, 1, 1))


def test_no_group_is_on_both_sides_and_nothing_is_judged_by_what_came_later(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "two")
    grouped = read_table(path, label="label", group="press")
    assert grouped.groups is not None
    for learning, judging in folds_of(grouped):
        assert not set(grouped.groups[learning]) & set(grouped.groups[judging])
    both = read_table(path, label="label", group="press", time="shot")
    assert both.times is not None
    assert both.groups is not None
    for learning, judging in folds_of(both):
        assert both.times[learning].max() < both.times[judging].min()
        assert not set(both.groups[learning]) & set(both.groups[judging])


def test_labels_of_pure_chance_are_judged_as_chance(tmp_path: Path) -> None:
    """Whatever the tuning does, it must not have seen the rows that it is judged by."""
    rng = default_rng(5)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{rng.integers(2)}" for _ in range(400)]
    (tmp_path / "c.csv").write_text("\n".join(["a,b,y", *lines]), encoding="utf-8")
    with threadpool_limits(1):  # as the program does; on busy cores threads wait for each other
        report = protocol.judge(read_table(tmp_path / "c.csv", label="y"), repeats=1, seed=1, quick=True)
    assert 0.4 < report.score.mean < 0.6


def test_too_few_groups_and_a_column_that_no_gateway_fills_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{n},{n % 2},{n % 3}" for n in range(60)]
    (tmp_path / "g.csv").write_text("\n".join(["a,y,g", *lines]), encoding="utf-8")
    with pytest.raises(TableError, match="3 groups are too few"):
        protocol.judge(read_table(tmp_path / "g.csv", label="y", group="g"), repeats=1, seed=1, quick=True)
    data = ["--data", str(csv_of(tmp_path, "two")), "--label", "label", "--drop", "press,shot", "--quick"]
    assert train_table.train([*data, "--out", str(tmp_path / "g.zip"), "--mould", "M"]) == 1
    assert "no gateway can fill 'a', 'b', 'c'" in capsys.readouterr().err
    assert not (tmp_path / "g.zip").exists()


def test_columns_that_are_features_of_a_shot_become_a_head_that_gateways_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = csv_of(tmp_path, "two")
    text = path.read_text(encoding="utf-8").replace("a,b,c,", "CushionStroke,CycleTime,DosingTime,", 1)
    path.write_text(text, encoding="utf-8")
    arguments = ["--data", str(path), "--label", "label", "--drop", "press,shot", "--quick", "--mould", "M-1"]
    assert train_table.train([*arguments, "--out", str(tmp_path / "m.zip")]) == 0
    bundle = read_bundle(tmp_path / "m.zip")
    assert bundle.manifest.heads[0].kind == "quality"
    assert list(bundle.manifest.heads[0].normals) == ["M-1"]
    assert bundle.manifest.heads[0].file == export.FILE


def test_what_cannot_be_scored_is_told_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(tmp_path, capsys, "two", "--drop", "press,shot")
    data, bundle, out = tmp_path / "d.csv", tmp_path / "b.zip", tmp_path / "s.csv"
    shown = {
        "a,b\n1,2\n": "lacks the column 'c' that the model learned from",
        "a,b,c\n1,2,wet\n": "line 2: 'c' is 'wet', not a number",
        "a,b,c\n1,2\n": "line 2 has 2 cells, the header 3",
        "": "has no header line",
    }
    for text, said in shown.items():
        data.write_text(text, encoding="utf-8")
        assert train_table.score(["--bundle", str(bundle), "--data", str(data), "--out", str(out)]) == 1
        assert said in capsys.readouterr().err
        assert not out.exists()
    data.write_text("a,b,c\n,,\n1,2,3\n", encoding="utf-8")
    nowhere = ["--bundle", str(bundle), "--data", str(data), "--out", str(tmp_path / "none" / "s.csv")]
    assert train_table.score(nowhere) == 1
    assert "cannot be written" in capsys.readouterr().err
    for other in (data, tmp_path / "none.zip"):
        assert train_table.score(["--bundle", str(other), "--data", str(data)]) == 1
        assert str(other) in capsys.readouterr().err
    assert train_table.score(["--bundle", str(bundle), "--data", str(data)]) == 0
    header, empty, plain = capsys.readouterr().out.splitlines()
    assert header == "bad,good,class"
    assert plain.endswith(("bad", "good"))
    assert "nan" not in empty, "a row of gaps is answered as training knew gaps"
