"""All SQL of entitlements."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.entitlements.tables import AssignmentRow, CatalogueRow, ChangeCountRow, OverrideRow

THE_COUNT = 1
STEPS_MAX = 1_000
"""Tiers, and versions, that are read for one moment; more within a time of grace are beyond any use."""
OVERRIDES_MAX = 1_000


async def changes(session: AsyncSession) -> int:
    """How often entitlements have changed."""
    return await session.scalar(select(ChangeCountRow.changes).where(ChangeCountRow.count_id == THE_COUNT)) or 0


async def count_change(session: AsyncSession) -> None:
    """Say that what is kept in memory is no longer good."""
    statement = update(ChangeCountRow).where(ChangeCountRow.count_id == THE_COUNT)
    await session.execute(statement.values(changes=ChangeCountRow.changes + 1))


async def catalogue(session: AsyncSession, version: int) -> CatalogueRow | None:
    """One version of the catalogue."""
    return await session.get(CatalogueRow, version)


async def newest_catalogue(session: AsyncSession) -> CatalogueRow | None:
    """The last version; None while there is only the one that comes with the program."""
    return (await session.scalars(select(CatalogueRow).order_by(CatalogueRow.version.desc()).limit(1))).first()


async def catalogues(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[CatalogueRow]:
    """Versions of the catalogue, the newest first."""
    statement = select(CatalogueRow)
    if before is not None:
        statement = statement.where(CatalogueRow.version < before)
    return (await session.scalars(statement.order_by(CatalogueRow.version.desc()).limit(limit))).all()


async def catalogues_for(session: AsyncSession, since_ms: int, until_ms: int) -> list[CatalogueRow]:
    """The versions that held at some time between, by version."""
    row = CatalogueRow
    first = await session.scalar(select(func.max(row.version)).where(row.made_ms <= since_ms))
    statement = select(row).where(row.version >= (first or 0), row.made_ms <= until_ms)
    found = await session.scalars(statement.order_by(row.version.desc()).limit(STEPS_MAX))
    return list(reversed(found.all()))


async def assignment(session: AsyncSession, tenant_id: TenantId) -> AssignmentRow | None:
    """The tier that a tenant has now."""
    statement = select(AssignmentRow).where(AssignmentRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(AssignmentRow.assignment_id.desc()).limit(1))).first()


async def assignments_for(
    session: AsyncSession, tenant_id: TenantId, since_ms: int, until_ms: int
) -> list[AssignmentRow]:
    """The tiers that a tenant had at some time between, in order."""
    row = AssignmentRow
    theirs = row.tenant_id == tenant_id
    first = await session.scalar(select(func.max(row.assignment_id)).where(theirs, row.at_ms <= since_ms))
    statement = select(row).where(theirs, row.assignment_id >= (first or 0), row.at_ms <= until_ms)
    found = await session.scalars(statement.order_by(row.assignment_id.desc()).limit(STEPS_MAX))
    return list(reversed(found.all()))


async def assignments(
    session: AsyncSession, tenant_id: TenantId, *, before: int | None, limit: int
) -> Sequence[AssignmentRow]:
    """A tenant's tiers, the newest first."""
    statement = select(AssignmentRow).where(AssignmentRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(AssignmentRow.assignment_id < before)
    return (await session.scalars(statement.order_by(AssignmentRow.assignment_id.desc()).limit(limit))).all()


async def has_any(session: AsyncSession, tenant_id: TenantId) -> bool:
    """Whether a tenant ever had a tier or an override; who never had is not limited."""
    tier = select(AssignmentRow.assignment_id).where(AssignmentRow.tenant_id == tenant_id)
    override = select(OverrideRow.override_id).where(OverrideRow.tenant_id == tenant_id)
    return bool(await session.scalar(select(tier.exists() | override.exists())))


async def tiers_now(session: AsyncSession, tenant_ids: Sequence[str]) -> dict[str, str]:
    """The tier of each of these tenants that has one."""
    row = AssignmentRow
    last = select(func.max(row.assignment_id)).where(row.tenant_id.in_(tenant_ids)).group_by(row.tenant_id)
    found = await session.execute(select(row.tenant_id, row.tier).where(row.assignment_id.in_(last)))
    return {str(tenant_id): str(tier) for tenant_id, tier in found}


async def overrides_at(session: AsyncSession, tenant_id: TenantId, at_ms: int) -> Sequence[OverrideRow]:
    """The overrides of a tenant that are in force at a moment."""
    row = OverrideRow
    statement = select(row).where(
        row.tenant_id == tenant_id,
        row.made_ms <= at_ms,
        row.expires_ms > at_ms,
        row.ended_ms.is_(None) | (row.ended_ms > at_ms),
    )
    return (await session.scalars(statement.order_by(row.made_ms, row.override_id).limit(OVERRIDES_MAX))).all()


async def overrides(
    session: AsyncSession, tenant_id: TenantId, *, before: UUID | None, limit: int
) -> Sequence[OverrideRow]:
    """Every override that a tenant ever had, the newest first."""
    statement = select(OverrideRow).where(OverrideRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(OverrideRow.override_id < before)
    return (await session.scalars(statement.order_by(OverrideRow.override_id.desc()).limit(limit))).all()


async def override(session: AsyncSession, tenant_id: TenantId, override_id: UUID) -> OverrideRow | None:
    """One override of a tenant."""
    row = await session.get(OverrideRow, override_id)
    return row if row is not None and row.tenant_id == tenant_id else None
