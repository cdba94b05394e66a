"""Options offered to customers and taken through their life; a step is one transaction with audit line and event."""

from dataclasses import dataclass
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
from cloud.entitlements.domain import DAY_MS, Entitlements, Tier
from cloud.entitlements.service import in_force
from cloud.self_service import repository as self_service
from cloud.serving import charging, ledger, repository, sales
from cloud.serving.catalogue import options_of, rules_of
from cloud.serving.options import EFFORT_H_MAX, Option, OptionError
from cloud.serving.sales import SCOPE_CHARACTERS_MAX, State, Step
from cloud.serving.tables import BookingRow, SoldRow, SoldStepRow
from cloud.tiering import book
from cloud.tiering.evidence import AMOUNT_MINOR_MAX, Kind
from cloud.tiering.money import Amount
from cloud.tiering.runs import policy_of
from cloud.tiering.tables import CustomerRow
from kit.clock import Clock
from kit.ids import uuid7

SOLD_CHANGED: Final = "serving.option_changed"
HOURS_OVER: Final = "serving.hours_over"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a custom option: what is to be done, for how much, with how many hours."""

    scope: str
    price_minor: int
    effort_h: float

    def check(self) -> None:
        """Raise for what cannot be.

        Raises:
            OptionError: the scope is empty or too long, or a number is out of bounds.
        """
        if not 0 < len(self.scope.strip()) <= SCOPE_CHARACTERS_MAX:
            raise OptionError("scope", f"must have 1 to {SCOPE_CHARACTERS_MAX} characters")
        if not 0 <= self.price_minor <= AMOUNT_MINOR_MAX:
            raise OptionError("price_minor", f"must be 0 to {AMOUNT_MINOR_MAX}")
        if not 0 < self.effort_h <= EFFORT_H_MAX:
            raise OptionError("effort_h", f"must be above 0 and at most {EFFORT_H_MAX:g}")


@dataclass(frozen=True, slots=True)
class SalesDesk:
    """Where pages and API have options sold."""

    database: Database
    events: EventLog
    clock: Clock

    async def opened(self, tenant_id: TenantId, sold_id: UUID) -> SoldRow:
        """One sold option.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self.database.reading() as session:
            return await self._sold(session, tenant_id, sold_id)

    async def offer(
        self, tenant_id: TenantId, customer_id: UUID, code: str, actor: Actor, *, estimate: Estimate | None = None
    ) -> SoldRow:
        """Quote an option to a customer, at the price and effort of today; a custom one by its estimate.

        Raises:
            NotFoundError: the company has no such customer or option.
            InvalidFieldError: the customer cannot buy it, has too many open ones, or an estimate is bad or missing.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            customer = await book.customer(session, tenant_id, customer_id)
            if customer.merged_into is not None:
                raise InvalidFieldError("path.customer_id", "is merged into another customer")
            known = await options_of(session, tenant_id)
            if code not in known:
                raise NotFoundError("option", code)
            version, option = known[code]
            try:
                await self._check(session, customer, option, estimate, now_ms)
            except OptionError as error:
                raise InvalidFieldError(f"body.{error.field}", error.why) from error
            row = _quoted(customer, option, version, estimate, actor, now_ms)
            session.add(row)
            self._note(session, row, actor, "", now_ms)
            return row

    async def step(self, tenant_id: TenantId, sold_id: UUID, step: Step, actor: Actor, *, note: str = "") -> SoldRow:
        """Take a sold option a step further; acceptance, delivery and end have what follows from them.

        Raises:
            NotFoundError: there is no such sold option.
            InvalidFieldError: the step cannot follow, a note is missing, or who approves has quoted it.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await self._sold(session, tenant_id, sold_id)
            try:
                state = sales.after(State(row.state), step, is_custom=row.is_custom)
                note = sales.check_note(step, note)
                if step is Step.APPROVE and actor.name[:NAME_CHARACTERS_MAX] == row.quoted_by:
                    raise OptionError("step", "who has quoted it cannot approve it: ask somebody else")
                row.state, row.changed_ms = state, now_ms
                await self._follow(session, row, now_ms)
            except OptionError as error:
                raise InvalidFieldError(f"body.{error.field}", error.why) from error
            self._note(session, row, actor, note, now_ms)
            return row

    async def book(
        self, tenant_id: TenantId, sold_id: UUID, actor: Actor, *, hours: float, day: int, note: str = ""
    ) -> SoldRow:
        """Book hours on a sold option: cost to serve of its customer; what goes over the estimate is told once.

        Raises:
            NotFoundError: there is no such sold option.
            InvalidFieldError: the hours, the day or the note is out of bounds, or nobody works on it.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await self._sold(session, tenant_id, sold_id)
            try:
                sales.check_hours(hours, day, now_ms // DAY_MS, State(row.state))
                note = sales.check_note(Step.BEGIN, note)
            except OptionError as error:
                raise InvalidFieldError(f"body.{error.field}", error.why) from error
            if await repository.bookings_count(session, sold_id) >= sales.BOOKINGS_MAX:
                raise InvalidFieldError("body.hours", f"{sales.BOOKINGS_MAX} entries are the most of an option")
            booking = BookingRow(
                booking_id=uuid7(now_ms),
                tenant_id=tenant_id,
                sold_id=sold_id,
                day=day,
                hours=hours,
                note=note,
                made_ms=now_ms,
                made_by=actor.name[:NAME_CHARACTERS_MAX],
            )
            session.add(booking)
            await self._count_hours(session, row, booking, actor, now_ms)
            return row

    async def _check(
        self, session: AsyncSession, customer: CustomerRow, option: Option, estimate: Estimate | None, now_ms: int
    ) -> None:
        """Raise what stands against a sale."""
        company = TenantId(customer.tenant_id)
        counts = await repository.counts_of(session, company, customer.customer_id)
        held = await held_by(session, customer, now_ms)
        tier, today = Tier(customer.served_as), now_ms // DAY_MS
        option.check_sale(tier, held, open_of_it=counts.get(option.code, 0), today=today)
        _, rules = await rules_of(session, company)
        if await repository.open_count(session, company, customer.customer_id) >= rules.open_options_max:
            raise OptionError("code", f"{rules.open_options_max} open options are the most of a customer")
        if option.is_custom != (estimate is not None):
            told = "needs a scope, a price and an effort" if option.is_custom else "has its price in the catalogue"
            raise OptionError("estimate", f"this option {told}")
        if estimate is not None:
            estimate.check()
        await self._check_currency(session, customer, option.currency)

    async def _check_currency(self, session: AsyncSession, customer: CustomerRow, currency: str) -> None:
        """Who is invoiced by the platform pays everything in one currency; others need a rate at least."""
        tenant = ledger.tenant_of(customer)
        subscription = await self_service.subscription(session, tenant) if tenant is not None else None
        if subscription is not None and subscription.currency != currency:
            raise OptionError("code", f"the customer is invoiced in {subscription.currency}, this option in {currency}")
        _, policy = await policy_of(session, TenantId(customer.tenant_id))
        ledger.converted(0, currency, policy)

    async def _follow(self, session: AsyncSession, row: SoldRow, now_ms: int) -> None:
        """What acceptance, delivery and end bring with them."""
        customer = await book.customer(session, TenantId(row.tenant_id), row.customer_id)
        if row.state == State.ACCEPTED:
            await charging.contract(session, customer, row, now_ms)
        elif row.state == State.DELIVERED:
            row.delivered_ms = now_ms
            await charging.charge(session, customer, row, now_ms=now_ms)
        elif row.state == State.ENDED:
            row.next_charge_ms = None

    async def _count_hours(
        self, session: AsyncSession, row: SoldRow, booking: BookingRow, actor: Actor, now_ms: int
    ) -> None:
        tenant_id, was_over = TenantId(row.tenant_id), sales.is_over(row.effort_h, row.booked_h)
        row.booked_h = round(row.booked_h + booking.hours, 4)
        _, rules = await rules_of(session, tenant_id)
        _, policy = await policy_of(session, tenant_id)
        cost = round(booking.hours * rules.hour_cost_minor)
        ledger.write(
            session,
            await book.customer(session, tenant_id, row.customer_id),
            Kind.COST_HOURS,
            day=booking.day,
            amount=Amount(cost, policy.currency, cost),
            quantity=booking.hours,
            what=f"hours.{booking.booking_id}",
            now_ms=now_ms,
        )
        told = {**_told(row), "hours": booking.hours, "day": booking.day}
        target = f"sold_option:{row.sold_id}"
        audit.record(session, tenant_id, actor, "option_hours_booked", target, now_ms=now_ms, after=told)
        if sales.is_over(row.effort_h, row.booked_h) and not was_over:
            self.events.record(session, tenant_id, HOURS_OVER, _told(row), now_ms)

    async def _sold(self, session: AsyncSession, tenant_id: TenantId, sold_id: UUID) -> SoldRow:
        row = await repository.sold(session, tenant_id, sold_id)
        if row is None:
            raise NotFoundError("sold option", str(sold_id))
        return row

    def _note(self, session: AsyncSession, row: SoldRow, actor: Actor, note: str, now_ms: int) -> None:
        tenant_id = TenantId(row.tenant_id)
        by = actor.name[:NAME_CHARACTERS_MAX]
        session.add(
            SoldStepRow(tenant_id=tenant_id, sold_id=row.sold_id, state=row.state, at_ms=now_ms, by=by, note=note)
        )
        told = {**_told(row), "note": note}
        target = f"sold_option:{row.sold_id}"
        audit.record(session, tenant_id, actor, f"option_{row.state}", target, now_ms=now_ms, after=told)
        self.events.record(session, tenant_id, SOLD_CHANGED, told, now_ms)


async def held_by(session: AsyncSession, customer: CustomerRow, now_ms: int) -> Entitlements | None:
    """What a customer's plan has; None where it has no tenant."""
    tenant = ledger.tenant_of(customer)
    return None if tenant is None else (await in_force(session, tenant, now_ms)).entitlements


