"""Alarms as JSON: the list, one alarm, and its acknowledgement."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.alarms import service
from cloud.alarms.domain import State
from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from kit.clock import Clock

PlantFilter = Annotated[str | None, Query(max_length=128, description="Only this plant.")]
PressFilter = Annotated[str | None, Query(max_length=128, description="Only this press.")]
StateFilter = Annotated[
    list[State] | None, Query(max_length=4, description="Only alarms in this state; may be given several times.")
]
Acknowledger = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
AlarmId = Annotated[UUID, Path(description="Alarm id.")]


class ReasonOut(BaseModel):
    """A feature that moved."""

    model_config = ConfigDict(from_attributes=True)

    feature: str
    value: float
    sigma: float = Field(description="Distance from this press's normal, in standard deviations.")


class AlarmOut(BaseModel):
    """An alarm, with the states of ISA-18.2."""

    model_config = ConfigDict(from_attributes=True)

    alarm_id: UUID
    plant_id: str
    press_id: str = Field(description="Empty for an alarm of a gateway.")
    gateway_id: str = Field(description="Empty for an alarm of a press.")
    kind: str = Field(description="`failure_probability` of a press, `gateway_trouble` of a gateway.")
    mode: str = Field(description="The failure mode, or the kind of trouble.")
    priority: str
    state: State = Field(description="`normal`: cleared and acknowledged.")
    probability: float | None = Field(description="Failure probability of the shot that raised it, 0 to 1.")
    threshold: float | None
    count: int | None = Field(description="What the trouble had cost when it was raised: shots or records.")
    reasons: list[ReasonOut]
    first_over_ms: int = Field(
        description="When the first of the shots over the threshold ended, by the press's clock."
    )
    raised_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str | None
    comment: str | None
    cleared_ms: int | None
    shot_row_id: int | None = Field(description="The shot that raised it.")


class Acknowledgement(BaseModel):
    """Somebody has seen an alarm: whoever sends this."""

    model_config = ConfigDict(extra="forbid")

    comment: str | None = Field(None, max_length=service.COMMENT_CHARACTERS_MAX)


def router(database: Database, alarms: service.AlarmService, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["alarms"], prefix="/alarms")

    @routes.get("", responses=responses(422), summary="Alarms, newest first")
    async def alarm_list(
        tenant: Tenant,
        plant: PlantFilter = None,
        press: PressFilter = None,
        state: StateFilter = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[AlarmOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            found = await service.alarms(
                session, tenant, plant_id=plant, press_id=press, states=state or (), before=before, limit=limit
            )
        return page_of(found, AlarmOut.model_validate, lambda alarm: (str(alarm.alarm_id),))

    @routes.get("/{alarm_id}", responses=responses(404, 422), summary="One alarm")
    async def one_alarm(tenant: Tenant, alarm_id: AlarmId) -> AlarmOut:
        async with database.reading() as session:
            return AlarmOut.model_validate(await service.alarm(session, tenant, alarm_id))

    @routes.post(
        "/{alarm_id}/acknowledge",
        responses=responses(403, 404, 422),
        summary="Acknowledge an alarm",
        description="The first acknowledgement counts; a second one changes nothing and answers the same.",
    )
    async def acknowledge(
        request: Request, principal: Acknowledger, alarm_id: AlarmId, body: Annotated[Acknowledgement, Body()]
    ) -> AlarmOut:
        actor = actor_of(request)
        async with database.transaction() as session:
            alarm = await alarms.acknowledge(
                session,
                TenantId(principal.tenant_id),
                alarm_id,
                by=actor.name[: service.PERSON_CHARACTERS_MAX],
                comment=body.comment,
                actor=actor,
                now_ms=clock.utc_ms(),
            )
        return AlarmOut.model_validate(alarm)

    return routes
