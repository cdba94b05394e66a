"""A labelled CSV as numbers: every cell is a number, a missing value or one of few words, or the file is refused."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from kit.errors import ZhisanError

ENCODINGS = ("utf-8-sig", "gb18030")
"""What spreadsheets in plants write."""
DELIMITERS = ",;\t|"
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
ROWS_MIN, ROWS_MAX, COLUMNS_MAX = 30, 2_000_000, 500
WORDS_MAX = 20
"""A column of text with more different words than this is a name or a remark, not a category."""
CLASSES_MAX = 50
ROWS_A_CLASS_MIN = 5
DISTINCT_NUMBERS_MAX = 20
"""A label of whole numbers with at most so many different values is a class, else a quantity."""
SHOWN_MAX = 5
NUMBER_MAX = 1e19
"""No measured quantity is larger, and in single precision its square is still a number."""

Task = Literal["classification", "regression"]
Matrix = npt.NDArray[np.float32]


class TableError(ZhisanError):
    """The file cannot be learned from; the message names the column, the row and the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows to learn from.

    `inputs` name the columns of `rows` (n, inputs) float32, NaN where missing; a text column `C` has an input `C=word`
    for each of its words. `labels` (n,) are indices into `classes`, or the quantity itself where there are no classes.
    `groups` (n,) and `times` (n,) seconds are None where no column was named for them.
    """

    inputs: tuple[str, ...]
    rows: Matrix
    labels: npt.NDArray[np.float64]
    classes: tuple[str, ...]
    groups: npt.NDArray[np.str_] | None
    times: npt.NDArray[np.float64] | None
    dropped: tuple[str, ...]
    rows_without_label: int

    @property
    def task(self) -> Task:
        """What there is to predict."""
        return "classification" if self.classes else "regression"


def read_table(
    path: Path, *, label: str, drop: Sequence[str] = (), group: str | None = None, time: str | None = None
) -> Table:
    """Read and check a CSV file with a header line.

    Args:
        path: the file; UTF-8 or GB 18030, separated by comma, semicolon, tab or bar.
        label: the column to predict; rows without it are left out and counted.
        drop: columns that are not inputs.
        group: rows with the same value (a press, a mould, a lot) are never split between learning and judging.
        time: rows are judged only by what was learned from earlier ones; numbers or ISO 8601.

    Raises:
        TableError: the file cannot be read or does not fit; nothing is guessed.
    """
    header, lines = _cells(path)
    for what, name in [("--label", label), *(("--drop", n) for n in drop), ("--group", group), ("--time", time)]:
        if name is not None and name not in header:
            raise TableError(f"{path}: {what} names the column {name!r}; the file has {', '.join(map(repr, header))}")
    labelled = [(number, line) for number, line in lines if not _is_missing(line[header.index(label)])]
    if len(labelled) < ROWS_MIN:
        raise TableError(f"{path}: {len(labelled)} rows have a {label!r}; at least {ROWS_MIN} are needed")
    labels, classes = _labels(path, label, [(n, line[header.index(label)]) for n, line in labelled])
    kept = [name for name in header if name not in {label, group, time, *drop}]
    inputs, columns, empty = _inputs(path, kept, {n: [line[header.index(n)] for _, line in labelled] for n in kept})
    if not inputs:
        raise TableError(f"{path}: no column is left to learn from")
    return Table(
        inputs=tuple(inputs),
        rows=np.stack(columns, axis=1).astype(np.float32),
        labels=labels,
        classes=classes,
        groups=None if group is None else np.array([line[header.index(group)] for _, line in labelled]),
        times=None if time is None else _times(path, time, [(n, line[header.index(time)]) for n, line in labelled]),
        dropped=(*drop, *empty),
        rows_without_label=len(lines) - len(labelled),
    )


def read_inputs(path: Path, inputs: Sequence[str]) -> Matrix:
    """The rows of a CSV as a model's inputs, float32, NaN where a cell is missing or a word was never learned.

    Raises:
        TableError: a column is missing, or has text where the model learned numbers.
    """
    header, lines = _cells(path)
    columns = []
    for name in inputs:
        source, equals, word = name.rpartition("=") if name not in header else (name, "", "")
        if (source if equals else name) not in header:
            raise TableError(f"{path}: lacks the column {(source if equals else name)!r} that the model learned from")
        texts = [line[header.index(source if equals else name)] for _, line in lines]
        if equals:
            columns.append([math.nan if _is_missing(text) else float(text == word) for text in texts])
            continue
        column = [_number(text) for text in texts]
        wrong = [
            n for n, (x, text) in enumerate(zip(column, texts, strict=True)) if x is None and not _is_missing(text)
        ]
        if wrong:
            raise TableError(f"{path}: line {lines[wrong[0]][0]}: {name!r} is {texts[wrong[0]]!r}, not a number")
        columns.append([math.nan if x is None else x for x in column])
    return np.array(columns, np.float32).T.reshape(len(lines), len(inputs))


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the lines with their numbers."""
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        found = list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise TableError(f"{path}: is no CSV: {error}") from error
    if not found or not any(cell.strip() for cell in found[0]):
        raise TableError(f"{path}: has no header line")
    header = [cell.strip() for cell in found[0]]
    doubled = [name for name, count in Counter(header).items() if count > 1 or not name]
    if doubled:
        raise TableError(f"{path}: the header has an empty or doubled name: {', '.join(map(repr, doubled))}")
    if len(header) < 2 or len(header) > COLUMNS_MAX:
        raise TableError(f"{path}: has {len(header)} columns; between 2 and {COLUMNS_MAX} are needed")
    if len(found) - 1 > ROWS_MAX:
        raise TableError(f"{path}: has more than {ROWS_MAX} rows")
    lines = [(number, [cell.strip() for cell in line]) for number, line in enumerate(found[1:], 2) if line]
    for number, line in lines:
        if len(line) != len(header):
            raise TableError(f"{path}: line {number} has {len(line)} cells, the header {len(header)}")
    return header, lines


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}") from error
    if b"\0" in data[:4096]:
        raise TableError(f"{path}: is no text file")
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TableError(f"{path}: is neither UTF-8 nor GB 18030")


