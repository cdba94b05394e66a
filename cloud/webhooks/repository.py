"""All SQL of webhooks."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cloud.core.tenants import TenantId
from cloud.webhooks.domain import ATTEMPTS_KEPT_MAX, State
from cloud.webhooks.tables import AttemptRow, DeliveryRow, EndpointRow

CHANGED_AT_ONCE_MAX = 1_000


async def endpoints(session: AsyncSession, tenant_id: TenantId, *, after: str, limit: int) -> Sequence[EndpointRow]:
    """The tenant's endpoints by name."""
    statement = (
        select(EndpointRow)
        .where(EndpointRow.tenant_id == tenant_id, EndpointRow.removed_ms.is_(None), EndpointRow.name > after)
        .order_by(EndpointRow.name)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def endpoint(session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID) -> EndpointRow | None:
    """One endpoint of the tenant that is there."""
    row = await session.get(EndpointRow, endpoint_id)
    return row if row is not None and row.tenant_id == tenant_id and row.removed_ms is None else None


async def endpoint_of(session: AsyncSession, endpoint_id: UUID) -> EndpointRow | None:
    """An endpoint, also one that was removed."""
    return await session.get(EndpointRow, endpoint_id)


async def endpoint_named(session: AsyncSession, tenant_id: TenantId, name: str) -> EndpointRow | None:
    """The tenant's endpoint of a name."""
    statement = select(EndpointRow).where(
        EndpointRow.tenant_id == tenant_id, EndpointRow.name == name, EndpointRow.removed_ms.is_(None)
    )
    return await session.scalar(statement)


async def configured(session: AsyncSession) -> Sequence[EndpointRow]:
    """The endpoints that came from the settings, also those that are no longer there; the newest of a name last."""
    statement = select(EndpointRow).where(EndpointRow.is_from_settings).order_by(EndpointRow.endpoint_id)
    return (await session.scalars(statement)).all()


async def endpoint_count(session: AsyncSession, tenant_id: TenantId) -> int:
    """How many endpoints a tenant has."""
    statement = select(func.count()).where(EndpointRow.tenant_id == tenant_id, EndpointRow.removed_ms.is_(None))
    return await session.scalar(statement) or 0


async def told(session: AsyncSession, tenant_ids: Collection[str]) -> Sequence[EndpointRow]:
    """The endpoints of these tenants that are called."""
    statement = select(EndpointRow).where(
        EndpointRow.tenant_id.in_(tenant_ids), EndpointRow.removed_ms.is_(None), EndpointRow.is_enabled
    )
    return (await session.scalars(statement)).all()


async def waiting(session: AsyncSession) -> Sequence[EndpointRow]:
    """The endpoints that something is owed to."""
    owed = exists().where(DeliveryRow.endpoint_id == EndpointRow.endpoint_id, DeliveryRow.state == "pending")
    statement = select(EndpointRow).where(EndpointRow.removed_ms.is_(None), EndpointRow.is_enabled, owed)
    return (await session.scalars(statement)).all()


async def delivery(session: AsyncSession, delivery_id: UUID) -> DeliveryRow | None:
    """One delivery."""
    return await session.get(DeliveryRow, delivery_id)


async def owed_for(session: AsyncSession, event_ids: Sequence[int]) -> set[tuple[UUID, int | None]]:
    """The (endpoint, event) that have a delivery already."""
    statement = select(DeliveryRow.endpoint_id, DeliveryRow.event_id).where(DeliveryRow.event_id.in_(event_ids))
    return {(endpoint_id, event_id) for endpoint_id, event_id in await session.execute(statement)}


async def sendable(
    session: AsyncSession, endpoint_id: UUID, *, due_ms: int | None, busy: Collection[str], limit: int
) -> Sequence[DeliveryRow]:
    """Pending deliveries of an endpoint that no earlier one of the same alarm is still pending for, by their turn.

    With `due_ms` only those whose time has come; without, the oldest, whatever their time (a probe).
    `busy` are the order keys of calls under way.
    """
    earlier = aliased(DeliveryRow)
    is_behind = exists().where(
        earlier.endpoint_id == DeliveryRow.endpoint_id,
        earlier.order_key == DeliveryRow.order_key,
        earlier.state == "pending",
        earlier.event_id < DeliveryRow.event_id,
    )
    statement = select(DeliveryRow).where(
        DeliveryRow.endpoint_id == endpoint_id,
        DeliveryRow.state == "pending",
        DeliveryRow.order_key.not_in(list(busy)),
        ~is_behind,
    )
    if due_ms is None:
        return (await session.scalars(statement.order_by(DeliveryRow.event_id).limit(limit))).all()
    statement = statement.where(DeliveryRow.next_attempt_ms <= due_ms)
    ordered = statement.order_by(DeliveryRow.next_attempt_ms, DeliveryRow.event_id).limit(limit)
    return (await session.scalars(ordered)).all()


async def next_due_ms(session: AsyncSession, endpoint_id: UUID, after_ms: int) -> int | None:
    """When a delivery of an endpoint comes due next."""
    return await session.scalar(
        select(func.min(DeliveryRow.next_attempt_ms)).where(
            DeliveryRow.endpoint_id == endpoint_id,
            DeliveryRow.state == "pending",
            DeliveryRow.next_attempt_ms > after_ms,
        )
    )


async def hasten(session: AsyncSession, endpoint_id: UUID, now_ms: int) -> None:
    """Make everything that is owed to an endpoint due at once: it answers again."""
    statement = update(DeliveryRow).where(
        DeliveryRow.endpoint_id == endpoint_id, DeliveryRow.state == "pending", DeliveryRow.next_attempt_ms > now_ms
    )
    await session.execute(statement.values(next_attempt_ms=now_ms))


async def fail_pending(session: AsyncSession, endpoint_id: UUID, error: str) -> None:
    """Give up everything that is still owed to an endpoint."""
    statement = update(DeliveryRow).where(DeliveryRow.endpoint_id == endpoint_id, DeliveryRow.state == "pending")
    await session.execute(statement.values(state="failed", next_attempt_ms=None, last_error=error))


async def expire(session: AsyncSession, now_ms: int, error: str) -> int:
    """Give up what was not delivered in time; how many."""
    statement = update(DeliveryRow).where(DeliveryRow.state == "pending", DeliveryRow.give_up_ms <= now_ms)
    done = await session.execute(statement.values(state="failed", next_attempt_ms=None, last_error=error))
    return int(getattr(done, "rowcount", 0))


async def has_expired(session: AsyncSession, now_ms: int) -> bool:
    """Whether anything was not delivered in time."""
    late = exists().where(DeliveryRow.state == "pending", DeliveryRow.give_up_ms <= now_ms)
    return bool(await session.scalar(select(late)))


async def dead_letters(session: AsyncSession, endpoint_id: UUID, limit: int) -> Sequence[DeliveryRow]:
    """What was given up of an endpoint and can be made again, oldest first; tests are not."""
    statement = (
        select(DeliveryRow)
        .where(DeliveryRow.endpoint_id == endpoint_id, DeliveryRow.state == "failed", DeliveryRow.event_id.is_not(None))
        .order_by(DeliveryRow.event_id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def counts(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, dict[str, int]]:
    """How many deliveries each endpoint of a tenant has in each state; tests do not count."""
    statement = (
        select(DeliveryRow.endpoint_id, DeliveryRow.state, func.count())
        .where(DeliveryRow.tenant_id == tenant_id, DeliveryRow.event_id.is_not(None))
        .group_by(DeliveryRow.endpoint_id, DeliveryRow.state)
    )
    found: dict[UUID, dict[str, int]] = {}
    for endpoint_id, state, count in await session.execute(statement):
        found.setdefault(endpoint_id, {})[state] = count
    return found


async def deliveries(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    state: State | None,
    endpoint: str | None,
    endpoint_id: UUID | None,
    kind: str | None,
    before: UUID | None,
    limit: int,
) -> Sequence[tuple[DeliveryRow, EndpointRow]]:
    """The tenant's deliveries with their endpoints, newest first."""
    statement = (
        select(DeliveryRow, EndpointRow)
        .join(EndpointRow, EndpointRow.endpoint_id == DeliveryRow.endpoint_id)
        .where(DeliveryRow.tenant_id == tenant_id)
        .order_by(DeliveryRow.delivery_id.desc())
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(DeliveryRow.state == state)
    if endpoint is not None:
        statement = statement.where(EndpointRow.name == endpoint)
    if endpoint_id is not None:
        statement = statement.where(DeliveryRow.endpoint_id == endpoint_id)
    if kind is not None:
        statement = statement.where(DeliveryRow.kind == kind)
    if before is not None:
        statement = statement.where(DeliveryRow.delivery_id < before)
    return [(row, owner) for row, owner in await session.execute(statement)]


async def attempts(session: AsyncSession, delivery_id: UUID) -> Sequence[AttemptRow]:
    """The tries of a delivery that the log keeps, newest first."""
    statement = (
        select(AttemptRow)
        .where(AttemptRow.delivery_id == delivery_id)
        .order_by(AttemptRow.attempt_id.desc())
        .limit(ATTEMPTS_KEPT_MAX)
    )
    return (await session.scalars(statement)).all()


async def cut_log(session: AsyncSession, delivery_id: UUID) -> None:
    """Forget the tries of a delivery beyond the newest ATTEMPTS_KEPT_MAX."""
    newest = (
        select(AttemptRow.attempt_id)
        .where(AttemptRow.delivery_id == delivery_id)
        .order_by(AttemptRow.attempt_id.desc())
        .limit(ATTEMPTS_KEPT_MAX)
    )
    old = delete(AttemptRow).where(AttemptRow.delivery_id == delivery_id, AttemptRow.attempt_id.not_in(newest))
    await session.execute(old)


async def pending_count(session: AsyncSession) -> int:
    """How many calls are owed."""
    statement = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.state == "pending")
    return await session.scalar(statement) or 0


async def prune(session: AsyncSession, older_than_ms: int) -> None:
    """Forget deliveries that are done with and older, with their tries, and endpoints that were removed before."""
    is_old = (DeliveryRow.state != "pending", DeliveryRow.created_ms < older_than_ms)
    old = select(DeliveryRow.delivery_id).where(*is_old)
    await session.execute(delete(AttemptRow).where(AttemptRow.delivery_id.in_(old)))
    await session.execute(delete(DeliveryRow).where(*is_old))
    is_used = exists().where(DeliveryRow.endpoint_id == EndpointRow.endpoint_id)
    is_gone = (EndpointRow.removed_ms < older_than_ms, EndpointRow.is_from_settings.is_(False), ~is_used)
    await session.execute(delete(EndpointRow).where(*is_gone))
