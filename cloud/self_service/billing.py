"""Invoices: issued with their lines and tax, paid, reminded of, taken back by a credit note; nothing here commits.

An invoice is never deleted or changed in what it asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit, events
from cloud.core.audit import SYSTEM, Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.identity import repository as identities
from cloud.self_service import packing, repository
from cloud.self_service.domain import (
    HOUR_MS,
    NO_TAX,
    PAY_WITHIN_MS,
    InvoiceState,
    Pack,
    Tax,
    a_month_later,
    day_of,
    invoice_state,
    reminders_due,
    year_of,
)
from cloud.self_service.tables import InvoiceRow, PaymentRow, SubscriptionRow
from kit.errors import ZhisanError
from kit.ids import uuid7

INVOICE_ISSUED: Final = "self_service.invoice_issued"
INVOICE_PAID: Final = "self_service.invoice_paid"
INVOICE_REMINDED: Final = "self_service.invoice_reminded"
INVOICE_CANCELLED: Final = "self_service.invoice_cancelled"
DAY_MS: Final = 24 * HOUR_MS
REASON_CHARACTERS_MAX: Final = 500


class InvoiceStateError(ZhisanError):
    """What was asked cannot be done with an invoice as it stands."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came; the day in days since 1970."""

    day: int
    amount_minor: int
    reference: str


def open_minor(row: InvoiceRow) -> int:
    """What is still owed."""
    settled = row.credits_id is not None or row.cancelled_ms is not None
    return 0 if settled else row.amount_minor - row.paid_minor


def state_of(row: InvoiceRow, now_ms: int) -> InvoiceState:
    """Where an invoice stands."""
    return invoice_state(
        is_credit=row.credits_id is not None,
        is_cancelled=row.cancelled_ms is not None,
        open_minor=open_minor(row),
        paid_minor=row.paid_minor,
        due_ms=row.due_ms,
        now_ms=now_ms,
    )


async def issue_due(
    session: AsyncSession, now_ms: int, *, tax: Tax = NO_TAX, packs: Mapping[str, Pack] | None = None
) -> int:
    """Issue what is due of all companies, at most `repository.DUE_MAX` invoices; how many.

    A pack that was chosen for the month that begins takes its place first.
    """
    due = await repository.subscriptions_due(session, now_ms)
    for row in due:
        await packing.begin_chosen(session, row, packs or {}, now_ms)
        tenant = await identities.tenant(session, TenantId(row.tenant_id))
        await issue(session, row, tenant.name if tenant is not None else row.tenant_id, now_ms, tax=tax)
    return len(due)


async def issue(session: AsyncSession, row: SubscriptionRow, company: str, now_ms: int, *, tax: Tax) -> None:
    """The invoice of a month with all that waits for it, and the next month's turn; what costs nothing has none."""
    from_ms = row.next_invoice_ms
    until_ms = row.next_invoice_ms = a_month_later(from_ms, anchor_day=day_of(row.began_ms))
    charges = await repository.waiting_charges(session, TenantId(row.tenant_id), row.currency)
    net_minor = row.price_minor + sum(each.amount_minor for each in charges)
    if not net_minor:
        return
    year, tax_minor = year_of(now_ms), tax.of(net_minor)
    invoice = InvoiceRow(
        invoice_id=uuid7(now_ms),
        number=f"{year}-{await repository.invoices_of_year(session, f'{year}-') + 1:06}",
        tenant_id=row.tenant_id,
        company=company[:NAME_CHARACTERS_MAX],
        pack_id=row.pack_id,
        from_ms=from_ms,
        until_ms=until_ms,
        net_minor=net_minor,
        tax_names=dict(tax.names),
        tax_rate_bp=tax.rate_bp,
        tax_minor=tax_minor,
        amount_minor=net_minor + tax_minor,
        currency=row.currency,
        issued_ms=now_ms,
        due_ms=now_ms + PAY_WITHIN_MS,
        paid_minor=0,
        paid_ms=None,
        reminders=0,
        credits_id=None,
        cancelled_ms=None,
        reason="",
        evidence_of=None,
    )
    session.add(invoice)
    for each in charges:
        each.invoice_id = invoice.invoice_id
    await session.flush()
    _note(session, invoice, INVOICE_ISSUED, "invoice_issued", SYSTEM, now_ms)


