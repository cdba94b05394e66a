"""All SQL of the messages that playbooks send to customers' companies."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.tiering.playbook_tables import MessageRow
from cloud.tiering.runs import DAY_MS


async def unread_counts(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, int]:
    """Messages that nobody there has read, by customer."""
    row = MessageRow
    statement = select(row.customer_id, func.count()).where(row.tenant_id == tenant_id, row.read_ms.is_(None))
    return {each: int(count) for each, count in await session.execute(statement.group_by(row.customer_id))}


async def started(session: AsyncSession, tenant_id: TenantId, since_day: int) -> dict[tuple[UUID, str], int]:
    """The last day since `since_day` on which a playbook has told a customer something, by customer and playbook."""
    row = MessageRow
    statement = select(row.customer_id, row.playbook, func.max(row.sent_ms))
    statement = statement.where(row.tenant_id == tenant_id, row.sent_ms >= since_day * DAY_MS)
    found = await session.execute(statement.group_by(row.customer_id, row.playbook))
    return {(customer_id, str(playbook)): int(at_ms) // DAY_MS for customer_id, playbook, at_ms in found}


async def sent_counts(session: AsyncSession, tenant_id: TenantId, since_day: int) -> dict[str, tuple[int, int]]:
    """Messages sent since a day and how many of them were read, by playbook."""
    row = MessageRow
    statement = select(row.playbook, func.count(), func.count(row.read_ms))
    statement = statement.where(row.tenant_id == tenant_id, row.sent_ms >= since_day * DAY_MS).group_by(row.playbook)
    return {str(code): (int(sent), int(read)) for code, sent, read in await session.execute(statement)}


async def of_customer(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int
) -> Sequence[MessageRow]:
    """What a customer was told, the newest first."""
    row = MessageRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.message_id.desc()).limit(limit))).all()


async def of_company(session: AsyncSession, to_tenant_id: TenantId, *, limit: int) -> Sequence[MessageRow]:
    """What a company was told, unread messages first, then the newest first."""
    row = MessageRow
    statement = select(row).where(row.to_tenant_id == to_tenant_id)
    ordered = statement.order_by(row.read_ms.is_not(None), row.message_id.desc())
    return (await session.scalars(ordered.limit(limit))).all()


async def message(session: AsyncSession, to_tenant_id: TenantId, message_id: UUID) -> MessageRow | None:
    """One message, for the company that it was sent to."""
    row = await session.get(MessageRow, message_id)
    return row if row is not None and row.to_tenant_id == to_tenant_id else None
