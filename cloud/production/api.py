"""Production as JSON: OEE with its factors, expected cycle times, planned downtimes."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of, slice_of
from cloud.core.problems import responses
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import Tenant, TenantId
from cloud.production import repository, service
from cloud.production.board import ProductionBoard
from cloud.production.oee import CYCLE_S_MAX, Factor
from cloud.production.reading import Figures
from cloud.production.windows import WindowName
from kit.clock import Clock

TIME_MS_MAX = 253_370_000_000_000
REASON_CHARACTERS_MAX = 500

PlantId = Annotated[str, Path(max_length=NAME_CHARACTERS_MAX, description="Plant id: the Sparkplug group.")]
PressId = Annotated[str, Path(max_length=NAME_CHARACTERS_MAX, description="Press id: the Sparkplug device.")]
Window = Annotated[WindowName, Query(description="The running shift, the last 24 hours, or the last 7 days.")]
Configurer = Annotated[Principal, requires(Right.CONFIGURE)]


class OeeOut(BaseModel):
    """OEE after ISO 22400-2; a factor that is not known is null, and so is the index."""

    plant_id: str
    press_id: str = Field(description="Empty for all presses of the plant together.")
    oee: float | None = Field(description="Availability x effectiveness x quality ratio.")
    availability: float | None = Field(description="Actual production time / planned busy time.")
    effectiveness: float | None = Field(
        description="Planned run time per item x produced quantity / actual production time; above 1 when faster."
    )
    quality: float | None = Field(description="Good quantity / produced quantity, of the shots with a quality class.")
    unknown: list[Factor] = Field(description="The factors that are not known.")
    shots: int = Field(description="Produced quantity.")
    graded: int = Field(description="Of them with a quality class.")
    good: int
    planned_busy_ms: int = Field(description="Without planned downtimes, and without the time out of reach.")
    unheard_ms: int = Field(description="The press has been out of reach for so long: its shots of it are to come.")
    presses: int
    presses_without: dict[Factor, int] = Field(description="Of how many presses a factor is not known.")


class OeePage(Page[OeeOut]):
    """OEE of a window."""

    start_ms: int
    end_ms: int = Field(description="Of when the figures are.")


class ExpectedCycleOut(BaseModel):
    """The cycle time expected of a press with a mould."""

    model_config = ConfigDict(from_attributes=True)

    mould_id: str
    own_s: float | None = Field(description="The median of the press's own cycles; null below 20 of them.")
    set_s: float | None = Field(description="Set by hand; goes before `own_s`.")


class ExpectedCycleIn(BaseModel):
    """Expect this from now on; counts of before are measured by it too."""

    model_config = ConfigDict(extra="forbid")

    mould_id: str = Field(max_length=NAME_CHARACTERS_MAX)
    set_s: float | None = Field(gt=0, le=CYCLE_S_MAX, description="Null: the press's own median again.")


class DowntimeOut(BaseModel):
    """A time that is not planned to be busy."""

    model_config = ConfigDict(from_attributes=True)

    downtime_id: UUID
    plant_id: str
    press_id: str = Field(description="Empty: the whole plant.")
    start_ms: int
    end_ms: int
    reason: str


class DowntimeIn(BaseModel):
    """Plan that a press or a plant does not run."""

    model_config = ConfigDict(extra="forbid")

    plant_id: str = Field(max_length=NAME_CHARACTERS_MAX)
    press_id: str = Field("", max_length=NAME_CHARACTERS_MAX, description="Empty: the whole plant.")
    start_ms: int = Field(ge=0, le=TIME_MS_MAX)
    end_ms: int = Field(ge=0, le=TIME_MS_MAX)
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)


def router(database: Database, board: ProductionBoard, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["production"])

    @routes.get("/oee", responses=responses(422), summary="OEE of presses by plant and id")
    async def oee(
        tenant: Tenant,
        window: Window = "shift",
        plant: Annotated[str | None, Query(max_length=NAME_CHARACTERS_MAX, description="Only this plant.")] = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> OeePage:
        report, after = await board.report(tenant, window), decode_cursor(cursor, str, str)
        keys = sorted(key for key in report.presses if plant in (None, key[0]) and (after is None or key > after))
        page = page_of(
            slice_of(keys[: limit + 1], limit), lambda key: _oee_out(*key, report.presses[key]), lambda key: key
        )
        return OeePage(**dict(page), start_ms=report.window.start_ms, end_ms=report.window.end_ms)

    @routes.get("/oee/plants", responses=responses(422), summary="OEE of plants by id")
    async def plants(
        tenant: Tenant, window: Window = "shift", cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> OeePage:
        report, after = await board.report(tenant, window), decode_cursor(cursor, str)
        ids = sorted(plant_id for plant_id in report.plants if after is None or plant_id > str(after[0]))
        page = page_of(
            slice_of(ids[: limit + 1], limit), lambda plant: _oee_out(plant, "", report.plants[plant]), lambda p: (p,)
        )
        return OeePage(**dict(page), start_ms=report.window.start_ms, end_ms=report.window.end_ms)

    press = "/plants/{plant_id}/presses/{press_id}/expected-cycles"

    @routes.get(press, responses=responses(404, 422), summary="Expected cycle times of a press by mould")
    async def expected_cycles(tenant: Tenant, plant_id: PlantId, press_id: PressId) -> list[ExpectedCycleOut]:
        async with database.reading() as session:
            found = await service.expected_cycles(session, tenant, plant_id, press_id)
        return [ExpectedCycleOut.model_validate(each) for each in found]

    @routes.put(press, responses=responses(403, 404, 422), summary="Set the expected cycle time of a press and mould")
    async def set_expected(
        request: Request,
        principal: Configurer,
        plant_id: PlantId,
        press_id: PressId,
        body: Annotated[ExpectedCycleIn, Body()],
    ) -> ExpectedCycleOut:
        tenant, now_ms = TenantId(principal.tenant_id), clock.utc_ms()
        async with database.transaction() as session:
            found = await service.set_expected(
                session,
                tenant,
                plant_id,
                press_id,
                body.mould_id,
                body.set_s,
                actor=actor_of(request),
                now_ms=now_ms,
            )
        board.forget(tenant)
        return ExpectedCycleOut.model_validate(found)

    @routes.get("/planned-downtimes", responses=responses(422), summary="Planned downtimes, the last entered first")
    async def downtimes(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[DowntimeOut]:
        after = decode_uuid(cursor)
        async with database.reading() as session:
            rows = await repository.downtimes_after(session, tenant, after, limit=limit + 1)
        return page_of(
            slice_of(rows, limit), lambda row: DowntimeOut.model_validate(row), lambda row: (str(row.downtime_id),)
        )

    @routes.post("/planned-downtimes", responses=responses(403, 404, 422), status_code=201, summary="Plan a downtime")
    async def plan(request: Request, principal: Configurer, body: Annotated[DowntimeIn, Body()]) -> DowntimeOut:
        tenant = TenantId(principal.tenant_id)
        async with database.transaction() as session:
            planned = await service.plan_downtime(
                session, tenant, **body.model_dump(), actor=actor_of(request), now_ms=clock.utc_ms()
            )
        board.forget(tenant)
        return DowntimeOut.model_validate(planned)

    @routes.delete(
        "/planned-downtimes/{downtime_id}",
        responses=responses(403, 404, 422),
        status_code=204,
        summary="Take a planned downtime back",
    )
    async def drop(
        request: Request, principal: Configurer, downtime_id: Annotated[UUID, Path(description="Its id.")]
    ) -> None:
        tenant = TenantId(principal.tenant_id)
        async with database.transaction() as session:
            await service.set_aside_downtime(
                session, tenant, downtime_id, actor=actor_of(request), now_ms=clock.utc_ms()
            )
        board.forget(tenant)

    return routes


def _oee_out(plant_id: str, press_id: str, figures: Figures) -> OeeOut:
    oee, account = figures.oee, figures.account
    return OeeOut(
        plant_id=plant_id,
        press_id=press_id,
        oee=oee.index,
        availability=oee.availability,
        effectiveness=oee.effectiveness,
        quality=oee.quality,
        unknown=list(oee.unknown),
        shots=account.shots,
        graded=account.graded,
        good=account.good,
        planned_busy_ms=account.planned_ms,
        unheard_ms=figures.unheard_ms,
        presses=figures.presses,
        presses_without=dict(figures.lacking),
    )
