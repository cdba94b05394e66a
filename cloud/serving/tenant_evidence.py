"""Evidence of customers that have a tenant here: invoices and payments, requests for help and what answers cost.

Each once, for the customer that has the tenant when it is looked for; what came before the customer got its tenant too.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS
from cloud.self_service.tables import InvoiceRow, PaymentRow, SupportMessageRow, SupportRow
from cloud.serving import ledger
from cloud.serving.catalogue import rules_of
from cloud.serving.options import OptionError
from cloud.tiering.evidence import Kind
from cloud.tiering.policy import Policy
from cloud.tiering.repository import forget_packs
from cloud.tiering.runs import policy_of
from cloud.tiering.tables import CustomerRow, EvidenceRow

ROWS_MAX = 1_000
"""Of each kind at a time."""
log = structlog.get_logger()


async def gather(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> int:
    """Write what is no evidence yet; how many rows. Amounts are without tax, of a cancelled invoice nothing is left."""
    _, policy = await policy_of(session, tenant_id)
    written = 0
    for customer, invoice in await _new(session, tenant_id, InvoiceRow):
        net_minor = 0 if invoice.cancelled_ms is not None else invoice.net_minor
        what, day = invoice_source(invoice), invoice.issued_ms // DAY_MS
        if invoice.credits_id is None:
            told = (Kind.INVOICE, net_minor, invoice.currency, 1.0)
            written += _write(session, customer, policy, told, what=what, day=day, now_ms=now_ms)
        invoice.evidence_of = customer.customer_id
    for customer, payment in await _new(session, tenant_id, PaymentRow):
        invoice = await session.get(InvoiceRow, payment.invoice_id)
        assert invoice is not None, "invoices are never deleted"
        net_minor = payment.amount_minor * invoice.net_minor // invoice.amount_minor
        told = (Kind.PAYMENT, net_minor, invoice.currency, float(payment.day - invoice.due_ms // DAY_MS))
        what = f"payment.{payment.payment_id}"
        written += _write(session, customer, policy, told, what=what, day=payment.day, now_ms=now_ms)
        payment.evidence_of = customer.customer_id
    return written + await _gather_support(session, tenant_id, policy, now_ms)


async def _gather_support(session: AsyncSession, tenant_id: TenantId, policy: Policy, now_ms: int) -> int:
    """Each request is a ticket; the minutes of each answer are hours of our people, and so a touch."""
    _, rules = await rules_of(session, tenant_id)
    written = 0
    for customer, request in await _new(session, tenant_id, SupportRow):
        day = request.asked_ms // DAY_MS
        what = f"support.{request.request_id}"
        ledger.write(
            session, customer, Kind.SUPPORT_TICKETS, day=day, amount=None, quantity=1.0, what=what, now_ms=now_ms
        )
        request.evidence_of, written = customer.customer_id, written + 1
    for customer, said in await _new(session, tenant_id, SupportMessageRow):
        said.evidence_of = customer.customer_id
        if not said.is_staff:
            continue
        cost = round(said.minutes * rules.hour_cost_minor / 60)
        told = (Kind.COST_HOURS, cost, policy.currency, said.minutes / 60)
        what = f"answer.{said.message_id}"
        written += _write(session, customer, policy, told, what=what, day=said.made_ms // DAY_MS, now_ms=now_ms)
    return written


async def void(session: AsyncSession, invoice: InvoiceRow) -> None:
    """An invoice that was taken back counts nothing any more; its evidence stays, with nothing."""
    source = ledger.source_of(invoice_source(invoice))
    row = EvidenceRow
    is_it = (row.customer_id == invoice.evidence_of, row.kind == Kind.INVOICE, row.source == source)
    rows = (await session.execute(select(row.tenant_id, row.evidence_id).where(*is_it))).all()
    await session.execute(update(row).where(*is_it).values(amount_minor=0, told_minor=0))
    for told_to, evidence_id in rows:
        await forget_packs(session, TenantId(told_to), evidence_id)


def invoice_source(invoice: InvoiceRow) -> str:
    """What evidence of an invoice is named by."""
    return f"invoice.{invoice.number}"


async def _new(session: AsyncSession, tenant_id: TenantId, table: Any) -> Sequence[tuple[CustomerRow, Any]]:
    customer = CustomerRow
    statement = (
        select(customer, table)
        .join(table, table.tenant_id == customer.linked_tenant_id)
        .where(customer.tenant_id == tenant_id, customer.merged_into.is_(None), table.evidence_of.is_(None))
        .order_by(table.tenant_id)
        .limit(ROWS_MAX)
    )
    return [(one, row) for one, row in await session.execute(statement)]


def _write(
    session: AsyncSession,
    customer: CustomerRow,
    policy: Policy,
    told: tuple[Kind, int, str, float],
    *,
    what: str,
    day: int,
    now_ms: int,
) -> int:
    """One row; 0 where the policy has no rate for the currency (it is not looked for again)."""
    kind, minor, currency, quantity = told
    try:
        amount = ledger.converted(minor, currency, policy)
    except OptionError as error:
        log.warning("invoice_not_evidence", what=what, why=str(error))
        return 0
    ledger.write(session, customer, kind, day=day, amount=amount, quantity=quantity, what=what, now_ms=now_ms)
    return 1
