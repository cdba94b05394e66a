"""All SQL of serving."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.serving.options import OPTIONS_MAX
from cloud.serving.sales import BOOKINGS_MAX, GONE, OPEN, State
from cloud.serving.tables import BookingRow, LowMarginRow, OptionRow, ServingRulesRow, SoldRow, SoldStepRow

VERSIONS_SHOWN = 50
STEPS_MAX = 20
"""Of one sold option: its life has no circle."""
DUE_MAX = 200
LOW_MAX = 10_000


async def options(session: AsyncSession, tenant_id: TenantId) -> Sequence[OptionRow]:
    """The newest version of every option, by code."""
    row = OptionRow
    newest = (
        select(row.code, func.max(row.version).label("version"))
        .where(row.tenant_id == tenant_id)
        .group_by(row.code)
        .subquery()
    )
    joined = (row.code == newest.c.code) & (row.version == newest.c.version)
    statement = select(row).join(newest, joined).where(row.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(row.code).limit(OPTIONS_MAX))).all()


async def versions(session: AsyncSession, tenant_id: TenantId, code: str) -> Sequence[OptionRow]:
    """The versions of an option, the newest first."""
    statement = select(OptionRow).where(OptionRow.tenant_id == tenant_id, OptionRow.code == code)
    return (await session.scalars(statement.order_by(OptionRow.version.desc()).limit(VERSIONS_SHOWN))).all()


async def option(session: AsyncSession, tenant_id: TenantId, code: str, version: int) -> OptionRow | None:
    """One version of an option."""
    return await session.get(OptionRow, (tenant_id, code, version))


async def rules(session: AsyncSession, tenant_id: TenantId) -> ServingRulesRow | None:
    """The rules that hold; None while there are only the standard ones."""
    statement = select(ServingRulesRow).where(ServingRulesRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(ServingRulesRow.version.desc()).limit(1))).first()


async def sold(session: AsyncSession, tenant_id: TenantId, sold_id: UUID) -> SoldRow | None:
    """One sold option."""
    row = await session.get(SoldRow, sold_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def sold_of(session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int) -> Sequence[SoldRow]:
    """The sold options of a customer, the newest first."""
    row = SoldRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.sold_id.desc()).limit(limit))).all()


async def board(
    session: AsyncSession, tenant_id: TenantId, *, state: str | None, before: UUID | None, limit: int
) -> Sequence[SoldRow]:
    """Sold options in a state, or all that are not over, the newest first."""
    row = SoldRow
    statement = select(row).where(row.tenant_id == tenant_id)
    wanted = row.state == state if state is not None else row.state.not_in(sorted(GONE))
    if before is not None:
        statement = statement.where(row.sold_id < before)
    return (await session.scalars(statement.where(wanted).order_by(row.sold_id.desc()).limit(limit))).all()


async def counts_of(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> dict[str, int]:
    """How many of each option a customer has that are not over."""
    row = SoldRow
    statement = select(row.code, func.count()).where(
        row.tenant_id == tenant_id, row.customer_id == customer_id, row.state.not_in(sorted(GONE))
    )
    return {str(code): int(count) for code, count in await session.execute(statement.group_by(row.code))}


async def open_count(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> int:
    """How many open ones a customer has."""
    row = SoldRow
    statement = select(func.count()).where(
        row.tenant_id == tenant_id, row.customer_id == customer_id, row.state.in_(sorted(OPEN))
    )
    return await session.scalar(statement) or 0


async def due(session: AsyncSession, now_ms: int) -> Sequence[SoldRow]:
    """Monthly options whose next month has begun, whosever they are, at most DUE_MAX: for the job."""
    row = SoldRow
    statement = select(row).where(row.next_charge_ms <= now_ms, row.state == State.DELIVERED)
    return (await session.scalars(statement.order_by(row.next_charge_ms).limit(DUE_MAX))).all()


async def steps(session: AsyncSession, sold_ids: Sequence[UUID]) -> dict[UUID, list[SoldStepRow]]:
    """The steps of sold options, in order."""
    found: dict[UUID, list[SoldStepRow]] = {each: [] for each in sold_ids}
    statement = select(SoldStepRow).where(SoldStepRow.sold_id.in_(sold_ids)).order_by(SoldStepRow.entry_id)
    for row in await session.scalars(statement.limit(STEPS_MAX * max(1, len(found)))):
        found[row.sold_id].append(row)
    return found


async def bookings(session: AsyncSession, sold_id: UUID) -> Sequence[BookingRow]:
    """Hours on a sold option, the last booked first."""
    statement = select(BookingRow).where(BookingRow.sold_id == sold_id).order_by(BookingRow.booking_id.desc())
    return (await session.scalars(statement.limit(BOOKINGS_MAX))).all()


async def bookings_count(session: AsyncSession, sold_id: UUID) -> int:
    """How many entries of hours there are."""
    return await session.scalar(select(func.count()).where(BookingRow.sold_id == sold_id)) or 0


async def low_margins(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, int]:
    """Since when the margin of customers is too low."""
    row = LowMarginRow
    statement = select(row.customer_id, row.since_ms).where(row.tenant_id == tenant_id).limit(LOW_MAX)
    found: Any = await session.execute(statement)
    return {customer_id: int(since_ms) for customer_id, since_ms in found}


async def end_low_margins(session: AsyncSession, customer_ids: Sequence[UUID]) -> None:
    """These are no longer too low."""
    if customer_ids:
        await session.execute(delete(LowMarginRow).where(LowMarginRow.customer_id.in_(customer_ids)))
