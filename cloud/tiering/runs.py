"""Scoring runs asked for, and the policy by which they score."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.tiering import repository
from cloud.tiering.policy import Policy, from_json
from cloud.tiering.tables import RunRow
from kit.ids import uuid7

DAY_MS: Final = 86_400_000


async def policy_of(session: AsyncSession, tenant_id: TenantId) -> tuple[int, Policy]:
    """The version and the policy that hold; version 0 is the standard one."""
    row = await repository.newest_policy(session, tenant_id)
    return (0, Policy()) if row is None else (row.version, from_json(row.policy))


async def ask(session: AsyncSession, tenant_id: TenantId, *, actor: Actor, now_ms: int) -> RunRow:
    """Ask for a run; one that waits already is that one."""
    waiting = await repository.newest_run(session, tenant_id, "waiting")
    if waiting is not None:
        return waiting
    version, _ = await policy_of(session, tenant_id)
    row = RunRow(
        run_id=uuid7(now_ms),
        tenant_id=tenant_id,
        state="waiting",
        day=now_ms // DAY_MS,
        policy_version=version,
        customers=0,
        figures={},
        why="",
        step="",
        percent=0,
        asked_ms=now_ms,
        asked_by=actor.name[:NAME_CHARACTERS_MAX],
        ended_ms=None,
    )
    session.add(row)
    target = f"tiering_run:{row.run_id}"
    audit.record(session, tenant_id, actor, "tiering_run_asked", target, now_ms=now_ms)
    return row
