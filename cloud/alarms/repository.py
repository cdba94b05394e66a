"""All SQL of alarms."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.domain import State
from cloud.alarms.tables import AlarmRow, TrackerRow, TroubleTrackerRow
from cloud.core.tenants import TenantId

KEYS_PER_QUERY_MAX = 400


async def alarm(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> AlarmRow | None:
    """One alarm of the tenant."""
    row = await session.get(AlarmRow, alarm_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def active_alarm(
    session: AsyncSession, plant_id: str, press_id: str, gateway_id: str, kind: str, mode: str
) -> AlarmRow | None:
    """The active alarm of a press (without gateway) or a gateway (without press), and mode."""
    statement = select(AlarmRow).where(
        AlarmRow.plant_id == plant_id,
        AlarmRow.press_id == press_id,
        AlarmRow.gateway_id == gateway_id,
        AlarmRow.kind == kind,
        AlarmRow.mode == mode,
        AlarmRow.cleared_ms.is_(None),
    )
    return await session.scalar(statement)


async def alarms(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None,
    press_id: str | None,
    states: Sequence[State],
    before: UUID | None,
    limit: int,
) -> Sequence[AlarmRow]:
    """The tenant's alarms, newest first; no states means all."""
    statement = select(AlarmRow).where(AlarmRow.tenant_id == tenant_id).order_by(AlarmRow.alarm_id.desc()).limit(limit)
    if plant_id is not None:
        statement = statement.where(AlarmRow.plant_id == plant_id)
    if press_id is not None:
        statement = statement.where(AlarmRow.press_id == press_id)
    if states:
        statement = statement.where(AlarmRow.state.in_(states))
    if before is not None:
        statement = statement.where(AlarmRow.alarm_id < before)
    return (await session.scalars(statement)).all()


async def trackers(session: AsyncSession, presses: Sequence[tuple[str, str]]) -> dict[tuple[str, str, str], TrackerRow]:
    """The trackers of these (plant, press), by (plant, press, mode)."""
    found: dict[tuple[str, str, str], TrackerRow] = {}
    for start in range(0, len(presses), KEYS_PER_QUERY_MAX):
        chunk = presses[start : start + KEYS_PER_QUERY_MAX]
        statement = select(TrackerRow).where(tuple_(TrackerRow.plant_id, TrackerRow.press_id).in_(chunk))
        found |= {(row.plant_id, row.press_id, row.mode): row for row in await session.scalars(statement)}
    return found


async def forget_counts(session: AsyncSession) -> None:
    """Let every tracker count from nothing; what is raised stays raised."""
    nothing = {"over_count": 0, "first_over_ms": None, "under_count": 0, "last_ended_ms": None}
    await session.execute(update(TrackerRow).values(nothing))


async def trouble_trackers(session: AsyncSession) -> dict[tuple[str, str, str], TroubleTrackerRow]:
    """All trackers of gateways' troubles, by (plant, gateway, mode)."""
    rows = await session.scalars(select(TroubleTrackerRow))
    return {(row.plant_id, row.gateway_id, row.mode): row for row in rows}
