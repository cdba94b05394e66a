"""A company changes its pack itself: up at once, down when its month ends; what will change is said before.

Nothing is deleted, and what the tier takes away begins to bind after the time of grace of entitlements. Nothing here
commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit, events
from cloud.core.audit import SYSTEM, Actor
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import GRACE_MS, NAMES, Tier, Value
from cloud.entitlements.service import assign_tier, in_force, newest_catalogue
from cloud.self_service import charges, repository
from cloud.self_service.domain import Pack, a_month_earlier, day_of, difference, is_up
from cloud.self_service.tables import SubscriptionRow
from kit.errors import ZhisanError
from kit.ids import uuid7

PACK_CHANGED: Final = "self_service.pack_changed"
DIFFERENCE: Final = {"zh-CN": "差价：{name}", "en": "Difference to {name}"}
log = structlog.get_logger()


class AgreedError(ZhisanError):
    """The company's tier was given by the platform's people: its pack is not for itself to change."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entitlement as it is and as it will be; `used` where it is counted."""

    entitlement: str
    now: Value
    then: Value
    used: int | None

    @property
    def is_over(self) -> bool:
        """Whether more is used than there will be room for."""
        limit = self.then
        return self.used is not None and limit is not None and not isinstance(limit, str) and self.used > limit


@dataclass(frozen=True, slots=True)
class Change:
    """What another pack would change, before anybody has chosen it."""

    pack: Pack
    is_up: bool
    at_ms: int
    binds_ms: int
    """From when on what is less binds."""
    charge_minor: int
    lines: tuple[Line, ...]


async def preview(
    session: AsyncSession,
    row: SubscriptionRow,
    pack: Pack,
    packs: Mapping[str, Pack],
    used: Mapping[str, int],
    now_ms: int,
) -> Change:
    """What a pack would change for a company that uses so much of what is counted.

    Raises:
        AgreedError: its tier was given by the platform's people.
    """
    tenant_id = TenantId(row.tenant_id)
    found = await in_force(session, tenant_id, now_ms)
    _check_own(found.tier, row, packs)
    goes_up = is_up(pack, price_minor=row.price_minor, currency=row.currency, tier=found.tier)
    then = (await newest_catalogue(session)).tiers[pack.tier]
    at_ms = now_ms if goes_up else row.next_invoice_ms
    lines = tuple(
        Line(name, getattr(found.entitlements, name), getattr(then, name), used.get(name))
        for name in NAMES
        if getattr(found.entitlements, name) != getattr(then, name)
    )
    charge = _charge(row, pack, now_ms) if goes_up else 0
    return Change(pack, goes_up, at_ms, at_ms + GRACE_MS, charge, lines)


async def choose(
    session: AsyncSession, tenant_id: TenantId, pack_id: str, packs: Mapping[str, Pack], *, actor: Actor, now_ms: int
) -> SubscriptionRow:
    """Take another pack: more begins now, less with the next month; the pack that one has takes a choice back.

    Raises:
        InvalidFieldError: there is no such pack, or the company has none.
        AgreedError: its tier was given by the platform's people.
    """
    row = await repository.subscription(session, tenant_id)
    if row is None:
        raise InvalidFieldError("body.pack", "the company has none that it could change")
    if pack_id == row.pack_id:
        row.next_pack_id = ""
        _note(session, row, row.pack_id, row.next_invoice_ms, actor, now_ms)
        return row
    pack = packs.get(pack_id)
    if pack is None:
        raise InvalidFieldError("body.pack", "is none that is offered")
    found = await in_force(session, tenant_id, now_ms)
    _check_own(found.tier, row, packs)
    if not is_up(pack, price_minor=row.price_minor, currency=row.currency, tier=found.tier):
        row.next_pack_id = pack_id
        _note(session, row, row.pack_id, row.next_invoice_ms, actor, now_ms)
        return row
    charge_minor, before = _charge(row, pack, now_ms), row.pack_id
    if charge_minor:
        charges.add_charge(
            session,
            tenant_id,
            names={language: DIFFERENCE[language].format(name=name) for language, name in pack.names.items()},
            amount_minor=charge_minor,
            currency=row.currency,
            from_ms=now_ms,
            until_ms=row.next_invoice_ms,
            reference=f"pack.{uuid7(now_ms)}",
            now_ms=now_ms,
        )
    await _take(session, row, pack, actor, now_ms)
    _note(session, row, before, now_ms, actor, now_ms)
    return row


async def begin_chosen(session: AsyncSession, row: SubscriptionRow, packs: Mapping[str, Pack], now_ms: int) -> None:
    """Let a pack begin that was chosen for this month; one that is no longer offered is forgotten."""
    pack_id, before = row.next_pack_id, row.pack_id
    row.next_pack_id = ""
    if not pack_id:
        return
    pack = packs.get(pack_id)
    if pack is None:
        log.warning("chosen_pack_gone", tenant_id=row.tenant_id, pack_id=pack_id)
        return
    tier = (await in_force(session, TenantId(row.tenant_id), now_ms)).tier
    if _is_own(tier, row, packs):
        await _take(session, row, pack, SYSTEM, now_ms)
    else:  # the platform's people have given a tier meanwhile: what is agreed stays, the price is the pack's
        row.pack_id, row.price_minor, row.currency = pack.pack_id, pack.price_minor, pack.currency
    _note(session, row, before, now_ms, SYSTEM, now_ms)


async def _take(session: AsyncSession, row: SubscriptionRow, pack: Pack, actor: Actor, now_ms: int) -> None:
    row.pack_id, row.price_minor, row.currency, row.next_pack_id = pack.pack_id, pack.price_minor, pack.currency, ""
    reason = f"chose the pack {pack.pack_id}"
    await assign_tier(session, TenantId(row.tenant_id), pack.tier, reason=reason, by=actor, now_ms=now_ms)


def _check_own(tier: Tier | None, row: SubscriptionRow, packs: Mapping[str, Pack]) -> None:
    if not _is_own(tier, row, packs):
        raise AgreedError("The company's tier was agreed with the platform's people: ask them for another pack.")


def _is_own(tier: Tier | None, row: SubscriptionRow, packs: Mapping[str, Pack]) -> bool:
    """Whether the tier is the one that came with the pack; of a pack that is no longer offered nobody knows."""
    pack = packs.get(row.pack_id)
    return pack is None or tier is None or tier == pack.tier


def _charge(row: SubscriptionRow, pack: Pack, now_ms: int) -> int:
    from_ms = a_month_earlier(row.next_invoice_ms, anchor_day=day_of(row.began_ms))
    return difference(pack.price_minor, row.price_minor, from_ms=from_ms, now_ms=now_ms, until_ms=row.next_invoice_ms)


def _note(session: AsyncSession, row: SubscriptionRow, before: str, at_ms: int, actor: Actor, now_ms: int) -> None:
    told = {"before": before, "pack": row.next_pack_id or row.pack_id, "at_ms": at_ms}
    tenant_id = TenantId(row.tenant_id)
    events.write(session, tenant_id, PACK_CHANGED, told, now_ms)
    audit.record(session, tenant_id, actor, "pack_chosen", f"tenant:{tenant_id}", now_ms=now_ms, after=told)
