"""Labels of alarms as JSON, and as a table for the next training."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Final

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of, slice_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet import reading
from cloud.rollouts import labels, repository
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.shapes import LabelCountsOut, LabelIn, LabelOut
from cloud.rollouts.tables import LabelRow
from cloud.telemetry.store import Plants, TelemetryStore

EXPORTED_MAX: Final = 10_000
CSV: Final = "text/csv"
Judge = Annotated[Principal, requires(Right.ACKNOWLEDGE)]


def router(parts: RolloutParts, store: TelemetryStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["labels"], prefix="/models/labels")
    database = parts.database

    @routes.get("", responses=responses(422), summary="Labels of alarms, newest first")
    async def listed(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[LabelOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            rows = await repository.labels(session, tenant, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), LabelOut.model_validate, lambda row: (str(row.label_id),))

    @routes.get("/counts", summary="How many alarms were judged how")
    async def counts(tenant: Tenant) -> LabelCountsOut:
        async with database.reading() as session:
            return LabelCountsOut(**await repository.label_counts(session, tenant))

    @routes.get(
        "/export",
        responses={200: {"content": {CSV: {}}}},
        response_class=PlainTextResponse,
        summary="A table for training",
        description=f"The newest {EXPORTED_MAX} labels, each with the features of the shot that raised its alarm.",
    )
    async def export(tenant: Tenant) -> Response:
        async with database.reading() as session:
            rows = await repository.labels(session, tenant, before=None, limit=EXPORTED_MAX)
            plants = await reading.plant_ids(session, tenant)
        text = await to_thread.run_sync(_table, store, plants, rows)
        headers = {"Content-Disposition": 'attachment; filename="labels.csv"'}
        return PlainTextResponse(text, media_type=CSV, headers=headers)

    @routes.post("", responses=responses(403, 404, 422), summary="Say what an alarm was")
    async def put(request: Request, principal: Judge, body: LabelIn) -> LabelOut:
        row = await labels.judge(
            database,
            store,
            parts.events,
            TenantId(principal.tenant_id),
            body.alarm_id,
            actor_of(request),
            verdict=body.verdict,
            comment=body.comment,
            now_ms=parts.clock.utc_ms(),
        )
        return LabelOut.model_validate(row)

    return routes


def _table(store: TelemetryStore, plants: Plants, rows: Sequence[LabelRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(labels.csv_head())
    writer.writerows(labels.csv_row(store, plants, row) for row in rows)
    return out.getvalue()
