"""Gives gateways their identity and takes it back: claims, renewals, revocations.

Every method works in the caller's transaction and commits nothing; after the commit `changed` is published, and the
broker's files follow (jobs.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.live import Topic
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements import gates
from cloud.gateways import repository
from cloud.gateways.authority import Authority, Issued, serial_of
from cloud.gateways.domain import (
    DAY_MS,
    TOKEN_PREFIX,
    Claim,
    ClaimRefusedError,
    ClaimsClosedError,
    ClaimSpentError,
    GatewayRules,
    Identity,
    NewClaim,
    PlantTakenError,
    RenewalRefusedError,
    id_problem,
    renewal_problem,
)
from cloud.gateways.requests import certificate_of, is_signed_by, public_key_of_request
from cloud.gateways.tables import CertificateRow, ClaimRow, IdentityRow
from cloud.identity import tokens
from contract.gateway_identity import renewal_statement, subject_of
from kit.ids import uuid7

KEPT_MS = 30 * DAY_MS
"""For how long ended claims and certificates stay in the tables."""


class Plants(Protocol):
    """Whose a plant is; the fleet keeps it."""

    async def own_plant(self, session: AsyncSession, plant_id: str, tenant_id: TenantId, *, now_ms: int) -> bool:
        """Whether the plant is the tenant's; one that nobody knows becomes it."""

    async def presses_count(self, session: AsyncSession, tenant_id: TenantId) -> int:
        """How many presses a tenant has."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a gateway gets for its claim or renewal: all that it needs to connect, none of it secret."""

    plant_id: str
    gateway_id: str
    certificate_pem: str
    chain_pem: str
    expires_ms: int
    broker_host: str
    broker_port: int
    host_id: str


