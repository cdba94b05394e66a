"""Maintenance as JSON: work to be done, jobs, shot counters of moulds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of, slice_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.maintenance import repository
from cloud.maintenance.desk import MaintenanceDesk
from cloud.maintenance.domain import JobState, MouldLife
from cloud.maintenance.jobs import Done, JobStateError, Window
from cloud.maintenance.shapes import (
    DoneIn,
    IntervalIn,
    JobOut,
    MouldIn,
    MouldOut,
    PlanIn,
    UnplannedIn,
    WindowIn,
    WorkOut,
)
from cloud.maintenance.tables import JobRow

Planner = Annotated[Principal, requires(Right.CONFIGURE)]
Worker = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
JobId = Annotated[UUID, Path(description="Job id.")]
StateFilter = Annotated[JobState | None, Query(description="Only jobs in this state.")]


@asynccontextmanager
async def _conflicts() -> AsyncIterator[None]:
    """What does not fit the state of a job is a 409."""
    try:
        yield
    except JobStateError as error:
        raise HTTPException(409, str(error)) from error


def router(desk: MaintenanceDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["maintenance"], prefix="/maintenance")
    _work(routes, desk)
    _jobs(routes, desk)
    _moulds(routes, desk)
    return routes


def _work(routes: APIRouter, desk: MaintenanceDesk) -> None:
    @routes.get("/work", responses=responses(422), summary="Work by predicted time to failure, most urgent first")
    async def work(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[WorkOut]:
        at = decode_cursor(cursor, int)
        start = int(at[0]) if at else 0
        items = list(enumerate(await desk.work(tenant)))[max(0, start) :]
        part = slice_of(items[: limit + 1], limit)
        return page_of(part, lambda each: WorkOut.model_validate(each[1]), lambda each: (each[0] + 1,))

    @routes.post("/done", responses=responses(403, 404, 409, 422), status_code=201, summary="Done without a plan")
    async def done(request: Request, principal: Worker, body: Annotated[UnplannedIn, Body()]) -> JobOut:
        tenant, place = TenantId(principal.tenant_id), (body.plant_id, body.press_id, body.mode)
        return _job(await desk.finish_unplanned(tenant, place, _done(body), actor_of(request)))


def _jobs(routes: APIRouter, desk: MaintenanceDesk) -> None:
    one = "/jobs/{job_id}"

    @routes.get("/jobs", responses=responses(422), summary="Jobs, the last entered first")
    async def jobs(
        tenant: Tenant, state: StateFilter = None, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[JobOut]:
        before = decode_uuid(cursor)
        async with desk.database.reading() as session:
            rows = await repository.jobs(session, tenant, state=state, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), _job, lambda row: (str(row.job_id),))

    @routes.post("/jobs", responses=responses(403, 404, 422), status_code=201, summary="Plan a job on a press")
    async def plan(request: Request, principal: Planner, body: Annotated[PlanIn, Body()]) -> JobOut:
        tenant, place = TenantId(principal.tenant_id), (body.plant_id, body.press_id, body.mode)
        return _job(await desk.plan(tenant, place, _window(body), actor_of(request)))

    @routes.put(one, responses=responses(403, 404, 409, 422), summary="Move a planned job, or give it to somebody else")
    async def change(request: Request, principal: Planner, job_id: JobId, body: Annotated[WindowIn, Body()]) -> JobOut:
        async with _conflicts():
            tenant = TenantId(principal.tenant_id)
            return _job(await desk.change(tenant, job_id, _window(body), actor_of(request)))

    @routes.post(f"{one}/cancel", responses=responses(403, 404, 409, 422), summary="Take a planned job back")
    async def cancel(request: Request, principal: Planner, job_id: JobId) -> JobOut:
        async with _conflicts():
            return _job(await desk.cancel(TenantId(principal.tenant_id), job_id, actor_of(request)))

    @routes.post(f"{one}/done", responses=responses(403, 404, 409, 422), summary="Say what came of a planned job")
    async def done(request: Request, principal: Worker, job_id: JobId, body: Annotated[DoneIn, Body()]) -> JobOut:
        async with _conflicts():
            return _job(await desk.finish(TenantId(principal.tenant_id), job_id, _done(body), actor_of(request)))

    @routes.post(
        f"{one}/reopen",
        responses=responses(403, 404, 409, 422),
        summary="Take back that a job was done",
        description="For 15 minutes. The labels of its alarms are what they were; a gateway that has begun to find "
        "a baseline anew goes on.",
    )
    async def reopen(request: Request, principal: Worker, job_id: JobId) -> JobOut:
        async with _conflicts():
            return _job(await desk.reopen(TenantId(principal.tenant_id), job_id, actor_of(request)))


def _moulds(routes: APIRouter, desk: MaintenanceDesk) -> None:
    @routes.get("/moulds", responses=responses(422), summary="Shot counters of moulds, the most due first")
    async def moulds(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[MouldOut]:
        at, now_ms = decode_cursor(cursor, int), desk.clock.utc_ms()
        found = list(enumerate(await desk.moulds(tenant)))[max(0, int(at[0]) if at else 0) :]
        part = slice_of(found[: limit + 1], limit)
        return page_of(part, lambda each: _mould(each[1], now_ms), lambda each: (each[0] + 1,))

    @routes.put("/moulds", responses=responses(403, 404, 422), status_code=204, summary="Set a mould's interval")
    async def interval(request: Request, principal: Planner, body: Annotated[IntervalIn, Body()]) -> None:
        tenant = TenantId(principal.tenant_id)
        await desk.set_interval(tenant, body.mould_id, body.interval_shots, actor_of(request))

    @routes.post("/moulds/serviced", responses=responses(403, 404, 422), status_code=204, summary="A mould is serviced")
    async def serviced(request: Request, principal: Worker, body: Annotated[MouldIn, Body()]) -> None:
        await desk.serviced(TenantId(principal.tenant_id), body.mould_id, actor_of(request))

    @routes.post(
        "/moulds/take-service-back",
        responses=responses(403, 404, 409, 422),
        status_code=204,
        summary="Take the last service of a mould back, for 15 minutes",
    )
    async def take_back(request: Request, principal: Worker, body: Annotated[MouldIn, Body()]) -> None:
        async with _conflicts():
            await desk.take_service_back(TenantId(principal.tenant_id), body.mould_id, actor_of(request))


def _window(body: WindowIn) -> Window:
    return Window(body.start_ms, body.end_ms, body.who, body.note)


def _done(body: DoneIn) -> Done:
    return Done(body.outcome, body.found, body.work, body.resets_baseline)


def _job(row: JobRow) -> JobOut:
    fields = {name: getattr(row, name) for name in JobOut.model_fields}
    return JobOut.model_validate(fields | {"outcome": row.outcome or None})


def _mould(life: MouldLife, now_ms: int) -> MouldOut:
    return MouldOut(
        mould_id=life.mould_id,
        shots=life.shots,
        since_service=life.since_service,
        interval_shots=life.interval_shots,
        left=life.left,
        shots_per_day=life.shots_per_day,
        serviced_ms=life.serviced_ms,
        due_ms=life.due_ms(now_ms),
    )
