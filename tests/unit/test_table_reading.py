"""A labelled CSV is read whole or refused with the column, the line and the reason; nothing is guessed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.training.tabular.candidates import answers, baselines, families, learned
from models.training.tabular.table import ROWS_MIN, TableError, Task, read_inputs, read_table


def written(tmp_path: Path, header: str, rows: list[str], encoding: str = "utf-8") -> Path:
    path = tmp_path / "d.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


def rows(line: str, count: int = 40) -> list[str]:
    """Lines with {n} for their number and {c} for a class of two."""
    return [line.format(n=n, c="ok" if n % 2 else "bad") for n in range(count)]


def test_numbers_words_and_gaps_become_inputs(tmp_path: Path) -> None:
    path = written(tmp_path, "p;mould;note;empty;y", rows("{n}.5;M{c};x{n};;{c}"))
    table = read_table(path, label="y", drop=["note"])
    assert table.inputs == ("p", "mould=Mbad", "mould=Mok")
    assert table.classes == ("bad", "ok")
    assert table.dropped == ("note", "empty")
    assert table.rows[:2].tolist() == [[0.5, 1.0, 0.0], [1.5, 0.0, 1.0]]
    assert table.rows.dtype == np.float32


def test_a_label_of_few_whole_numbers_is_a_class_and_of_others_a_quantity(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "p,y", [f"{n},{n % 3 + 1}.0" for n in range(40)]), label="y").classes == (
        "1",
        "2",
        "3",
    )
    quantity = read_table(written(tmp_path, "p,y", [f"{n},{n * 0.5}" for n in range(40)]), label="y")
    assert quantity.classes == ()
    assert quantity.labels[3] == 1.5


def test_rows_without_a_label_are_counted_and_left_out(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "p,y", [*rows("{n},{c}"), "7,", "8,NA", ",", ""]), label="y")
    assert (len(table.labels), table.rows_without_label) == (40, 3)


def test_what_a_chinese_spreadsheet_writes_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "压力\t质量", [f"{n}\t{'合格' if n % 2 else '废品'}" for n in range(40)], "gb18030")
    assert read_table(path, label="质量").classes == ("合格", "废品")


@pytest.mark.parametrize(
    ("header", "lines", "options", "named"),
    [
        ("p,y", rows("{n},{c}"), {"label": "z"}, "'z'"),
        ("p,y", rows("{n},{c}"), {"label": "y", "drop": ["q"]}, "--drop names the column 'q'"),
        ("p,y", rows("{n},{c}", ROWS_MIN - 1), {"label": "y"}, f"at least {ROWS_MIN}"),
        ("p,y", rows("{n},ok"), {"label": "y"}, "nothing to tell apart"),
        ("p,y", [*rows("{n},{c}"), "1,rare"], {"label": "y"}, "'rare' (1)"),
        (
            "p,y",
            [*rows("{n},{c}"), "oops,ok"],
            {"label": "y"},
            "'p' mixes 40 numbers with text, first 'oops' in data row 41",
        ),
        (
            "p,y",
            [*rows("{n},{c}"), "1e300,ok"],
            {"label": "y"},
            "'p' mixes 40 numbers with text, first '1e300' in data row 41",
        ),
        ("p,y", rows("{n},3.5"), {"label": "y"}, "every row has the 'y' 3.5; there is nothing to tell apart"),
        ("p,q,y", rows("{n},part {n},{c}"), {"label": "y"}, "'q' holds 40 different texts"),
        ("p,y", [f"{n},{n if n % 2 else f'x{n}'}" for n in range(200)], {"label": "y"}, "mixes numbers and text"),
        ("p,y", [*rows("{n},{c}"), "1,ok,3"], {"label": "y"}, "line 42 has 3 cells, the header 2"),
        ("p,p,y", rows("{n},1,{c}"), {"label": "y"}, "doubled name: 'p'"),
        ("p,y", rows("{n},{c}"), {"label": "y", "drop": ["p"]}, "no column is left"),
        ("p,t,y", rows("{n},noon,{c}"), {"label": "y", "time": "t"}, "line 2: 't' is 'noon'"),
        ("", [], {"label": "y"}, "header"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_by_name(
    tmp_path: Path, header: str, lines: list[str], options: dict[str, str], named: str
) -> None:
    with pytest.raises(TableError) as refused:
        read_table(written(tmp_path, header, lines), **options)
    assert named in str(refused.value)


def test_what_is_no_text_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\x00\x01" * 50)
    for name, reason in (("b", "no text"), ("none", "cannot be read")):
        with pytest.raises(TableError, match=reason):
            read_table(tmp_path / name, label="y")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.text(alphabet="abc,;\n\t\"'0123456789.-\r", max_size=400).map(str.encode))
def test_any_bytes_are_a_table_or_a_table_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "d.csv"
    path.write_bytes(content)
    try:
        table = read_table(path, label="a")
    except TableError:
        return
    assert len(table.rows) == len(table.labels)


def test_new_rows_are_read_by_the_names_of_the_inputs(tmp_path: Path) -> None:
    path = written(tmp_path, "y,mould,p,more", ["1,Mbad,2.5,x", "1,other,,x"])
    found = read_inputs(path, ("p", "mould=Mbad", "mould=Mok"))
    assert found[0].tolist() == [2.5, 1.0, 0.0]
    assert np.isnan(found[1, 0])
    assert found[1, 1:].tolist() == [0.0, 0.0]
    with pytest.raises(TableError, match="lacks the column 'q'"):
        read_inputs(path, ("q",))
    with pytest.raises(TableError, match="line 2: 'mould' is 'Mbad'"):
        read_inputs(path, ("mould",))
    path = written(tmp_path, "p,y", ["1,ok", "-inf,ok"])
    with pytest.raises(TableError, match="line 3: 'p' is '-inf', not a number"):
        read_inputs(path, ("p",))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_column_without_a_value_in_the_rows_learned_from_teaches_nothing(task: Task) -> None:
    """A sensor that was built in later, judged by blocks in time."""
    rng = np.random.default_rng(0)
    early, late = rng.normal(0, 1, (2, 60, 2)).astype(np.float32)
    early[:, 1] = np.nan
    labels = (early[:, 0] > 0).astype(float)
    classes = 2 if task == "classification" else 0
    other = late.copy()
    other[:, 1] = -9
    models = [*(family.make(1) for family in families(task, quick=True)), *baselines(task, 1).values()]
    with threadpool_limits(1):
        for model in models:
            learned(model, early, labels)
            np.testing.assert_array_equal(answers(model, late, classes), answers(model, other, classes))