class GatewayIdentities:
    """The service; `authority` is opened when it is first needed: an installation without claims has none."""

    def __init__(
        self, authority: Callable[[], Authority], plants: Plants, changed: Topic, rules: GatewayRules, host_id: str
    ) -> None:
        self.authority = authority
        self._plants = plants
        self._changed = changed
        self.host_id = host_id
        self.rules = rules

    @property
    def is_open(self) -> bool:
        """Whether gateways can be claimed."""
        return bool(self.rules.broker_host)

    async def make_claim(
        self, session: AsyncSession, tenant_id: TenantId, plant_id: str, gateway_id: str, actor: Actor, *, now_ms: int
    ) -> NewClaim:
        """A one-time token with which one machine may become this gateway; an older open one is void from now on.

        Raises:
            ClaimsClosedError: no broker is configured.
            InvalidFieldError: the ids cannot stand in a topic or a certificate.
            PlantTakenError: the plant is another tenant's.
            EntitlementError: the gateway is new, and the tenant has all the presses that its plan has.
        """
        if not self.is_open:
            raise ClaimsClosedError
        if problem := id_problem(plant_id, gateway_id):
            raise InvalidFieldError("body.plant", problem)
        if not await self._plants.own_plant(session, plant_id, tenant_id, now_ms=now_ms):
            raise PlantTakenError(plant_id)
        if await repository.identity(session, plant_id, gateway_id) is None:  # one that is here may always come again
            presses = await self._plants.presses_count(session, tenant_id)
            await gates.demand_room(session, tenant_id, "presses_max", presses, now_ms=now_ms)
        await repository.void_claims(session, plant_id, gateway_id, now_ms)
        token = TOKEN_PREFIX + tokens.new_token()
        row = ClaimRow(
            claim_id=uuid7(now_ms),
            token_hash=tokens.hash_of(token),
            tenant_id=tenant_id,
            plant_id=plant_id,
            gateway_id=gateway_id,
            created_ms=now_ms,
            created_by=actor.name[:NAME_CHARACTERS_MAX],
            expires_ms=now_ms + self.rules.claim_ms,
            used_ms=None,
        )
        session.add(row)
        after = {"expires_ms": row.expires_ms}
        target = _target(plant_id, gateway_id)
        audit.record(session, tenant_id, actor, "gateway_claim_created", target, now_ms=now_ms, after=after)
        return NewClaim(row.claim_id, plant_id, gateway_id, row.expires_ms, token)

    async def take_back(
        self, session: AsyncSession, tenant_id: TenantId, claim_id: UUID, actor: Actor, *, now_ms: int
    ) -> Claim:
        """Let a claim's token open nothing from now on.

        Raises:
            NotFoundError: the tenant has no such claim.
            ClaimSpentError: its token is used or has ended.
        """
        row = await repository.claim_of(session, tenant_id, claim_id)
        if row is None:
            raise NotFoundError("claim", str(claim_id))
        if not await repository.end_claim(session, row, now_ms):
            raise ClaimSpentError
        target = _target(row.plant_id, row.gateway_id)
        audit.record(session, tenant_id, actor, "gateway_claim_taken_back", target, now_ms=now_ms)
        return _claim(row)

    async def claim(self, session: AsyncSession, token: str, csr_pem: str, actor: Actor, *, now_ms: int) -> Welcome:
        """Spend a token for a certificate of the key in the request; what the gateway had before is revoked.

        Raises:
            RequestPemError: the request is none; the token is not spent.
            ClaimRefusedError: the token is wrong, expired or used.
        """
        key = public_key_of_request(csr_pem)
        row = await repository.claim(session, tokens.hash_of(token))
        is_good = row is not None and tokens.is_same(row.token_hash, tokens.hash_of(token))
        if row is None or not is_good or now_ms >= row.expires_ms:
            raise ClaimRefusedError
        tenant_id = TenantId(row.tenant_id)
        is_ours = await self._plants.own_plant(session, row.plant_id, tenant_id, now_ms=now_ms)
        if not is_ours or not await repository.use_claim(session, row, now_ms):
            raise ClaimRefusedError
        await repository.revoke_certificates(session, row.plant_id, row.gateway_id, now_ms)
        subject = subject_of(row.plant_id, row.gateway_id)
        issued = self.authority().issue_client(key, subject, now_ms=now_ms, life_ms=self.rules.certificate_ms)
        before = await self._take_over(session, row, issued, now_ms)
        await self._keep(session, row.plant_id, row.gateway_id, issued, now_ms, nonce=None)
        audit.record(
            session,
            tenant_id,
            Actor("gateway", subject, subject, actor.address),
            "gateway_claimed",
            _target(row.plant_id, row.gateway_id),
            now_ms=now_ms,
            before=before,
            after={"serial": issued.serial, "expires_ms": issued.expires_ms},
        )
        return self._welcome(row.plant_id, row.gateway_id, issued)

    async def renew(
        self,
        session: AsyncSession,
        certificate_pem: str,
        csr_pem: str,
        signature: bytes,
        actor: Actor,
        *,
        signed_at_ms: int,
        nonce: str,
        now_ms: int,
    ) -> Welcome:
        """A new certificate for who proves to hold the old one's key.

        The old one stays good, since the answer may be lost; all others of the gateway are revoked.

        Raises:
            RequestPemError: certificate or request are none.
            RenewalRefusedError: the signature is not the old key's, or the old certificate is no longer good.
        """
        key, old = public_key_of_request(csr_pem), certificate_of(certificate_pem)
        statement = renewal_statement(certificate_pem, csr_pem, signed_at_ms, nonce)
        if not self.is_open or not self.authority().has_signed(old) or not is_signed_by(old, signature, statement):
            raise RenewalRefusedError("not signed by a certificate of ours")
        row = await repository.certificate(session, serial_of(old))
        identity = await repository.identity(session, row.plant_id, row.gateway_id) if row is not None else None
        is_revoked = row is not None and row.revoked_ms is not None
        problem = renewal_problem(
            signed_at_ms=signed_at_ms,
            now_ms=now_ms,
            expires_ms=row.expires_ms if row is not None else 0,
            is_known=row is not None,
            is_revoked=is_revoked,
        )
        if problem is None and await repository.has_nonce(session, nonce):
            problem = "nonce used before"
        if row is None or identity is None or problem is not None:
            raise RenewalRefusedError(problem or "unknown")
        subject = subject_of(row.plant_id, row.gateway_id)
        issued = self.authority().issue_client(key, subject, now_ms=now_ms, life_ms=self.rules.certificate_ms)
        await repository.revoke_certificates(session, row.plant_id, row.gateway_id, now_ms, keep=[row.serial])
        before = {"serial": row.serial, "expires_ms": row.expires_ms}
        identity.serial, identity.expires_ms, identity.renewed_ms = issued.serial, issued.expires_ms, now_ms
        await self._keep(session, row.plant_id, row.gateway_id, issued, now_ms, nonce=nonce)
        audit.record(
            session,
            identity.tenant_id,
            Actor("gateway", subject, subject, actor.address),
            "gateway_certificate_renewed",
            _target(row.plant_id, row.gateway_id),
            now_ms=now_ms,
            before=before,
            after={"serial": issued.serial, "expires_ms": issued.expires_ms},
        )
        return self._welcome(row.plant_id, row.gateway_id, issued)

    async def revoke(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        plant_id: str,
        gateway_id: str,
        actor: Actor,
        *,
        reason: str,
        now_ms: int,
    ) -> Identity:
        """Refuse a gateway from now on, with all its certificates and open claims; a new claim lets it in again.

        Raises:
            NotFoundError: the tenant has no such claimed gateway.
        """
        row = await repository.identity(session, plant_id, gateway_id)
        if row is None or row.tenant_id != tenant_id:
            raise NotFoundError("claimed gateway", subject_of(plant_id, gateway_id))
        if row.revoked_ms is None:
            row.revoked_ms, row.revoked_by, row.revoked_reason = now_ms, actor.name[:NAME_CHARACTERS_MAX], reason
            await repository.revoke_certificates(session, plant_id, gateway_id, now_ms)
            await repository.void_claims(session, plant_id, gateway_id, now_ms)
            target, after = _target(plant_id, gateway_id), {"serial": row.serial, "reason": reason}
            audit.record(session, tenant_id, actor, "gateway_revoked", target, now_ms=now_ms, after=after)
            announce(session, self._changed)
        return _identity(row)

    async def prune(self, session: AsyncSession, now_ms: int) -> None:
        """Forget claims and certificates that ended KEPT_MS ago."""
        await repository.prune(session, now_ms - KEPT_MS)

    async def _take_over(
        self, session: AsyncSession, claim: ClaimRow, issued: Issued, now_ms: int
    ) -> dict[str, str] | None:
        """Let the claim's certificate be the gateway's; the serial that it had before."""
        row = await repository.identity(session, claim.plant_id, claim.gateway_id)
        before = {"serial": row.serial} if row is not None else None
        if row is None:
            row = IdentityRow(plant_id=claim.plant_id, gateway_id=claim.gateway_id)
            session.add(row)
        row.tenant_id, row.claimed_ms, row.claimed_by = claim.tenant_id, now_ms, claim.created_by
        row.serial, row.expires_ms, row.renewed_ms = issued.serial, issued.expires_ms, None
        row.revoked_ms = row.revoked_by = row.revoked_reason = None
        await session.flush()
        return before

    async def _keep(
        self, session: AsyncSession, plant_id: str, gateway_id: str, issued: Issued, now_ms: int, *, nonce: str | None
    ) -> None:
        session.add(
            CertificateRow(
                serial=issued.serial,
                plant_id=plant_id,
                gateway_id=gateway_id,
                issued_ms=now_ms,
                expires_ms=issued.expires_ms,
                nonce=nonce,
                revoked_ms=None,
            )
        )
        await session.flush()
        announce(session, self._changed)

    def _welcome(self, plant_id: str, gateway_id: str, issued: Issued) -> Welcome:
        return Welcome(
            plant_id=plant_id,
            gateway_id=gateway_id,
            certificate_pem=issued.certificate_pem,
            chain_pem=self.authority().certificate_pem,
            expires_ms=issued.expires_ms,
            broker_host=self.rules.broker_host,
            broker_port=self.rules.broker_port,
            host_id=self.host_id,
        )


