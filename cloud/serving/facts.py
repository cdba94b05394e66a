"""What the platform itself knows of linked customers that starts playbooks: invoices owed here, features not used."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.audit import AuditRow
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS
from cloud.entitlements.service import in_force
from cloud.fleet.tables import PressRow
from cloud.production.tables import HourRow
from cloud.rollouts.tables import BundleRow
from cloud.self_service import repository as self_service
from cloud.tiering import repository as tiering
from cloud.tiering.evaluation import Facts
from cloud.tiering.playbooks import Trigger
from cloud.webhooks.tables import EndpointRow

ACTIVE_DAYS: Final = 30
"""Of whom no shots came for so long nothing is said: there is no press to use anything for."""
Unused = Mapping[str, int]
"""Days since a feature was used, or could have been for the first time, by its name."""


async def platform_facts(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> Facts:
    """The figures of triggers that are known here."""
    owed = await self_service.owed_since(session)
    unused = await unused_features(session, tenant_id, now_ms)
    found: Facts = {}
    for customer in await tiering.linked(session, tenant_id):
        figures: dict[Trigger, float] = {}
        since_ms = owed.get(customer.linked_tenant_id or "")
        if since_ms is not None:
            figures[Trigger.UNPAID_INVOICE] = float((now_ms - since_ms) // DAY_MS)
        if unused.get(customer.customer_id):
            figures[Trigger.UNUSED_FEATURE] = float(max(unused[customer.customer_id].values()))
        if figures:
            found[customer.customer_id] = figures
    return found


async def unused_features(
    session: AsyncSession, tenant_id: TenantId, now_ms: int, *, customer_id: UUID | None = None
) -> dict[UUID, Unused]:
    """Features that linked customers with running presses do not use, with days; of one customer where it is named.

    `people`: nobody did anything on the pages; `webhooks`: none is switched on; `models`: the plan has models of one's
    own, and there is none.
    """
    customers = [
        row for row in await tiering.linked(session, tenant_id) if customer_id is None or row.customer_id == customer_id
    ]
    theirs = sorted({row.linked_tenant_id for row in customers if row.linked_tenant_id})
    first_ms = await _first_presses(session, theirs, now_ms)
    acted_ms = await _last_deeds(session, list(first_ms))
    hooked, modelled = await _with_webhooks(session), await _with_models(session)
    by_tenant: dict[str, Unused] = {}
    for each, since_ms in first_ms.items():
        found = {"people": acted_ms.get(each, since_ms)}
        if each not in hooked:
            found["webhooks"] = since_ms
        if each not in modelled and (await in_force(session, TenantId(each), now_ms)).entitlements.custom_models:
            found["models"] = since_ms
        by_tenant[each] = {name: (now_ms - at_ms) // DAY_MS for name, at_ms in found.items() if at_ms < now_ms - DAY_MS}
    return {row.customer_id: by_tenant[row.linked_tenant_id] for row in customers if row.linked_tenant_id in by_tenant}


async def _first_presses(session: AsyncSession, tenants: list[str], now_ms: int) -> dict[str, int]:
    """When the first press of each tenant came whose presses make shots now."""
    found: dict[str, int] = {}
    since_ms = now_ms - ACTIVE_DAYS * DAY_MS
    for start in range(0, len(tenants), tiering.IDS_PER_QUERY_MAX):
        some = tenants[start : start + tiering.IDS_PER_QUERY_MAX]
        active = select(HourRow.tenant_id).where(HourRow.tenant_id.in_(some), HourRow.hour_ms >= since_ms)
        statement = select(PressRow.tenant_id, func.min(PressRow.registered_ms)).where(
            PressRow.tenant_id.in_(active.distinct())
        )
        rows = await session.execute(statement.group_by(PressRow.tenant_id))
        found |= {str(tenant): int(at_ms) for tenant, at_ms in rows}
    return found


async def _last_deeds(session: AsyncSession, tenants: list[str]) -> dict[str, int]:
    """When a person of each tenant did something last that the audit log has: signing in is such a thing."""
    row = AuditRow
    found: dict[str, int] = {}
    for start in range(0, len(tenants), tiering.IDS_PER_QUERY_MAX):
        some = tenants[start : start + tiering.IDS_PER_QUERY_MAX]
        statement = select(row.tenant_id, func.max(row.at_ms)).where(row.tenant_id.in_(some), row.actor_kind == "user")
        found |= {str(tenant): int(at_ms) for tenant, at_ms in await session.execute(statement.group_by(row.tenant_id))}
    return found


async def _with_webhooks(session: AsyncSession) -> frozenset[str]:
    row = EndpointRow
    statement = select(row.tenant_id).where(row.removed_ms.is_(None), row.is_enabled.is_(True)).distinct()
    return frozenset(await session.scalars(statement))


async def _with_models(session: AsyncSession) -> frozenset[str]:
    return frozenset(await session.scalars(select(BundleRow.tenant_id).distinct()))
