"""All SQL of webhooks."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.webhooks.domain import State
from cloud.webhooks.tables import DeliveryRow, EndpointRow


async def endpoints(session: AsyncSession) -> Sequence[EndpointRow]:
    """Every endpoint that was ever configured, by name."""
    return (await session.scalars(select(EndpointRow).order_by(EndpointRow.name))).all()


async def delivery(session: AsyncSession, delivery_id: UUID) -> DeliveryRow | None:
    """One delivery."""
    return await session.get(DeliveryRow, delivery_id)


async def owed_for(session: AsyncSession, event_ids: Sequence[int]) -> set[tuple[str, int]]:
    """The (endpoint, event) that have a delivery already."""
    statement = select(DeliveryRow.endpoint, DeliveryRow.event_id).where(DeliveryRow.event_id.in_(event_ids))
    return {(endpoint, event_id) for endpoint, event_id in await session.execute(statement)}


async def next_pending(session: AsyncSession, endpoint: str) -> DeliveryRow | None:
    """The pending delivery of an endpoint that is due first; of equals the older event."""
    statement = (
        select(DeliveryRow)
        .where(DeliveryRow.endpoint == endpoint, DeliveryRow.state == "pending")
        .order_by(DeliveryRow.next_attempt_ms, DeliveryRow.event_id)
        .limit(1)
    )
    return await session.scalar(statement)


async def fail_pending(session: AsyncSession, endpoint: str, error: str) -> None:
    """Give up everything that is still owed to an endpoint."""
    statement = update(DeliveryRow).where(DeliveryRow.endpoint == endpoint, DeliveryRow.state == "pending")
    await session.execute(statement.values(state="failed", next_attempt_ms=None, last_error=error))


async def deliveries(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    state: State | None,
    endpoint: str | None,
    kind: str | None,
    before: UUID | None,
    limit: int,
) -> Sequence[DeliveryRow]:
    """The tenant's deliveries, newest first."""
    statement = (
        select(DeliveryRow)
        .where(DeliveryRow.tenant_id == tenant_id)
        .order_by(DeliveryRow.delivery_id.desc())
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(DeliveryRow.state == state)
    if endpoint is not None:
        statement = statement.where(DeliveryRow.endpoint == endpoint)
    if kind is not None:
        statement = statement.where(DeliveryRow.kind == kind)
    if before is not None:
        statement = statement.where(DeliveryRow.delivery_id < before)
    return (await session.scalars(statement)).all()


async def pending_count(session: AsyncSession) -> int:
    """How many calls are owed."""
    statement = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.state == "pending")
    return await session.scalar(statement) or 0


async def prune(session: AsyncSession, older_than_ms: int) -> None:
    """Forget deliveries that are done with and older."""
    is_old = (DeliveryRow.state != "pending", DeliveryRow.created_ms < older_than_ms)
    await session.execute(delete(DeliveryRow).where(*is_old))
