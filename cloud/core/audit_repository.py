"""All SQL that reads the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.audit import SEALED, AuditRow
from cloud.core.audit_chain import GENESIS, Entry, Link


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines are wanted; what is None, or empty, does not narrow."""

    actor: str | None = None
    """An id or a name, whole."""
    action: str | None = None
    target: str | None = None
    """The beginning of it: `alarm:` is every alarm."""
    from_ms: int | None = None
    to_ms: int | None = None
    """Not included."""


async def lines(
    session: AsyncSession, tenant_id: str, wanted: AuditFilter, *, before: int | None = None, limit: int
) -> Sequence[AuditRow]:
    """A tenant's lines, newest first, from before the line `before`."""
    statement = select(AuditRow).where(AuditRow.tenant_id == tenant_id).order_by(AuditRow.audit_id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditRow.audit_id < before)
    if wanted.actor:
        statement = statement.where((AuditRow.actor_id == wanted.actor) | (AuditRow.actor_name == wanted.actor))
    if wanted.action:
        statement = statement.where(AuditRow.action == wanted.action)
    if wanted.target:
        statement = statement.where(func.substr(AuditRow.target, 1, len(wanted.target)) == wanted.target)
    if wanted.from_ms is not None:
        statement = statement.where(AuditRow.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        statement = statement.where(AuditRow.at_ms < wanted.to_ms)
    return (await session.scalars(statement)).all()


async def entries_after(session: AsyncSession, audit_id: int, *, limit: int) -> list[Entry]:
    """The chain's next lines, of every tenant, oldest first."""
    statement = select(AuditRow).where(AuditRow.audit_id > audit_id).order_by(AuditRow.audit_id).limit(limit)
    return [
        Entry(Link(row.audit_id, row.hash), {name: getattr(row, name) for name in SEALED})
        for row in await session.scalars(statement)
    ]


async def newest_link(session: AsyncSession) -> Link:
    """The chain's end."""
    statement = select(AuditRow.audit_id, AuditRow.hash).order_by(AuditRow.audit_id.desc()).limit(1)
    found = (await session.execute(statement)).first()
    return Link(found.audit_id, found.hash) if found else GENESIS
