"""Webhook deliveries as JSON."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant
from cloud.webhooks import service
from cloud.webhooks.domain import State

StateFilter = Annotated[State | None, Query(description="Only deliveries in this state.")]
EndpointFilter = Annotated[str | None, Query(max_length=128, description="Only this endpoint.")]
KindFilter = Annotated[str | None, Query(max_length=128, description="Only events of this kind.")]


class DeliveryOut(BaseModel):
    """A call owed to, or made at, one endpoint for one event."""

    model_config = ConfigDict(from_attributes=True)

    delivery_id: UUID = Field(description="The webhook-id of every try is `msg_` and this.")
    endpoint: str
    event_id: int
    kind: str = Field(description="Kind of the event, as alarm.raised: `type` in the call.")
    state: State = Field(description="`failed`: given up, after a day or because the endpoint is gone.")
    attempts: int
    created_ms: int
    next_attempt_ms: int | None
    delivered_ms: int | None
    last_attempt_ms: int | None
    last_status: int | None = Field(description="HTTP status of the last try; null when there was no answer.")
    last_answer: str = Field(description="The first 2 kB of the last answer.")
    last_error: str = Field(description="Why there was no answer.")


def router(database: Database) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["webhooks"])

    @routes.get("/deliveries", responses=responses(422), summary="Webhook deliveries, newest first")
    async def deliveries(
        tenant: Tenant,
        state: StateFilter = None,
        endpoint: EndpointFilter = None,
        kind: KindFilter = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[DeliveryOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            found = await service.deliveries(
                session, tenant, state=state, endpoint=endpoint, kind=kind, before=before, limit=limit
            )
        return page_of(found, DeliveryOut.model_validate, lambda delivery: (str(delivery.delivery_id),))

    return routes
