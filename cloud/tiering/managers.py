"""Customer-success managers kept, an assignment proposed, and applied as it was shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import book, playbook_repository, repository
from cloud.tiering import manager_repository as stored
from cloud.tiering.assignment import (
    ACCOUNTS_MAX,
    MANAGERS_MAX,
    Account,
    Manager,
    Place,
    Proposal,
    UnsolvedError,
    propose,
)
from cloud.tiering.manager_tables import CareRow, ManagerRow
from kit.clock import Clock
from kit.errors import ZhisanError
from kit.ids import uuid7

MANAGER_ASSIGNED: Final = "tiering.manager_assigned"


class AssignmentStateError(ZhisanError):
    """An assignment that cannot be applied as things are."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a manager is to be."""

    name: str
    capacity: int
    sectors: tuple[str, ...]
    place: Place | None
    reach_km: float | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A customer given to a manager by a proposal that found it with `before`."""

    customer_id: UUID
    manager_id: UUID
    before: UUID | None


@dataclass(frozen=True, slots=True)
class ManagerDesk:
    """Where the API has managers kept; every step is one transaction with its audit line."""

    database: Database
    events: EventLog
    clock: Clock
    solver: CapacityLimiter

    async def set_manager(self, tenant_id: TenantId, manager_id: UUID | None, told: Told, actor: Actor) -> ManagerRow:
        """Add a manager, or change the one of this id; who has left keeps its customers until others have them.

        Raises:
            NotFoundError: there is no such manager.
            InvalidFieldError: the name is empty, or there are MANAGERS_MAX.
        """
        if not told.name.strip():
            raise InvalidFieldError("body.name", "must not be empty")
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            if manager_id is None:
                if len(await stored.managers(session, tenant_id)) >= MANAGERS_MAX:
                    raise InvalidFieldError("body", f"{MANAGERS_MAX} managers are the most")
                row = ManagerRow(manager_id=uuid7(now_ms), tenant_id=tenant_id)
                session.add(row)
            else:
                row = await self._manager(session, tenant_id, manager_id)
            row.name, row.capacity, row.sectors = told.name.strip(), told.capacity, list(told.sectors)
            row.latitude, row.longitude = told.place or (None, None)
            row.reach_km, row.is_active, row.changed_ms = told.reach_km, told.is_active, now_ms
            after = {"name": row.name, "capacity": row.capacity, "sectors": row.sectors, "is_active": row.is_active}
            target = f"manager:{row.manager_id}"
            audit.record(session, tenant_id, actor, "manager_changed", target, now_ms=now_ms, after=after)
            return row

    async def set_place(self, tenant_id: TenantId, customer_id: UUID, place: Place | None, actor: Actor) -> None:
        """Say where a customer is.

        Raises:
            NotFoundError: the company has no such customer.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            await book.customer(session, tenant_id, customer_id)
            row = await self._care(session, tenant_id, customer_id)
            row.latitude, row.longitude = place or (None, None)
            row.changed_by = actor.name[:NAME_CHARACTERS_MAX]
            after = {"place": list(place) if place else None}
            target = f"customer:{customer_id}"
            audit.record(session, tenant_id, actor, "customer_place_changed", target, now_ms=now_ms, after=after)

    async def propose(self, tenant_id: TenantId) -> Proposal:
        """Who should look after which strategic customer; changes nothing.

        Raises:
            InvalidFieldError: there are more than ACCOUNTS_MAX strategic customers, or nothing was found in time.
        """
        async with self.database.reading() as session:
            customers = await repository.customers(session, tenant_id, tier=Tier.STRATEGIC, limit=ACCOUNTS_MAX + 1)
            managers = await stored.managers(session, tenant_id)
            care = await stored.all_care(session, tenant_id)
        if len(customers) > ACCOUNTS_MAX:
            raise InvalidFieldError("body", f"{ACCOUNTS_MAX} strategic customers are the most")
        accounts = [_account(row.customer_id, row.sector, care.get(row.customer_id)) for row in customers]
        try:
            return await to_thread.run_sync(propose, accounts, list(map(_manager, managers)), limiter=self.solver)
        except UnsolvedError as error:
            raise InvalidFieldError("body", str(error)) from error

    async def apply(self, tenant_id: TenantId, moves: Sequence[Move], actor: Actor) -> int:
        """Apply moves as a proposal has shown them, all or none; how many customers changed their manager.

        Raises:
            NotFoundError: a customer or manager is not there.
            InvalidFieldError: a customer is there twice.
            AssignmentStateError: somebody was given away meanwhile, is not strategic, or a manager would have too many.
        """
        if len({each.customer_id for each in moves}) < len(moves):
            raise InvalidFieldError("body.moves", "a customer is there twice")
        now_ms, changed = self.clock.utc_ms(), 0
        async with self.database.transaction() as session:
            for each in moves:
                customer = await book.customer(session, tenant_id, each.customer_id)
                manager = await self._manager(session, tenant_id, each.manager_id)
                row = await self._care(session, tenant_id, each.customer_id)
                if customer.served_as != Tier.STRATEGIC or not manager.is_active:
                    raise AssignmentStateError(f"{customer.code} is not strategic, or {manager.name} has left.")
                if row.manager_id != each.before:
                    raise AssignmentStateError(f"{customer.code} was given to somebody meanwhile: propose anew.")
                if row.manager_id == each.manager_id:
                    continue
                row.manager_id, row.from_ms, changed = each.manager_id, now_ms, changed + 1
                row.changed_by = actor.name[:NAME_CHARACTERS_MAX]
                await playbook_repository.give_open_tasks(session, tenant_id, each.customer_id, each.manager_id)
                told = {"customer_id": str(each.customer_id), "manager_id": str(each.manager_id), "name": manager.name}
                target, before = f"customer:{each.customer_id}", {"manager_id": str(each.before) if each.before else ""}
                action = "manager_assigned"
                audit.record(session, tenant_id, actor, action, target, now_ms=now_ms, before=before, after=told)
                self.events.record(session, tenant_id, MANAGER_ASSIGNED, told, now_ms)
            await session.flush()
            await self._check_capacity(session, tenant_id)
        return changed

    async def _check_capacity(self, session: AsyncSession, tenant_id: TenantId) -> None:
        """Only strategic customers count; who has moved down leaves its manager without a word."""
        rows = await repository.customers(session, tenant_id, tier=Tier.STRATEGIC, limit=ACCOUNTS_MAX)
        care = await stored.all_care(session, tenant_id)
        held = [care[row.customer_id].manager_id for row in rows if row.customer_id in care]
        for manager in await stored.managers(session, tenant_id):
            if (load := held.count(manager.manager_id)) > manager.capacity:
                raise AssignmentStateError(f"{manager.name} would have {load} customers, {manager.capacity} at most.")

    async def _manager(self, session: AsyncSession, tenant_id: TenantId, manager_id: UUID) -> ManagerRow:
        row = await stored.manager(session, tenant_id, manager_id)
        if row is None:
            raise NotFoundError("manager", str(manager_id))
        return row

    async def _care(self, session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> CareRow:
        row = await stored.care(session, tenant_id, customer_id)
        if row is None:
            row = CareRow(customer_id=customer_id, tenant_id=tenant_id, changed_by="", manager_id=None, from_ms=None)
            row.latitude = row.longitude = None
            session.add(row)
        return row


def _account(customer_id: UUID, sector: str, care: CareRow | None) -> Account:
    before = str(care.manager_id) if care is not None and care.manager_id is not None else None
    return Account(str(customer_id), sector, None if care is None else place_of(care), before)


def _manager(row: ManagerRow) -> Manager:
    return Manager(str(row.manager_id), row.capacity, frozenset(row.sectors), place_of(row), row.reach_km)


def place_of(row: CareRow | ManagerRow) -> Place | None:
    """Where it is; None while nobody has said."""
    return None if row.latitude is None or row.longitude is None else (row.latitude, row.longitude)
