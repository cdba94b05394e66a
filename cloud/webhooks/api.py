"""Webhook deliveries as JSON: the list, the log of one, and once more."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.webhooks import service
from cloud.webhooks.domain import EndpointError, State
from cloud.webhooks.parts import WebhookParts
from cloud.webhooks.shapes import AttemptOut, DeliveryLogOut, DeliveryOut

StateFilter = Annotated[State | None, Query(description="Only deliveries in this state.")]
EndpointFilter = Annotated[str | None, Query(max_length=128, description="Only this endpoint, by name.")]
EndpointIdFilter = Annotated[UUID | None, Query(description="Only this endpoint, by id.")]
KindFilter = Annotated[str | None, Query(max_length=128, description="Only events of this kind.")]
DeliveryId = Annotated[UUID, Path(description="Delivery id.")]
Configurer = Annotated[Principal, requires(Right.CONFIGURE)]


def router(parts: WebhookParts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"], prefix="/deliveries")

    @routes.get("", responses=responses(422), summary="Webhook deliveries, newest first")
    async def deliveries(
        tenant: Tenant,
        state: StateFilter = None,
        endpoint: EndpointFilter = None,
        endpoint_id: EndpointIdFilter = None,
        kind: KindFilter = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[DeliveryOut]:
        before = decode_uuid(cursor)
        async with parts.database.reading() as session:
            found = await service.deliveries(
                session,
                tenant,
                state=state,
                endpoint=endpoint,
                endpoint_id=endpoint_id,
                kind=kind,
                before=before,
                limit=limit,
            )
        return page_of(found, DeliveryOut.model_validate, lambda delivery: (str(delivery.delivery_id),))

    @routes.get("/{delivery_id}", responses=responses(404, 422), summary="One delivery with its tries")
    async def one(tenant: Tenant, delivery_id: DeliveryId) -> DeliveryLogOut:
        async with parts.database.reading() as session:
            delivery, attempts = await service.delivery_with_attempts(session, tenant, delivery_id)
        return DeliveryLogOut(
            delivery=DeliveryOut.model_validate(delivery),
            attempts=[AttemptOut.model_validate(attempt) for attempt in attempts],
        )

    @routes.post(
        "/{delivery_id}/replay",
        responses=responses(403, 404, 409, 422),
        summary="Owe a dead letter once more",
        description="With the same webhook-id: a receiver that has had it knows it again.",
    )
    async def replay(request: Request, principal: Configurer, delivery_id: DeliveryId) -> DeliveryOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        try:
            async with parts.database.transaction() as session:
                return DeliveryOut.model_validate(await parts.service.replay(session, tenant_id, delivery_id, actor))
        except EndpointError as error:
            raise HTTPException(409, str(error)) from error

    return routes
