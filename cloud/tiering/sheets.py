"""A CSV or XLSX file as rows by column name, bounded before it is believed."""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

from kit.errors import ZhisanError

ROWS_MAX: Final = 100_000
UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
CELL_CHARACTERS_MAX: Final = 1_000
ZIP_START: Final = b"PK\x03\x04"

Row = dict[str, str]


class SheetError(ZhisanError):
    """A file that cannot be read as a table; the message says why."""


def read_sheet(content: bytes, columns: Sequence[str], required: Sequence[str]) -> list[Row]:
    """The rows of a CSV file in UTF-8, or of an XLSX file's first sheet; cells as text, empty where there is none.

    The first row names the columns, in any order; a column that is not in `columns` is refused.

    Raises:
        SheetError: it is neither, lacks a required column, has an unknown one, or more than ROWS_MAX rows.
    """
    table = _xlsx(content) if content.startswith(ZIP_START) else _csv(content)
    header = [name.strip().lower() for name in next(table, [])]
    while header and not header[-1]:
        header.pop()
    _check_header(header, columns, required)
    rows: list[Row] = []
    for cells in table:
        if not any(cells):
            continue
        if len(rows) >= ROWS_MAX:
            raise SheetError(f"more than {ROWS_MAX} rows: split the file")
        if len(cells) > len(header) and any(cells[len(header) :]):
            raise SheetError(f"row {len(rows) + 2}: more cells than columns")
        padded = [*cells, *[""] * (len(header) - len(cells))]
        rows.append(dict.fromkeys(columns, "") | dict(zip(header, padded, strict=False)))
    return rows


def _check_header(header: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> None:
    if not header:
        raise SheetError("the file is empty: its first row names the columns")
    for name in header:
        if name not in columns:
            raise SheetError(f"unknown column {name[:64]!r}; there are {', '.join(columns)}")
        if header.count(name) > 1:
            raise SheetError(f"column {name!r} is there twice")
    for name in required:
        if name not in header:
            raise SheetError(f"column {name!r} is missing")


def _csv(content: bytes) -> Iterator[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SheetError(f"neither XLSX nor text in UTF-8: byte {error.start} is none") from error
    if "\x00" in text:
        raise SheetError("neither XLSX nor text: it has NUL characters")
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True):
            yield [_bounded(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise SheetError(f"not a CSV file: {error}") from error


def _xlsx(content: bytes) -> Iterator[list[str]]:
    from openpyxl import load_workbook  # 60 ms that a cloud's start does not wait for
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_BYTES_MAX:
                raise SheetError(f"unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise SheetError("not an XLSX file that can be read") from error
    try:
        for cells in book.worksheets[0].iter_rows(values_only=True, max_row=ROWS_MAX + 2):
            yield [_bounded(_text(cell)) for cell in cells]
    finally:
        book.close()


def _text(cell: Any) -> str:
    """As a CSV file would have it."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float):
        return f"{cell:.12g}"
    return str(cell).strip()


def _bounded(cell: str) -> str:
    if len(cell) > CELL_CHARACTERS_MAX:
        raise SheetError(f"a cell has more than {CELL_CHARACTERS_MAX} characters")
    return cell
