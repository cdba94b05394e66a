"""Recorded shots: the rows of a CSV or Parquet file, by a mapping, as shots."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract.shot import NOT_TOLD, ProductionDataset, Shot
from contract.sparkplug.limits import TIMESTAMP_MS_MAX
from contract.units import conversion
from contract.vocabulary import PARAMETERS
from edge_agent.shots import finite
from edge_agent.sources.mapping import Mapping, MappingError

ROWS_MAX = 10_000_000
BATCH_ROWS = 1_000


def count_rows(path: Path, mapping: Mapping) -> int:
    """How many rows the file has; checks that the columns that the mapping names are there.

    Raises:
        MappingError: the file cannot be read as what the mapping says, or a column is missing.
    """
    return sum(1 for _ in _rows(path, mapping))


def read_shots(path: Path, mapping: Mapping, *, after_row: int = 0) -> Iterator[tuple[int, Shot]]:
    """The rows after `after_row` (rows count from 1) as shots, in the file's order.

    A cell that is empty or no number is a reading that is missing: NaN.

    Raises:
        MappingError: as `count_rows`; or a row has no usable time.
    """
    actual, wanted = (_factors(mapping, is_set_value=is_set_value) for is_set_value in (False, True))
    clock = _RowClock(mapping)
    for number, row in enumerate(_rows(path, mapping), 1):
        ended_ms = clock.ended_ms(number, row)
        if number <= after_row:
            continue
        set_points = sorted(pair for pair in _values(row, wanted, mapping).items() if math.isfinite(pair[1]))
        is_told = bool(mapping.dataset or set_points)
        yield (
            number,
            Shot(
                press_id=mapping.press,
                ended_ms=ended_ms,
                parameters=_values(row, actual, mapping),
                cycle_counter=number,
                job_name=mapping.job,
                mould_id=mapping.mould,
                material=mapping.material,
                product_name=mapping.product,
                cavities=mapping.cavities,
                dataset=ProductionDataset(mapping.dataset, set_points=tuple(set_points)) if is_told else NOT_TOLD,
            ),
        )


def _factors(mapping: Mapping, *, is_set_value: bool) -> dict[str, tuple[str, float, float]]:
    """How the numbers of columns become those of parameters: name, factor, offset."""
    return {
        column: (wanted.name, *conversion(wanted.unit, PARAMETERS[wanted.name].unit))
        for column, wanted in mapping.columns.items()
        if wanted.is_set_value is is_set_value
    }


def _values(row: dict[str, Any], factors: dict[str, tuple[str, float, float]], mapping: Mapping) -> dict[str, float]:
    return {
        name: finite(_number(row[column], mapping) * factor + offset)
        for column, (name, factor, offset) in factors.items()
    }


class _RowClock:
    """Row by row the time at which its cycle ended."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._time = time = mapping.time
        self._factor, self._offset = conversion(time.step_unit, "s")
        self._next_ms = time.start.timestamp() * 1000 if time.start is not None else 0.0

    def ended_ms(self, number: int, row: dict[str, Any]) -> int:
        time = self._time
        if time.column is not None:
            try:
                return _recordable(time.ended_ms(str(row[time.column])))
            except (OverflowError, ValueError) as error:
                raise MappingError(
                    f"row {number}: {time.column} is {row[time.column]!r}, no time ({time.format})"
                ) from error
        assert time.step_column is not None
        if number > 1:
            step_s = _number(row[time.step_column], self._mapping) * self._factor + self._offset
            if not step_s >= 0:
                raise MappingError(f"row {number}: {time.step_column} is {row[time.step_column]!r}, no duration")
            self._next_ms += step_s * 1000
        try:
            return _recordable(round(self._next_ms))
        except (OverflowError, ValueError) as error:
            raise MappingError(f"row {number}: {self._next_ms:g} ms is no time") from error


def _recordable(ended_ms: int) -> int:
    """The time, where a record can have it: from 1970 to the year 9999.

    Raises:
        ValueError: it cannot.
    """
    if not 0 <= ended_ms <= TIMESTAMP_MS_MAX:
        raise ValueError("beyond what a record can have")
    return ended_ms


def _rows(path: Path, mapping: Mapping) -> Iterator[dict[str, Any]]:
    rows = _parquet(path, mapping) if mapping.file.kind == "parquet" else _csv(path, mapping)
    for number, row in enumerate(rows, 1):
        if number > ROWS_MAX:
            raise MappingError(f"{path.name}: more than {ROWS_MAX} rows; split the file")
        yield row


def _csv(path: Path, mapping: Mapping) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding=mapping.file.encoding, newline="") as lines:
            reader = csv.DictReader(lines, delimiter=mapping.file.delimiter, restval="")
            _check_columns(path, mapping, list(reader.fieldnames or []))
            yield from reader
    except OSError as error:
        raise MappingError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeError, LookupError, csv.Error) as error:
        raise MappingError(f"{path}: is not {mapping.file.encoding} CSV: {error}") from error


def _parquet(path: Path, mapping: Mapping) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet  # the `parquet` extra: 40 MB that most gateways do without
        from pyarrow import ArrowException
    except ImportError as error:
        raise MappingError("reading Parquet needs the `parquet` extra: pip install 'zhisan[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, mapping, file.schema_arrow.names)
            for batch in file.iter_batches(BATCH_ROWS, columns=mapping.wanted()):
                yield from batch.to_pylist()
    except OSError as error:
        raise MappingError(f"{path}: cannot be read: {error}") from error
    except ArrowException as error:
        raise MappingError(f"{path}: is not Parquet: {error}") from error


def _check_columns(path: Path, mapping: Mapping, have: list[str]) -> None:
    missing = [column for column in mapping.wanted() if column not in have]
    if missing:
        raise MappingError(
            f"{path.name}: column {', '.join(map(repr, missing))} is missing; the file has {', '.join(map(repr, have))}"
        )


def _number(cell: Any, mapping: Mapping) -> float:
    if isinstance(cell, int | float):
        return float(cell)
    text = str(cell or "").strip()
    if mapping.file.decimal == ",":
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
