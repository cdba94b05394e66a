"""Gives tenants tiers and overrides, saves catalogues, and says what is in force.

Every function works in the caller's transaction and commits nothing. Each change is a line of history, a line in the
tenant's audit log and an event, and nothing of it deletes data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit, events
from cloud.core.audit import Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements import domain, repository
from cloud.entitlements.domain import (
    GRACE_MS,
    NAMES,
    Assigned,
    CatalogueVersion,
    Effective,
    EntitlementFieldError,
    Override,
    Tier,
    checked_catalogue,
    checked_value,
)
from cloud.entitlements.standard import STANDARD
from cloud.entitlements.tables import AssignmentRow, CatalogueRow, OverrideRow
from cloud.identity import repository as identities
from kit.errors import ZhisanError
from kit.ids import uuid7

TIER_CHANGED: Final = "entitlements.tier_changed"
OVERRIDE_SET, OVERRIDE_ENDED = "entitlements.override_set", "entitlements.override_ended"
CATALOGUE_CHANGED: Final = "entitlements.catalogue_changed"
REASON_CHARACTERS_MAX: Final = 500
OVERRIDE_MS_MAX: Final = 3 * 366 * domain.DAY_MS
"""An exception that nobody looks at for longer is a tier of its own."""


class CatalogueConflictError(ZhisanError):
    """Somebody has saved a newer version of the catalogue meanwhile."""

    def __init__(self, version: int) -> None:
        super().__init__(f"The catalogue is at version {version} by now: look at it, then save again.")
        self.version = version


class AlreadyEndedError(ZhisanError):
    """An override that has ended cannot be ended again."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A tenant's tier as it was given."""

    tenant_id: TenantId
    tier: Tier
    before: Tier | None
    at_ms: int


async def assign_tier(
    session: AsyncSession, tenant_id: TenantId, tier: Tier, *, reason: str, by: Actor, now_ms: int
) -> Assignment:
    """Give a tenant a tier from now on; the same once more changes nothing.

    What the tier takes away begins to bind GRACE_MS later; what it adds is there with the next request.

    Raises:
        NotFoundError: there is no such tenant.
        InvalidFieldError: there is no reason, or it is too long.
    """
    _check_text("body.reason", reason)
    await _check_tenant(session, tenant_id)
    last = await repository.assignment(session, tenant_id)
    before = Tier(last.tier) if last is not None else None
    if last is not None and before == tier:
        return Assignment(tenant_id, tier, before, last.at_ms)
    at_ms = max(now_ms, last.at_ms) if last is not None else now_ms
    row = AssignmentRow(tenant_id=tenant_id, tier=tier, reason=reason, by=_name(by), at_ms=at_ms)
    session.add(row)
    await session.flush()
    found = await in_force(session, tenant_id, at_ms)
    lowered = {one.entitlement: {"now": one.now, "then": one.then, "at_ms": one.at_ms} for one in found.pending}
    payload = {"tier": tier, "before": before, "reason": reason, "by": _name(by), "lowered": lowered}
    await _changed(session, tenant_id, TIER_CHANGED, payload, at_ms)
    audit.record(
        session,
        tenant_id,
        by,
        "tier_assigned",
        f"tenant:{tenant_id}",
        now_ms=now_ms,
        before={"tier": before},
        after={"tier": tier, "reason": reason},
    )
    return Assignment(tenant_id, tier, before, at_ms)


async def set_override(
    session: AsyncSession,
    tenant_id: TenantId,
    entitlement: str,
    value: object,
    *,
    reason: str,
    owner: str,
    expires_ms: int,
    by: Actor,
    now_ms: int,
) -> OverrideRow:
    """Let one entitlement of a tenant be another until `expires_ms`; the last that was set goes before the others.

    Raises:
        NotFoundError: there is no such tenant.
        InvalidFieldError: a field cannot be used.
    """
    try:
        checked = checked_value(entitlement, value)
    except EntitlementFieldError as error:
        known = error.field == entitlement and entitlement in NAMES
        raise InvalidFieldError("body.value" if known else "body.entitlement", error.message) from error
    _check_text("body.reason", reason)
    _check_text("body.owner", owner, characters_max=NAME_CHARACTERS_MAX)
    if not now_ms < expires_ms <= now_ms + OVERRIDE_MS_MAX:
        raise InvalidFieldError("body.expires_ms", "must be in the future, and at most three years from now")
    await _check_tenant(session, tenant_id)
    row = OverrideRow(
        override_id=uuid7(now_ms),
        tenant_id=tenant_id,
        entitlement=entitlement,
        value={"value": checked},
        reason=reason,
        owner=owner,
        made_by=_name(by),
        made_ms=now_ms,
        expires_ms=expires_ms,
        ended_by=None,
        ended_ms=None,
    )
    session.add(row)
    await session.flush()
    told = {"entitlement": entitlement, "value": checked, "reason": reason, "owner": owner, "expires_ms": expires_ms}
    await _changed(session, tenant_id, OVERRIDE_SET, told, now_ms)
    target = f"entitlement:{entitlement}"
    audit.record(session, tenant_id, by, "entitlement_override_set", target, now_ms=now_ms, after=told)
    return row


