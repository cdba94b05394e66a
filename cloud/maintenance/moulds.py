"""Shot counters of moulds: all shots over all presses, since the last service, and until the next."""

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.events import EventLog
from cloud.core.problems import NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.maintenance import repository
from cloud.maintenance.domain import DAY_MS, UNDO_MS, MouldLife, can_be_undone, most_due_first
from cloud.maintenance.jobs import JobStateError
from cloud.maintenance.tables import MouldServiceRow
from cloud.production import repository as production

MOULDS_MAX = 2_000
INTERVAL_SHOTS_MAX = 1_000_000_000
PACE_DAYS = 7
MOULD_SERVICED = "mould.serviced"


async def lives(session: AsyncSession, tenant_id: TenantId, *, now_ms: int) -> list[MouldLife]:
    """All moulds that have made a shot, the most due first."""
    shots = await production.mould_shots(session, tenant_id, limit=MOULDS_MAX)
    services = await repository.services(session, tenant_id, limit=MOULDS_MAX)
    made: dict[str, int] = {}
    for each in await production.sums(session, tenant_id, now_ms - PACE_DAYS * DAY_MS, now_ms):
        made[each.mould_id] = made.get(each.mould_id, 0) + each.output.shots
    return most_due_first(
        _life(mould_id, total, services.get(mould_id), made.get(mould_id, 0)) for mould_id, total in shots.items()
    )


async def set_interval(
    session: AsyncSession,
    tenant_id: TenantId,
    mould_id: str,
    interval_shots: int | None,
    *,
    actor: Actor,
    now_ms: int,
) -> None:
    """Say after how many shots a mould is due for service; None: nobody says.

    Raises:
        NotFoundError: no press of the tenant has run such a mould.
    """
    await _shots(session, tenant_id, mould_id)
    row = await _row(session, tenant_id, mould_id)
    before, row.interval_shots = row.interval_shots, interval_shots
    audit.record(
        session,
        tenant_id,
        actor,
        "mould_interval_set",
        f"mould:{mould_id}",
        now_ms=now_ms,
        before={"interval_shots": before},
        after={"interval_shots": interval_shots},
    )


async def serviced(
    session: AsyncSession, events: EventLog, tenant_id: TenantId, mould_id: str, *, actor: Actor, now_ms: int
) -> None:
    """Say that a mould was serviced: its shots since service begin at nought.

    Raises:
        NotFoundError: no press of the tenant has run such a mould.
    """
    total = await _shots(session, tenant_id, mould_id)
    row = await _row(session, tenant_id, mould_id)
    row.previous_shots, row.previous_ms, row.previous_by = row.serviced_shots, row.serviced_ms, row.serviced_by
    row.serviced_shots, row.serviced_ms, row.serviced_by = total, now_ms, actor.name[:NAME_CHARACTERS_MAX]
    after = {"shots": total, "shots_since_service": total - row.previous_shots}
    target = f"mould:{mould_id}"
    audit.record(session, tenant_id, actor, "mould_serviced", target, now_ms=now_ms, after=after)
    events.record(session, tenant_id, MOULD_SERVICED, {"mould_id": mould_id, "by": actor.name, **after}, now_ms)


async def take_service_back(
    session: AsyncSession, tenant_id: TenantId, mould_id: str, *, actor: Actor, now_ms: int
) -> None:
    """Take the last service back, within UNDO_MS: the shots since the one before count again.

    Raises:
        NotFoundError: no press of the tenant has run such a mould.
        JobStateError: it was not serviced, or too long ago.
    """
    await _shots(session, tenant_id, mould_id)
    row = await repository.service_of(session, tenant_id, mould_id)
    if row is None or not can_be_undone(row.serviced_ms, now_ms):
        raise JobStateError("done", f"a service can be taken back for {UNDO_MS // 60_000} minutes")
    before = {"serviced_ms": row.serviced_ms}
    row.serviced_shots, row.serviced_ms, row.serviced_by = row.previous_shots, row.previous_ms, row.previous_by
    after, target = {"serviced_ms": row.serviced_ms}, f"mould:{mould_id}"
    audit.record(
        session, tenant_id, actor, "mould_service_taken_back", target, now_ms=now_ms, before=before, after=after
    )


async def _shots(session: AsyncSession, tenant_id: TenantId, mould_id: str) -> int:
    total = await production.shots_of_mould(session, tenant_id, mould_id)
    if total is None:
        raise NotFoundError("mould", mould_id)
    return total


async def _row(session: AsyncSession, tenant_id: TenantId, mould_id: str) -> MouldServiceRow:
    row = await repository.service_of(session, tenant_id, mould_id)
    if row is None:
        row = MouldServiceRow(
            tenant_id=tenant_id,
            mould_id=mould_id,
            interval_shots=None,
            serviced_shots=0,
            serviced_ms=None,
            serviced_by="",
            previous_shots=0,
            previous_ms=None,
            previous_by="",
        )
        session.add(row)
    return row


def _life(mould_id: str, total: int, row: MouldServiceRow | None, made: int) -> MouldLife:
    since = total - (row.serviced_shots if row else 0)
    interval = row.interval_shots if row else None
    return MouldLife(mould_id, total, since, interval, made / PACE_DAYS, row.serviced_ms if row else None)