def _quoted(
    customer: CustomerRow, option: Option, version: int, estimate: Estimate | None, actor: Actor, now_ms: int
) -> SoldRow:
    return SoldRow(
        sold_id=uuid7(now_ms),
        tenant_id=customer.tenant_id,
        customer_id=customer.customer_id,
        code=option.code,
        version=version,
        is_custom=option.is_custom,
        scope=estimate.scope.strip() if estimate is not None else "",
        billing=option.billing,
        price_minor=estimate.price_minor if estimate is not None else option.price_minor,
        currency=option.currency,
        effort_h=estimate.effort_h if estimate is not None else option.effort_h,
        booked_h=0.0,
        state=State.QUOTED,
        quoted_ms=now_ms,
        quoted_by=actor.name[:NAME_CHARACTERS_MAX],
        changed_ms=now_ms,
        delivered_ms=None,
        next_charge_ms=None,
        charges=0,
    )


def _told(row: SoldRow) -> dict[str, Any]:
    """A sold option as its events tell of it."""
    return {
        "sold_id": str(row.sold_id),
        "customer_id": str(row.customer_id),
        "code": row.code,
        "version": row.version,
        "state": row.state,
        "price_minor": row.price_minor,
        "currency": row.currency,
        "effort_h": row.effort_h,
        "booked_h": row.booked_h,
    }
