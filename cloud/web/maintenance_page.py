"""The page of maintenance: work by predicted time to failure, planned windows, what was done, counters of moulds."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import Actor, actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.maintenance import repository
from cloud.maintenance.desk import MaintenanceDesk
from cloud.maintenance.domain import Outcome, can_be_undone
from cloud.maintenance.jobs import TEXT_CHARACTERS_MAX, Done, JobStateError, Window
from cloud.maintenance.moulds import INTERVAL_SHOTS_MAX
from cloud.web.plant_times import in_zone, time_ms
from cloud.web.shell import Shell

PAGE = "/maintenance"
WORK_SHOWN, JOBS_SHOWN, MOULDS_SHOWN = 100, 50, 100
NAME_CHARACTERS_MAX = 64
OUTCOMES: tuple[Outcome, ...] = ("repaired", "confirmed", "nothing")
Reader = Annotated[Principal, requires(Right.READ)]
Planner = Annotated[Principal, requires(Right.CONFIGURE)]
Worker = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
Step = Callable[[FormData, TenantId, Actor], Awaitable[object]]


def include(app: FastAPI, shell: Shell, desk: MaintenanceDesk, zone: ZoneInfo) -> None:
    """Add the page and its forms; times in forms are of `zone`, the plants' own."""
    page = MaintenancePage(shell, desk, zone)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}/jobs", page.plan, methods=["POST"])
    routes.add_api_route(f"{PAGE}/jobs/{{job_id}}/change", page.change, methods=["POST"])
    routes.add_api_route(f"{PAGE}/jobs/{{job_id}}/cancel", page.cancel, methods=["POST"])
    routes.add_api_route(f"{PAGE}/jobs/{{job_id}}/done", page.finish, methods=["POST"])
    routes.add_api_route(f"{PAGE}/jobs/{{job_id}}/reopen", page.reopen, methods=["POST"])
    routes.add_api_route(f"{PAGE}/done", page.finish_unplanned, methods=["POST"])
    routes.add_api_route(f"{PAGE}/moulds/interval", page.set_interval, methods=["POST"])
    routes.add_api_route(f"{PAGE}/moulds/serviced", page.serviced, methods=["POST"])
    routes.add_api_route(f"{PAGE}/moulds/take-service-back", page.take_service_back, methods=["POST"])
    app.include_router(routes)


