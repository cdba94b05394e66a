"""All SQL of self-service."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.self_service.domain import REMIND_AFTER_DAYS
from cloud.self_service.tables import (
    AcceptanceRow,
    ChargeRow,
    InvoiceRow,
    PaymentRow,
    SignupRow,
    SubscriptionRow,
    SupportMessageRow,
    SupportRow,
)

MESSAGES_MAX = 100
"""Of one request for help; who has more to say asks anew."""
DUE_MAX = 200
"""Invoices that are issued, or reminded of, at a time."""
LINES_MAX = 200
"""Lines of an invoice beside its pack, and payments on it; further charges wait for the next one."""


async def signup(session: AsyncSession, token_hash: str) -> SignupRow | None:
    """A sign-up under way."""
    return await session.get(SignupRow, token_hash)


async def signups_count(session: AsyncSession) -> int:
    """How many are under way."""
    return await session.scalar(select(func.count()).select_from(SignupRow)) or 0


async def drop_signups(session: AsyncSession, email: str) -> None:
    """Void what the same address has asked for before."""
    await session.execute(delete(SignupRow).where(SignupRow.email == email))


async def prune(session: AsyncSession, now_ms: int) -> None:
    """Forget sign-ups that nobody has confirmed in time."""
    await session.execute(delete(SignupRow).where(SignupRow.expires_ms <= now_ms))


async def acceptances(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[AcceptanceRow]:
    """What a tenant has accepted, the newest first."""
    statement = select(AcceptanceRow).where(AcceptanceRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(AcceptanceRow.accepted_ms.desc()).limit(limit))).all()


async def subscription(session: AsyncSession, tenant_id: TenantId) -> SubscriptionRow | None:
    """The pack of a tenant."""
    return await session.get(SubscriptionRow, tenant_id)


async def subscriptions_due(session: AsyncSession, now_ms: int) -> Sequence[SubscriptionRow]:
    """Packs whose next month has begun, at most DUE_MAX."""
    statement = select(SubscriptionRow).where(SubscriptionRow.next_invoice_ms <= now_ms)
    return (await session.scalars(statement.order_by(SubscriptionRow.next_invoice_ms).limit(DUE_MAX))).all()


async def invoices_of_year(session: AsyncSession, prefix: str) -> int:
    """How many invoices, or credit notes, were issued whose numbers begin so."""
    statement = select(func.count()).select_from(InvoiceRow).where(InvoiceRow.number.startswith(prefix))
    return await session.scalar(statement) or 0


async def waiting_charges(session: AsyncSession, tenant_id: TenantId, currency: str) -> Sequence[ChargeRow]:
    """What waits for a company's next invoice, the oldest first, at most LINES_MAX."""
    row = ChargeRow
    statement = select(row).where(row.tenant_id == tenant_id, row.invoice_id.is_(None), row.currency == currency)
    return (await session.scalars(statement.order_by(row.charge_id).limit(LINES_MAX))).all()


async def lines(session: AsyncSession, tenant_id: TenantId, invoice_id: UUID) -> Sequence[ChargeRow]:
    """The lines of an invoice beside the pack."""
    row = ChargeRow
    statement = select(row).where(row.tenant_id == tenant_id, row.invoice_id == invoice_id)
    return (await session.scalars(statement.order_by(row.charge_id).limit(LINES_MAX))).all()


async def payments_of(session: AsyncSession, invoice_id: UUID) -> Sequence[PaymentRow]:
    """What was paid on an invoice, in order."""
    statement = select(PaymentRow).where(PaymentRow.invoice_id == invoice_id)
    return (await session.scalars(statement.order_by(PaymentRow.payment_id).limit(LINES_MAX))).all()


async def overdue(session: AsyncSession, now_ms: int, *, limit: int) -> Sequence[InvoiceRow]:
    """Invoices of all companies that are owed beyond their due time and not reminded of to the last, oldest first."""
    row = InvoiceRow
    statement = select(row).where(row.paid_ms.is_(None), row.due_ms < now_ms, row.reminders < len(REMIND_AFTER_DAYS))
    return (await session.scalars(statement.order_by(row.reminders, row.due_ms).limit(limit))).all()


