"""All SQL of gateway identity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.gateways.tables import CertificateRow, ClaimRow, IdentityRow

IDENTITIES_MAX = 100_000
"""Most gateways of one installation; its access list would be 60 MB then."""
REVOKED_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that may not be used any more."""

    serial: str
    plant_id: str
    gateway_id: str
    revoked_ms: int


async def claim(session: AsyncSession, token_hash: str) -> ClaimRow | None:
    """The claim of a token."""
    return await session.scalar(select(ClaimRow).where(ClaimRow.token_hash == token_hash))


async def use_claim(session: AsyncSession, row: ClaimRow, now_ms: int) -> bool:
    """Mark a claim as used; False when somebody else has been faster."""
    statement = update(ClaimRow).where(ClaimRow.claim_id == row.claim_id, ClaimRow.used_ms.is_(None))
    result = cast("CursorResult[tuple[()]]", await session.execute(statement.values(used_ms=now_ms)))
    return result.rowcount == 1


async def void_claims(session: AsyncSession, plant_id: str, gateway_id: str, now_ms: int) -> None:
    """Let every open claim of a gateway expire now."""
    statement = update(ClaimRow).where(
        ClaimRow.plant_id == plant_id, ClaimRow.gateway_id == gateway_id, ClaimRow.used_ms.is_(None),
        ClaimRow.expires_ms > now_ms,
    )  # fmt: skip
    await session.execute(statement.values(expires_ms=now_ms))


async def end_claim(session: AsyncSession, row: ClaimRow, now_ms: int) -> bool:
    """Let one open claim end now; False when it was used or has ended."""
    statement = update(ClaimRow).where(
        ClaimRow.claim_id == row.claim_id, ClaimRow.used_ms.is_(None), ClaimRow.expires_ms > now_ms
    )
    result = cast("CursorResult[tuple[()]]", await session.execute(statement.values(expires_ms=now_ms)))
    return result.rowcount == 1


async def open_claims(session: AsyncSession, tenant_id: TenantId, now_ms: int, *, limit: int) -> Sequence[ClaimRow]:
    """The tenant's claims whose token still opens, the newest first."""
    row = ClaimRow
    statement = select(row).where(row.tenant_id == tenant_id, row.used_ms.is_(None), row.expires_ms > now_ms)
    return (await session.scalars(statement.order_by(row.claim_id.desc()).limit(limit))).all()


async def claim_of(session: AsyncSession, tenant_id: TenantId, claim_id: UUID) -> ClaimRow | None:
    """A claim of the tenant, also one that was spent or has ended."""
    row = await session.get(ClaimRow, claim_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def identity(session: AsyncSession, plant_id: str, gateway_id: str) -> IdentityRow | None:
    """A claimed gateway of any tenant."""
    return await session.get(IdentityRow, (plant_id, gateway_id))


async def has_identity(session: AsyncSession, tenant_id: TenantId) -> bool:
    """Whether the tenant has a claimed gateway that may connect."""
    row = IdentityRow
    statement = select(row.gateway_id).where(row.tenant_id == tenant_id, row.revoked_ms.is_(None)).limit(1)
    return await session.scalar(statement) is not None


async def certificate(session: AsyncSession, serial: str) -> CertificateRow | None:
    """One certificate."""
    return await session.get(CertificateRow, serial)


async def has_nonce(session: AsyncSession, nonce: str) -> bool:
    """Whether a renewal with this nonce has been granted."""
    return await session.scalar(select(CertificateRow.serial).where(CertificateRow.nonce == nonce)) is not None


async def revoke_certificates(
    session: AsyncSession, plant_id: str, gateway_id: str, now_ms: int, *, keep: Sequence[str] = ()
) -> None:
    """Revoke all certificates of a gateway but these."""
    statement = update(CertificateRow).where(
        CertificateRow.plant_id == plant_id,
        CertificateRow.gateway_id == gateway_id,
        CertificateRow.revoked_ms.is_(None),
        CertificateRow.serial.not_in(keep),
    )
    await session.execute(statement.values(revoked_ms=now_ms))


async def identities(
    session: AsyncSession, tenant_id: TenantId, *, after: tuple[str, str] | None, limit: int
) -> Sequence[IdentityRow]:
    """The tenant's claimed gateways by plant and id."""
    statement = select(IdentityRow).where(IdentityRow.tenant_id == tenant_id)
    if after is not None:
        statement = statement.where(tuple_(IdentityRow.plant_id, IdentityRow.gateway_id) > tuple_(*after))
    statement = statement.order_by(IdentityRow.plant_id, IdentityRow.gateway_id).limit(limit)
    return (await session.scalars(statement)).all()


async def standing(session: AsyncSession) -> Sequence[tuple[str, str, bool]]:
    """Of every claimed gateway of all tenants: plant, id, and whether it is revoked."""
    statement = (
        select(IdentityRow.plant_id, IdentityRow.gateway_id, IdentityRow.revoked_ms)
        .order_by(IdentityRow.plant_id, IdentityRow.gateway_id)
        .limit(IDENTITIES_MAX)
    )
    return [(plant, gateway, revoked_ms is not None) for plant, gateway, revoked_ms in await session.execute(statement)]


async def revoked(session: AsyncSession, now_ms: int) -> Sequence[Revoked]:
    """Every revoked certificate that has not expired by itself."""
    statement = (
        select(CertificateRow)
        .where(CertificateRow.revoked_ms.is_not(None), CertificateRow.expires_ms > now_ms)
        .order_by(CertificateRow.expires_ms.desc())
        .limit(REVOKED_MAX)
    )
    rows = await session.scalars(statement)
    return [Revoked(r.serial, r.plant_id, r.gateway_id, r.revoked_ms) for r in rows if r.revoked_ms is not None]


async def prune(session: AsyncSession, older_than_ms: int) -> None:
    """Forget claims and certificates that ended before; a gateway's newest certificate stays in its identity."""
    await session.execute(delete(ClaimRow).where(ClaimRow.expires_ms < older_than_ms))
    await session.execute(delete(CertificateRow).where(CertificateRow.expires_ms < older_than_ms))
