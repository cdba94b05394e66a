"""Evaluates playbooks after a scoring run and once a day: facts of all customers, and the tasks that follow."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from cloud.tiering import manager_repository, message_repository, packs, playbook_repository, repository, signals
from cloud.tiering.evidence import EvidenceTable
from cloud.tiering.playbook_repository import Served
from cloud.tiering.playbook_tables import EvaluationRow, MessageRow, TaskRow
from cloud.tiering.playbooks import DAYS_MAX, Playbook, Shelf, Trigger, due
from cloud.tiering.review import has_left
from cloud.tiering.runs import DAY_MS
from cloud.tiering.tasks import shelf_of, told_of
from kit.clock import Clock
from kit.ids import uuid7

TASK_OPENED: Final = "tiering.task_opened"
MESSAGE: Final = "provider.message"
"""An event of the company that is told something, for its own webhooks and mails."""
TASKS_MAX: Final = 2_000
"""An evaluation that has opened so many opens no more; the customers that rank last wait for the next."""
FLUSHED_TASKS: Final = 200
Scores = Sequence[Mapping[UUID, tuple[int, float]]]
Facts = dict[UUID, dict[Trigger, float]]
MoreFacts = Callable[[AsyncSession, TenantId, int], Awaitable[Facts]]
"""Figures that modules above this one know, as of a moment."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The playbooks that hold; by customer open tasks, manager, unread messages, when each was last started."""

    shelf: Shelf
    open_tasks: Mapping[UUID, int]
    started: Mapping[UUID, Mapping[str, int]]
    managers: Mapping[UUID, UUID]
    unread: Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class Start:
    """A playbook to start for a customer, and the figure that asks for it."""

    customer_id: UUID
    playbook: Playbook
    figure: float
    manager_id: UUID | None
    to_tenant_id: str | None


class Evaluator:
    """Looks at all customers when there is a new scoring run or a new day."""

    def __init__(self, database: Database, events: EventLog, clock: Clock, more: MoreFacts | None = None) -> None:
        self._database = database
        self._more = more
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
            customers = await playbook_repository.served(session, tenant_id)
            table = await packs.table_of(session, tenant_id, [row.customer_id for row in customers])
            changes = await repository.tier_changes(session, tenant_id)
            scores = await playbook_repository.last_scores(session, tenant_id)
            begun = await self._begun(session, tenant_id, today)
            more = await self._more(session, tenant_id, now_ms) if self._more is not None else {}
        starts = await to_thread.run_sync(_starts, customers, table, changes, scores, begun, more, today)
        rows = [row for start in starts for row in _tasks(tenant_id, start, now_ms)]
        async with self._database.transaction() as session:
            for at, row in enumerate(rows, 1):
                session.add(row)
                self._events.record(session, tenant_id, TASK_OPENED, told_of(row), now_ms)
                if at % FLUSHED_TASKS == 0:
                    await session.flush()
            for message in _messages(tenant_id, starts, now_ms):
                session.add(message)
                self._events.record(session, TenantId(message.to_tenant_id), MESSAGE, _told_of(message), now_ms)
            await self._keep(session, tenant_id, run.run_id, len(rows), now_ms)
        return len(rows)

    async def _begun(self, session: AsyncSession, tenant_id: TenantId, today: int) -> Begun:
        _, shelf = await shelf_of(session, tenant_id)
        started: dict[UUID, dict[str, int]] = {}
        found = await playbook_repository.started(session, tenant_id, today - DAYS_MAX)
        told = await message_repository.started(session, tenant_id, today - DAYS_MAX)
        for (customer_id, code), day in (*found.items(), *told.items()):
            mine = started.setdefault(customer_id, {})
            mine[code] = max(day, mine.get(code, day))
        managers = await manager_repository.manager_by_customer(session, tenant_id)
        unread = await message_repository.unread_counts(session, tenant_id)
        return Begun(shelf, await playbook_repository.open_counts(session, tenant_id), started, managers, unread)

    async def _keep(self, session: AsyncSession, tenant_id: TenantId, run_id: UUID, opened: int, now_ms: int) -> None:
        row = await playbook_repository.evaluation(session, tenant_id)
        if row is None:
            row = EvaluationRow(tenant_id=tenant_id)
            session.add(row)
        row.day, row.run_id, row.opened = now_ms // DAY_MS, run_id, opened
        if opened:
            told = {"tasks": opened, "run_id": str(run_id)}
            audit.record(session, tenant_id, SYSTEM, "tasks_opened", f"tiering_run:{run_id}", now_ms=now_ms, after=told)