async def invoices(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[InvoiceRow]:
    """A tenant's invoices, the newest first."""
    statement = select(InvoiceRow).where(InvoiceRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(InvoiceRow.invoice_id.desc()).limit(limit))).all()


async def invoice(session: AsyncSession, tenant_id: TenantId, invoice_id: UUID) -> InvoiceRow | None:
    """One invoice of a tenant."""
    row = await session.get(InvoiceRow, invoice_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def support_requests(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[SupportRow]:
    """A tenant's requests for help, the newest first."""
    statement = select(SupportRow).where(SupportRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(SupportRow.request_id.desc()).limit(limit))).all()


async def support_request(session: AsyncSession, request_id: UUID) -> SupportRow | None:
    """One request, whosever it is."""
    return await session.get(SupportRow, request_id)


async def messages(session: AsyncSession, request_ids: Sequence[UUID]) -> dict[UUID, list[SupportMessageRow]]:
    """What was said in these requests, in order."""
    found: dict[UUID, list[SupportMessageRow]] = {each: [] for each in request_ids}
    row = SupportMessageRow
    statement = select(row).where(row.request_id.in_(request_ids)).order_by(row.message_id)
    for each in await session.scalars(statement.limit(MESSAGES_MAX * max(1, len(found)))):
        found[each.request_id].append(each)
    return found


async def messages_count(session: AsyncSession, request_id: UUID) -> int:
    """How much was said in a request."""
    statement = select(func.count()).where(SupportMessageRow.request_id == request_id)
    return await session.scalar(statement) or 0


async def queue(session: AsyncSession, state: str | None, *, limit: int) -> Sequence[SupportRow]:
    """Requests of all companies in a state, or all that are not closed: what is due first, first."""
    row = SupportRow
    wanted = row.state == state if state is not None else row.state != "closed"
    order = (row.state != "open", row.due_ms.is_(None), row.due_ms, row.request_id)
    return (await session.scalars(select(row).where(wanted).order_by(*order).limit(limit))).all()


async def answers_since(session: AsyncSession, since_ms: int, *, limit: int) -> Sequence[SupportMessageRow]:
    """Answers of support to what waited, of all companies, the newest first."""
    row = SupportMessageRow
    statement = select(row).where(row.is_staff.is_(True), row.waited_since_ms.is_not(None), row.made_ms >= since_ms)
    return (await session.scalars(statement.order_by(row.message_id.desc()).limit(limit))).all()


async def all_invoices(
    session: AsyncSession, *, is_owed: bool | None, before: UUID | None, limit: int
) -> Sequence[InvoiceRow]:
    """Invoices and credit notes of all companies, the newest first; those that are owed alone, the oldest due first."""
    row, statement = InvoiceRow, select(InvoiceRow)
    if is_owed:
        statement = statement.where(row.paid_ms.is_(None)).order_by(row.due_ms, row.invoice_id)
    else:
        statement = statement.order_by(row.invoice_id.desc())
    if before is not None:
        statement = statement.where(row.invoice_id < before)
    return (await session.scalars(statement.limit(limit))).all()


async def owed_since(session: AsyncSession) -> dict[str, int]:
    """When the oldest invoice was issued that a company has not paid whole."""
    row = InvoiceRow
    statement = select(row.tenant_id, func.min(row.issued_ms)).where(row.paid_ms.is_(None)).group_by(row.tenant_id)
    return {str(tenant): int(since_ms) for tenant, since_ms in await session.execute(statement)}


async def touches(session: AsyncSession, tenant_id: TenantId, *, from_ms: int, until_ms: int) -> int:
    """How often a human was asked by a tenant in a time: `from_ms` included, `until_ms` not."""
    row = SupportRow
    in_time = (row.tenant_id == tenant_id, row.asked_ms >= from_ms, row.asked_ms < until_ms)
    return await session.scalar(select(func.count()).select_from(row).where(*in_time)) or 0
