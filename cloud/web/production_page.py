"""The page of what people say of production: planned downtimes and expected cycle times, as lists and forms."""

import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import Actor, actor_of
from cloud.core.database import Database
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.maintenance import repository as maintenance
from cloud.production import repository, service
from cloud.production.board import ProductionBoard
from cloud.production.oee import CYCLE_S_MAX
from cloud.production.service import UNDO_MS, can_be_undone
from cloud.web.plant_times import in_zone, time_ms
from cloud.web.shell import Shell

PAGE: Final = "/settings/production"
DOWNTIMES_SHOWN = CYCLES_SHOWN = 100
DROPPED_SHOWN = 10
JOBS_MAX = 1_000
PRESSES_OFFERED = 500
REASON_CHARACTERS_MAX = 500
FIELDS_MAX = 12
Reader = Annotated[Principal, requires(Right.READ)]
Configurer = Annotated[Principal, requires(Right.CONFIGURE)]
Search = Annotated[str, Query(max_length=NAME_CHARACTERS_MAX)]
Step = Callable[[AsyncSession, FormData, TenantId, Actor, int], Awaitable[object]]


class Time(TypedDict):
    """When a downtime is, and why."""

    start_ms: int
    end_ms: int
    reason: str


def include(app: FastAPI, shell: Shell, database: Database, board: ProductionBoard, zone: ZoneInfo) -> None:
    """Add the page and its forms; times in forms are of `zone`, the plants' own."""
    page = ProductionPage(shell, database, board, zone)
    routes = APIRouter(include_in_schema=False)
    downtimes = f"{PAGE}/downtimes"
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(downtimes, page.plan, methods=["POST"])
    routes.add_api_route(f"{downtimes}/{{downtime_id}}/change", page.change, methods=["POST"])
    routes.add_api_route(f"{downtimes}/{{downtime_id}}/end", page.end, methods=["POST"])
    routes.add_api_route(f"{downtimes}/{{downtime_id}}/take-back", page.take_back, methods=["POST"])
    routes.add_api_route(f"{downtimes}/{{downtime_id}}/restore", page.restore, methods=["POST"])
    routes.add_api_route(f"{PAGE}/cycles", page.set_cycle, methods=["POST"])
    routes.add_api_route(f"{PAGE}/cycles/undo", page.undo_cycle, methods=["POST"])
    app.include_router(routes)