def _starts(
    customers: Sequence[Served],
    table: EvidenceTable,
    changes: Sequence[Sequence[Any]],
    scores: Scores,
    begun: Begun,
    more: Facts,
    today: int,
) -> list[Start]:
    """The playbooks to start, the best ranked customers first, until their tasks are TASKS_MAX or more."""
    facts = _joined(gather(customers, table, changes, scores, today), more)
    found: list[Start] = []
    tasks = 0
    for customer in _by_rank(customers, scores):
        each = customer.customer_id
        told = facts.get(each, {})
        playbooks = due(
            begun.shelf,
            Tier(customer.served_as),
            told,
            open_tasks=begun.open_tasks.get(each, 0),
            started=begun.started.get(each, {}),
            today=today,
            unread=begun.unread.get(each, 0) if customer.linked_tenant_id else None,
        )
        manager, company = begun.managers.get(each), customer.linked_tenant_id
        found += [Start(each, playbook, told[playbook.trigger], manager, company) for playbook in playbooks]
        tasks += sum(max(1, len(playbook.steps)) for playbook in playbooks)
        if tasks >= TASKS_MAX:
            break
    return found


def gather(
    customers: Sequence[Served],
    table: EvidenceTable,
    changes: Sequence[Sequence[Any]],
    scores: Scores,
    today: int,
) -> Facts:
    """The figures of every customer that is still there; what is not known is left out."""
    columns = {
        Trigger.UNPAID_INVOICE: signals.unpaid_days(table, today),
        Trigger.UNUSED_FEATURE: signals.unlabelled_days(table, today),
        Trigger.RENEWAL_NEAR: signals.renewal_days(table, today),
        Trigger.MARGIN_LOW: signals.margin_percent(table, today),
    }
    moved, gone = _moved_days(changes, today), has_left(table, today)
    found: Facts = {}
    for at, customer in enumerate(customers):
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


def _joined(facts: Facts, more: Facts) -> Facts:
    """Both, the higher figure where both have one; of who is a customer no more nothing."""
    for customer_id, figures in facts.items():
        for trigger, figure in more.get(customer_id, {}).items():
            figures[trigger] = max(figure, figures.get(trigger, figure))
    return facts


def _moved_days(changes: Sequence[Sequence[Any]], today: int) -> dict[UUID, int]:
    """Days since the last change of a tier; a customer's first tier is no change."""
    seen: set[UUID] = set()
    found: dict[UUID, int] = {}
    for customer_id, at_ms, _ in changes:
        if customer_id in seen:
            found[customer_id] = today - int(at_ms) // DAY_MS
        seen.add(customer_id)
    return found


def _by_rank(customers: Sequence[Served], scores: Scores) -> list[Served]:
    ranks = scores[0] if scores else {}
    last = (len(ranks) + 1, 0.0)
    return sorted(customers, key=lambda row: (ranks.get(row.customer_id, last)[0], row.code))


def _tasks(tenant_id: TenantId, start: Start, now_ms: int) -> Iterator[TaskRow]:
    today = now_ms // DAY_MS
    for step in start.playbook.steps:
        yield TaskRow(
            task_id=uuid7(now_ms),
            tenant_id=tenant_id,
            customer_id=start.customer_id,
            playbook=start.playbook.code,
            trigger=start.playbook.trigger,
            figure=start.figure,
            title=step.title,
            owner_role=step.owner_role,
            opened_day=today,
            due_day=start.playbook.due_day(step, start.figure, today),
            state=playbook_repository.OPEN,
            reason="",
            closed_ms=None,
            closed_by="",
            manager_id=start.manager_id,
            merge_id=None,
        )


def _messages(tenant_id: TenantId, starts: Sequence[Start], now_ms: int) -> Iterator[MessageRow]:
    """What the companies are told that are on the platform."""
    for start in starts:
        message = start.playbook.message
        if message is None or start.to_tenant_id is None:
            continue
        yield MessageRow(
            message_id=uuid7(now_ms),
            tenant_id=tenant_id,
            customer_id=start.customer_id,
            to_tenant_id=start.to_tenant_id,
            playbook=start.playbook.code,
            text_zh=message.zh,
            text_en=message.en,
            sent_ms=now_ms,
            read_ms=None,
            read_by="",
        )


def _told_of(row: MessageRow) -> dict[str, str]:
    """Nothing of why: a company does not learn how it is measured."""
    return {"message_id": str(row.message_id), "text_zh": row.text_zh, "text_en": row.text_en}
