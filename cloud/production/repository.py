"""All SQL of production."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.production.oee import Output
from cloud.production.tables import ExpectedCycleRow, HourRow, MouldShotsRow, PlannedDowntimeRow

KEYS_PER_QUERY_MAX = 300

ADD = text("""
INSERT INTO production_hours (tenant_id, hour_ms, plant_id, press_id, mould_id, shots, timed, timed_ms, graded, good)
VALUES (:tenant_id, :hour_ms, :plant_id, :press_id, :mould_id, :shots, :timed, :timed_ms, :graded, :good)
ON CONFLICT (tenant_id, hour_ms, plant_id, press_id, mould_id) DO UPDATE SET
  shots = production_hours.shots + excluded.shots, timed = production_hours.timed + excluded.timed,
  timed_ms = production_hours.timed_ms + excluded.timed_ms, graded = production_hours.graded + excluded.graded,
  good = production_hours.good + excluded.good
""")

ADD_TO_MOULDS = text("""
INSERT INTO mould_shots (tenant_id, mould_id, shots) VALUES (:tenant_id, :mould_id, :shots)
ON CONFLICT (tenant_id, mould_id) DO UPDATE SET shots = mould_shots.shots + excluded.shots
""")

ExpectedKey = tuple[str, str, str]
"""Plant, press, mould."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a press made with a mould in some hours, the first of which began at `first_hour_ms`."""

    plant_id: str
    press_id: str
    mould_id: str
    first_hour_ms: int
    output: Output


