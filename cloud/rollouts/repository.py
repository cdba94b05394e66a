"""All SQL of bundles, trials, orders and labels."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.rollouts.tables import BundleRow, GuardPointRow, LabelRow, ModelEventRow, OrderRow, RepairRow, RolloutRow

POINTS_MAX = 2_000
REPAIRS_MAX = 50
"""Points of one trial that are kept, and shown."""
ORDERS_MAX = 20_000


async def bundle(session: AsyncSession, tenant_id: TenantId, bundle_id: str) -> BundleRow | None:
    """One bundle of the tenant."""
    return await session.get(BundleRow, (tenant_id, bundle_id))


async def bundles(
    session: AsyncSession, tenant_id: TenantId, *, before: tuple[int, str] | None, limit: int
) -> Sequence[BundleRow]:
    """Bundles, the newest first; `before` is (uploaded_ms, bundle_id) of the last one of the page before."""
    order = (BundleRow.uploaded_ms.desc(), BundleRow.bundle_id.desc())
    statement = select(BundleRow).where(BundleRow.tenant_id == tenant_id).order_by(*order).limit(limit)
    if before is not None:
        at_ms, bundle_id = before
        is_older = (BundleRow.uploaded_ms < at_ms) | (
            (BundleRow.uploaded_ms == at_ms) & (BundleRow.bundle_id < bundle_id)
        )
        statement = statement.where(is_older)
    return (await session.scalars(statement)).all()


async def bundles_of_ids(session: AsyncSession, tenant_id: TenantId, bundle_ids: Sequence[str]) -> dict[str, BundleRow]:
    """Those of these ids that the tenant has."""
    statement = select(BundleRow).where(BundleRow.tenant_id == tenant_id, BundleRow.bundle_id.in_(bundle_ids))
    return {row.bundle_id: row for row in await session.scalars(statement)}


async def champion(session: AsyncSession, tenant_id: TenantId) -> BundleRow | None:
    """The bundle that scores where no trial says otherwise."""
    statement = select(BundleRow).where(BundleRow.tenant_id == tenant_id, BundleRow.state == "champion")
    return (await session.scalars(statement.order_by(BundleRow.uploaded_ms.desc()).limit(1))).first()


async def running(session: AsyncSession, tenant_id: TenantId) -> RolloutRow | None:
    """The tenant's trial under way."""
    statement = select(RolloutRow).where(RolloutRow.tenant_id == tenant_id, RolloutRow.ended_ms.is_(None))
    return await session.scalar(statement)


async def rollout(session: AsyncSession, tenant_id: TenantId, rollout_id: UUID) -> RolloutRow | None:
    """One trial of the tenant."""
    statement = select(RolloutRow).where(RolloutRow.tenant_id == tenant_id, RolloutRow.rollout_id == rollout_id)
    return await session.scalar(statement)


async def rollouts(
    session: AsyncSession, tenant_id: TenantId, *, bundle_id: str | None = None, before: UUID | None, limit: int
) -> Sequence[RolloutRow]:
    """Trials, the newest first."""
    statement = select(RolloutRow).where(RolloutRow.tenant_id == tenant_id)
    if bundle_id is not None:
        statement = statement.where(RolloutRow.bundle_id == bundle_id)
    if before is not None:
        statement = statement.where(RolloutRow.rollout_id < before)
    return (await session.scalars(statement.order_by(RolloutRow.rollout_id.desc()).limit(limit))).all()


async def events(
    session: AsyncSession, tenant_id: TenantId, bundle_id: str, *, before: int | None, limit: int
) -> Sequence[ModelEventRow]:
    """The steps of a bundle's life, the newest first."""
    statement = select(ModelEventRow).where(ModelEventRow.tenant_id == tenant_id, ModelEventRow.bundle_id == bundle_id)
    if before is not None:
        statement = statement.where(ModelEventRow.event_id < before)
    return (await session.scalars(statement.order_by(ModelEventRow.event_id.desc()).limit(limit))).all()


async def order(session: AsyncSession, plant_id: str, gateway_id: str) -> OrderRow | None:
    """A gateway's order."""
    return await session.get(OrderRow, (plant_id, gateway_id))


async def orders(session: AsyncSession, tenant_id: TenantId) -> Sequence[OrderRow]:
    """The orders of a tenant's gateways by plant and id, at most ORDERS_MAX."""
    statement = select(OrderRow).where(OrderRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(OrderRow.plant_id, OrderRow.gateway_id).limit(ORDERS_MAX))).all()


async def tenants(session: AsyncSession) -> list[TenantId]:
    """Every tenant with bundles, with gateways that have reported, or with labels."""
    found: set[str] = set()
    for column in (BundleRow.tenant_id, OrderRow.tenant_id, LabelRow.tenant_id):
        found |= set(await session.scalars(select(column).distinct()))
    return sorted(TenantId(tenant_id) for tenant_id in found)


