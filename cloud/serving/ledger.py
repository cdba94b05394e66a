"""Writes what serving brings and costs as evidence of a customer, in the company's currency; nothing here commits."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.serving.options import OptionError
from cloud.tiering.evidence import Kind
from cloud.tiering.importing import SOURCE_PLATFORM
from cloud.tiering.money import Amount, MoneyError, amount_of, shown
from cloud.tiering.policy import Policy
from cloud.tiering.tables import CustomerRow, EvidenceRow


def converted(minor: int, currency: str, policy: Policy) -> Amount:
    """An amount in the company's currency.

    Raises:
        OptionError: it is in another currency, and the policy has no rate for it.
    """
    try:
        return amount_of(shown(minor, currency), currency, own=policy.currency, rates=policy.rates)
    except MoneyError as error:
        field, _, why = str(error).partition(": ")
        raise OptionError(field, why) from error


def write(
    session: AsyncSession,
    customer: CustomerRow,
    kind: Kind,
    *,
    day: int,
    amount: Amount | None,
    quantity: float | None,
    what: str,
    now_ms: int,
) -> None:
    """One row of evidence; `what` says which deed of the platform it comes from."""
    session.add(
        EvidenceRow(
            tenant_id=customer.tenant_id,
            customer_id=customer.merged_into or customer.customer_id,
            kind=kind,
            day=day,
            amount_minor=amount.minor if amount is not None else None,
            told_minor=amount.told_minor if amount is not None else None,
            told_currency=amount.told_currency if amount is not None else "",
            quantity=quantity,
            source=source_of(what),
            import_id=None,
            merge_id=None,
            made_ms=now_ms,
        )
    )


def source_of(what: str) -> str:
    """The source of evidence that comes from a deed of the platform."""
    return f"{SOURCE_PLATFORM}.{what}"[:NAME_CHARACTERS_MAX]


def sold_source(sold_id: UUID) -> str:
    """What evidence of a sold option is named by."""
    return f"option.{sold_id}"


def tenant_of(customer: CustomerRow) -> TenantId | None:
    """The tenant that a customer is on the platform."""
    return TenantId(customer.linked_tenant_id) if customer.linked_tenant_id else None
