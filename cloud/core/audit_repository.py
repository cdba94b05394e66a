"""All SQL that reads the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cloud.core.audit import SEALED, AuditRow
from cloud.core.audit_chain import GENESIS, Entry, Link

TIME_MAX: Final = (1 << 63) - 1


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
    """A tenant's lines, newest first, from before the line `before`.

    Newest is what was written last; between two times it is what has the latest time, which differs only where a clock
    was set back: each has an index that gives it in order, and one for both there is not.
    """
    return (await session.scalars(statement(tenant_id, wanted, before=before, limit=limit))).all()


def statement(tenant_id: str, wanted: AuditFilter, *, before: int | None, limit: int) -> Select[AuditRow]:
    """The query for `lines`."""
    chosen = select(AuditRow).where(AuditRow.tenant_id == tenant_id).limit(limit)
    if wanted.from_ms is None and wanted.to_ms is None:
        chosen = chosen.order_by(AuditRow.audit_id.desc())
        chosen = chosen if before is None else chosen.where(AuditRow.audit_id < before)
    else:
        chosen = chosen.order_by(AuditRow.at_ms.desc(), AuditRow.audit_id.desc())
        chosen = chosen if before is None else chosen.where(_is_earlier_than(tenant_id, before))
    if wanted.actor:
        chosen = chosen.where((AuditRow.actor_id == wanted.actor) | (AuditRow.actor_name == wanted.actor))
    if wanted.action:
        chosen = chosen.where(AuditRow.action == wanted.action)
    if wanted.target:
        chosen = chosen.where(func.substr(AuditRow.target, 1, len(wanted.target)) == wanted.target)
    if wanted.from_ms is not None:
        chosen = chosen.where(AuditRow.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        bounded = AuditRow.at_ms if before is None else AuditRow.at_ms + 0  # the index is to begin at the line before
        chosen = chosen.where(bounded < wanted.to_ms)
    return chosen


def _is_earlier_than(tenant_id: str, audit_id: int) -> ColumnElement[bool]:
    """Whether a line comes behind this one by time; behind a number that no line of the tenant has come all."""
    pivot = aliased(AuditRow)
    at_ms = select(pivot.at_ms).where(pivot.tenant_id == tenant_id, pivot.audit_id == audit_id).scalar_subquery()
    return tuple_(AuditRow.at_ms, AuditRow.audit_id) < tuple_(func.coalesce(at_ms, TIME_MAX), audit_id)


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
