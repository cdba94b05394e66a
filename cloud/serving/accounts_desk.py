"""Invoices of all companies paid and taken back, requests for help answered; what follows is evidence at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.problems import NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements import repository as entitlements
from cloud.entitlements.domain import DAY_MS
from cloud.identity import repository as identities
from cloud.self_service import billing, repository, support
from cloud.self_service.billing import Payment
from cloud.self_service.tables import ChargeRow, InvoiceRow, PaymentRow, SupportMessageRow, SupportRow
from cloud.serving import tenant_evidence
from kit.clock import Clock

MEASURED_DAYS: Final = 90
ANSWERS_MAX: Final = 5_000
"""Of the measured time; the newest."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenedInvoice:
    """An invoice with its lines, its payments and its credit note."""

    invoice: InvoiceRow
    lines: Sequence[ChargeRow]
    payments: Sequence[PaymentRow]


@dataclass(frozen=True, slots=True)
class Thread:
    """A request with what was said since, and the company and tier of who asks."""

    request: SupportRow
    messages: Sequence[SupportMessageRow]
    company: str
    tier: str | None


@dataclass(frozen=True, slots=True)
class Promise:
    """How answers of the last MEASURED_DAYS were, against what plans promise; None where there is none to measure."""

    answers: int
    promised: int
    kept: int
    median_h: float | None
    minutes: int

    @property
    def kept_share(self) -> float | None:
        """Of those that were promised."""
        return self.kept / self.promised if self.promised else None


@dataclass(frozen=True, slots=True)
class AccountsDesk:
    """Where pages and API have this done; every step is one transaction."""

    database: Database
    clock: Clock

    async def invoice(self, invoice_id: UUID) -> OpenedInvoice:
        """One invoice, whosever it is.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self.database.reading() as session:
            row = await session.get(InvoiceRow, invoice_id)
            if row is None:
                raise NotFoundError("invoice", str(invoice_id))
            lines = await repository.lines(session, TenantId(row.tenant_id), invoice_id)
            return OpenedInvoice(row, lines, await repository.payments_of(session, invoice_id))

    async def pay(self, invoice_id: UUID, payment: Payment, actor: Actor) -> None:
        """Record a payment.

        Raises:
            NotFoundError: there is no such invoice.
            InvoiceStateError: nothing is owed on it.
            InvalidFieldError: amount, day or reference cannot be.
        """
        now_ms = self.clock.utc_ms()
        await self._do(lambda session: billing.pay(session, invoice_id, payment, actor=actor, now_ms=now_ms))

    async def cancel(self, invoice_id: UUID, reason: str, actor: Actor) -> UUID:
        """Take an invoice back; the id of its credit note.

        Raises:
            NotFoundError: there is no such invoice.
            InvoiceStateError: it cannot be taken back.
            InvalidFieldError: the reason is missing or too long.
        """
        now_ms = self.clock.utc_ms()

        async def cancel(session: AsyncSession) -> UUID:
            note = await billing.cancel(session, invoice_id, reason=reason, actor=actor, now_ms=now_ms)
            row = await session.get(InvoiceRow, invoice_id)
            assert row is not None, "it was just cancelled"
            await tenant_evidence.void(session, row)
            return note.invoice_id

        return await self._do(cancel)

    async def queue(self, state: str | None, *, limit: int) -> list[Thread]:
        """Requests of all companies that are not closed, or in a state; what is due first, first."""
        async with self.database.reading() as session:
            rows = await repository.queue(session, state, limit=limit)
            return await self._threads(session, rows)

    async def thread(self, request_id: UUID) -> Thread:
        """One request.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self.database.reading() as session:
            [found] = await self._threads(session, [await support.of_anybody(session, request_id)])
            return found

    async def threads_of(self, tenant_id: TenantId, *, limit: int) -> list[Thread]:
        """The requests of a company, the newest first."""
        async with self.database.reading() as session:
            rows = await repository.support_requests(session, tenant_id, limit=limit)
            return await self._threads(session, rows)

    async def answer(self, request_id: UUID, text: str, *, minutes: int, actor: Actor) -> None:
        """Answer a request.

        Raises:
            NotFoundError, RequestStateError, InvalidFieldError: see `support.answer`.
        """
        now_ms = self.clock.utc_ms()
        await self._do(
            lambda session: support.answer(session, request_id, text, minutes=minutes, actor=actor, now_ms=now_ms)
        )

    async def close(self, request_id: UUID, actor: Actor) -> None:
        """Close a request.

        Raises:
            NotFoundError: there is none of this id.
            RequestStateError: it is closed already.
        """
        now_ms = self.clock.utc_ms()

        async def close(session: AsyncSession) -> None:
            row = await support.of_anybody(session, request_id)
            await support.close(session, row, actor=actor, now_ms=now_ms)

        await self._do(close)

    async def reopen(self, request_id: UUID, actor: Actor) -> None:
        """Open a closed request again.

        Raises:
            NotFoundError: there is none of this id.
            RequestStateError: it is not closed.
        """
        now_ms = self.clock.utc_ms()
        await self._do(lambda session: support.reopen(session, request_id, actor=actor, now_ms=now_ms))

    async def promise(self) -> Promise:
        """How answers were, of all companies."""
        async with self.database.reading() as session:
            return await promise_at(session, self.clock.utc_ms())

    async def _do(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async with self.database.transaction() as session:
            done = await work(session)
            await session.flush()
            await tenant_evidence.gather(session, DEFAULT_TENANT, self.clock.utc_ms())
        return done

    async def _threads(self, session: AsyncSession, rows: Sequence[SupportRow]) -> list[Thread]:
        messages = await repository.messages(session, [row.request_id for row in rows])
        tenants = sorted({row.tenant_id for row in rows})
        tiers: Mapping[str, str] = await entitlements.tiers_now(session, tenants)
        companies = {each: await identities.tenant(session, TenantId(each)) for each in tenants}
        return [
            Thread(
                row,
                messages[row.request_id],
                company.name if (company := companies[row.tenant_id]) is not None else row.tenant_id,
                tiers.get(row.tenant_id),
            )
            for row in rows
        ]


async def promise_at(session: AsyncSession, now_ms: int) -> Promise:
    """How answers of the MEASURED_DAYS before a moment were, of all companies."""
    since_ms = now_ms - MEASURED_DAYS * DAY_MS
    return promise_of(await repository.answers_since(session, since_ms, limit=ANSWERS_MAX))


def promise_of(answers: Sequence[SupportMessageRow]) -> Promise:
    """Answers against what was promised."""
    waits = [row.made_ms - row.waited_since_ms for row in answers if row.waited_since_ms is not None]
    promised = [row for row in answers if row.promised_ms is not None]
    return Promise(
        len(answers),
        len(promised),
        sum(row.promised_ms is not None and row.made_ms <= row.promised_ms for row in promised),
        float(np.median(waits)) / 3_600_000 if waits else None,
        sum(row.minutes for row in answers),
    )
