"""Writes a customer's tier: history, event, audit line, and the entitlements of its tenant, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.events import EventLog
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.entitlements.service import assign_tier
from cloud.tiering import bands
from cloud.tiering.tables import CustomerRow, TierRow

TIER_CHANGED: Final = "tiering.tier_changed"
Why = Literal["run", "override", "override_ended", "merge", "added"]
BY_BAND: Final[Mapping[int, Tier]] = {
    bands.STRATEGIC: Tier.STRATEGIC,
    bands.VALUE: Tier.VALUE,
    bands.LONG_TAIL: Tier.LONG_TAIL,
    bands.PROVISIONAL: Tier.PROVISIONAL,
}
BANDS: Final[Mapping[str, int]] = {tier: band for band, tier in BY_BAND.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """A customer's tier from now on, and why."""

    before: Tier
    tier: Tier
    why: Why
    note: str = ""
    run_id: UUID | None = None


async def write_change(
    session: AsyncSession, events: EventLog, customer: CustomerRow, change: Change, *, actor: Actor, now_ms: int
) -> None:
    """Write a change of the tier that a customer is served by.

    A first tier makes no event unless a tenant hangs on it; what a run changes has its audit line with the run.
    """
    tenant_id = TenantId(customer.tenant_id)
    session.add(TierRow(**entry(tenant_id, customer.customer_id, change, by=actor.name, now_ms=now_ms)))
    told = {"tier": change.tier, "why": change.why}
    if change.why != "run":
        audit.record(
            session,
            customer.tenant_id,
            actor,
            "customer_tier_changed",
            f"customer:{customer.customer_id}",
            now_ms=now_ms,
            before={"tier": change.before},
            after=told | {"note": change.note},
        )
    if customer.linked_tenant_id is not None:
        reason = change.note or f"customer tiering: {change.why}"
        linked = TenantId(customer.linked_tenant_id)
        await assign_tier(session, linked, change.tier, reason=reason, by=actor, now_ms=now_ms)
    if change.before != Tier.PROVISIONAL or customer.linked_tenant_id is not None:
        payload = {"customer_id": str(customer.customer_id), "code": customer.code, "before": change.before, **told}
        events.record(session, TenantId(customer.tenant_id), TIER_CHANGED, payload, now_ms)


def entry(tenant_id: TenantId, customer_id: UUID, change: Change, *, by: str, now_ms: int) -> dict[str, Any]:
    """A line of a customer's history."""
    return {
        "tenant_id": tenant_id,
        "customer_id": customer_id,
        "tier": change.tier,
        "before": change.before,
        "from_ms": now_ms,
        "why": change.why,
        "note": change.note,
        "run_id": change.run_id,
        "by": by[:NAME_CHARACTERS_MAX],
    }
