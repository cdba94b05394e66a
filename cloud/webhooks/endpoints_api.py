"""Webhook endpoints as JSON: made, changed, tested, given new secrets, removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Request
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.webhooks.domain import EndpointError
from cloud.webhooks.parts import WebhookParts
from cloud.webhooks.shapes import (
    AttemptOut,
    DeliveryLogOut,
    DeliveryOut,
    EndpointChange,
    EndpointIn,
    EndpointOut,
    NewEndpointOut,
    ReplayOut,
    RotationIn,
    RotationOut,
)

EndpointId = Annotated[UUID, Path(description="Endpoint id.")]
Configurer = Annotated[Principal, requires(Right.CONFIGURE)]


def router(parts: WebhookParts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"], prefix="/endpoints")
    _reading(routes, parts)
    _changing(routes, parts)
    return routes


def _reading(routes: APIRouter, parts: WebhookParts) -> None:
    @routes.get("", responses=responses(422), summary="Webhook endpoints by name")
    async def endpoint_list(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[EndpointOut]:
        position = decode_cursor(cursor, str)
        async with parts.database.reading() as session:
            after = str(position[0]) if position else ""
            found = await parts.endpoints.endpoints(session, tenant, after=after, limit=limit)
        return page_of(found, EndpointOut.model_validate, lambda endpoint: (endpoint.name,))

    @routes.get("/{endpoint_id}", responses=responses(404, 422), summary="One endpoint")
    async def one(tenant: Tenant, endpoint_id: EndpointId) -> EndpointOut:
        return await _endpoint(parts, tenant, endpoint_id)


def _changing(routes: APIRouter, parts: WebhookParts) -> None:
    @routes.post(
        "", status_code=201, responses=responses(403, 409, 422), summary="Make an endpoint; its secret is told once"
    )
    async def create(request: Request, principal: Configurer, body: Annotated[EndpointIn, Body()]) -> NewEndpointOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        with _refusals():
            async with parts.database.transaction() as session:
                row, secret = await parts.endpoints.create(session, tenant_id, actor, body.draft())
        endpoint = await _endpoint(parts, tenant_id, row.endpoint_id)
        return NewEndpointOut(endpoint=endpoint, secret=secret or None)

    @routes.patch("/{endpoint_id}", responses=responses(403, 404, 409, 422), summary="Change an endpoint")
    async def change(
        request: Request, principal: Configurer, endpoint_id: EndpointId, body: Annotated[EndpointChange, Body()]
    ) -> EndpointOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        with _refusals():
            async with parts.database.transaction() as session:
                await parts.endpoints.change(session, tenant_id, endpoint_id, actor, body.changes())
        return await _endpoint(parts, tenant_id, endpoint_id)

    @routes.delete(
        "/{endpoint_id}", status_code=204, responses=responses(403, 404, 409, 422), summary="Remove an endpoint"
    )
    async def remove(request: Request, principal: Configurer, endpoint_id: EndpointId) -> None:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        with _refusals():
            async with parts.database.transaction() as session:
                await parts.endpoints.remove(session, tenant_id, endpoint_id, actor)

    @routes.post(
        "/{endpoint_id}/rotate",
        responses=responses(403, 404, 409, 422),
        summary="Make a new secret; it is told once",
        description="Calls are signed with both until the time of grace is over.",
    )
    async def rotate(
        request: Request, principal: Configurer, endpoint_id: EndpointId, body: Annotated[RotationIn, Body()]
    ) -> RotationOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        with _refusals():
            async with parts.database.transaction() as session:
                row, secret = await parts.endpoints.rotate(session, tenant_id, endpoint_id, actor, grace_h=body.grace_h)
        return RotationOut(secret=secret, old_secret_until_ms=row.old_secret_until_ms)

    @routes.post(
        "/{endpoint_id}/test",
        responses=responses(403, 404, 422),
        summary="Call an endpoint now with a test, and tell its answer",
    )
    async def test(request: Request, principal: Configurer, endpoint_id: EndpointId) -> DeliveryLogOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        delivery, attempts = await parts.tester.test(tenant_id, endpoint_id, actor)
        return DeliveryLogOut(
            delivery=DeliveryOut.model_validate(delivery),
            attempts=[AttemptOut.model_validate(attempt) for attempt in attempts],
        )

    @routes.post(
        "/{endpoint_id}/replay",
        responses=responses(403, 404, 409, 422),
        summary="Owe all dead letters of an endpoint once more, at most 1,000 at a time",
    )
    async def replay(request: Request, principal: Configurer, endpoint_id: EndpointId) -> ReplayOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        with _refusals():
            async with parts.database.transaction() as session:
                row = await parts.endpoints.row(session, tenant_id, endpoint_id)
                return ReplayOut(count=await parts.service.replay_all(session, row, actor))


async def _endpoint(parts: WebhookParts, tenant_id: TenantId, endpoint_id: UUID) -> EndpointOut:
    async with parts.database.reading() as session:
        return EndpointOut.model_validate(await parts.endpoints.endpoint(session, tenant_id, endpoint_id))


@contextmanager
def _refusals() -> Iterator[None]:
    """What does not fit how things stand is a conflict."""
    try:
        yield
    except EndpointError as error:
        raise HTTPException(409, str(error)) from error