def _labels(path: Path, name: str, cells: Sequence[tuple[int, str]]) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    numbers = [_number(text) for _, text in cells]
    different = {text for _, text in cells}
    if all(number is not None for number in numbers):
        values = np.array(numbers, np.float64)
        are_whole = bool((values == np.round(values)).all())
        if len(np.unique(values)) < 2:
            raise TableError(f"{path}: every row has the {name!r} {values[0]:g}; there is nothing to tell apart")
        if not are_whole or len(np.unique(values)) > DISTINCT_NUMBERS_MAX:
            return values, ()
        classes = tuple(f"{value:g}" for value in np.unique(values))
        named = [f"{value:g}" for value in values]
    else:
        first_text = next((n, text) for (n, text), number in zip(cells, numbers, strict=True) if number is None)
        if len(different) > CLASSES_MAX:
            raise TableError(
                f"{path}: column {name!r} mixes numbers and text or has {len(different)} different labels "
                f"(line {first_text[0]}: {first_text[1]!r}); at most {CLASSES_MAX} classes, or numbers alone"
            )
        classes, named = tuple(sorted(different)), [text for _, text in cells]
    if len(classes) < 2:
        raise TableError(f"{path}: every row has the {name!r} {classes[0]!r}; there is nothing to tell apart")
    rare = [f"{value!r} ({count})" for value, count in Counter(named).items() if count < ROWS_A_CLASS_MIN]
    if rare:
        raise TableError(
            f"{path}: too few rows of {name!r} {', '.join(rare[:SHOWN_MAX])}; each class needs {ROWS_A_CLASS_MIN}"
        )
    return np.array([classes.index(value) for value in named], np.float64), classes


def _inputs(
    path: Path, names: Sequence[str], cells: dict[str, list[str]]
) -> tuple[list[str], list[npt.NDArray[np.float64]], list[str]]:
    """Input names, their columns, and the names of columns without any value."""
    inputs: list[str] = []
    columns: list[npt.NDArray[np.float64]] = []
    empty: list[str] = []
    for name in names:
        texts = cells[name]
        words = {text for text in texts if not _is_missing(text) and _number(text) is None}
        present = sum(not _is_missing(text) for text in texts)
        if not present:
            empty.append(name)
        elif not words:
            inputs.append(name)
            columns.append(np.array([math.nan if (x := _number(text)) is None else x for text in texts]))
        else:
            numbers = present - sum(text in words for text in texts)
            row = next(n for n, text in enumerate(texts) if text in words)
            if numbers:
                raise TableError(
                    f"{path}: column {name!r} mixes {numbers} numbers with text, first {texts[row]!r} in data row "
                    f"{row + 1}; mend it, or leave it out with --drop"
                )
            if len(words) > WORDS_MAX:
                raise TableError(
                    f"{path}: column {name!r} holds {len(words)} different texts such as {texts[row]!r}; "
                    "leave it out with --drop, or name it with --group"
                )
            for word in sorted(words):
                inputs.append(f"{name}={word}")
                columns.append(np.array([math.nan if _is_missing(text) else float(text == word) for text in texts]))
    return inputs, columns, empty


def _times(path: Path, name: str, cells: Sequence[tuple[int, str]]) -> npt.NDArray[np.float64]:
    found = []
    for number, text in cells:
        value = _number(text)
        if value is None:
            try:
                value = datetime.fromisoformat(text).timestamp()
            except ValueError as error:
                raise TableError(f"{path}: line {number}: {name!r} is {text!r}, no number and no ISO 8601") from error
        found.append(value)
    return np.array(found)


def _is_missing(text: str) -> bool:
    return text.lower() in MISSING


def _number(text: str) -> float | None:
    """The number in a cell; None for anything else, infinities and what is beyond NUMBER_MAX too."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= NUMBER_MAX else None