class MaintenancePage:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(self, shell: Shell, desk: MaintenanceDesk, zone: ZoneInfo) -> None:
        self._shell = shell
        self._desk = desk
        self._zone = zone

    async def show(self, request: Request, principal: Reader) -> Response:
        """Everything on one page."""
        return await self._page(request, principal)

    async def plan(self, request: Request, principal: Planner) -> Response:
        """Plan a job on a press."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.plan(tenant_id, _place(form), self._window(form), actor)

        return await self._do(request, principal, step)

    async def change(self, request: Request, principal: Planner, job_id: UUID) -> Response:
        """Move a planned job."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.change(tenant_id, job_id, self._window(form), actor)

        return await self._do(request, principal, step)

    async def cancel(self, request: Request, principal: Planner, job_id: UUID) -> Response:
        """Take a planned job back."""

        async def step(_form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.cancel(tenant_id, job_id, actor)

        return await self._do(request, principal, step)

    async def finish(self, request: Request, principal: Worker, job_id: UUID) -> Response:
        """Say what came of a planned job."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.finish(tenant_id, job_id, _done(form), actor)

        return await self._do(request, principal, step)

    async def finish_unplanned(self, request: Request, principal: Worker) -> Response:
        """Say what came of work that nobody had planned."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.finish_unplanned(tenant_id, _place(form), _done(form), actor)

        return await self._do(request, principal, step)

    async def reopen(self, request: Request, principal: Worker, job_id: UUID) -> Response:
        """Take back that a job was done."""

        async def step(_form: FormData, tenant_id: TenantId, actor: Actor) -> object:
            return await self._desk.reopen(tenant_id, job_id, actor)

        return await self._do(request, principal, step)

    async def set_interval(self, request: Request, principal: Planner) -> Response:
        """Say after how many shots a mould is due for service."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> None:
            text = str(form.get("interval_shots", "")).strip()
            if text and not (text.isdecimal() and 1 <= int(text) <= INTERVAL_SHOTS_MAX):
                raise InvalidFieldError("interval_shots", f"must be a whole number of 1 to {INTERVAL_SHOTS_MAX}")
            await self._desk.set_interval(tenant_id, _mould(form), int(text) if text else None, actor)

        return await self._do(request, principal, step)

    async def serviced(self, request: Request, principal: Worker) -> Response:
        """Say that a mould was serviced."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> None:
            await self._desk.serviced(tenant_id, _mould(form), actor)

        return await self._do(request, principal, step)

    async def take_service_back(self, request: Request, principal: Worker) -> Response:
        """Take the last service of a mould back."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor) -> None:
            await self._desk.take_service_back(tenant_id, _mould(form), actor)

        return await self._do(request, principal, step)

    async def _do(self, request: Request, principal: Principal, step: Step) -> Response:
        t, form = self._shell.catalogue(request), await request.form(max_files=0, max_fields=12)
        try:
            await step(form, TenantId(principal.tenant_id), actor_of(request))
        except NotFoundError:
            return self._shell.problem(
                request, status=404, title=t("maintenance.unknown_title"), detail=t("maintenance.unknown")
            )
        except JobStateError:
            return await self._page(request, principal, fault=t("maintenance.fault.state"), status=409)
        except InvalidFieldError as error:
            fault = t.find(f"maintenance.fault.{error.field.removeprefix('body.')}") or str(error)
            return await self._page(request, principal, fault=fault, status=422)
        return RedirectResponse(PAGE, status_code=303)

    async def _page(self, request: Request, principal: Principal, *, fault: str = "", status: int = 200) -> Response:
        tenant_id, now_ms = TenantId(principal.tenant_id), self._shell.clock.utc_ms()
        work, moulds = await self._desk.work(tenant_id), await self._desk.moulds(tenant_id)
        async with self._desk.database.reading() as session:
            planned = await repository.planned(session, tenant_id, limit=JOBS_SHOWN)
            done = await repository.jobs(session, tenant_id, state="done", before=None, limit=JOBS_SHOWN)
        return self._shell.page(
            request,
            "maintenance.html",
            status=status,
            page_name="maintenance",
            work=work[:WORK_SHOWN],
            left_out=max(0, len(work) - WORK_SHOWN),
            planned=planned,
            done=done,
            moulds=[(mould, mould.due_ms(now_ms)) for mould in moulds[:MOULDS_SHOWN]],
            moulds_left_out=max(0, len(moulds) - MOULDS_SHOWN),
            can_be_undone=lambda done_ms: can_be_undone(done_ms, now_ms),
            outcomes=OUTCOMES,
            zone=str(self._zone),
            in_zone=lambda utc_ms: in_zone(utc_ms, self._zone),
            may_plan=Right.CONFIGURE in principal.rights,
            may_finish=Right.ACKNOWLEDGE in principal.rights,
            csrf_token=principal.form_token(),
            characters_max=TEXT_CHARACTERS_MAX,
            name_characters_max=NAME_CHARACTERS_MAX,
            fault=fault,
        )

    def _window(self, form: FormData) -> Window:
        start_ms, end_ms = (time_ms(form, name, self._zone) for name in ("start", "end"))
        return Window(start_ms, end_ms, _text(form, "who", NAME_CHARACTERS_MAX), _text(form, "note"))


def _text(form: FormData, name: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    return str(form.get(name, "")).strip()[:characters_max]


def _place(form: FormData) -> tuple[str, str, str]:
    return str(form.get("plant", "")), str(form.get("press", "")), str(form.get("mode", ""))[:NAME_CHARACTERS_MAX]


def _mould(form: FormData) -> str:
    return str(form.get("mould", ""))


def _done(form: FormData) -> Done:
    outcome = next((name for name in OUTCOMES if name == form.get("outcome")), None)
    if outcome is None:
        raise InvalidFieldError("outcome", "must be one of them")
    return Done(outcome, _text(form, "found"), _text(form, "work"), form.get("resets_baseline") is not None)
