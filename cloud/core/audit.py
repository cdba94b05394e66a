"""The audit log: who changed what, from what to what, when and from where; only ever added to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import Request
from sqlalchemy import Index, String, Text, event, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, UOWTransaction, mapped_column

from cloud.core.access import address_of, principal_of
from cloud.core.audit_chain import GENESIS, HASH_CHARACTERS, Link, following
from cloud.core.database import strict_json
from cloud.core.tables import NAME_CHARACTERS_MAX, Base, RowId

SEALED: Final = (
    "tenant_id",
    "at_ms",
    "actor_kind",
    "actor_id",
    "actor_name",
    "address",
    "action",
    "target",
    "before",
    "after",
)
"""The columns that a line's hash covers, with its number."""
CHAIN_LOCK: Final = 4_215_007
"""PostgreSQL's advisory lock: one transaction at a time adds to the chain; in SQLite there is one writer anyway."""


class AuditRow(Base):
    """One change, written in the transaction that made it."""

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "tenant_id", "audit_id"),
        Index(None, "tenant_id", "at_ms", "audit_id"),
        {"sqlite_autoincrement": True},
    )

    audit_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    at_ms: Mapped[int]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    address: Mapped[str]
    action: Mapped[str]
    target: Mapped[str] = mapped_column(Text())
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    hash: Mapped[str] = mapped_column(String(HASH_CHARACTERS))
    """Ties this line to the one before it (`cloud.core.audit_chain`); set when the session is flushed."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from which network address; `nobody` is a request that is not signed in."""

    kind: Literal["user", "api_key", "gateway", "system", "nobody"]
    id: str = ""
    name: str = ""
    address: str = ""


SYSTEM = Actor("system", name="system")


def actor_of(request: Request) -> Actor:
    """Who makes this request."""
    address, principal = address_of(request), principal_of(request)
    if principal is None:
        return Actor("nobody", address=address)
    return Actor(principal.kind, principal.id, principal.name, address)


def record(
    session: AsyncSession,
    tenant_id: str,
    actor: Actor,
    action: str,
    target: str,
    *,
    now_ms: int,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add one line to the caller's transaction.

    `action` is `noun_verb` in the past (`user_created`), `target` is `kind:id`; `before` and `after` are JSON with
    only what changed, and never a secret, a password, a token or their hashes.
    """
    session.add(
        AuditRow(
            tenant_id=tenant_id,
            at_ms=now_ms,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name[:NAME_CHARACTERS_MAX],
            address=actor.address[:NAME_CHARACTERS_MAX],
            action=action,
            target=target,
            before=_as_stored(before),
            after=_as_stored(after),
        )
    )


@event.listens_for(Session, "before_flush")
def _seal(session: Session, _flush: UOWTransaction, _instances: object) -> None:
    """Give the new lines of a transaction their numbers and hashes, in the order in which they were recorded.

    Only here is it known what stands before them; a line that comes past the session has no hash and is refused.
    """
    new = [row for row in session.new if isinstance(row, AuditRow)]
    if not new:
        return
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    newest = select(AuditRow.audit_id, AuditRow.hash).order_by(AuditRow.audit_id.desc()).limit(1)
    found = connection.execute(newest).first()
    link = Link(found.audit_id, found.hash) if found else GENESIS
    for row in new:
        link = following(link, {name: getattr(row, name) for name in SEALED})
        row.audit_id, row.hash = link.audit_id, link.hash


def _as_stored(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As the database gives it back, which is what is hashed: keys are text, tuples are lists."""
    stored: dict[str, Any] | None = None if values is None else json.loads(strict_json(dict(values)))
    return stored
