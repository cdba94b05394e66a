"""What sold options bring: a contract when they are accepted, charges from their delivery on; nothing here commits.

A customer that the platform invoices itself gets each charge as a line of its next invoice, which becomes evidence
when it is issued; of any other the charge itself is the evidence.
"""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS
from cloud.self_service import charges
from cloud.self_service import repository as self_service
from cloud.self_service.domain import a_month_later, day_of
from cloud.serving import ledger, repository
from cloud.serving.catalogue import option_of
from cloud.serving.options import Billing, OptionError
from cloud.serving.sales import CONTRACT_MONTHS
from cloud.serving.tables import SoldRow
from cloud.tiering import book
from cloud.tiering.evidence import Kind
from cloud.tiering.runs import policy_of
from cloud.tiering.tables import CustomerRow

log = structlog.get_logger()


async def contract(session: AsyncSession, customer: CustomerRow, row: SoldRow, now_ms: int) -> None:
    """A monthly option is a contract of a year; what is paid once is none.

    Raises:
        OptionError: the policy has no rate for its currency.
    """
    if row.billing != Billing.MONTHLY or not row.price_minor:
        return
    _, policy = await policy_of(session, TenantId(row.tenant_id))
    ledger.write(
        session,
        customer,
        Kind.CONTRACT,
        day=now_ms // DAY_MS,
        amount=ledger.converted(row.price_minor * CONTRACT_MONTHS, row.currency, policy),
        quantity=float(CONTRACT_MONTHS),
        what=ledger.sold_source(row.sold_id),
        now_ms=now_ms,
    )


async def charge(session: AsyncSession, customer: CustomerRow, row: SoldRow, *, now_ms: int) -> None:
    """Charge once what is paid once, else the month that begins; sets when the next one is due.

    Raises:
        OptionError: the policy has no rate for its currency.
    """
    assert row.delivered_ms is not None, "nothing is charged before it is delivered"
    _, policy = await policy_of(session, TenantId(row.tenant_id))
    amount = ledger.converted(row.price_minor, row.currency, policy)
    from_ms, until_ms = row.next_charge_ms or row.delivered_ms, None
    if row.billing == Billing.MONTHLY:
        until_ms = row.next_charge_ms = a_month_later(from_ms, anchor_day=day_of(row.delivered_ms))
    row.charges += 1
    if not row.price_minor:
        return
    tenant = ledger.tenant_of(customer)
    if tenant is not None and await self_service.subscription(session, tenant) is not None:
        stored = await repository.option(session, TenantId(row.tenant_id), row.code, row.version)
        assert stored is not None, "versions are never deleted"
        charges.add_charge(
            session,
            tenant,
            names=option_of(stored).names,
            amount_minor=row.price_minor,
            currency=row.currency,
            from_ms=from_ms,
            until_ms=until_ms,
            reference=f"{ledger.sold_source(row.sold_id)}.{row.charges}",
            now_ms=now_ms,
        )
        return
    ledger.write(
        session,
        customer,
        Kind.INVOICE,
        day=from_ms // DAY_MS,
        amount=amount,
        quantity=1.0,
        what=f"{ledger.sold_source(row.sold_id)}.{row.charges}",
        now_ms=now_ms,
    )


async def charge_due(session: AsyncSession, now_ms: int) -> int:
    """Charge the months that have begun, at most `repository.DUE_MAX` options; how many."""
    charged = 0
    for row in await repository.due(session, now_ms):
        customer = await book.customer(session, TenantId(row.tenant_id), row.customer_id)
        try:
            await charge(session, customer, row, now_ms=now_ms)
        except OptionError as error:  # the policy has lost its rate: it is charged once there is one again
            log.warning("option_not_charged", sold_id=str(row.sold_id), why=str(error))
            continue
        charged += 1
    return charged
