"""Success plans: begun, changed, their goals and reviews kept, and their reviews as a calendar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import book
from cloud.tiering import plan_repository as repository
from cloud.tiering.agenda import Entry, agenda
from cloud.tiering.evidence import EPOCH
from cloud.tiering.plan_tables import GoalRow, HeldReviewRow, PlanRow
from cloud.tiering.plans import GOALS_MAX, GoalState, Review, ReviewState, reviews
from cloud.tiering.runs import DAY_MS
from cloud.tiering.tables import CustomerRow
from kit.clock import Clock
from kit.errors import ZhisanError
from kit.ids import uuid7

PLAN_CHANGED: Final = "tiering.plan_changed"
TEXT_CHARACTERS_MAX: Final = 2_000
DAYS_MAX: Final = 3_660
"""A day of a plan lies within ten years of today."""
REVIEW_TITLE: Final = "Quarterly review {number}: {customer}"


class PlanConflictError(ZhisanError):
    """Somebody has saved the plan, or something of it, since it was looked at."""

    def __init__(self, version: int) -> None:
        super().__init__(f"Version {version} was saved meanwhile: look at it, then change again.")
        self.version = version


@dataclass(frozen=True, slots=True)
class Goal:
    """What a goal is to be."""

    title: str
    measure: str
    target: float
    actual: float | None
    due_day: int
    state: GoalState


@dataclass(frozen=True, slots=True)
class Opened:
    """A plan with its goals and reviews; `held` has what came of a review, by number."""

    plan: PlanRow
    goals: list[GoalRow]
    reviews: list[Review]
    held: Mapping[int, HeldReviewRow]


@dataclass(frozen=True, slots=True)
class SuccessDesk:
    """Where pages and API have success plans kept; every step is one transaction with its audit line and event."""

    database: Database
    events: EventLog
    clock: Clock

    async def find(self, tenant_id: TenantId, customer_id: UUID) -> Opened | None:
        """A customer's plan; None when there is none.

        Raises:
            NotFoundError: the company has no such customer.
        """
        async with self.database.reading() as session:
            await book.customer(session, tenant_id, customer_id)
            row = await repository.plan(session, tenant_id, customer_id)
            return None if row is None else await self._open(session, row)

    async def opened(self, tenant_id: TenantId, customer_id: UUID) -> Opened:
        """A customer's plan.

        Raises:
            NotFoundError: there is no such customer, or it has no plan.
        """
        found = await self.find(tenant_id, customer_id)
        if found is None:
            raise NotFoundError("success plan", str(customer_id))
        return found

    async def save(
        self,
        tenant_id: TenantId,
        customer_id: UUID,
        actor: Actor,
        *,
        summary: str,
        owner: str,
        start_day: int,
        version: int,
    ) -> None:
        """Begin a strategic customer's plan (version 0), or change the version that was looked at.

        A customer that has moved down keeps the plan it has.

        Raises:
            NotFoundError: the company has no such customer.
            InvalidFieldError: the customer has no plan and is not strategic, or a text or day is out of bounds.
            PlanConflictError: somebody has saved it meanwhile.
        """
        _text("summary", summary, TEXT_CHARACTERS_MAX)
        _text("owner", owner, NAME_CHARACTERS_MAX)
        now_ms = self.clock.utc_ms()
        _day("start_day", start_day, now_ms)
        async with self.database.transaction() as session:
            customer = await book.customer(session, tenant_id, customer_id)
            row = await repository.plan(session, tenant_id, customer_id)
            if row is None:
                if customer.served_as != Tier.STRATEGIC or customer.merged_into is not None:
                    raise InvalidFieldError("path.customer_id", "only a strategic customer begins a success plan")
                row = PlanRow(customer_id=customer_id, tenant_id=tenant_id, version=0)
                session.add(row)
            _check_version(row, version)
            row.summary, row.owner, row.start_day = summary.strip(), owner.strip(), start_day
            told = {"what": "plan", "owner": row.owner, "start_day": start_day}
            self._note(session, row, told, actor, now_ms)

    async def set_goal(
        self, tenant_id: TenantId, customer_id: UUID, goal_id: UUID | None, goal: Goal, actor: Actor, *, version: int
    ) -> UUID:
        """Add a goal, or change the one of this id; its id.

        Raises:
            NotFoundError: there is no such customer, plan or goal.
            InvalidFieldError: a text or day is out of bounds, or the plan has GOALS_MAX goals.
            PlanConflictError: somebody has saved something of the plan meanwhile.
        """
        _text("title", goal.title, NAME_CHARACTERS_MAX)
        _text("measure", goal.measure, NAME_CHARACTERS_MAX)
        now_ms = self.clock.utc_ms()
        _day("due_day", goal.due_day, now_ms)
        async with self.database.transaction() as session:
            plan = await self._plan(session, tenant_id, customer_id)
            _check_version(plan, version)
            if goal_id is None:
                if len(await repository.goals(session, tenant_id, customer_id)) >= GOALS_MAX:
                    raise InvalidFieldError("body", f"{GOALS_MAX} goals are the most of a plan")
                row = GoalRow(goal_id=uuid7(now_ms), tenant_id=tenant_id, customer_id=customer_id)
                session.add(row)
            else:
                row = await self._goal(session, plan, goal_id)
            row.title, row.measure, row.target = goal.title.strip(), goal.measure.strip(), goal.target
            row.actual, row.due_day, row.state, row.changed_ms = goal.actual, goal.due_day, goal.state, now_ms
            told = {"what": "goal", "goal_id": str(row.goal_id), "title": row.title, "state": row.state}
            self._note(session, plan, told, actor, now_ms)
            return row.goal_id

    async def hold_review(
        self, tenant_id: TenantId, customer_id: UUID, number: int, actor: Actor, *, note: str, version: int
    ) -> None:
        """Keep what came of a review; once more changes its note.

        Raises:
            NotFoundError: there is no such customer or plan, or the plan shows no review of this number.
            InvalidFieldError: the note is empty or too long.
            PlanConflictError: somebody has saved something of the plan meanwhile.
        """
        _text("note", note, TEXT_CHARACTERS_MAX)
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            plan = await self._plan(session, tenant_id, customer_id)
            _check_version(plan, version)
            opened = await self._open(session, plan)
            if number not in {each.number for each in opened.reviews}:
                raise NotFoundError("review", str(number))
            row = opened.held.get(number)
            if row is None:
                row = HeldReviewRow(customer_id=customer_id, number=number, tenant_id=tenant_id, held_ms=now_ms)
                session.add(row)
            row.note, row.held_by = note.strip(), actor.name[:NAME_CHARACTERS_MAX]
            self._note(session, plan, {"what": "review", "number": number, "note": row.note}, actor, now_ms)

    async def calendar(
        self, tenant_id: TenantId, customer_id: UUID | None = None, *, title: str = REVIEW_TITLE
    ) -> bytes:
        """The reviews of one customer, or of all, as an iCalendar file; `title` has places for number and customer.

        Raises:
            NotFoundError: there is no such customer, or it has no plan.
        """
        async with self.database.reading() as session:
            if customer_id is None:
                rows = await repository.plans(session, tenant_id)
            else:
                plan = await self._plan(session, tenant_id, customer_id)
                rows = [(plan, await book.customer(session, tenant_id, customer_id))]
            entries: list[Entry] = []
            for row, customer in rows:
                entries += _entries(customer, await self._open(session, row), title)
        return agenda(entries)

    async def _plan(self, session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> PlanRow:
        await book.customer(session, tenant_id, customer_id)
        row = await repository.plan(session, tenant_id, customer_id)
        if row is None:
            raise NotFoundError("success plan", str(customer_id))
        return row

    async def _goal(self, session: AsyncSession, plan: PlanRow, goal_id: UUID) -> GoalRow:
        row = await repository.goal(session, TenantId(plan.tenant_id), goal_id)
        if row is None or row.customer_id != plan.customer_id:
            raise NotFoundError("goal", str(goal_id))
        return row

    async def _open(self, session: AsyncSession, row: PlanRow) -> Opened:
        tenant_id = TenantId(row.tenant_id)
        held = await repository.held(session, tenant_id, row.customer_id)
        today = datetime.fromtimestamp(self.clock.utc_ms() / 1000, UTC).date()
        shown = reviews(date.fromordinal(row.start_day + EPOCH), today, held)
        return Opened(row, list(await repository.goals(session, tenant_id, row.customer_id)), shown, held)

    def _note(self, session: AsyncSession, plan: PlanRow, told: dict[str, Any], actor: Actor, now_ms: int) -> None:
        plan.version += 1
        plan.changed_ms, plan.changed_by = now_ms, actor.name[:NAME_CHARACTERS_MAX]
        tenant_id, target = TenantId(plan.tenant_id), f"customer:{plan.customer_id}"
        audit.record(session, tenant_id, actor, "success_plan_changed", target, now_ms=now_ms, after=told)
        payload = {"customer_id": str(plan.customer_id), **told}
        self.events.record(session, tenant_id, PLAN_CHANGED, payload, now_ms)


def _entries(customer: CustomerRow, opened: Opened, title: str) -> list[Entry]:
    """The open goals stand with the reviews to come, what came of a review with one that was held."""
    open_goals = [f"{row.title}: {row.measure} {row.target:g}" for row in opened.goals if row.state == GoalState.OPEN]
    return [
        Entry(
            customer.customer_id,
            title.format(number=review.number, customer=customer.name),
            opened.plan.owner,
            review,
            [opened.held[review.number].note] if review.state is ReviewState.HELD else open_goals,
            opened.plan.changed_ms,
        )
        for review in opened.reviews
    ]


def _check_version(plan: PlanRow, version: int) -> None:
    if plan.version != version:
        raise PlanConflictError(plan.version)


def _text(name: str, text: str, most: int) -> None:
    if not 0 < len(text.strip()) <= most:
        raise InvalidFieldError(f"body.{name}", f"must have 1 to {most} characters")


def _day(name: str, day: int, now_ms: int) -> None:
    if abs(day - now_ms // DAY_MS) > DAYS_MAX:
        raise InvalidFieldError(f"body.{name}", "must be a day within ten years of today")
