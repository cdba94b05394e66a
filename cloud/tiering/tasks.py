"""Playbooks saved and tasks closed; each step is one transaction with its audit line."""

from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.tiering import manager_repository, playbook_repository
from cloud.tiering.playbook_tables import PlaybooksRow, TaskRow
from cloud.tiering.playbooks import STANDARD, PlaybookError, Shelf, from_json, to_json
from kit.clock import Clock
from kit.errors import ZhisanError

TASK_CLOSED: Final = "tiering.task_closed"
REASON_CHARACTERS_MAX: Final = 500
Closed = Literal["done", "dismissed"]


class TaskStateError(ZhisanError):
    """A task that is closed already."""


async def shelf_of(session: AsyncSession, tenant_id: TenantId) -> tuple[int, Shelf]:
    """The version and the playbooks that hold; version 0 are the standard ones."""
    row = await playbook_repository.newest(session, tenant_id)
    return (0, STANDARD) if row is None else (row.version, from_json(row.shelf))


@dataclass(frozen=True, slots=True)
class PlaybookDesk:
    """Where pages and API have playbooks saved and tasks closed."""

    database: Database
    events: EventLog
    clock: Clock

    async def save(self, tenant_id: TenantId, shelf: Shelf, actor: Actor, *, version: int) -> int:
        """Save the next version after `version`, which must be the newest; its number. Open tasks stay as they are.

        Raises:
            PlaybookError: it cannot hold, or somebody has saved another meanwhile.
        """
        shelf.check()
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            newest, before = await shelf_of(session, tenant_id)
            if newest != version:
                raise PlaybookError("version", f"{newest} was saved meanwhile: look at it, then save again")
            row = PlaybooksRow(
                tenant_id=tenant_id,
                version=newest + 1,
                shelf=to_json(shelf),
                saved_ms=now_ms,
                saved_by=actor.name[:NAME_CHARACTERS_MAX],
            )
            session.add(row)
            target, action = f"tiering_playbooks:{row.version}", "tiering_playbooks_saved"
            told = {"before": to_json(before), "after": to_json(shelf)}
            audit.record(session, tenant_id, actor, action, target, now_ms=now_ms, **told)
            return row.version

    async def close(self, tenant_id: TenantId, task_id: UUID, actor: Actor, *, state: Closed, reason: str) -> TaskRow:
        """Close a task; one that is dismissed needs a reason.

        Raises:
            NotFoundError: there is no such task.
            InvalidFieldError: no reason, or one that is too long.
            TaskStateError: it is closed already.
        """
        low = 1 if state == "dismissed" else 0
        if not low <= len(reason.strip()) <= REASON_CHARACTERS_MAX:
            raise InvalidFieldError("body.reason", f"must have {low} to {REASON_CHARACTERS_MAX} characters")
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await playbook_repository.task(session, tenant_id, task_id)
            if row is None:
                raise NotFoundError("task", str(task_id))
            if row.state != playbook_repository.OPEN:
                raise TaskStateError(f"This task is {row.state} already.")
            row.state, row.reason, row.closed_ms = state, reason.strip(), now_ms
            row.closed_by = actor.name[:NAME_CHARACTERS_MAX]
            told = {"state": state, "reason": row.reason}
            audit.record(session, tenant_id, actor, "task_closed", f"task:{task_id}", now_ms=now_ms, after=told)
            self.events.record(session, tenant_id, TASK_CLOSED, told_of(row) | told, now_ms)
            return row

    async def give(self, tenant_id: TenantId, task_id: UUID, manager_id: UUID | None, actor: Actor) -> TaskRow:
        """Give an open task to somebody, or back to the queue of its role.

        Raises:
            NotFoundError: there is no such task or manager.
            TaskStateError: it is closed already.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await playbook_repository.task(session, tenant_id, task_id)
            if row is None:
                raise NotFoundError("task", str(task_id))
            if row.state != playbook_repository.OPEN:
                raise TaskStateError(f"This task is {row.state} already.")
            if manager_id is not None and await manager_repository.manager(session, tenant_id, manager_id) is None:
                raise NotFoundError("manager", str(manager_id))
            before, row.manager_id = row.manager_id, manager_id
            told = {"before": {"manager_id": _id(before)}, "after": {"manager_id": _id(manager_id)}}
            audit.record(session, tenant_id, actor, "task_given", f"task:{task_id}", now_ms=now_ms, **told)
            return row


def told_of(row: TaskRow) -> dict[str, Any]:
    """A task as its events tell of it."""
    return {
        "task_id": str(row.task_id),
        "customer_id": str(row.customer_id),
        "playbook": row.playbook,
        "trigger": row.trigger,
        "title": row.title,
        "owner_role": row.owner_role,
        "due_day": row.due_day,
        "manager_id": _id(row.manager_id),
    }


def _id(told: UUID | None) -> str | None:
    return None if told is None else str(told)
