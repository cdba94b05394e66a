"""Customer-success managers as JSON, and who looks after whom, for the platform's own people."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Request
from starlette.exceptions import HTTPException

from cloud.core.audit import actor_of
from cloud.core.problems import responses
from cloud.core.tenants import TenantId
from cloud.tiering import book
from cloud.tiering import manager_repository as stored
from cloud.tiering.api import CustomerId, Staff
from cloud.tiering.manager_shapes import (
    AppliedOut,
    ApplyIn,
    CareOut,
    ManagerIn,
    ManagerOut,
    PlaceIn,
    ProposalOut,
    proposal_out,
)
from cloud.tiering.managers import AssignmentStateError, ManagerDesk


def router(desk: ManagerDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tiering"], prefix="/tiering")
    _managers(routes, desk)
    _care(routes, desk)
    _assignments(routes, desk)
    return routes


def _managers(routes: APIRouter, desk: ManagerDesk) -> None:
    @routes.get("/managers", summary="Customer-success managers by name")
    async def managers(principal: Staff) -> list[ManagerOut]:
        async with desk.database.reading() as session:
            rows = await stored.managers(session, TenantId(principal.tenant_id))
        return [ManagerOut.model_validate(row) for row in rows]

    @routes.post("/managers", responses=responses(422), status_code=201, summary="Add a customer-success manager")
    async def add(request: Request, principal: Staff, body: Annotated[ManagerIn, Body()]) -> ManagerOut:
        row = await desk.set_manager(TenantId(principal.tenant_id), None, body.told(), actor_of(request))
        return ManagerOut.model_validate(row)

    @routes.put("/managers/{manager_id}", responses=responses(404, 422), summary="Change a manager, or say it has left")
    async def change(
        request: Request, principal: Staff, manager_id: UUID, body: Annotated[ManagerIn, Body()]
    ) -> ManagerOut:
        row = await desk.set_manager(TenantId(principal.tenant_id), manager_id, body.told(), actor_of(request))
        return ManagerOut.model_validate(row)


def _care(routes: APIRouter, desk: ManagerDesk) -> None:
    @routes.get(
        "/customers/{customer_id}/care", responses=responses(404, 422), summary="Where it is, and who looks after it"
    )
    async def care(principal: Staff, customer_id: CustomerId) -> CareOut:
        tenant = TenantId(principal.tenant_id)
        async with desk.database.reading() as session:
            await book.customer(session, tenant, customer_id)
            row = await stored.care(session, tenant, customer_id)
            if row is None:
                return CareOut(latitude=None, longitude=None, manager_id=None, manager="", from_ms=None)
            manager = await stored.manager(session, tenant, row.manager_id) if row.manager_id else None
        return CareOut(
            latitude=row.latitude,
            longitude=row.longitude,
            manager_id=row.manager_id,
            manager=manager.name if manager else "",
            from_ms=row.from_ms,
        )

    @routes.put("/customers/{customer_id}/place", responses=responses(404, 422), summary="Say where a customer is")
    async def place(
        request: Request, principal: Staff, customer_id: CustomerId, body: Annotated[PlaceIn, Body()]
    ) -> CareOut:
        await desk.set_place(TenantId(principal.tenant_id), customer_id, body.place(), actor_of(request))
        return await care(principal, customer_id)


def _assignments(routes: APIRouter, desk: ManagerDesk) -> None:
    @routes.post(
        "/assignments/propose",
        responses=responses(422),
        summary="Who should look after which strategic customer; changes nothing",
    )
    async def propose(principal: Staff) -> ProposalOut:
        return proposal_out(await desk.propose(TenantId(principal.tenant_id)))

    @routes.post(
        "/assignments/apply", responses=responses(404, 409, 422), summary="Apply moves of a proposal, all or none"
    )
    async def apply(request: Request, principal: Staff, body: Annotated[ApplyIn, Body()]) -> AppliedOut:
        try:
            changed = await desk.apply(TenantId(principal.tenant_id), body.as_moves(), actor_of(request))
        except AssignmentStateError as error:
            raise HTTPException(409, str(error)) from error
        return AppliedOut(changed=changed)
