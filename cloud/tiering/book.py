"""The book of customers: added from files, merged and taken apart, given a tier by hand; in the caller's session."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import bands, playbook_repository, repository, tiers
from cloud.tiering.importing import NewCustomer, NewEvidence
from cloud.tiering.tables import CustomerRow, EvidenceRow, ImportRow, MergeRow, TierOverrideRow
from cloud.tiering.tiers import Change
from kit.errors import ZhisanError
from kit.ids import uuid7

OVERRIDE_MS_MAX: Final = 366 * 86_400_000
TEXT_CHARACTERS_MAX: Final = 500


class MergeStateError(ZhisanError):
    """A merge cannot be made, or taken back, as things are; `reason` names why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def customer(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> CustomerRow:
    """One customer.

    Raises:
        NotFoundError: the company has none of this id.
    """
    row = await repository.customer(session, tenant_id, customer_id)
    if row is None:
        raise NotFoundError("customer", str(customer_id))
    return row


async def add_customers(
    session: AsyncSession,
    tenant_id: TenantId,
    customers: Sequence[NewCustomer],
    *,
    file_name: str,
    actor: Actor,
    now_ms: int,
) -> ImportRow:
    """Take customers of a file; one whose code is known gets the file's name, sector and tenant.

    Raises:
        InvalidFieldError: there would be more than repository.CUSTOMERS_MAX.
    """
    known = {row.code: row for row in await repository.customers(session, tenant_id, limit=repository.CUSTOMERS_MAX)}
    codes = await repository.ids_by_code(session, tenant_id)
    new = [each for each in customers if each.code not in codes]
    if len(codes) + len(new) > repository.CUSTOMERS_MAX:
        raise InvalidFieldError("body", f"{repository.CUSTOMERS_MAX} customers are the most")
    for each in customers:
        row = known.get(each.code)
        if row is not None:
            row.name, row.sector, row.linked_tenant_id = each.name, each.sector, each.tenant_id
    await repository.insert_rows(session, CustomerRow, [_customer(tenant_id, each, now_ms) for each in new])
    return _note(session, tenant_id, "customers", file_name, len(customers), len(customers) - len(new), actor, now_ms)


async def add_evidence(
    session: AsyncSession,
    tenant_id: TenantId,
    evidence: Sequence[NewEvidence],
    *,
    file_name: str,
    actor: Actor,
    now_ms: int,
) -> ImportRow:
    """Take evidence of a file; what is there already is left out, so that the same file twice changes nothing."""
    new = await not_known(session, tenant_id, evidence)
    row = _note(session, tenant_id, "evidence", file_name, len(evidence), len(evidence) - len(new), actor, now_ms)
    await repository.insert_rows(
        session, EvidenceRow, [_evidence(tenant_id, each, row.import_id, now_ms) for each in new]
    )
    return row


async def not_known(session: AsyncSession, tenant_id: TenantId, evidence: Sequence[NewEvidence]) -> list[NewEvidence]:
    """Without what is there already."""
    if not evidence:
        return []
    days = [each.day for each in evidence]
    known = await repository.keys_between(session, tenant_id, min(days), max(days))
    return [each for each in evidence if each.key not in known]


async def merge(
    session: AsyncSession, tenant_id: TenantId, kept_id: UUID, gone_id: UUID, *, actor: Actor, now_ms: int
) -> MergeRow:
    """Give all evidence of a duplicate to the customer that it is, and leave it out from now on.

    Raises:
        NotFoundError: the company has not both.
        MergeStateError: they are one already, one of them is merged, or they have different tenants.
    """
    kept, gone = await customer(session, tenant_id, kept_id), await customer(session, tenant_id, gone_id)
    if kept_id == gone_id:
        raise MergeStateError("itself", "A customer cannot be merged with itself.")
    if kept.merged_into is not None or gone.merged_into is not None:
        raise MergeStateError("merged", "One of the two is merged into another customer: take that back first.")
    if kept.linked_tenant_id and gone.linked_tenant_id and kept.linked_tenant_id != gone.linked_tenant_id:
        raise MergeStateError("tenants", "The two have different tenants on the platform: they are two customers.")
    if await repository.merges_into(session, tenant_id, gone_id):
        raise MergeStateError("others", "Others are merged into the one that would go: take that back first.")
    row = MergeRow(
        merge_id=uuid7(now_ms),
        tenant_id=tenant_id,
        kept_id=kept_id,
        gone_id=gone_id,
        moved=0,
        made_ms=now_ms,
        made_by=_name(actor),
        undone_ms=None,
        undone_by="",
    )
    row.moved = await repository.move_evidence(session, tenant_id, gone_id, kept_id, row.merge_id)
    tasks = await playbook_repository.move_tasks(session, tenant_id, gone_id, kept_id, row.merge_id)
    gone.merged_into = kept_id
    session.add(row)
    after = {"kept": str(kept_id), "gone": str(gone_id), "evidence": row.moved, "tasks": tasks}
    audit.record(session, tenant_id, actor, "customers_merged", f"merge:{row.merge_id}", now_ms=now_ms, after=after)
    return row


async def undo_merge(
    session: AsyncSession, tenant_id: TenantId, merge_id: UUID, *, actor: Actor, now_ms: int
) -> MergeRow:
    """Give the evidence back that a merge has moved; what came later stays where it is.

    Raises:
        NotFoundError: there is no such merge.
        MergeStateError: it was taken back already.
    """
    row = await repository.merge(session, tenant_id, merge_id)
    if row is None:
        raise NotFoundError("merge", str(merge_id))
    if row.undone_ms is not None:
        raise MergeStateError("undone", "This merge was taken back already.")
    gone = await customer(session, tenant_id, row.gone_id)
    returned = await repository.give_evidence_back(session, tenant_id, row.gone_id, merge_id)
    tasks = await playbook_repository.give_tasks_back(session, tenant_id, row.gone_id, merge_id)
    gone.merged_into, row.undone_ms, row.undone_by = None, now_ms, _name(actor)
    after = {"evidence": returned, "tasks": tasks}
    audit.record(session, tenant_id, actor, "customers_parted", f"merge:{merge_id}", now_ms=now_ms, after=after)
    return row


async def set_override(
    session: AsyncSession,
    events: EventLog,
    tenant_id: TenantId,
    customer_id: UUID,
    tier: Tier,
    *,
    reason: str,
    owner: str,
    expires_ms: int,
    actor: Actor,
    now_ms: int,
) -> TierOverrideRow:
    """Serve a customer by a tier that its rank has not earned, until a day; one that holds is ended by it.

    Raises:
        NotFoundError: the company has no such customer.
        InvalidFieldError: no reason, no owner, or an expiry that is past or more than a year ahead.
    """
    for name, text, most in (("reason", reason, TEXT_CHARACTERS_MAX), ("owner", owner, NAME_CHARACTERS_MAX)):
        if not 0 < len(text.strip()) <= most:
            raise InvalidFieldError(f"body.{name}", f"must have 1 to {most} characters")
    if not now_ms < expires_ms <= now_ms + OVERRIDE_MS_MAX:
        raise InvalidFieldError("body.expires_ms", "must lie ahead, by at most a year")
    held = await customer(session, tenant_id, customer_id)
    if held.merged_into is not None:
        raise InvalidFieldError("path.customer_id", "is merged into another customer")
    for other in await repository.overrides_of(session, tenant_id, customer_id, limit=1):
        other.ended_ms = other.ended_ms or now_ms
    row = TierOverrideRow(
        override_id=uuid7(now_ms),
        tenant_id=tenant_id,
        customer_id=customer_id,
        tier=tier,
        reason=reason.strip(),
        owner=owner.strip(),
        from_ms=now_ms,
        expires_ms=expires_ms,
        ended_ms=None,
    )
    session.add(row)
    change = Change(Tier(held.served_as), tier, "override", row.reason)
    await serve_as(session, events, held, change, actor=actor, now_ms=now_ms)
    return row


async def end_override(
    session: AsyncSession, events: EventLog, row: TierOverrideRow, *, actor: Actor, now_ms: int
) -> None:
    """Serve the customer by its own tier again; an override that has ended stays so."""
    if row.ended_ms is not None:
        return
    row.ended_ms = now_ms
    held = await customer(session, TenantId(row.tenant_id), row.customer_id)
    change = Change(Tier(held.served_as), Tier(held.tier), "override_ended", row.reason)
    await serve_as(session, events, held, change, actor=actor, now_ms=now_ms)


async def serve_as(
    session: AsyncSession, events: EventLog, row: CustomerRow, change: Change, *, actor: Actor, now_ms: int
) -> None:
    """Let a tier hold; the same once more changes nothing."""
    if change.tier == change.before:
        return
    row.served_as = change.tier
    await tiers.write_change(session, events, row, change, actor=actor, now_ms=now_ms)


def _customer(tenant_id: TenantId, new: NewCustomer, now_ms: int) -> Mapping[str, Any]:
    return {
        "customer_id": uuid7(now_ms),
        "tenant_id": tenant_id,
        "code": new.code,
        "name": new.name,
        "sector": new.sector,
        "linked_tenant_id": new.tenant_id,
        "merged_into": None,
        "tier": Tier.PROVISIONAL,
        "served_as": Tier.PROVISIONAL,
        "since_day": now_ms // 86_400_000,
        "noticed_day": bands.NO_NOTICE,
        "made_ms": now_ms,
    }


def _evidence(tenant_id: TenantId, new: NewEvidence, import_id: UUID, now_ms: int) -> Mapping[str, Any]:
    return {
        "tenant_id": tenant_id,
        "customer_id": new.customer_id,
        "kind": new.kind,
        "day": new.day,
        "amount_minor": new.amount.minor if new.amount else None,
        "told_minor": new.amount.told_minor if new.amount else None,
        "told_currency": new.amount.told_currency if new.amount else "",
        "quantity": new.quantity,
        "source": new.source,
        "import_id": import_id,
        "merge_id": None,
        "made_ms": now_ms,
    }


def _note(
    session: AsyncSession,
    tenant_id: TenantId,
    what: str,
    file_name: str,
    rows: int,
    known: int,
    actor: Actor,
    now_ms: int,
) -> ImportRow:
    row = ImportRow(
        import_id=uuid7(now_ms),
        tenant_id=tenant_id,
        what=what,
        file_name=file_name,
        rows=rows,
        known=known,
        made_ms=now_ms,
        made_by=_name(actor),
    )
    session.add(row)
    target, after = f"import:{row.import_id}", {"what": what, "file": file_name, "rows": rows, "known": known}
    audit.record(session, tenant_id, actor, "tiering_imported", target, now_ms=now_ms, after=after)
    return row


def _name(actor: Actor) -> str:
    return actor.name[:NAME_CHARACTERS_MAX]
