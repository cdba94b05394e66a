"""The gates that other modules ask before they do what a tier may not have, and how a refusal is told."""

from typing import Final

from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from cloud.core import problems
from cloud.core.problems import EntitlementFact
from cloud.core.tenants import TenantId
from cloud.entitlements import service
from cloud.entitlements.domain import DEPTHS, ReportDepth, Tier, Value
from kit.errors import ZhisanError

PLAN: Final = "/plan"
"""The page on which a tenant reads what it has and how to get more."""
HIDDEN: Final = "retention_days"


class EntitlementError(ZhisanError):
    """The plan does not have what was asked: 403 (429 for the rate), with the entitlement, its limit, what to do."""

    def __init__(self, entitlement: str, limit: Value, *, used: int | None = None, tier: Tier | None = None) -> None:
        super().__init__(f"{_said(entitlement, limit, used)} {PLAN} says what your plan has and how to get more.")
        self.entitlement = entitlement
        self.limit = limit
        self.used = used
        self.tier = tier

    @property
    def fact(self) -> EntitlementFact:
        """For the problem document."""
        tier = str(self.tier) if self.tier is not None else None
        return EntitlementFact(name=self.entitlement, limit=self.limit, used=self.used, tier=tier, plan=PLAN)


async def demand_room(session: AsyncSession, tenant_id: TenantId, entitlement: str, used: int, *, now_ms: int) -> None:
    """Let one more of something in, of which there are `used`.

    Raises:
        EntitlementError: there is no room for one more.
    """
    found = await service.in_force(session, tenant_id, now_ms)
    limit = getattr(found.entitlements, entitlement)
    if limit is not None and used >= limit:
        raise EntitlementError(entitlement, limit, used=used, tier=found.tier)


async def demand_custom_models(session: AsyncSession, tenant_id: TenantId, *, now_ms: int) -> None:
    """Let a tenant bring bundles of its own.

    Raises:
        EntitlementError: its plan has none.
    """
    found = await service.in_force(session, tenant_id, now_ms)
    if not found.entitlements.custom_models:
        raise EntitlementError("custom_models", False, tier=found.tier)


async def demand_depth(session: AsyncSession, tenant_id: TenantId, depth: ReportDepth, *, now_ms: int) -> None:
    """Let a tenant have a report of this depth.

    Raises:
        EntitlementError: its plan's reports are not so deep.
    """
    found = await service.in_force(session, tenant_id, now_ms)
    if DEPTHS.index(found.entitlements.report_depth) < DEPTHS.index(depth):
        raise EntitlementError("report_depth", found.entitlements.report_depth, tier=found.tier)


async def demand_room_for_person(session: AsyncSession, tenant_id: str, people: int, now_ms: int) -> None:
    """The `Room` of identity, which stands below this.

    Raises:
        EntitlementError: the plan has no room for one more.
    """
    await demand_room(session, TenantId(tenant_id), "people_max", people, now_ms=now_ms)


def install(app: FastAPI) -> None:
    """Let every refusal of `app` leave as a problem document that names the entitlement."""
    app.add_exception_handler(EntitlementError, told_to_programs)


async def told_to_programs(_request: Request, error: Exception) -> Response:
    """The problem document."""
    assert isinstance(error, EntitlementError)
    return problems.answer(403, str(error), entitlement=error.fact)


def _said(entitlement: str, limit: Value, used: int | None) -> str:
    if entitlement == "custom_models":
        return "Your plan does not include models of your own (custom_models)."
    if entitlement == "report_depth":
        return f"Your plan's reports go as deep as {limit!s} (report_depth)."
    if entitlement == HIDDEN:
        return f"Your plan shows the last {limit} days (retention_days); older data are kept, and hidden."
    if entitlement == "api_requests_per_min":
        return f"Your plan has {limit} API requests a minute (api_requests_per_min)."
    counted = f", and there are {used}" if used is not None else ""
    return f"Your plan has {limit} of {entitlement}{counted}."
