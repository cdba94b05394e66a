"""Calendar addresses made, revoked and read: the secret in one stands for who has it, so it opens reviews alone."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select

from cloud.core import audit
from cloud.core.audit import SYSTEM, Actor
from cloud.core.database import Database
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS
from cloud.tiering.feed_tables import FeedRow
from cloud.tiering.success import SuccessDesk
from kit.clock import Clock
from kit.ids import uuid7

FEEDS_MAX: Final = 50
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class FeedDesk:
    """Where pages have addresses kept; every step is one transaction with its audit line."""

    database: Database
    clock: Clock
    success: SuccessDesk

    async def feeds(self, tenant_id: TenantId) -> Sequence[FeedRow]:
        """The addresses that hold, the newest first."""
        row = FeedRow
        statement = select(row).where(row.tenant_id == tenant_id, row.revoked_ms.is_(None))
        async with self.database.reading() as session:
            return (await session.scalars(statement.order_by(row.feed_id.desc()).limit(FEEDS_MAX))).all()

    async def make(self, tenant_id: TenantId, actor: Actor, *, label: str) -> str:
        """Make an address; its secret, which is told this once.

        Raises:
            InvalidFieldError: it has no label, or there are FEEDS_MAX.
        """
        if not 0 < len(label.strip()) <= NAME_CHARACTERS_MAX:
            raise InvalidFieldError("body.label", f"must have 1 to {NAME_CHARACTERS_MAX} characters")
        if len(await self.feeds(tenant_id)) >= FEEDS_MAX:
            raise InvalidFieldError("body.label", f"{FEEDS_MAX} addresses are the most: revoke one")
        now_ms, token = self.clock.utc_ms(), secrets.token_urlsafe(TOKEN_BYTES)
        row = FeedRow(
            feed_id=uuid7(now_ms),
            tenant_id=tenant_id,
            label=label.strip(),
            token_hash=_hash(token),
            made_ms=now_ms,
            made_by=actor.name[:NAME_CHARACTERS_MAX],
            revoked_ms=None,
            read_ms=None,
        )
        async with self.database.transaction() as session:
            session.add(row)
            target, after = f"calendar:{row.feed_id}", {"label": row.label}
            audit.record(session, tenant_id, actor, "calendar_address_made", target, now_ms=now_ms, after=after)
        return token

    async def revoke(self, tenant_id: TenantId, feed_id: UUID, actor: Actor) -> None:
        """Let an address answer no more; once more changes nothing.

        Raises:
            NotFoundError: there is no such address.
        """
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await session.get(FeedRow, feed_id)
            if row is None or row.tenant_id != tenant_id:
                raise NotFoundError("calendar address", str(feed_id))
            if row.revoked_ms is not None:
                return
            row.revoked_ms = now_ms
            target, before = f"calendar:{feed_id}", {"label": row.label}
            audit.record(session, tenant_id, actor, "calendar_address_revoked", target, now_ms=now_ms, before=before)

    async def read(self, token: str, *, title: str) -> bytes:
        """The reviews of all plans; the first reading of a day is in the audit log.

        Raises:
            NotFoundError: the secret is none, or was revoked.
        """
        now_ms = self.clock.utc_ms()
        statement = select(FeedRow).where(FeedRow.token_hash == _hash(token), FeedRow.revoked_ms.is_(None))
        async with self.database.reading() as session:
            row = (await session.scalars(statement)).one_or_none()
        if row is None:
            raise NotFoundError("calendar", "of this address")
        tenant_id = TenantId(row.tenant_id)
        if row.read_ms is None or row.read_ms // DAY_MS < now_ms // DAY_MS:
            async with self.database.transaction() as session:
                kept = await session.get(FeedRow, row.feed_id)
                assert kept is not None, "addresses are never deleted"
                kept.read_ms = now_ms
                target, after = f"calendar:{row.feed_id}", {"label": row.label}
                audit.record(session, tenant_id, SYSTEM, "calendar_read", target, now_ms=now_ms, after=after)
        return await self.success.calendar(tenant_id, title=title)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
