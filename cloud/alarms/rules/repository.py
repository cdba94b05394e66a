"""All SQL of rules, of their versions, and of what hangs on a rule."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.points import Point
from cloud.alarms.policy import MINUTE_MS
from cloud.alarms.record import point_of
from cloud.alarms.rules.stored import RULE_UNREADABLE
from cloud.alarms.rules.tables import RuleRow, RuleVersionRow
from cloud.alarms.tables import AlarmRow, TrackerRow, TroubleTrackerRow
from cloud.core.tenants import TenantId

FORGOTTEN_KEPT_MS = 15 * MINUTE_MS
"""As long as people can take a repair back."""


async def revision(session: AsyncSession, tenant_id: TenantId) -> tuple[int, int]:
    """Rises with every save of any rule: rules are never taken out, and a save adds one to a version."""
    statement = select(func.count(), func.coalesce(func.sum(RuleRow.version), 0)).where(RuleRow.tenant_id == tenant_id)
    number, versions = (await session.execute(statement)).one()
    return number, int(versions)


async def rules(session: AsyncSession, tenant_id: TenantId) -> Sequence[RuleRow]:
    """All rules of a tenant that somebody saved and nobody deleted, by id."""
    statement = select(RuleRow).where(RuleRow.tenant_id == tenant_id, RuleRow.deleted_ms.is_(None))
    return (await session.scalars(statement.order_by(RuleRow.rule_id))).all()


async def rule(session: AsyncSession, tenant_id: TenantId, rule_id: str) -> RuleRow | None:
    """One rule, deleted or not."""
    return await session.get(RuleRow, (tenant_id, rule_id))


async def version(session: AsyncSession, tenant_id: TenantId, rule_id: str, number: int) -> RuleVersionRow | None:
    """One version of a rule."""
    return await session.get(RuleVersionRow, (tenant_id, rule_id, number))


async def versions(
    session: AsyncSession, tenant_id: TenantId, rule_id: str, *, before: int | None, limit: int
) -> Sequence[RuleVersionRow]:
    """The versions of a rule, newest first."""
    statement = select(RuleVersionRow).where(RuleVersionRow.tenant_id == tenant_id, RuleVersionRow.rule_id == rule_id)
    if before is not None:
        statement = statement.where(RuleVersionRow.version < before)
    return (await session.scalars(statement.order_by(RuleVersionRow.version.desc()).limit(limit))).all()


async def active_alarms(session: AsyncSession, tenant_id: TenantId, rule_id: str) -> Sequence[AlarmRow]:
    """The alarms that a rule holds active."""
    statement = select(AlarmRow).where(
        AlarmRow.tenant_id == tenant_id, AlarmRow.rule_id == rule_id, AlarmRow.cleared_ms.is_(None)
    )
    return (await session.scalars(statement)).all()


async def tenants(session: AsyncSession) -> list[TenantId]:
    """Who has saved a rule, of all tenants: for the platform's own jobs, never for a request."""
    return [TenantId(each) for each in await session.scalars(select(RuleRow.tenant_id).distinct())]


async def active_points(session: AsyncSession, tenant_id: TenantId, kind: str) -> set[Point]:
    """Where alarms of a kind are active."""
    statement = select(AlarmRow).where(
        AlarmRow.tenant_id == tenant_id, AlarmRow.kind == kind, AlarmRow.cleared_ms.is_(None)
    )
    return {point_of(row) for row in await session.scalars(statement)}


async def raised_since(session: AsyncSession, tenant_id: TenantId, since_ms: int) -> dict[str, int]:
    """How many alarms each rule has raised since then."""
    statement = (
        select(AlarmRow.rule_id, func.count())
        .where(AlarmRow.tenant_id == tenant_id, AlarmRow.raised_ms >= since_ms, AlarmRow.kind != RULE_UNREADABLE)
        .group_by(AlarmRow.rule_id)
    )
    found = await session.execute(statement)
    return {row[0]: row[1] for row in found}


async def trackers_of(
    session: AsyncSession, rule_id: str, plant_ids: Collection[str]
) -> Sequence[TrackerRow | TroubleTrackerRow]:
    """What a rule has seen of the presses and gateways of these plants."""
    of_presses = select(TrackerRow).where(TrackerRow.rule_id == rule_id, TrackerRow.plant_id.in_(plant_ids))
    of_gateways = select(TroubleTrackerRow).where(
        TroubleTrackerRow.rule_id == rule_id, TroubleTrackerRow.plant_id.in_(plant_ids)
    )
    return [*(await session.scalars(of_presses)).all(), *(await session.scalars(of_gateways)).all()]


async def forget_learnt(session: AsyncSession, plant_id: str, press_id: str, *, now_ms: int) -> None:
    """Let rules learn a press's normal anew; what they have raised by the old one clears with its next shot.

    What they knew is put aside for FORGOTTEN_KEPT_MS: see `restore_learnt`.
    """
    where = (TrackerRow.plant_id == plant_id, TrackerRow.press_id == press_id)
    aside = {"forgotten": TrackerRow.memory, "forgotten_ms": now_ms}
    await session.execute(update(TrackerRow).where(*where).values(**aside, memory=None))


async def restore_learnt(session: AsyncSession, plant_id: str, press_id: str, *, now_ms: int) -> None:
    """Give rules back what they had learnt before `forget_learnt`; the shots since then are a gap in their row."""
    statement = select(TrackerRow).where(
        TrackerRow.plant_id == plant_id,
        TrackerRow.press_id == press_id,
        TrackerRow.forgotten_ms >= now_ms - FORGOTTEN_KEPT_MS,
    )
    for row in await session.scalars(statement):
        if row.forgotten is not None:
            row.memory = {**row.forgotten, "last": None, "window": []}
        row.forgotten, row.forgotten_ms = None, None
