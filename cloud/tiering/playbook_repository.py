"""All SQL of playbooks and their tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.tiering.playbook_tables import EvaluationRow, PlaybooksRow, TaskRow
from cloud.tiering.repository import CUSTOMERS_MAX, in_parts
from cloud.tiering.tables import CustomerRow, RunRow, ScoreRow

OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Served:
    """A customer, as far as playbooks look at it."""

    customer_id: UUID
    code: str
    served_as: str
    linked_tenant_id: str | None = None


async def served(session: AsyncSession, tenant_id: TenantId) -> list[Served]:
    """All customers, without merged ones, by id."""
    row, found = CustomerRow, list[Served]()
    statement = select(row.customer_id, row.code, row.served_as, row.linked_tenant_id)
    statement = statement.where(row.tenant_id == tenant_id, row.merged_into.is_(None)).limit(CUSTOMERS_MAX)
    async for rows in in_parts(session, statement.order_by(row.customer_id)):
        found += [Served(*each) for each in rows]
    return found


async def newest(session: AsyncSession, tenant_id: TenantId) -> PlaybooksRow | None:
    """The playbooks that hold; None while there are only the standard ones."""
    statement = select(PlaybooksRow).where(PlaybooksRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(PlaybooksRow.version.desc()).limit(1))).first()


async def evaluation(session: AsyncSession, tenant_id: TenantId) -> EvaluationRow | None:
    """When the playbooks were last looked at."""
    return await session.get(EvaluationRow, tenant_id)


async def task(session: AsyncSession, tenant_id: TenantId, task_id: UUID) -> TaskRow | None:
    """One task."""
    row = await session.get(TaskRow, task_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def open_counts(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, int]:
    """Open tasks by customer."""
    row = TaskRow
    statement = select(row.customer_id, func.count()).where(row.tenant_id == tenant_id, row.state == OPEN)
    return {each: int(count) for each, count in await session.execute(statement.group_by(row.customer_id))}


async def started(session: AsyncSession, tenant_id: TenantId, since_day: int) -> dict[tuple[UUID, str], int]:
    """The last day since `since_day` on which a playbook was started, by customer and playbook."""
    row = TaskRow
    statement = select(row.customer_id, row.playbook, func.max(row.opened_day))
    statement = statement.where(row.tenant_id == tenant_id, row.opened_day >= since_day)
    found = await session.execute(statement.group_by(row.customer_id, row.playbook))
    return {(customer_id, str(playbook)): int(day) for customer_id, playbook, day in found}


async def tasks_of(session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int) -> Sequence[TaskRow]:
    """The tasks of a customer, the newest first."""
    row = TaskRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.task_id.desc()).limit(limit))).all()


async def open_tasks(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    owner_role: str | None,
    manager_id: UUID | None = None,
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[TaskRow]:
    """Open tasks, the first due first."""
    row = TaskRow
    statement = select(row).where(row.tenant_id == tenant_id, row.state == OPEN)
    if manager_id is not None:
        statement = statement.where(row.manager_id == manager_id)
    if owner_role is not None:
        statement = statement.where(row.owner_role == owner_role)
    if after is not None:
        day, task_id = after
        statement = statement.where((row.due_day > day) | ((row.due_day == day) & (row.task_id > task_id)))
    return (await session.scalars(statement.order_by(row.due_day, row.task_id).limit(limit))).all()


async def task_counts(session: AsyncSession, tenant_id: TenantId, since_day: int) -> dict[str, dict[str, int]]:
    """Tasks opened since a day, by playbook and state."""
    row, counts = TaskRow, dict[str, dict[str, int]]()
    statement = select(row.playbook, row.state, func.count()).where(
        row.tenant_id == tenant_id, row.opened_day >= since_day
    )
    for playbook, state, count in await session.execute(
        statement.group_by(row.playbook, row.state).order_by(row.playbook)
    ):
        counts.setdefault(str(playbook), {})[str(state)] = int(count)
    return counts


async def give_open_tasks(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, manager_id: UUID | None
) -> None:
    """Give the open tasks of a customer to whoever looks after it now."""
    row = TaskRow
    statement = update(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id, row.state == OPEN)
    await session.execute(statement.values(manager_id=manager_id))


async def move_tasks(session: AsyncSession, tenant_id: TenantId, from_id: UUID, to_id: UUID, merge_id: UUID) -> int:
    """Give one customer's tasks to another; how many."""
    row = TaskRow
    statement = update(row).where(row.tenant_id == tenant_id, row.customer_id == from_id)
    found: Any = await session.execute(statement.values(customer_id=to_id, merge_id=merge_id))
    return int(found.rowcount)


async def give_tasks_back(session: AsyncSession, tenant_id: TenantId, to_id: UUID, merge_id: UUID) -> int:
    """Undo a move of tasks; how many."""
    row = TaskRow
    statement = update(row).where(row.tenant_id == tenant_id, row.merge_id == merge_id)
    found: Any = await session.execute(statement.values(customer_id=to_id, merge_id=None))
    return int(found.rowcount)


async def last_scores(session: AsyncSession, tenant_id: TenantId) -> list[dict[UUID, tuple[int, float]]]:
    """Rank and score of every customer in the last two runs that are done, the newest first."""
    statement = select(RunRow.run_id).where(RunRow.tenant_id == tenant_id, RunRow.state == "done")
    runs = (await session.scalars(statement.order_by(RunRow.run_id.desc()).limit(2))).all()
    row, found = ScoreRow, []
    for run_id in runs:
        scores: dict[UUID, tuple[int, float]] = {}
        async for rows in in_parts(
            session, select(row.customer_id, row.rank, row.weighted).where(row.run_id == run_id)
        ):
            scores |= {each: (int(rank), float(score)) for each, rank, score in rows}
        found.append(scores)
    return found
