"""All SQL of sign-in by a provider."""

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.identity.oidc_tables import ExternalIdentityRow, SignOnAttemptRow


async def identity(session: AsyncSession, issuer: str, subject: str) -> ExternalIdentityRow | None:
    """Whom a provider's subject is here."""
    return await session.get(ExternalIdentityRow, (issuer, subject))


async def is_linked(session: AsyncSession, user_id: str, issuer: str) -> bool:
    """Whether an account is somebody's at this provider already."""
    where = (ExternalIdentityRow.user_id == user_id, ExternalIdentityRow.issuer == issuer)
    return await session.scalar(select(ExternalIdentityRow.subject).where(*where).limit(1)) is not None


async def drop_identities(session: AsyncSession, user_id: str) -> None:
    """Forget whom providers know this account as."""
    await session.execute(delete(ExternalIdentityRow).where(ExternalIdentityRow.user_id == user_id))


async def attempts_count(session: AsyncSession) -> int:
    """How many attempts are kept."""
    return await session.scalar(select(func.count()).select_from(SignOnAttemptRow)) or 0


async def drop_expired(session: AsyncSession, now_ms: int) -> None:
    """Forget attempts whose time is over."""
    await session.execute(delete(SignOnAttemptRow).where(SignOnAttemptRow.expires_ms <= now_ms))


async def take_attempt(session: AsyncSession, state_hash: str) -> SignOnAttemptRow | None:
    """The attempt, which is gone with this transaction: an answer counts once."""
    found: SignOnAttemptRow | None = await session.scalar(
        delete(SignOnAttemptRow).where(SignOnAttemptRow.state_hash == state_hash).returning(SignOnAttemptRow)
    )
    return found