class ProductionPage:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(self, shell: Shell, database: Database, board: ProductionBoard, zone: ZoneInfo) -> None:
        self._shell = shell
        self._database = database
        self._board = board
        self._zone = zone

    async def show(self, request: Request, principal: Reader, q: Search = "") -> Response:
        """Everything on one page; `q` narrows the cycle times."""
        return await self._page(request, principal, search=q.strip())

    async def plan(self, request: Request, principal: Configurer) -> Response:
        """Plan that a press or a plant does not run."""

        async def step(session: AsyncSession, form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> object:
            plant_id, _, press_id = _text(form, "place").partition("/")
            return await service.plan_downtime(
                session, tenant, plant_id=plant_id, press_id=press_id, actor=actor, now_ms=now_ms, **self._time(form)
            )

        return await self._do(request, principal, step)

    async def change(self, request: Request, principal: Configurer, downtime_id: UUID) -> Response:
        """Move a planned downtime."""

        async def step(session: AsyncSession, form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> object:
            time = self._time(form)
            return await service.change_downtime(session, tenant, downtime_id, actor=actor, now_ms=now_ms, **time)

        return await self._do(request, principal, step)

    async def end(self, request: Request, principal: Configurer, downtime_id: UUID) -> Response:
        """The press runs again: what was left of the downtime is planned to be busy."""

        async def step(session: AsyncSession, _form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> object:
            row = await repository.downtime(session, tenant, downtime_id)
            if row is None:
                raise NotFoundError("planned downtime", str(downtime_id))
            time = Time(start_ms=row.start_ms, end_ms=min(row.end_ms, now_ms), reason=row.reason)
            return await service.change_downtime(session, tenant, downtime_id, actor=actor, now_ms=now_ms, **time)

        return await self._do(request, principal, step)

    async def take_back(self, request: Request, principal: Configurer, downtime_id: UUID) -> Response:
        """There is no such downtime after all."""

        async def step(session: AsyncSession, _form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> None:
            await service.set_aside_downtime(session, tenant, downtime_id, actor=actor, now_ms=now_ms)

        return await self._do(request, principal, step)

    async def restore(self, request: Request, principal: Configurer, downtime_id: UUID) -> Response:
        """It was taken back by mistake."""

        async def step(session: AsyncSession, _form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> object:
            return await service.restore_downtime(session, tenant, downtime_id, actor=actor, now_ms=now_ms)

        return await self._do(request, principal, step)

    async def set_cycle(self, request: Request, principal: Configurer) -> Response:
        """Expect a cycle time, or with an empty field the press's own median again."""

        async def step(session: AsyncSession, form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> object:
            plant_id, _, press_id = _text(form, "place").partition("/")
            mould_id = _text(form, "mould", NAME_CHARACTERS_MAX)
            cycle_s = _seconds(form)
            return await service.set_expected(
                session, tenant, plant_id, press_id, mould_id, cycle_s, actor=actor, now_ms=now_ms
            )

        return await self._do(request, principal, step)

    async def undo_cycle(self, request: Request, principal: Configurer) -> Response:
        """Expect what was expected before."""

        async def step(session: AsyncSession, form: FormData, tenant: TenantId, actor: Actor, now_ms: int) -> None:
            plant_id, _, press_id = _text(form, "place").partition("/")
            key = (plant_id, press_id, _text(form, "mould", NAME_CHARACTERS_MAX))
            await service.undo_expected(session, tenant, key, actor=actor, now_ms=now_ms)

        return await self._do(request, principal, step)

    async def _do(self, request: Request, principal: Principal, step: Step) -> Response:
        t, form = self._shell.catalogue(request), await request.form(max_files=0, max_fields=FIELDS_MAX)
        tenant_id, now_ms = TenantId(principal.tenant_id), self._shell.clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                await step(session, form, tenant_id, actor_of(request), now_ms)
        except NotFoundError:
            title, detail = t("settings.unknown_title"), t("settings.unknown")
            return self._shell.problem(request, status=404, title=title, detail=detail)
        except InvalidFieldError as error:
            fault = t.find(f"settings.fault.{error.field.removeprefix('body.')}") or str(error)
            return await self._page(request, principal, fault=fault, status=422)
        self._board.forget(tenant_id)
        return RedirectResponse(PAGE, status_code=303)

    async def _page(
        self, request: Request, principal: Principal, *, search: str = "", fault: str = "", status: int = 200
    ) -> Response:
        tenant_id, now_ms = TenantId(principal.tenant_id), self._shell.clock.utc_ms()
        async with self._database.reading() as session:
            downtimes = await repository.downtimes_after(session, tenant_id, None, limit=DOWNTIMES_SHOWN + 1)
            dropped = await repository.dropped_downtimes(session, tenant_id, now_ms - UNDO_MS, limit=DROPPED_SHOWN)
            cycles = await repository.expected_like(session, tenant_id, search, limit=CYCLES_SHOWN + 1)
            jobs = await maintenance.planned(session, tenant_id, limit=JOBS_MAX)
            presses = await reading.presses(session, tenant_id, limit=PRESSES_OFFERED)
            plants = sorted(await reading.plant_ids(session, tenant_id))
        return self._shell.page(
            request,
            "settings_production.html",
            status=status,
            page_name="settings",
            downtimes=downtimes[:DOWNTIMES_SHOWN],
            are_more_downtimes=len(downtimes) > DOWNTIMES_SHOWN,
            dropped=dropped,
            cycles=cycles[:CYCLES_SHOWN],
            are_more_cycles=len(cycles) > CYCLES_SHOWN,
            of_jobs={job.downtime_id for job in jobs},
            presses=presses.items,
            plants=plants,
            search=search,
            zone=str(self._zone),
            in_zone=lambda utc_ms: in_zone(utc_ms, self._zone),
            can_be_undone=lambda changed_ms: can_be_undone(changed_ms, now_ms),
            may_change=Right.CONFIGURE in principal.rights,
            csrf_token=principal.form_token(),
            characters_max=REASON_CHARACTERS_MAX,
            name_characters_max=NAME_CHARACTERS_MAX,
            fault=fault,
        )

    def _time(self, form: FormData) -> Time:
        start_ms, end_ms = (time_ms(form, name, self._zone) for name in ("start", "end"))
        return Time(start_ms=start_ms, end_ms=end_ms, reason=_text(form, "reason"))


def _text(form: FormData, name: str, characters_max: int = REASON_CHARACTERS_MAX) -> str:
    return str(form.get(name, "")).strip()[:characters_max]


def _seconds(form: FormData) -> float | None:
    text = _text(form, "seconds").replace(",", ".")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError as error:
        raise InvalidFieldError("seconds", "must be a number of seconds") from error
    if not (math.isfinite(seconds) and 0 < seconds <= CYCLE_S_MAX):
        raise InvalidFieldError("seconds", f"must be above 0 and at most {CYCLE_S_MAX}")
    return seconds
