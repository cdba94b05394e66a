"""All SQL of customer-success managers and whom they look after."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.tiering.assignment import MANAGERS_MAX
from cloud.tiering.manager_tables import CareRow, ManagerRow
from cloud.tiering.repository import CUSTOMERS_MAX


async def manager(session: AsyncSession, tenant_id: TenantId, manager_id: UUID) -> ManagerRow | None:
    """One manager."""
    row = await session.get(ManagerRow, manager_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def managers(session: AsyncSession, tenant_id: TenantId) -> Sequence[ManagerRow]:
    """The managers that are there, by name."""
    row = ManagerRow
    statement = select(row).where(row.tenant_id == tenant_id, row.is_active)
    return (await session.scalars(statement.order_by(row.name, row.manager_id).limit(MANAGERS_MAX))).all()


async def care(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> CareRow | None:
    """Where a customer is, and who looks after it."""
    row = await session.get(CareRow, customer_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def all_care(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, CareRow]:
    """Where customers are and who looks after them, by customer."""
    statement = select(CareRow).where(CareRow.tenant_id == tenant_id).limit(CUSTOMERS_MAX)
    return {row.customer_id: row for row in await session.scalars(statement)}


async def manager_by_customer(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, UUID]:
    """Who looks after whom, of managers that are there."""
    statement = select(CareRow.customer_id, CareRow.manager_id).join(
        ManagerRow, ManagerRow.manager_id == CareRow.manager_id
    )
    found = await session.execute(statement.where(CareRow.tenant_id == tenant_id, ManagerRow.is_active))
    return {customer_id: manager_id for customer_id, manager_id in found if manager_id is not None}
