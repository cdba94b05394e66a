"""What a company owes beside its pack: lines of its next invoice; nothing here commits."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.self_service.tables import ChargeRow
from kit.ids import uuid7


def add_charge(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    names: Mapping[str, str],
    amount_minor: int,
    currency: str,
    from_ms: int,
    until_ms: int | None,
    reference: str,
    now_ms: int,
) -> None:
    """Put a line on the company's next invoice; the same reference twice is refused by the database."""
    row = ChargeRow(
        charge_id=uuid7(now_ms),
        tenant_id=tenant_id,
        names=dict(names),
        amount_minor=amount_minor,
        currency=currency,
        from_ms=from_ms,
        until_ms=until_ms,
        reference=reference,
        made_ms=now_ms,
        invoice_id=None,
    )
    session.add(row)
