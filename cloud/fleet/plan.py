"""Which presses are beyond their tenant's plan: they are received, stored and watched, and not shown.

A press that was there while there was room stays open whatever the plan becomes; one that came later opens as soon as
there is room, the earliest first.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.entitlements import repository as entitlements
from cloud.entitlements import service
from cloud.fleet import repository

PressName = tuple[str, str]
"""(plant, press)."""


async def is_full(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> bool:
    """Whether a tenant's plan has no room for one more press."""
    if not await entitlements.has_any(session, tenant_id):
        return False
    limit = (await service.in_force(session, tenant_id, now_ms)).entitlements.presses_max
    return limit is not None and await repository.presses_count(session, tenant_id) >= limit


async def locked_presses(session: AsyncSession, tenant_id: TenantId, presses_max: int | None) -> frozenset[PressName]:
    """The presses for which there is no room among so many."""
    late = await repository.beyond_plan(session, tenant_id) if presses_max is not None else []
    if presses_max is None or not late:
        return frozenset()
    room = presses_max - (await repository.presses_count(session, tenant_id) - len(late))
    return frozenset(late[max(0, room) :])