async def open_claims(session: AsyncSession, tenant_id: TenantId, *, now_ms: int, limit: int) -> list[Claim]:
    """Claims whose token still opens, the newest first."""
    return [_claim(row) for row in await repository.open_claims(session, tenant_id, now_ms, limit=limit)]


async def claim_of(session: AsyncSession, tenant_id: TenantId, claim_id: UUID) -> Claim:
    """One claim, whatever came of it.

    Raises:
        NotFoundError: the tenant has no such claim.
    """
    row = await repository.claim_of(session, tenant_id, claim_id)
    if row is None:
        raise NotFoundError("claim", str(claim_id))
    return _claim(row)


async def identities(
    session: AsyncSession, tenant_id: TenantId, *, after: tuple[str, str] | None = None, limit: int
) -> Slice[Identity]:
    """Claimed gateways by plant and id; `after` is the last one of the page before."""
    rows = await repository.identities(session, tenant_id, after=after, limit=limit + 1)
    return slice_of([_identity(row) for row in rows], limit)


async def identity_of(session: AsyncSession, tenant_id: TenantId, plant_id: str, gateway_id: str) -> Identity | None:
    """A claimed gateway; None when the tenant has claimed none of this name."""
    row = await repository.identity(session, plant_id, gateway_id)
    return _identity(row) if row is not None and row.tenant_id == tenant_id else None


async def has_identity(session: AsyncSession, tenant_id: TenantId) -> bool:
    """Whether the tenant has claimed a gateway and not shut it out."""
    return await repository.has_identity(session, tenant_id)


def _claim(row: ClaimRow) -> Claim:
    return Claim(
        claim_id=row.claim_id,
        plant_id=row.plant_id,
        gateway_id=row.gateway_id,
        created_ms=row.created_ms,
        created_by=row.created_by,
        expires_ms=row.expires_ms,
        used_ms=row.used_ms,
    )


def _identity(row: IdentityRow) -> Identity:
    return Identity(
        plant_id=row.plant_id,
        gateway_id=row.gateway_id,
        claimed_ms=row.claimed_ms,
        claimed_by=row.claimed_by,
        renewed_ms=row.renewed_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
        revoked_by=row.revoked_by,
        revoked_reason=row.revoked_reason,
    )


def _target(plant_id: str, gateway_id: str) -> str:
    return f"gateway:{subject_of(plant_id, gateway_id)}"
