"""Every table of tiering as CSV or JSON, row by row as it is kept, streamed a part at a time."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import select, tuple_

from cloud.core.csv_text import csv_line, guarded
from cloud.core.database import Database, strict_json
from cloud.core.tables import Base
from cloud.core.tenants import TenantId
from cloud.tiering.manager_tables import CareRow, ManagerRow
from cloud.tiering.plan_tables import GoalRow, HeldReviewRow, PlanRow
from cloud.tiering.playbook_tables import MessageRow, PlaybooksRow, TaskRow
from cloud.tiering.tables import (
    CustomerRow,
    EvidenceRow,
    ImportRow,
    MergeRow,
    PolicyRow,
    RunRow,
    ScoreRow,
    TierOverrideRow,
    TierRow,
)

Name = Literal[
    "customers",
    "evidence",
    "imports",
    "merges",
    "policies",
    "runs",
    "scores",
    "tiers",
    "overrides",
    "playbooks",
    "tasks",
    "messages",
    "plans",
    "goals",
    "reviews",
    "managers",
    "care",
]
Form = Literal["csv", "json"]
TABLES: Final[Mapping[Name, type[Base]]] = {
    "customers": CustomerRow,
    "evidence": EvidenceRow,
    "imports": ImportRow,
    "merges": MergeRow,
    "policies": PolicyRow,
    "runs": RunRow,
    "scores": ScoreRow,
    "tiers": TierRow,
    "overrides": TierOverrideRow,
    "playbooks": PlaybooksRow,
    "tasks": TaskRow,
    "messages": MessageRow,
    "plans": PlanRow,
    "goals": GoalRow,
    "reviews": HeldReviewRow,
    "managers": ManagerRow,
    "care": CareRow,
}
PART_ROWS: Final = 1_000
OURS: Final = "tenant_id"


async def rows_of(database: Database, tenant_id: TenantId, name: Name) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """All rows of a table of this company by their key, PART_ROWS at a time; columns as `columns_of` names them."""
    table: Any = TABLES[name].__table__
    keys = list(table.primary_key.columns)
    columns = [table.c[column] for column in columns_of(name)]
    after: tuple[Any, ...] | None = None
    while True:
        statement = select(*columns, *(key.label(f"key_{key.name}") for key in keys)).where(table.c[OURS] == tenant_id)
        if after is not None:
            statement = statement.where(tuple_(*keys) > tuple_(*after))
        async with database.reading() as session:
            rows = (await session.execute(statement.order_by(*keys).limit(PART_ROWS))).all()
        yield [tuple(row)[: len(columns)] for row in rows]
        if len(rows) < PART_ROWS:
            return
        after = tuple(rows[-1])[len(columns) :]


def columns_of(name: Name) -> list[str]:
    """The columns of a table but for the company's own id, which is the same in all rows."""
    table: Any = TABLES[name].__table__
    return [column.name for column in table.columns if column.name != OURS]


async def as_csv(database: Database, tenant_id: TenantId, name: Name) -> AsyncIterator[str]:
    """With a header; what is no number or text is JSON in its cell."""
    yield csv_line(columns_of(name))
    async for rows in rows_of(database, tenant_id, name):
        yield "".join(csv_line([_cell(value) for value in row]) for row in rows)


async def as_json(database: Database, tenant_id: TenantId, name: Name) -> AsyncIterator[str]:
    """An array of objects."""
    columns, is_first = columns_of(name), True
    yield "["
    async for rows in rows_of(database, tenant_id, name):
        told = [strict_json(dict(zip(columns, map(_plain, row), strict=True))) for row in rows]
        if told:
            yield ("" if is_first else ",\n") + ",\n".join(told)
            is_first = False
    yield "]\n"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, dict | list | bool):
        return guarded(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
