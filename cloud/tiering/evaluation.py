"""Evaluates playbooks after a scoring run and once a day: facts of all customers, and the tasks that follow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import SYSTEM
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import playbook_repository, repository, signals
from cloud.tiering.playbook_tables import EvaluationRow, TaskRow
from cloud.tiering.playbooks import DAYS_MAX, Playbook, Trigger, due
from cloud.tiering.review import Known, has_left, table_of
from cloud.tiering.runs import DAY_MS
from cloud.tiering.tables import CustomerRow
from cloud.tiering.tasks import shelf_of, told_of
from cloud.tiering.tiers import BANDS
from kit.clock import Clock
from kit.ids import uuid7

TASK_OPENED: Final = "tiering.task_opened"
TASKS_MAX: Final = 2_000
"""An evaluation opens no more; the customers that rank last wait for the next."""
Scores = Sequence[Mapping[UUID, tuple[int, float]]]
Facts = dict[UUID, dict[Trigger, float]]


class Evaluator:
    """Looks at all customers when there is a new scoring run or a new day."""

    def __init__(self, database: Database, events: EventLog, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def do_due(self) -> int:
        """Open the tasks that are due, once a run and a day; how many."""
        now_ms, tenant_id = self._clock.utc_ms(), DEFAULT_TENANT
        today = now_ms // DAY_MS
        async with self._database.reading() as session:
            run = await repository.newest_run(session, tenant_id, "done")
            last = await playbook_repository.evaluation(session, tenant_id)
        if run is None or (last is not None and last.day >= today and last.run_id == run.run_id):
            return 0
        async with self._database.reading() as session:
            customers = await repository.customers(session, tenant_id, limit=repository.CUSTOMERS_MAX)
            rows = await repository.evidence_columns(session, tenant_id)
            changes = await repository.tier_changes(session, tenant_id)
            scores = await playbook_repository.last_scores(session, tenant_id)
        facts = await to_thread.run_sync(gather, customers, rows, changes, scores, today)
        async with self._database.transaction() as session:
            opened = await self._open(session, tenant_id, _by_rank(customers, scores), facts, now_ms)
            await self._keep(session, tenant_id, run.run_id, opened, now_ms)
        return opened

    async def _open(
        self, session: AsyncSession, tenant_id: TenantId, customers: Sequence[CustomerRow], facts: Facts, now_ms: int
    ) -> int:
        today, opened = now_ms // DAY_MS, 0
        _, shelf = await shelf_of(session, tenant_id)
        open_tasks = await playbook_repository.open_counts(session, tenant_id)
        started: dict[UUID, dict[str, int]] = {}
        for (customer_id, code), day in (
            await playbook_repository.started(session, tenant_id, today - DAYS_MAX)
        ).items():
            started.setdefault(customer_id, {})[code] = day
        for customer in customers:
            each = customer.customer_id
            told = facts.get(each, {})
            found = due(
                shelf,
                Tier(customer.served_as),
                told,
                open_tasks=open_tasks.get(each, 0),
                started=started.get(each, {}),
                today=today,
            )
            for row in (row for playbook in found for row in _tasks(customer, playbook, told, now_ms)):
                session.add(row)
                self._events.record(session, tenant_id, TASK_OPENED, told_of(row), now_ms)
                opened += 1
            if opened >= TASKS_MAX:
                break
        return opened

    async def _keep(self, session: AsyncSession, tenant_id: TenantId, run_id: UUID, opened: int, now_ms: int) -> None:
        row = await playbook_repository.evaluation(session, tenant_id)
        if row is None:
            row = EvaluationRow(tenant_id=tenant_id)
            session.add(row)
        row.day, row.run_id, row.opened = now_ms // DAY_MS, run_id, opened
        if opened:
            told = {"tasks": opened, "run_id": str(run_id)}
            audit.record(session, tenant_id, SYSTEM, "tasks_opened", f"tiering_run:{run_id}", now_ms=now_ms, after=told)


def gather(
    customers: Sequence[CustomerRow],
    rows: Sequence[Sequence[Any]],
    changes: Sequence[Sequence[Any]],
    scores: Scores,
    today: int,
) -> Facts:
    """The figures of every customer that is still there; what is not known is left out."""
    known = [Known(row.customer_id, BANDS[row.tier], row.since_day, row.noticed_day) for row in customers]
    table = table_of(known, rows)
    columns = {
        Trigger.UNPAID_INVOICE: signals.unpaid_days(table, today),
        Trigger.UNUSED_FEATURE: signals.unlabelled_days(table, today),
        Trigger.RENEWAL_NEAR: signals.renewal_days(table, today),
    }
    moved, gone = _moved_days(changes, today), has_left(table, today)
    found: Facts = {}
    for at, customer in enumerate(known):
        if gone[at]:
            continue
        each = customer.customer_id
        figures = {trigger: float(column[at]) for trigger, column in columns.items() if not np.isnan(column[at])}
        if each in moved:
            figures[Trigger.TIER_CHANGED] = float(moved[each])
        if all(each in run for run in scores) and len(scores) > 1:
            figures[Trigger.HEALTH_DROP] = scores[1][each][1] - scores[0][each][1]
        found[each] = figures
    return found


def _moved_days(changes: Sequence[Sequence[Any]], today: int) -> dict[UUID, int]:
    """Days since the last change of a tier; a customer's first tier is no change."""
    seen: set[UUID] = set()
    found: dict[UUID, int] = {}
    for customer_id, at_ms, _ in changes:
        if customer_id in seen:
            found[customer_id] = today - int(at_ms) // DAY_MS
        seen.add(customer_id)
    return found


def _by_rank(customers: Sequence[CustomerRow], scores: Scores) -> list[CustomerRow]:
    ranks = scores[0] if scores else {}
    last = (len(ranks) + 1, 0.0)
    return sorted(customers, key=lambda row: (ranks.get(row.customer_id, last)[0], row.code))


def _tasks(customer: CustomerRow, playbook: Playbook, told: Mapping[Trigger, float], now_ms: int) -> Iterator[TaskRow]:
    today = now_ms // DAY_MS
    for step in playbook.steps:
        yield TaskRow(
            task_id=uuid7(now_ms),
            tenant_id=customer.tenant_id,
            customer_id=customer.customer_id,
            playbook=playbook.code,
            trigger=playbook.trigger,
            figure=told[playbook.trigger],
            title=step.title,
            owner_role=step.owner_role,
            opened_day=today,
            due_day=today + step.due_days,
            state=playbook_repository.OPEN,
            reason="",
            closed_ms=None,
            closed_by="",
        )
