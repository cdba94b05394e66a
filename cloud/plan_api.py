"""A tenant's own plan as JSON: what it has, and how much of it is used."""

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.tenants import Tenant, TenantId
from cloud.entitlements import service
from cloud.entitlements.shapes import EffectiveOut, effective_out
from cloud.fleet import plan as fleet_plan
from cloud.fleet import repository as fleet
from cloud.identity import repository as identities
from cloud.webhooks import repository as webhooks
from kit.clock import Clock


class UsageOut(BaseModel):
    """How much is used of what is counted."""

    presses: int
    presses_locked: int = Field(description="Received and kept, and not shown: beyond the plan.")
    webhook_endpoints: int
    people: int


class PlanOut(EffectiveOut):
    """What one's company has."""

    usage: UsageOut


def router(database: Database, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["plan"])

    @routes.get("/plan", summary="What the plan has, and what is used of it")
    async def plan(tenant: Tenant) -> PlanOut:
        async with database.reading() as session:
            found = await service.in_force(session, tenant, clock.utc_ms())
            used = await usage(session, tenant, found.entitlements.presses_max)
        return PlanOut(**effective_out(tenant, found).model_dump(), usage=used)

    return routes


async def usage(session: AsyncSession, tenant_id: TenantId, presses_max: int | None) -> UsageOut:
    """What is used, counted now."""
    return UsageOut(
        presses=await fleet.presses_count(session, tenant_id),
        presses_locked=len(await fleet_plan.locked_presses(session, tenant_id, presses_max)),
        webhook_endpoints=await webhooks.endpoint_count(session, tenant_id),
        people=await identities.people_count(session, tenant_id),
    )
