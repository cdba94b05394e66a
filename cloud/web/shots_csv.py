"""Shots of a press as CSV: a line each, newest first, with the unit in each column's head."""

import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence

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
)
LAST_COLUMNS = ("bundle", "quality_class")
DIGITS = 9
NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


async def csv_lines(pages: AsyncIterator[Sequence[StoredShot]]) -> AsyncIterator[str]:
    """The pages as CSV; the columns are those of the first page's shots."""
    names: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    async for page in pages:
        if names is None:
            names = _columns(page)
            yield BYTE_ORDER_MARK + csv_line(_head(*names))
        yield "".join(csv_line(_cells(row, *names)) for row in page)
    if names is None:
        yield BYTE_ORDER_MARK + csv_line((*FIRST_COLUMNS, *LAST_COLUMNS))


def attachment(name: str) -> dict[str, str]:
    """The header by which a browser saves the file; of a name, what every file system knows."""
    return {
        "Content-Disposition": f'attachment; filename="{NAME_CHARACTERS.sub("_", name)}-shots.csv"',
        "Cache-Control": "no-store",
    }


def _columns(rows: Sequence[StoredShot]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parameters = [row.scored.shot.parameters for row in rows]
    scores = sorted({name for row in rows for name in row.scored.scores.values})
    return columns_of(parameters, columns_max=sum(map(len, parameters))), tuple(scores)


def _head(parameters: Sequence[str], scores: Sequence[str]) -> list[str]:
    own = [f"{name} [{unit_of(name)}]" if unit_of(name) else name for name in parameters]
    return [*FIRST_COLUMNS, *map(guarded, own), *LAST_COLUMNS, *map(guarded, scores)]


def _cells(row: StoredShot, parameters: Sequence[str], scores: Sequence[str]) -> list[str]:
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
        *_numbers(shot.parameters, parameters),
        guarded(scored.bundle_id),
        guarded(scored.quality_class or ""),
        *_numbers(scored.values, scores),
    ]


def _numbers(values: Mapping[str, float], names: Sequence[str]) -> list[str]:
    """Numbers as they are, a reading that was bad or is missing as an empty cell."""
    found = (values.get(name, math.nan) for name in names)
    return [f"{value:.{DIGITS}g}" if math.isfinite(value) else "" for value in found]
