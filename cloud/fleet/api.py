"""The fleet as JSON: plants, gateways, presses."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.numbers import Number
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of
from cloud.core.problems import responses
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet import reading
from cloud.fleet.names import PlantNames, name_plant
from kit.clock import Clock

StateName = Literal["online", "stale", "offline"]
PlantId = Annotated[str, Path(max_length=NAME_CHARACTERS_MAX, description="Plant id: the Sparkplug group.")]
Manager = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]
PlantFilter = Annotated[str | None, Query(max_length=128, description="Only this plant.")]
StateFilter = Annotated[StateName | None, Query(description="Only what is in this state.")]


class PlantOut(BaseModel):
    """A plant, with how many gateways and presses it has in which state."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    display_name: str = Field(description="What people call it; empty: by its id.")
    registered_ms: int = Field(description="When it first introduced itself; UTC milliseconds, as all `_ms` here.")
    gateways: dict[StateName, int]
    presses: dict[StateName, int]


class PlantNameIn(BaseModel):
    """What people are to call a plant."""

    model_config = ConfigDict(extra="forbid")

    display_name: str = Field(max_length=NAME_CHARACTERS_MAX, description="Empty: its id again.")


class GatewayOut(BaseModel):
    """A gateway: a Sparkplug edge node."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    gateway_id: str
    state: StateName = Field(description="offline: its connection ended; stale: nothing heard for 30 s by default.")
    state_since_ms: int
    registered_ms: int
    born_ms: int = Field(description="When its present session began (NBIRTH).")
    last_seen_ms: int
    epoch: str = Field(description="The journal's epoch; empty for another maker's edge node.")
    bundle_id: str = Field(description="The model bundle that it runs; empty when it has not told.")
    version: str
    clock_offset_s: Number = Field(description="How far its clock is ahead of ours.")
    health: dict[str, Number] = Field(description="Its own last figures, as JournalRecords, LagSeconds, RssMiB.")


class PressOut(BaseModel):
    """A press: a Sparkplug device."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    press_id: str
    gateway_id: str
    state: StateName = Field(description="offline: its gateway says so or is gone; stale: three cycles without a shot.")
    state_since_ms: int
    registered_ms: int
    born_ms: int
    last_shot_ms: int | None = Field(description="When its last shot ended, by the press's own clock.")
    expected_cycle_s: Number = Field(description="Median gap between its last shots.")


def router(database: Database, names: PlantNames, clock: Clock) -> APIRouter:
    """The routes, reading from `database`; who renders pages hears of a new name through `names`."""
    routes = APIRouter(tags=["fleet"])

    @routes.get("/plants", responses=responses(422), summary="Plants by id")
    async def plants(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[PlantOut]:
        after = decode_cursor(cursor, str)
        async with database.reading() as session:
            found = await reading.plants(session, tenant, after=str(after[0]) if after else None, limit=limit)
        return page_of(found, PlantOut.model_validate, lambda plant: (plant.plant_id,))

    @routes.put(
        "/plants/{plant_id}/display-name",
        responses=responses(403, 404, 422),
        status_code=204,
        summary="Give a plant a display name",
    )
    async def name_of_plant(
        request: Request, principal: Manager, plant_id: PlantId, body: Annotated[PlantNameIn, Body()]
    ) -> None:
        async with database.transaction() as session:
            tenant, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), clock.utc_ms()
            await name_plant(session, tenant, plant_id, body.display_name, actor=actor, now_ms=now_ms)
        await names.read()

    @routes.get("/gateways", responses=responses(422), summary="Gateways by plant and id")
    async def gateways(
        tenant: Tenant,
        plant: PlantFilter = None,
        state: StateFilter = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[GatewayOut]:
        async with database.reading() as session:
            found = await reading.gateways(
                session, tenant, plant_id=plant, state=state, after=_pair(cursor), limit=limit
            )
        return page_of(found, GatewayOut.model_validate, lambda gateway: (gateway.plant_id, gateway.gateway_id))

    @routes.get("/presses", responses=responses(422), summary="Presses by plant and id")
    async def presses(
        tenant: Tenant,
        plant: PlantFilter = None,
        state: StateFilter = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[PressOut]:
        async with database.reading() as session:
            found = await reading.presses(
                session, tenant, plant_id=plant, state=state, after=_pair(cursor), limit=limit
            )
        return page_of(found, PressOut.model_validate, lambda press: (press.plant_id, press.press_id))

    return routes


def _pair(cursor: str | None) -> tuple[str, str] | None:
    parts = decode_cursor(cursor, str, str)
    return (str(parts[0]), str(parts[1])) if parts else None