async def add_hours(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Add counts to those of their hours."""
    if rows:
        await session.execute(ADD, rows)


async def add_to_moulds(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Add shots to those of their moulds."""
    if rows:
        await session.execute(ADD_TO_MOULDS, rows)


async def mould_shots(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> dict[str, int]:
    """All shots of a tenant's moulds, those with most shots first."""
    row = MouldShotsRow
    statement = select(row.mould_id, row.shots).where(row.tenant_id == tenant_id)
    found = await session.execute(statement.order_by(row.shots.desc(), row.mould_id).limit(limit))
    return {str(mould_id): int(shots) for mould_id, shots in found}


async def shots_of_mould(session: AsyncSession, tenant_id: TenantId, mould_id: str) -> int | None:
    """All shots of a mould; None when no press has told of it."""
    row = await session.get(MouldShotsRow, (tenant_id, mould_id))
    return None if row is None else row.shots


async def sums(session: AsyncSession, tenant_id: TenantId, start_ms: int, end_ms: int) -> list[Sum]:
    """The counts of the hours that begin from `start_ms` on and by `end_ms`, by press and mould."""
    counts = (HourRow.shots, HourRow.timed, HourRow.timed_ms, HourRow.graded, HourRow.good)
    key = (HourRow.plant_id, HourRow.press_id, HourRow.mould_id)
    statement = (
        select(*key, func.min(HourRow.hour_ms), *map(func.sum, counts))
        .where(HourRow.tenant_id == tenant_id, HourRow.hour_ms.between(start_ms, end_ms))
        .group_by(*key)
    )
    found = await session.execute(statement)
    return [
        Sum(plant, press, mould, first_ms, Output(*map(int, counts)))
        for plant, press, mould, first_ms, *counts in found
    ]


async def expected_rows(session: AsyncSession, keys: Sequence[ExpectedKey]) -> dict[ExpectedKey, ExpectedCycleRow]:
    """The known ones of these."""
    found: dict[ExpectedKey, ExpectedCycleRow] = {}
    columns = tuple_(ExpectedCycleRow.plant_id, ExpectedCycleRow.press_id, ExpectedCycleRow.mould_id)
    for start in range(0, len(keys), KEYS_PER_QUERY_MAX):
        statement = select(ExpectedCycleRow).where(columns.in_(keys[start : start + KEYS_PER_QUERY_MAX]))
        found |= {(row.plant_id, row.press_id, row.mould_id): row for row in await session.scalars(statement)}
    return found


async def expected(
    session: AsyncSession, tenant_id: TenantId, *, plant_id: str | None = None, press_id: str | None = None
) -> list[tuple[str, str, str, float | None, float | None]]:
    """(plant, press, mould, own, set) of a tenant's presses."""
    row = ExpectedCycleRow
    statement = select(row.plant_id, row.press_id, row.mould_id, row.own_s, row.set_s).where(row.tenant_id == tenant_id)
    if plant_id is not None:
        statement = statement.where(row.plant_id == plant_id)
    if press_id is not None:
        statement = statement.where(row.press_id == press_id)
    return [(*found,) for found in await session.execute(statement)]


async def expected_like(
    session: AsyncSession, tenant_id: TenantId, search: str, *, limit: int
) -> Sequence[ExpectedCycleRow]:
    """What is expected of presses and moulds with `search` in a name, by plant, press and mould."""
    row = ExpectedCycleRow
    statement = select(row).where(row.tenant_id == tenant_id)
    if search:
        names = (row.plant_id, row.press_id, row.mould_id)
        statement = statement.where(or_(*(name.contains(search, autoescape=True) for name in names)))
    return (await session.scalars(statement.order_by(row.plant_id, row.press_id, row.mould_id).limit(limit))).all()


async def downtimes(
    session: AsyncSession, tenant_id: TenantId, start_ms: int, end_ms: int, *, limit: int
) -> Sequence[PlannedDowntimeRow]:
    """The planned downtimes that touch the time, the first to begin first."""
    row = PlannedDowntimeRow
    statement = select(row).where(
        row.tenant_id == tenant_id, row.dropped_ms.is_(None), row.end_ms > start_ms, row.start_ms < end_ms
    )
    return (await session.scalars(statement.order_by(row.start_ms, row.downtime_id).limit(limit))).all()


async def downtimes_after(
    session: AsyncSession, tenant_id: TenantId, after: UUID | None, *, limit: int
) -> Sequence[PlannedDowntimeRow]:
    """All planned downtimes, the last entered first."""
    row = PlannedDowntimeRow
    is_there = (row.tenant_id == tenant_id, row.dropped_ms.is_(None))
    statement = select(row).where(*is_there).order_by(row.downtime_id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(row.downtime_id < after)
    return (await session.scalars(statement)).all()


async def downtime(
    session: AsyncSession, tenant_id: TenantId, downtime_id: UUID, *, is_dropped: bool = False
) -> PlannedDowntimeRow | None:
    """One planned downtime that is there, or one that was dropped."""
    row = await session.get(PlannedDowntimeRow, downtime_id)
    is_one = row is not None and row.tenant_id == tenant_id and (row.dropped_ms is not None) == is_dropped
    return row if is_one else None


async def dropped_downtimes(
    session: AsyncSession, tenant_id: TenantId, since_ms: int, *, limit: int
) -> Sequence[PlannedDowntimeRow]:
    """The planned downtimes that were dropped from `since_ms` on, the last one first."""
    row = PlannedDowntimeRow
    statement = select(row).where(row.tenant_id == tenant_id, row.dropped_ms >= since_ms)
    return (await session.scalars(statement.order_by(row.dropped_ms.desc(), row.downtime_id).limit(limit))).all()


async def downtime_count(session: AsyncSession, tenant_id: TenantId) -> int:
    """How many a tenant has."""
    row = PlannedDowntimeRow
    statement = select(func.count()).where(row.tenant_id == tenant_id, row.dropped_ms.is_(None))
    return await session.scalar(statement) or 0


async def forget(session: AsyncSession, before_ms: int) -> None:
    """Let go of counts and planned downtimes that are older."""
    await session.execute(delete(HourRow).where(HourRow.hour_ms < before_ms))
    row = PlannedDowntimeRow
    await session.execute(delete(row).where((row.end_ms < before_ms) | (row.dropped_ms < before_ms)))


async def forget_hours(session: AsyncSession) -> None:
    """Let go of all counts."""
    await session.execute(delete(HourRow))
