"""Alarms as JSON: lists, one alarm with its history, what one may do to them, and the figures of the alarm system."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Request

from cloud.alarms import reading
from cloud.alarms.analysis import DAYS_MAX, analyse
from cloud.alarms.deeds import Action, Deed, Deeds, right_for
from cloud.alarms.life import STATES, State
from cloud.alarms.points import Point
from cloud.alarms.policy import Priority
from cloud.alarms.repository import EVERYTHING, MOMENT_MS_MAX, AlarmFilter
from cloud.alarms.service import AlarmService
from cloud.alarms.shapes import (
    Acknowledgement,
    AlarmOut,
    AnalysisOut,
    AssignmentIn,
    BulkIn,
    CommentIn,
    HistoryOut,
    OutcomeOut,
    OutcomesOut,
    ShelfIn,
    WithheldOut,
    WithholdingIn,
)
from cloud.core.access import ForbiddenError, Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from kit.clock import Clock

Name = Annotated[str | None, Query(max_length=128)]
PlantFilter = Annotated[str | None, Query(max_length=128, description="Only this plant.")]
StateFilter = Annotated[
    list[State] | None,
    Query(max_length=len(STATES), description="Only alarms in this state; may be given several times."),
]
PriorityFilter = Annotated[
    list[Priority] | None, Query(max_length=4, description="Only of this priority; may be given several times.")
]
Moment = Annotated[int | None, Query(ge=0, le=MOMENT_MS_MAX, description="Milliseconds since 1970 in UTC.")]
Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="How far back.")]
Acknowledger = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
AlarmId = Annotated[UUID, Path(description="Alarm id.")]
REFUSALS = responses(403, 404, 422)


def wanted_alarms(
    plant: PlantFilter = None,
    press: Annotated[str | None, Query(max_length=128, description="Only this press.")] = None,
    state: StateFilter = None,
    priority: PriorityFilter = None,
    kind: Name = None,
    mode: Name = None,
    assignee: Annotated[str | None, Query(max_length=128, description="Only alarms given to this user id.")] = None,
    from_ms: Moment = None,
    to_ms: Moment = None,
) -> AlarmFilter:
    """The filters of a request; alarms by when they were raised, from `from_ms` until before `to_ms`."""
    return AlarmFilter(plant, press, state or (), priority or (), kind, mode, assignee, from_ms=from_ms, to_ms=to_ms)


def wanted_entries(
    plant: PlantFilter = None,
    press: Annotated[str | None, Query(max_length=128, description="Only this press.")] = None,
    state: StateFilter = None,
    priority: PriorityFilter = None,
    kind: Name = None,
    mode: Name = None,
    from_ms: Moment = None,
    to_ms: Moment = None,
) -> AlarmFilter:
    """The same of lines of history, by when they were written; `state` is the one that a line led to."""
    return AlarmFilter(plant, press, state or (), priority or (), kind, mode, from_ms=from_ms, to_ms=to_ms)


def router(database: Database, alarms: AlarmService, clock: Clock) -> APIRouter:
    """The routes: what is read, then what is done."""
    routes = APIRouter(tags=["alarms"], prefix="/alarms")
    _reads(routes, database, clock)
    _deeds(routes, database, Deeds(alarms), clock)
    return routes


def _reads(routes: APIRouter, database: Database, clock: Clock) -> None:
    @routes.get("", responses=responses(422), summary="Alarms, newest first")
    async def alarm_list(
        tenant: Tenant,
        wanted: Annotated[AlarmFilter, Depends(wanted_alarms)],
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[AlarmOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            found = await reading.alarms(session, tenant, wanted, before=before, limit=limit)
        return page_of(found, AlarmOut.model_validate, lambda alarm: (str(alarm.alarm_id),))

    @routes.get("/history", responses=responses(422), summary="What happened to alarms, newest first")
    async def whole_history(
        tenant: Tenant,
        wanted: Annotated[AlarmFilter, Depends(wanted_entries)],
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[HistoryOut]:
        return await _history(database, tenant, None, cursor, limit, wanted)

    @routes.get("/withheld", responses=responses(422), summary="Points that are shelved, suppressed or out of service")
    async def withheld(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[WithheldOut]:
        parts = decode_cursor(cursor, str, str, str, str, str, str)
        after = Point(*map(str, parts)) if parts else None
        async with database.reading() as session:
            found = await reading.withheld_points(session, tenant, after=after, limit=limit)
        return page_of(found, WithheldOut.of, lambda held: _names(held.point))

    @routes.get("/analytics", responses=responses(422), summary="How the alarm system does")
    async def figures(tenant: Tenant, plant: PlantFilter = None, days: Days = 7) -> AnalysisOut:
        async with database.reading() as session:
            found = await analyse(session, tenant, days=days, plant_id=plant, now_ms=clock.utc_ms())
        return AnalysisOut.model_validate(found)

    @routes.get("/{alarm_id}", responses=responses(404, 422), summary="One alarm")
    async def one_alarm(tenant: Tenant, alarm_id: AlarmId) -> AlarmOut:
        async with database.reading() as session:
            return AlarmOut.model_validate(await reading.alarm(session, tenant, alarm_id))

    @routes.get("/{alarm_id}/history", responses=responses(404, 422), summary="An alarm's life, newest first")
    async def history(
        tenant: Tenant, alarm_id: AlarmId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[HistoryOut]:
        return await _history(database, tenant, alarm_id, cursor, limit)


async def _history(
    database: Database,
    tenant: TenantId,
    alarm_id: UUID | None,
    cursor: str | None,
    limit: int,
    wanted: AlarmFilter = EVERYTHING,
) -> Page[HistoryOut]:
    parts = decode_cursor(cursor, int)
    before = int(parts[0]) if parts else None
    async with database.reading() as session:
        if alarm_id is not None:
            await reading.alarm(session, tenant, alarm_id)
        found = await reading.history(session, tenant, alarm_id=alarm_id, wanted=wanted, before=before, limit=limit)
    return page_of(found, HistoryOut.model_validate, lambda entry: (entry.entry_id,))


def _deeds(routes: APIRouter, database: Database, deeds: Deeds, clock: Clock) -> None:
    async def do(request: Request, principal: Principal, alarm_id: UUID, deed: Deed) -> AlarmOut:
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        async with database.transaction() as session:
            alarm = await deeds.do(session, tenant, alarm_id, deed, actor=actor, now_ms=clock.utc_ms())
        return AlarmOut.model_validate(alarm)

    @routes.post(
        "/bulk",
        responses=responses(403, 422),
        summary="The same for many alarms",
        description="Each is done or refused by itself: the answer has a line for each alarm.",
    )
    async def bulk(request: Request, principal: Acknowledger, body: Annotated[BulkIn, Body()]) -> OutcomesOut:
        right = right_for(body.action)
        if right not in principal.rights:
            raise ForbiddenError(right)
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        async with database.transaction() as session:
            outcomes = await deeds.do_all(
                session, tenant, body.alarm_ids, body.deed(), actor=actor, now_ms=clock.utc_ms()
            )
        return OutcomesOut(items=[OutcomeOut.of(outcome) for outcome in outcomes])

    @routes.post(
        "/{alarm_id}/acknowledge",
        responses=REFUSALS,
        summary="Acknowledge an alarm",
        description="The first acknowledgement counts; a second one changes nothing and answers the same.",
    )
    async def acknowledge(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[Acknowledgement, Body()]
    ) -> AlarmOut:
        return await do(request, principal, alarm_id, Deed("acknowledge", comment=body.comment))

    @routes.post("/{alarm_id}/reset", responses=REFUSALS, summary="Reset a latched alarm whose cause has gone")
    async def reset(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[Acknowledgement, Body()]
    ) -> AlarmOut:
        return await do(request, principal, alarm_id, Deed("reset", comment=body.comment))

    @routes.post("/{alarm_id}/shelve", responses=REFUSALS, summary="Shelve an alarm for a time")
    async def shelve(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[ShelfIn, Body()]
    ) -> AlarmOut:
        deed = Deed("shelve", reason=body.reason, minutes=body.minutes, is_one_shot=body.is_one_shot)
        return await do(request, principal, alarm_id, deed)

    @routes.post("/{alarm_id}/unshelve", responses=REFUSALS, summary="Take an alarm off the shelf")
    async def unshelve(request: Request, principal: Acknowledger, alarm_id: AlarmId) -> AlarmOut:
        return await do(request, principal, alarm_id, Deed("unshelve"))

    @routes.post("/{alarm_id}/comment", responses=REFUSALS, summary="Add a comment")
    async def comment(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[CommentIn, Body()]
    ) -> AlarmOut:
        return await do(request, principal, alarm_id, Deed("comment", comment=body.comment))

    @routes.post("/{alarm_id}/assign", responses=REFUSALS, summary="Give an alarm to somebody")
    async def assign(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[AssignmentIn, Body()]
    ) -> AlarmOut:
        return await do(request, principal, alarm_id, Deed("assign", user_id=body.user_id))

    def begins(action: Action, path: str, summary: str) -> None:
        @routes.post(f"/{{alarm_id}}/{path}", responses=REFUSALS, summary=summary, name=path)
        async def begin(
            request: Request, principal: Engineer, alarm_id: AlarmId, body: Annotated[WithholdingIn, Body()]
        ) -> AlarmOut:
            return await do(request, principal, alarm_id, Deed(action, reason=body.reason))

    def ends(action: Action, path: str, summary: str) -> None:
        @routes.post(f"/{{alarm_id}}/{path}", responses=REFUSALS, summary=summary, name=path)
        async def end(request: Request, principal: Engineer, alarm_id: AlarmId) -> AlarmOut:
            return await do(request, principal, alarm_id, Deed(action))

    begins("suppress", "suppress", "Suppress an alarm by design")
    ends("unsuppress", "unsuppress", "End a suppression by design")
    begins("out_of_service", "out_of_service", "Take an alarm out of service")
    ends("in_service", "in_service", "Return an alarm to service")


def _names(point: Point) -> tuple[str, ...]:
    return point.plant_id, point.press_id, point.gateway_id, point.kind, point.mode, point.rule_id