async def pay(session: AsyncSession, invoice_id: UUID, payment: Payment, *, actor: Actor, now_ms: int) -> InvoiceRow:
    """Record that an invoice was paid, whole or in part.

    Raises:
        NotFoundError: there is no such invoice.
        InvoiceStateError: nothing is owed on it.
        InvalidFieldError: the amount, day or reference cannot be; a reference counts once for an invoice.
    """
    row = await _invoice(session, invoice_id)
    owed = open_minor(row)
    if owed <= 0:
        raise InvoiceStateError(f"Nothing is owed on the invoice {row.number}.")
    if not 0 < payment.amount_minor <= owed:
        raise InvalidFieldError("body.amount_minor", f"must be 1 to {owed}: what is still owed")
    reference = payment.reference.strip()
    if not 0 < len(reference) <= NAME_CHARACTERS_MAX:
        raise InvalidFieldError("body.reference", f"must have 1 to {NAME_CHARACTERS_MAX} characters")
    if not row.issued_ms // DAY_MS <= payment.day <= now_ms // DAY_MS:
        raise InvalidFieldError("body.day", "must be between the day of the invoice and today")
    if reference in {each.reference for each in await repository.payments_of(session, invoice_id)}:
        raise InvalidFieldError("body.reference", "this payment was recorded already")
    session.add(
        PaymentRow(
            payment_id=uuid7(now_ms),
            tenant_id=row.tenant_id,
            invoice_id=invoice_id,
            day=payment.day,
            amount_minor=payment.amount_minor,
            reference=reference,
            made_ms=now_ms,
            made_by=actor.name[:NAME_CHARACTERS_MAX],
            evidence_of=None,
        )
    )
    row.paid_minor += payment.amount_minor
    row.paid_ms = now_ms if open_minor(row) <= 0 else None
    _note(session, row, INVOICE_PAID, "invoice_paid", actor, now_ms, paid_minor=payment.amount_minor, day=payment.day)
    return row


async def cancel(session: AsyncSession, invoice_id: UUID, *, reason: str, actor: Actor, now_ms: int) -> InvoiceRow:
    """Take an invoice back by a credit note over the whole of it; the credit note.

    Raises:
        NotFoundError: there is no such invoice.
        InvoiceStateError: it is a credit note, was taken back already, or something of it was paid.
        InvalidFieldError: there is no reason, or it is too long.
    """
    if not 0 < len(reason.strip()) <= REASON_CHARACTERS_MAX:
        raise InvalidFieldError("body.reason", f"must have 1 to {REASON_CHARACTERS_MAX} characters")
    row = await _invoice(session, invoice_id)
    if row.credits_id is not None or row.cancelled_ms is not None:
        raise InvoiceStateError(f"{row.number} cannot be taken back: it is a credit note, or was taken back already.")
    if row.paid_minor:
        raise InvoiceStateError(f"{row.number} was paid, whole or in part: it cannot be taken back.")
    prefix = f"C{year_of(now_ms)}-"
    note = InvoiceRow(
        invoice_id=uuid7(now_ms),
        number=f"{prefix}{await repository.invoices_of_year(session, prefix) + 1:06}",
        tenant_id=row.tenant_id,
        company=row.company,
        pack_id=row.pack_id,
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        net_minor=-row.net_minor,
        tax_names=dict(row.tax_names),
        tax_rate_bp=row.tax_rate_bp,
        tax_minor=-row.tax_minor,
        amount_minor=-row.amount_minor,
        currency=row.currency,
        issued_ms=now_ms,
        due_ms=now_ms,
        paid_minor=0,
        paid_ms=now_ms,
        reminders=0,
        credits_id=invoice_id,
        cancelled_ms=None,
        reason=reason.strip(),
        evidence_of=None,
    )
    session.add(note)
    row.cancelled_ms = row.paid_ms = now_ms
    row.reason = note.reason
    await session.flush()
    told = {"credit_note": note.number, "reason": note.reason}
    _note(session, row, INVOICE_CANCELLED, "invoice_cancelled", actor, now_ms, **told)
    return note


async def remind_due(session: AsyncSession, now_ms: int) -> int:
    """Remind of invoices that are overdue, each reminder once; how many were sent."""
    sent = 0
    for row in await repository.overdue(session, now_ms, limit=repository.DUE_MAX):
        wanted = reminders_due(row.due_ms, now_ms)
        if wanted <= row.reminders:
            continue
        row.reminders = wanted
        _note(session, row, INVOICE_REMINDED, "invoice_reminded", SYSTEM, now_ms, reminder=wanted)
        sent += 1
    return sent


async def _invoice(session: AsyncSession, invoice_id: UUID) -> InvoiceRow:
    row = await session.get(InvoiceRow, invoice_id)
    if row is None:
        raise NotFoundError("invoice", str(invoice_id))
    return row


def _note(
    session: AsyncSession, row: InvoiceRow, kind: str, action: str, actor: Actor, now_ms: int, **more: object
) -> None:
    told = {
        "number": row.number,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "due_ms": row.due_ms,
        "open_minor": open_minor(row),
        **more,
    }
    events.write(session, TenantId(row.tenant_id), kind, told, now_ms)
    audit.record(session, row.tenant_id, actor, action, f"invoice:{row.number}", now_ms=now_ms, after=told)
