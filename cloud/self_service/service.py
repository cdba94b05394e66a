"""Sign-ups, acceptances and packs, each in the caller's transaction; nothing here commits."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit, events
from cloud.core.audit import Actor
from cloud.core.tables import NAME_CHARACTERS_MAX as STORED_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.service import assign_tier
from cloud.identity import repository as identities
from cloud.identity import tokens
from cloud.identity.service import IdentityService
from cloud.self_service import billing, repository
from cloud.self_service.domain import (
    NO_TAX,
    SIGNUP_MS,
    Pack,
    SignupError,
    Tax,
    Wish,
    tenant_id_of,
)
from cloud.self_service.tables import AcceptanceRow, SignupRow, SubscriptionRow
from kit.ids import uuid7

COMPANY_JOINED: Final = "self_service.company_joined"
SIGNUPS_MAX: Final = 10_000
"""Sign-ups under way; beyond it none is taken until some have ended."""
CHANCE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Read:
    """The terms as somebody has read them."""

    version: str
    language: str
    sha256: str


async def begin(session: AsyncSession, wish: Wish, *, language: str, address: str, now_ms: int) -> str | None:
    """Keep a wish, and give the token that confirms its address; None for one that has an account already.

    Raises:
        SignupError: too many are under way.
    """
    if await identities.user_by_login(session, wish.email) is not None:
        return None
    if await repository.signups_count(session) >= SIGNUPS_MAX:
        raise SignupError("busy")
    await repository.drop_signups(session, wish.email)
    token = tokens.new_token()
    session.add(
        SignupRow(
            token_hash=tokens.hash_of(token),
            company=wish.company,
            name=wish.name,
            email=wish.email,
            pack_id=wish.pack_id,
            terms_version=wish.terms_version,
            language=language,
            address=address[:STORED_CHARACTERS_MAX],
            asked_ms=now_ms,
            expires_ms=now_ms + SIGNUP_MS,
        )
    )
    return token


async def wish_of(session: AsyncSession, token: str, now_ms: int) -> SignupRow:
    """The sign-up that a link confirms.

    Raises:
        SignupError: the link is not good (any more).
    """
    row = await repository.signup(session, tokens.hash_of(token))
    if row is None or row.expires_ms <= now_ms:
        raise SignupError("link")
    return row


async def finish(
    session: AsyncSession,
    people: IdentityService,
    token: str,
    pack_of: Callable[[str], Pack | None],
    read: Callable[[str, str], Read],
    *,
    password_hash: str,
    address: str,
    now_ms: int,
    tax: Tax = NO_TAX,
) -> str:
    """Make the company with its first administrator, its tier, its acceptance and its pack; a new session's token.

    Raises:
        SignupError: the link is not good (any more), its pack is gone, or the address has an account by now.
    """
    row = await wish_of(session, token, now_ms)
    pack = pack_of(row.pack_id)
    if pack is None:
        raise SignupError("pack")
    if await identities.user_by_login(session, row.email) is not None:
        raise SignupError("taken")
    tenant_id = TenantId(tenant_id_of(row.company, secrets.token_hex(CHANCE_BYTES)))
    user_id, session_token = await people.found(
        session,
        tenant_id,
        row.company,
        login=row.email,
        name=row.name,
        password_hash=password_hash,
        address=address,
        now_ms=now_ms,
    )
    actor = Actor("user", user_id, row.email, address)
    await assign_tier(
        session, tenant_id, pack.tier, reason=f"signed up for the pack {pack.pack_id}", by=actor, now_ms=now_ms
    )
    await _accept(session, tenant_id, read(row.terms_version, row.language), row.email, actor, now_ms)
    await _subscribe(session, tenant_id, row.company, pack, now_ms, tax=tax)
    told = {"company": row.company, "pack": pack.pack_id, "tier": pack.tier}
    events.write(session, tenant_id, COMPANY_JOINED, told, now_ms)
    await session.delete(row)
    return session_token


async def _accept(
    session: AsyncSession, tenant_id: TenantId, read: Read, login: str, actor: Actor, now_ms: int
) -> None:
    session.add(
        AcceptanceRow(
            acceptance_id=uuid7(now_ms),
            tenant_id=tenant_id,
            version=read.version,
            sha256=read.sha256,
            language=read.language,
            login=login,
            address=actor.address[:STORED_CHARACTERS_MAX],
            accepted_ms=now_ms,
        )
    )
    after = {"version": read.version, "sha256": read.sha256, "language": read.language}
    audit.record(session, tenant_id, actor, "terms_accepted", f"tenant:{tenant_id}", now_ms=now_ms, after=after)


async def _subscribe(
    session: AsyncSession, tenant_id: TenantId, company: str, pack: Pack, now_ms: int, *, tax: Tax
) -> None:
    row = SubscriptionRow(
        tenant_id=tenant_id,
        pack_id=pack.pack_id,
        price_minor=pack.price_minor,
        currency=pack.currency,
        began_ms=now_ms,
        next_invoice_ms=now_ms,
        next_pack_id="",
    )
    session.add(row)
    await session.flush()
    await billing.issue(session, row, company, now_ms, tax=tax)
