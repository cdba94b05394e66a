"""The pages of customer-success managers: who they are, where customers are, and an assignment to look at first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import manager_repository as stored
from cloud.tiering import repository
from cloud.tiering.api import Staff
from cloud.tiering.assignment import ACCOUNTS_MAX, Place, Proposal, distance_km
from cloud.tiering.manager_shapes import SECTORS_MAX
from cloud.tiering.manager_tables import CareRow, ManagerRow
from cloud.tiering.managers import AssignmentStateError, ManagerDesk, Move, Told, place_of
from cloud.tiering.tables import CustomerRow
from cloud.web.forms import figure, text, uuid_of, whole
from cloud.web.tiering_page import PAGE, TieringPages, form_token

MANAGERS: Final = f"{PAGE}/managers"
FIELDS_MAX: Final = 2 * ACCOUNTS_MAX + 10
REACH_KM_MAX: Final = 20_100.0


@dataclass(frozen=True, slots=True)
class Line:
    """A strategic customer with who looks after it, and what a proposal says of it."""

    customer: CustomerRow
    care: CareRow | None
    now: ManagerRow | None
    then: ManagerRow | None
    km: float | None
    is_sector_known: bool

    @property
    def is_move(self) -> bool:
        """Whether the proposal gives it to somebody else than now."""
        return self.then is not None and (self.now is None or self.now.manager_id != self.then.manager_id)


def include(app: FastAPI, pages: TieringPages, desk: ManagerDesk) -> None:
    """Add the pages."""
    page = ManagerPages(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(MANAGERS, page.overview, methods=["GET"])
    routes.add_api_route(MANAGERS, page.set_manager, methods=["POST"])
    routes.add_api_route(f"{MANAGERS}/proposal", page.propose, methods=["POST"])
    routes.add_api_route(f"{MANAGERS}/moves", page.apply, methods=["POST"])
    routes.add_api_route(f"{MANAGERS}/care", page.care, methods=["POST"])
    app.include_router(routes)


class ManagerPages:
    """The handlers; nothing changes before somebody has seen a proposal and takes it, whole or in part."""

    def __init__(self, pages: TieringPages, desk: ManagerDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def overview(self, request: Request, principal: Staff) -> Response:
        """Managers with their loads, and strategic customers with who looks after them."""
        return await self._show(request, TenantId(principal.tenant_id))

    async def set_manager(self, request: Request, principal: Staff) -> Response:
        """Add a manager, or change one."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=20)
        try:
            told = _told(form)
            await self._desk.set_manager(tenant_id, uuid_of(form, "manager_id"), told, actor_of(request))
        except InvalidFieldError as error:
            return await self._show(request, tenant_id, fault=self._words(request, error), status=422)
        return RedirectResponse(MANAGERS, status_code=303)

    async def propose(self, request: Request, principal: Staff) -> Response:
        """An assignment to look at; nothing has changed yet."""
        tenant_id = TenantId(principal.tenant_id)
        try:
            found = await self._desk.propose(tenant_id)
        except InvalidFieldError as error:
            return await self._show(request, tenant_id, fault=self._words(request, error), status=422)
        return await self._show(request, tenant_id, proposal=found)

    async def apply(self, request: Request, principal: Staff) -> Response:
        """Take the moves that were ticked, all or none."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        try:
            moves = [_move(str(each)) for each in form.getlist("move")]
            if not moves:
                raise InvalidFieldError("body.move", "at least one is needed")
            await self._desk.apply(tenant_id, moves, actor_of(request))
        except InvalidFieldError as error:
            return await self._show(request, tenant_id, fault=self._words(request, error), status=422)
        except (AssignmentStateError, NotFoundError):
            t = self._pages.shell.catalogue(request)
            return await self._show(request, tenant_id, fault=t("tiering.fault_moves"), status=409)
        return RedirectResponse(MANAGERS, status_code=303)

    async def care(self, request: Request, principal: Staff) -> Response:
        """Say where a customer is, and give it to a manager by hand."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=10)
        try:
            customer_id, manager_id = uuid_of(form, "customer_id"), uuid_of(form, "manager_id")
            if customer_id is None:
                raise InvalidFieldError("body.customer_id", "is missing")
            await self._desk.set_place(tenant_id, customer_id, _place(form), actor_of(request))
            if manager_id is not None:
                move = Move(customer_id, manager_id, uuid_of(form, "before"))
                await self._desk.apply(tenant_id, [move], actor_of(request))
        except InvalidFieldError as error:
            return await self._show(request, tenant_id, fault=self._words(request, error), status=422)
        except AssignmentStateError:
            t = self._pages.shell.catalogue(request)
            return await self._show(request, tenant_id, fault=t("tiering.fault_moves"), status=409)
        return RedirectResponse(f"{MANAGERS}#customers", status_code=303)

    def _words(self, request: Request, error: InvalidFieldError) -> str:
        t = self._pages.shell.catalogue(request)
        return t.find(f"tiering.fault_{error.field.rpartition('.')[2]}") or str(error)

    async def _show(
        self,
        request: Request,
        tenant_id: TenantId,
        *,
        proposal: Proposal | None = None,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        async with self._desk.database.reading() as session:
            managers = list(await stored.managers(session, tenant_id))
            care = await stored.all_care(session, tenant_id)
            customers = await repository.customers(session, tenant_id, tier=Tier.STRATEGIC, limit=ACCOUNTS_MAX)
        by_id = {manager.manager_id: manager for manager in managers}
        lines = [_line(customer, care.get(customer.customer_id), by_id, proposal) for customer in customers]
        return self._pages.shell.page(
            request,
            "tiering_managers.html",
            status=status,
            page_name="tiering",
            tab="managers",
            managers=managers,
            loads={each: sum(_is(line.now, each) for line in lines) for each in by_id},
            loads_then={each: sum(_is(line.then or line.now, each) for line in lines) for each in by_id},
            lines=lines,
            placed=sum(place_of(line.care) is not None for line in lines if line.care is not None),
            proposal=proposal,
            capacity_max=ACCOUNTS_MAX,
            fault=fault,
            csrf_token=form_token(request),
        )


def _is(manager: ManagerRow | None, manager_id: UUID) -> bool:
    return manager is not None and manager.manager_id == manager_id


def _line(
    customer: CustomerRow, care: CareRow | None, managers: Mapping[UUID, ManagerRow], proposal: Proposal | None
) -> Line:
    now = managers.get(care.manager_id) if care is not None and care.manager_id is not None else None
    found: Any = None
    if proposal is not None:
        found = next((each for each in proposal.assigned if each.customer_id == str(customer.customer_id)), None)
    then = managers.get(UUID(found.manager_id)) if found is not None else None
    whose = then or now
    km = distance_km(place_of(care), place_of(whose)) if care is not None and whose is not None else None
    fits = whose is None or not whose.sectors or customer.sector in whose.sectors
    return Line(customer, care, now, then, km, fits)


def _told(form: FormData) -> Told:
    sectors = [each.strip() for each in text(form, "sectors").replace("，", ",").split(",") if each.strip()]
    if len(sectors) > SECTORS_MAX or any(len(each) > 128 for each in sectors):
        raise InvalidFieldError("body.sectors", f"must be at most {SECTORS_MAX} of 128 characters each")
    reach = text(form, "reach_km")
    return Told(
        name=text(form, "name")[:128],
        capacity=whole(form, "capacity", 1, ACCOUNTS_MAX),
        sectors=tuple(sectors),
        place=_place(form),
        reach_km=figure(form, "reach_km", 0.1, REACH_KM_MAX) if reach else None,
        is_active=text(form, "is_active") != "no",
    )


def _place(form: FormData) -> Place | None:
    told = text(form, "latitude"), text(form, "longitude")
    if not any(told):
        return None
    if not all(told):
        raise InvalidFieldError("body.place", "latitude and longitude belong together")
    return figure(form, "latitude", -90, 90), figure(form, "longitude", -180, 180)


def _move(told: str) -> Move:
    """`customer/manager/before` of a ticked line."""
    parts = told.split("/")
    try:
        customer, manager, before = parts
        return Move(UUID(customer), UUID(manager), UUID(before) if before else None)
    except ValueError as error:
        raise InvalidFieldError("body.move", "is none of the proposal") from error
