"""All SQL of success plans."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.tiering.plan_tables import GoalRow, HeldReviewRow, PlanRow
from cloud.tiering.plans import GOALS_MAX, REVIEWS_MAX
from cloud.tiering.tables import CustomerRow

PLANS_MAX = 2_000
"""Plans in one calendar."""


async def plan(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> PlanRow | None:
    """A customer's plan."""
    row = await session.get(PlanRow, customer_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def goal(session: AsyncSession, tenant_id: TenantId, goal_id: UUID) -> GoalRow | None:
    """One goal."""
    row = await session.get(GoalRow, goal_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def goals(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> Sequence[GoalRow]:
    """The goals of a plan, the first due first."""
    row = GoalRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.due_day, row.goal_id).limit(GOALS_MAX))).all()


async def held(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> dict[int, HeldReviewRow]:
    """The reviews of a plan that were held, by number."""
    row = HeldReviewRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return {each.number: each for each in await session.scalars(statement.limit(REVIEWS_MAX))}


async def plans(session: AsyncSession, tenant_id: TenantId) -> Sequence[tuple[PlanRow, CustomerRow]]:
    """The plans of all customers that are not merged into another, by code."""
    statement = (
        select(PlanRow, CustomerRow)
        .join(CustomerRow, CustomerRow.customer_id == PlanRow.customer_id)
        .where(PlanRow.tenant_id == tenant_id, CustomerRow.merged_into.is_(None))
        .order_by(CustomerRow.code)
    )
    return [(each, customer) for each, customer in await session.execute(statement.limit(PLANS_MAX))]
