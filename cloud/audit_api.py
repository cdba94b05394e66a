"""The audit log as JSON and as CSV, for whoever may read it."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from cloud.core import audit_repository
from cloud.core.access import Principal, Right, requires
from cloud.core.audit import SEALED, AuditRow
from cloud.core.audit_repository import AuditFilter
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.csv_text import csv_line, guarded
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, LIMIT_MAX, Cursor, Limit, Page, decode_cursor, page_of, slice_of
from cloud.core.problems import responses

EXPORT_LINES_MAX = 20_000
"""The newest of what the filters let through; the older ones by `to_ms`."""
FILTER_CHARACTERS_MAX = 512
MS_MAX = (1 << 53) - 1
COLUMNS = ("audit_id", *(name for name in SEALED if name != "tenant_id"), "hash")

Reader = Annotated[Principal, requires(Right.READ_AUDIT)]
Text = Annotated[str | None, Query(max_length=FILTER_CHARACTERS_MAX)]
Ms = Annotated[int | None, Query(ge=0, le=MS_MAX)]


class AuditLineOut(BaseModel):
    """One change."""

    model_config = ConfigDict(from_attributes=True)

    audit_id: int = Field(description="Rises without holes over all tenants.")
    at_ms: int
    actor_kind: str = Field(description="`user`, `api_key`, `gateway`, `system`, or `nobody`: not signed in.")
    actor_id: str
    actor_name: str
    address: str = Field(description="Where the request came from; empty for the system itself.")
    action: str = Field(description="What was done, as `alarm_acknowledged`.")
    target: str = Field(description="To what, as `alarm:<id>`.")
    before: dict[str, Any] | None = Field(description="What changed, as it was.")
    after: dict[str, Any] | None = Field(description="What changed, as it is now.")
    hash: str = Field(description="SHA-256 over the line before and this one.")


class ChainOut(BaseModel):
    """Whether the log is still what was written."""

    verified_audit_id: int = Field(description="The last line that holds, with all before it; 0: none yet.")
    verified_hash: str
    broken_audit_id: int | None = Field(description="The first line that was changed, moved or taken out.")
    checked_ms: int | None = Field(description="Null until the first check after the start.")


def wanted_lines(
    actor: Text = None, action: Text = None, target: Text = None, from_ms: Ms = None, to_ms: Ms = None
) -> AuditFilter:
    """The filters of a request: who (an id or a name), what, to what (its beginning), from when, until when."""
    return AuditFilter(actor, action, target, from_ms, to_ms)


Wanted = Annotated[AuditFilter, Depends(wanted_lines)]


def router(database: Database, verifier: AuditVerifier) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["audit"], prefix="/audit")

    @routes.get("", responses=responses(401, 403, 422), summary="The audit log, newest first")
    async def audit_lines(
        reader: Reader, wanted: Wanted, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[AuditLineOut]:
        parts = decode_cursor(cursor, int)
        before = int(parts[0]) if parts else None
        async with database.reading() as session:
            found = await audit_repository.lines(session, reader.tenant_id, wanted, before=before, limit=limit + 1)
        return page_of(slice_of(found, limit), AuditLineOut.model_validate, lambda line: (line.audit_id,))

    @routes.get(
        "/export.csv",
        responses={
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "UTF-8, a line each"},
            **responses(401, 403, 422),
        },
        response_class=StreamingResponse,
        summary="The audit log as CSV, newest first",
        description=f"At most {EXPORT_LINES_MAX} lines. A cell that a spreadsheet would run begins with an apostrophe.",
    )
    async def export(reader: Reader, wanted: Wanted) -> StreamingResponse:
        return StreamingResponse(
            csv_lines(database, reader.tenant_id, wanted),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
        )

    @routes.get("/chain", responses=responses(401, 403), summary="Whether the audit log is as it was written")
    async def chain(_reader: Reader) -> ChainOut:
        state = verifier.state
        return ChainOut(
            verified_audit_id=state.verified.audit_id,
            verified_hash=state.verified.hash,
            broken_audit_id=state.broken_id,
            checked_ms=state.checked_ms,
        )

    return routes


async def csv_lines(database: Database, tenant_id: str, wanted: AuditFilter) -> AsyncIterator[str]:
    """The lines as CSV, a page of LIMIT_MAX at a time so that the database is free between two."""
    yield csv_line(COLUMNS)
    before, left = None, EXPORT_LINES_MAX
    while left > 0:
        async with database.reading() as session:
            rows = await audit_repository.lines(session, tenant_id, wanted, before=before, limit=min(LIMIT_MAX, left))
        if not rows:
            return
        yield "".join(csv_line(_cells(row)) for row in rows)
        before, left = rows[-1].audit_id, left - len(rows)


def _cells(row: AuditRow) -> list[str]:
    cells = []
    for name in COLUMNS:
        value = getattr(row, name)
        text = json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict) else str(value or "")
        cells.append(guarded(text))
    return cells