async def end_override(
    session: AsyncSession, tenant_id: TenantId, override_id: UUID, *, by: Actor, now_ms: int
) -> OverrideRow:
    """End an override before its time.

    Raises:
        NotFoundError: the tenant has no such override.
        AlreadyEndedError: it has ended.
    """
    row = await repository.override(session, tenant_id, override_id)
    if row is None:
        raise NotFoundError("override", str(override_id))
    if row.ended_ms is not None or row.expires_ms <= now_ms:
        raise AlreadyEndedError("The override has ended already.")
    row.ended_ms, row.ended_by = now_ms, _name(by)
    await session.flush()
    told = {"entitlement": row.entitlement, "override_id": str(override_id)}
    await _changed(session, tenant_id, OVERRIDE_ENDED, told, now_ms)
    target = f"entitlement:{row.entitlement}"
    audit.record(session, tenant_id, by, "entitlement_override_ended", target, now_ms=now_ms, before=dict(row.value))
    return row


async def save_catalogue(
    session: AsyncSession,
    tiers: Mapping[str, Mapping[str, object]],
    *,
    version: int,
    why: str,
    by: Actor,
    now_ms: int,
) -> CatalogueVersion:
    """A new version of the catalogue, for all tenants; `version` is the one that the caller has changed.

    Raises:
        InvalidFieldError: a field cannot be used.
        CatalogueConflictError: there is a newer version than `version`.
    """
    _check_text("body.why", why)
    try:
        checked = checked_catalogue(tiers)
    except EntitlementFieldError as error:
        raise InvalidFieldError(f"body.tiers.{error.field}", error.message) from error
    last = await newest_catalogue(session)
    if last.version != version:
        raise CatalogueConflictError(last.version)
    made_ms = max(now_ms, last.made_ms)
    stored = {tier: entitlements.to_json() for tier, entitlements in checked.items()}
    session.add(CatalogueRow(version=version + 1, tiers=stored, why=why, made_by=_name(by), made_ms=made_ms))
    await session.flush()
    await _changed(session, DEFAULT_TENANT, CATALOGUE_CHANGED, {"version": version + 1, "why": why}, made_ms)
    before = {tier: entitlements.to_json() for tier, entitlements in last.tiers.items()}
    audit.record(
        session,
        DEFAULT_TENANT,
        by,
        "entitlement_catalogue_saved",
        f"catalogue:{version + 1}",
        now_ms=now_ms,
        before={tier: value for tier, value in before.items() if value != stored[tier]},
        after={tier: value for tier, value in stored.items() if value != before[tier]} | {"why": why},
    )
    return CatalogueVersion(version + 1, made_ms, checked)


async def newest_catalogue(session: AsyncSession) -> CatalogueVersion:
    """The catalogue that holds now."""
    row = await repository.newest_catalogue(session)
    return STANDARD if row is None else catalogue_of(row)


async def in_force(session: AsyncSession, tenant_id: TenantId, at_ms: int) -> Effective:
    """What was, or is, in force for a tenant at a moment."""
    since_ms = at_ms - GRACE_MS
    tenant = await identities.tenant(session, tenant_id)
    catalogues = await repository.catalogues_for(session, since_ms, at_ms)
    assigned = await repository.assignments_for(session, tenant_id, since_ms, at_ms)
    overrides = await repository.overrides_at(session, tenant_id, at_ms)
    return domain.effective(
        [STANDARD, *(catalogue_of(row) for row in catalogues)],
        [Assigned(row.at_ms, Tier(row.tier)) for row in assigned],
        [override_of(row) for row in overrides],
        at_ms,
        since_ms=tenant.created_ms if tenant is not None else 0,
    )


def catalogue_of(row: CatalogueRow) -> CatalogueVersion:
    """The value of a row; an entitlement that came with a later program is as in the catalogue that came with it."""
    tiers = {
        tier: domain.checked_entitlements(STANDARD.tiers[tier].to_json() | _known(row.tiers.get(tier, {})))
        for tier in Tier
    }
    return CatalogueVersion(row.version, row.made_ms, tiers)


def override_of(row: OverrideRow) -> Override:
    """The value of a row."""
    ended_ms = row.ended_ms if row.ended_ms is not None else row.expires_ms
    value = checked_value(row.entitlement, row.value["value"])
    return Override(str(row.override_id), row.entitlement, value, row.made_ms, min(ended_ms, row.expires_ms))


async def _changed(
    session: AsyncSession, tenant_id: TenantId, kind: str, payload: Mapping[str, Any], now_ms: int
) -> None:
    events.write(session, tenant_id, kind, payload, now_ms)
    await repository.count_change(session)


async def _check_tenant(session: AsyncSession, tenant_id: TenantId) -> None:
    if tenant_id != DEFAULT_TENANT and await identities.tenant(session, tenant_id) is None:
        raise NotFoundError("tenant", tenant_id)


def _check_text(field: str, text: str, *, characters_max: int = REASON_CHARACTERS_MAX) -> None:
    if not text.strip():
        raise InvalidFieldError(field, "is missing")
    if len(text) > characters_max:
        raise InvalidFieldError(field, f"has at most {characters_max} characters")


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in NAMES}


def _name(actor: Actor) -> str:
    return (actor.name or actor.kind)[:NAME_CHARACTERS_MAX]
