"""All SQL of maintenance."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.maintenance.domain import JobState, Place
from cloud.maintenance.tables import JobRow, MouldServiceRow

DONE_READ_MAX = 5_000


async def job(session: AsyncSession, tenant_id: TenantId, job_id: UUID) -> JobRow | None:
    """One job of the tenant."""
    row = await session.get(JobRow, job_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def jobs(
    session: AsyncSession, tenant_id: TenantId, *, state: JobState | None = None, before: UUID | None, limit: int
) -> Sequence[JobRow]:
    """Jobs, the last entered first."""
    statement = select(JobRow).where(JobRow.tenant_id == tenant_id)
    if state is not None:
        statement = statement.where(JobRow.state == state)
    if before is not None:
        statement = statement.where(JobRow.job_id < before)
    return (await session.scalars(statement.order_by(JobRow.job_id.desc()).limit(limit))).all()


async def planned(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[JobRow]:
    """The planned jobs, the first to begin first."""
    statement = select(JobRow).where(JobRow.tenant_id == tenant_id, JobRow.state == "planned")
    return (await session.scalars(statement.order_by(JobRow.start_ms, JobRow.job_id).limit(limit))).all()


async def planned_count(session: AsyncSession, tenant_id: TenantId) -> int:
    """How many jobs are planned."""
    statement = select(func.count()).where(JobRow.tenant_id == tenant_id, JobRow.state == "planned")
    return await session.scalar(statement) or 0


async def done_places(session: AsyncSession, tenant_id: TenantId) -> dict[Place, int]:
    """When each place was last seen to, of the DONE_READ_MAX that were so last."""
    row = JobRow
    statement = select(row.plant_id, row.press_id, row.mode, func.max(row.done_ms).label("at_ms"))
    statement = statement.where(row.tenant_id == tenant_id, row.state == "done")
    statement = statement.group_by(row.plant_id, row.press_id, row.mode).order_by(func.max(row.done_ms).desc())
    found = await session.execute(statement.limit(DONE_READ_MAX))
    return {(str(plant_id), str(press_id), str(mode)): int(at_ms or 0) for plant_id, press_id, mode, at_ms in found}


async def service_of(session: AsyncSession, tenant_id: TenantId, mould_id: str) -> MouldServiceRow | None:
    """What is known of a mould's service."""
    return await session.get(MouldServiceRow, (tenant_id, mould_id))


async def services(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> dict[str, MouldServiceRow]:
    """What is known of the moulds' services, by mould."""
    statement = select(MouldServiceRow).where(MouldServiceRow.tenant_id == tenant_id)
    rows = await session.scalars(statement.order_by(MouldServiceRow.mould_id).limit(limit))
    return {row.mould_id: row for row in rows}
