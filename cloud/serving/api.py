"""Options, what was sold of them, rules and margins as JSON, for the platform's own people."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request

from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of, slice_of
from cloud.core.problems import NotFoundError, responses
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.serving import options, repository, rules, views
from cloud.serving.catalogue import CatalogueDesk, option_of, options_of, rules_of
from cloud.serving.options import Option
from cloud.serving.sales import State
from cloud.serving.sales_desk import SalesDesk
from cloud.serving.shapes import (
    HoursIn,
    MarginsOut,
    OfferIn,
    OptionIn,
    OptionOut,
    RulesIn,
    RulesOut,
    SoldOut,
    SoldWithHoursOut,
    StepIn,
    margin_out,
    sold_out,
    sold_with_hours,
)
from cloud.tiering.api import CustomerId, Staff

MARGINS_MAX = 1_000
OptionCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Of the option.")]
SoldId = Annotated[UUID, Path(description="Sold option id.")]


def router(catalogue: CatalogueDesk, desk: SalesDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["serving"], prefix="/serving")
    _options(routes, catalogue)
    _rules(routes, catalogue)
    _sales(routes, desk)
    _sold(routes, desk)
    _margins(routes, desk)
    return routes


def _options(routes: APIRouter, desk: CatalogueDesk) -> None:
    @routes.get("/options", summary="The catalogue of options, by code")
    async def listed(principal: Staff) -> list[OptionOut]:
        async with desk.database.reading() as session:
            found = await options_of(session, TenantId(principal.tenant_id))
        return [_option_out(option, version) for version, option in found.values()]

    one = "/options/{option_code}"

    @routes.put(one, responses=responses(422), summary="Save the next version of an option; what was sold stays")
    async def save(
        request: Request, principal: Staff, option_code: OptionCode, body: Annotated[OptionIn, Body()]
    ) -> OptionOut:
        option = body.option(option_code)
        version = await desk.save(TenantId(principal.tenant_id), option, actor_of(request), version=body.version)
        return _option_out(option, version)

    @routes.get(f"{one}/versions", responses=responses(404, 422), summary="Versions of an option, newest first")
    async def versions(principal: Staff, option_code: OptionCode) -> list[OptionOut]:
        async with desk.database.reading() as session:
            rows = await repository.versions(session, TenantId(principal.tenant_id), option_code)
        if not rows:
            raise NotFoundError("option", option_code)
        return [_option_out(option_of(row), row.version) for row in rows]


def _rules(routes: APIRouter, desk: CatalogueDesk) -> None:
    @routes.get("/rules", summary="What an hour costs, how much may be open, which margin is too low")
    async def held(principal: Staff) -> RulesOut:
        async with desk.database.reading() as session:
            version, found = await rules_of(session, TenantId(principal.tenant_id))
        return RulesOut(**rules.to_json(found), version=version)

    @routes.put("/rules", responses=responses(422), summary="Save the next version of the rules")
    async def save(request: Request, principal: Staff, body: Annotated[RulesIn, Body()]) -> RulesOut:
        tenant = TenantId(principal.tenant_id)
        await desk.save_rules(tenant, body.rules(), actor_of(request), version=body.version)
        return await held(principal)


def _sales(routes: APIRouter, desk: SalesDesk) -> None:
    of_customer = "/customers/{customer_id}/options"

    @routes.get(of_customer, responses=responses(404, 422), summary="Options of a customer, newest first")
    async def of(principal: Staff, customer_id: CustomerId) -> list[SoldOut]:
        now_ms = desk.clock.utc_ms()
        shop = await views.shop(desk.database, TenantId(principal.tenant_id), customer_id, now_ms)
        return [sold_out(row, shop.board.steps[row.sold_id]) for row in shop.board.rows]

    @routes.post(of_customer, responses=responses(404, 422), status_code=201, summary="Quote an option to a customer")
    async def offer(
        request: Request, principal: Staff, customer_id: CustomerId, body: Annotated[OfferIn, Body()]
    ) -> SoldWithHoursOut:
        estimate = body.estimate.estimate() if body.estimate is not None else None
        tenant = TenantId(principal.tenant_id)
        row = await desk.offer(tenant, customer_id, body.code, actor_of(request), estimate=estimate)
        return await _one(desk, tenant, row.sold_id)


def _sold(routes: APIRouter, desk: SalesDesk) -> None:
    @routes.get("/sold", responses=responses(422), summary="Options of all customers that are not over, newest first")
    async def board(
        principal: Staff,
        state: Annotated[State | None, Query(description="Only in this state, also where it is over.")] = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[SoldOut]:
        before, tenant = decode_uuid(cursor), TenantId(principal.tenant_id)
        found = await views.board(desk.database, tenant, state=state, before=before, limit=limit + 1)
        shown = slice_of(found.rows, limit)
        return page_of(shown, lambda row: sold_out(row, found.steps[row.sold_id]), lambda row: (str(row.sold_id),))

    one = "/sold/{sold_id}"

    @routes.get(one, responses=responses(404, 422), summary="A sold option with its steps and hours")
    async def sold(principal: Staff, sold_id: SoldId) -> SoldWithHoursOut:
        return await _one(desk, TenantId(principal.tenant_id), sold_id)

    @routes.post(f"{one}/steps", responses=responses(404, 422), summary="Take it a step further")
    async def step(
        request: Request, principal: Staff, sold_id: SoldId, body: Annotated[StepIn, Body()]
    ) -> SoldWithHoursOut:
        tenant = TenantId(principal.tenant_id)
        await desk.step(tenant, sold_id, body.step, actor_of(request), note=body.note)
        return await _one(desk, tenant, sold_id)

    @routes.post(f"{one}/hours", responses=responses(404, 422), status_code=201, summary="Book hours on it")
    async def book(
        request: Request, principal: Staff, sold_id: SoldId, body: Annotated[HoursIn, Body()]
    ) -> SoldWithHoursOut:
        tenant = TenantId(principal.tenant_id)
        await desk.book(tenant, sold_id, actor_of(request), **body.model_dump())
        return await _one(desk, tenant, sold_id)


def _margins(routes: APIRouter, desk: SalesDesk) -> None:
    @routes.get("/margins", responses=responses(422), summary="Customers by margin of twelve months, lowest first")
    async def margins(
        principal: Staff,
        tier: Annotated[Tier | None, Query(description="Only of this tier.")] = None,
        limit: Annotated[int, Query(ge=1, le=MARGINS_MAX)] = 100,
    ) -> MarginsOut:
        now_ms = desk.clock.utc_ms()
        found = await views.by_margin(desk.database, TenantId(principal.tenant_id), now_ms, tier=tier)
        return MarginsOut(
            currency=found.currency,
            margin_floor=found.rules.margin_floor,
            items=[margin_out(line) for line in found.lines[:limit]],
        )


async def _one(desk: SalesDesk, tenant_id: TenantId, sold_id: UUID) -> SoldWithHoursOut:
    async with desk.database.reading() as session:
        row = await repository.sold(session, tenant_id, sold_id)
        if row is None:
            raise NotFoundError("sold option", str(sold_id))
        steps = await repository.steps(session, [sold_id])
        booked = await repository.bookings(session, sold_id)
    return sold_with_hours(row, steps[sold_id], booked)


def _option_out(option: Option, version: int) -> OptionOut:
    return OptionOut(**options.to_json(option), code=option.code, version=version)