async def points(session: AsyncSession, rollout_id: UUID) -> Sequence[GuardPointRow]:
    """The guard figures of a trial in the order of time, at most POINTS_MAX."""
    statement = select(GuardPointRow).where(GuardPointRow.rollout_id == rollout_id)
    return (await session.scalars(statement.order_by(GuardPointRow.point_id).limit(POINTS_MAX))).all()


async def last_point_ms(session: AsyncSession, rollout_id: UUID) -> int:
    """When the newest guard figures were kept; 0 without any."""
    statement = select(func.max(GuardPointRow.at_ms)).where(GuardPointRow.rollout_id == rollout_id)
    return await session.scalar(statement) or 0


async def thin_points(session: AsyncSession, rollout_id: UUID) -> None:
    """At the bound, forget every second of the older points: a long trial is shown more coarsely."""
    statement = select(func.count()).where(GuardPointRow.rollout_id == rollout_id)
    if (await session.scalar(statement) or 0) < POINTS_MAX:
        return
    ids = [row.point_id for row in await points(session, rollout_id)]
    chosen = ids[: POINTS_MAX // 2 : 2]
    await session.execute(delete(GuardPointRow).where(GuardPointRow.point_id.in_(chosen)))


async def label(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> LabelRow | None:
    """What was said of an alarm."""
    statement = select(LabelRow).where(LabelRow.tenant_id == tenant_id, LabelRow.alarm_id == alarm_id)
    return await session.scalar(statement)


async def verdicts(session: AsyncSession, tenant_id: TenantId, alarm_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What was said of these alarms."""
    statement = select(LabelRow.alarm_id, LabelRow.verdict).where(
        LabelRow.tenant_id == tenant_id, LabelRow.alarm_id.in_(alarm_ids)
    )
    return {row.alarm_id: row.verdict for row in await session.execute(statement)}


async def labels(session: AsyncSession, tenant_id: TenantId, *, before: UUID | None, limit: int) -> Sequence[LabelRow]:
    """Labels, the newest first."""
    statement = select(LabelRow).where(LabelRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(LabelRow.label_id < before)
    return (await session.scalars(statement.order_by(LabelRow.label_id.desc()).limit(limit))).all()


async def labels_before(session: AsyncSession, tenant_id: TenantId, before: UUID) -> int:
    """How many labels are older than one."""
    statement = select(func.count()).where(LabelRow.tenant_id == tenant_id, LabelRow.label_id < before)
    return await session.scalar(statement) or 0


async def repairs_of(
    session: AsyncSession, tenant_id: TenantId, plant_id: str, press_id: str, *, from_ms: int, until_ms: int
) -> Sequence[LabelRow]:
    """The repairs of a press that were told of in a time, the newest first, at most REPAIRS_MAX."""
    row = LabelRow
    statement = select(row).where(row.tenant_id == tenant_id, row.plant_id == plant_id, row.press_id == press_id)
    statement = statement.where(row.verdict == "maintenance_done", row.labelled_ms.between(from_ms, until_ms))
    return (await session.scalars(statement.order_by(row.labelled_ms.desc(), row.label_id).limit(REPAIRS_MAX))).all()


async def repairs(session: AsyncSession, tenant_id: TenantId) -> dict[tuple[str, str], int]:
    """By plant and press, when the newest repair was told of: with an alarm's label, or as one of its own."""
    labelled = select(LabelRow.plant_id, LabelRow.press_id, func.max(LabelRow.labelled_ms))
    labelled = labelled.where(LabelRow.tenant_id == tenant_id, LabelRow.verdict == "maintenance_done")
    own = select(RepairRow.plant_id, RepairRow.press_id, func.max(RepairRow.repaired_ms))
    own = own.where(RepairRow.tenant_id == tenant_id)
    found: dict[tuple[str, str], int] = {}
    for statement, row in ((labelled, LabelRow), (own, RepairRow)):
        for plant_id, press_id, at_ms in await session.execute(statement.group_by(row.plant_id, row.press_id)):
            key = (str(plant_id), str(press_id))
            found[key] = max(int(at_ms), found.get(key, 0))
    return found


async def repair(session: AsyncSession, tenant_id: TenantId, repair_id: UUID) -> RepairRow | None:
    """One repair of the tenant."""
    row = await session.get(RepairRow, repair_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def label_counts(session: AsyncSession, tenant_id: TenantId, bundle_id: str | None = None) -> dict[str, int]:
    """How many alarms were judged how; with `bundle_id` only those that this bundle has raised."""
    statement = select(LabelRow.verdict, func.count()).where(LabelRow.tenant_id == tenant_id)
    if bundle_id is not None:
        statement = statement.where(LabelRow.bundle_id == bundle_id)
    rows = await session.execute(statement.group_by(LabelRow.verdict))
    return {str(verdict): int(count) for verdict, count in rows.all()}


def labelled_alarms() -> Select[tuple[UUID]]:
    """The alarms of all tenants that somebody labelled: training learns from them, so that they are kept."""
    return select(LabelRow.alarm_id)
