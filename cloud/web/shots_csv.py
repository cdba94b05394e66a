"""Shots of a press as CSV: a line each, newest first, with the unit in each column's head."""

import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from cloud.core.csv_text import csv_line, guarded
from cloud.telemetry.store import StoredShot
from cloud.web.feature_charts import unit_of
from cloud.web.numbers import iso
from cloud.web.press_view import columns_of

BYTE_ORDER_MARK = "\ufeff"
"""Without it a spreadsheet takes the file for one of its own country's letters."""
FIRST_COLUMNS = (
    "row_id",
    "ended_utc",
    "received_utc",
    "sent_late",
    "gateway",
    "job",
    "mould",
    "cycle_counter",
    "material",
    "product",
    "cavities",
    "dataset",
)
LAST_COLUMNS = ("bundle", "quality_class")
DIGITS = 9
NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


async def csv_lines(pages: AsyncIterator[Sequence[StoredShot]]) -> AsyncIterator[str]:
    """The pages as CSV; the columns are those of the first page's shots."""
    columns: _Columns | None = None
    async for page in pages:
        if columns is None:
            columns = _columns(page)
            yield BYTE_ORDER_MARK + csv_line(_head(columns))
        yield "".join(csv_line(_cells(row, columns)) for row in page)
    if columns is None:
        yield BYTE_ORDER_MARK + csv_line((*FIRST_COLUMNS, *LAST_COLUMNS))


def attachment(name: str) -> dict[str, str]:
    """The header by which a browser saves the file; of a name, what every file system knows."""
    return {
        "Content-Disposition": f'attachment; filename="{NAME_CHARACTERS.sub("_", name)}-shots.csv"',
        "Cache-Control": "no-store",
    }


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which numbers have columns."""

    parameters: Sequence[str]
    set_points: Sequence[str]
    scores: Sequence[str]


def _columns(rows: Sequence[StoredShot]) -> _Columns:
    parameters = [row.scored.shot.parameters for row in rows]
    told = {name for row in rows for name, _ in row.scored.shot.dataset.set_points}
    scores = sorted({name for row in rows for name in row.scored.scores.values})
    return _Columns(columns_of(parameters, columns_max=sum(map(len, parameters))), sorted(told), scores)


def _head(columns: _Columns) -> list[str]:
    own = [*map(_with_unit, columns.parameters), *(f"set {_with_unit(name)}" for name in columns.set_points)]
    return [*FIRST_COLUMNS, *map(guarded, own), *LAST_COLUMNS, *map(guarded, columns.scores)]


def _with_unit(name: str) -> str:
    return f"{name} [{unit_of(name)}]" if unit_of(name) else name


def _cells(row: StoredShot, columns: _Columns) -> list[str]:
    shot, scored = row.scored.shot, row.scored.scores
    counter = "" if shot.cycle_counter is None else str(shot.cycle_counter)
    told = (row.gateway_id, shot.job_name, shot.mould_id)
    return [
        str(row.row_id),
        iso(shot.ended_ms),
        iso(row.received_ms),
        "1" if row.is_historical else "0",
        *map(guarded, told),
        counter,
        *map(guarded, (shot.material, shot.product_name)),
        "" if shot.cavities is None else str(shot.cavities),
        guarded(shot.dataset.name),
        *_numbers(shot.parameters, columns.parameters),
        *_numbers(dict(shot.dataset.set_points), columns.set_points),
        guarded(scored.bundle_id),
        guarded(scored.quality_class or ""),
        *_numbers(scored.values, columns.scores),
    ]


def _numbers(values: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """Numbers as they are, a reading that was bad or is missing as an empty cell."""
    found = (values.get(name, math.nan) for name in names)
    return [f"{value:.{DIGITS}g}" if math.isfinite(value) else "" for value in found]
