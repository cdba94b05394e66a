"""What people say of production: the cycle time that they expect, and when presses are not planned to be busy."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import reading as fleet
from cloud.production import repository
from cloud.production.reading import DOWNTIMES_MAX
from cloud.production.repository import ExpectedKey
from cloud.production.tables import ExpectedCycleRow, PlannedDowntimeRow
from kit.ids import uuid7

DOWNTIME_MS_MAX = 366 * 24 * 3_600_000
UNDO_MS = 15 * 60_000
"""So long a change by hand can be taken back."""


@dataclass(frozen=True, slots=True)
class PlannedDowntime:
    """A time in which a press, or with an empty `press_id` a plant, is not planned to be busy."""

    downtime_id: UUID
    plant_id: str
    press_id: str
    start_ms: int
    end_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExpectedCycle:
    """The cycle time expected of a press and mould: `set_s` by hand goes before `own_s`, the press's own median."""

    mould_id: str
    own_s: float | None
    set_s: float | None


async def set_expected(
    session: AsyncSession,
    tenant_id: TenantId,
    plant_id: str,
    press_id: str,
    mould_id: str,
    cycle_s: float | None,
    *,
    actor: Actor,
    now_ms: int,
) -> ExpectedCycle:
    """Say what cycle time is expected; None leaves it to the press's own median again.

    Raises:
        NotFoundError: the tenant has no such press.
    """
    await fleet.press(session, tenant_id, plant_id, press_id)
    key = (plant_id, press_id, mould_id)
    row = (await repository.expected_rows(session, [key])).get(key)
    if row is None:
        row = ExpectedCycleRow(
            plant_id=plant_id,
            press_id=press_id,
            mould_id=mould_id,
            tenant_id=tenant_id,
            own_s=None,
            set_s=None,
            before_s=None,
            changed_ms=None,
            counts={},
        )
        session.add(row)
    audit.record(
        session,
        tenant_id,
        actor,
        "expected_cycle_set",
        f"press:{plant_id}/{press_id}",
        now_ms=now_ms,
        before={"mould_id": mould_id, "cycle_s": row.set_s},
        after={"mould_id": mould_id, "cycle_s": cycle_s},
    )
    row.before_s, row.changed_ms, row.set_s = row.set_s, now_ms, cycle_s
    return ExpectedCycle(mould_id, row.own_s, row.set_s)


async def undo_expected(
    session: AsyncSession, tenant_id: TenantId, key: ExpectedKey, *, actor: Actor, now_ms: int
) -> None:
    """Expect again what was expected before the last change, within UNDO_MS.

    Raises:
        NotFoundError: the tenant has no such press, or nothing was changed of late.
    """
    plant_id, press_id, mould_id = key
    row = (await repository.expected_rows(session, [key])).get(key)
    if row is None or row.tenant_id != tenant_id or not can_be_undone(row.changed_ms, now_ms):
        raise NotFoundError("change of an expected cycle time", f"{plant_id}/{press_id}")
    await set_expected(session, tenant_id, plant_id, press_id, mould_id, row.before_s, actor=actor, now_ms=now_ms)
    row.before_s = row.changed_ms = None


def can_be_undone(changed_ms: int | None, now_ms: int) -> bool:
    """Whether a change by hand can still be taken back."""
    return changed_ms is not None and now_ms - changed_ms <= UNDO_MS


async def expected_cycles(
    session: AsyncSession, tenant_id: TenantId, plant_id: str, press_id: str
) -> list[ExpectedCycle]:
    """What is expected of a press, by mould.

    Raises:
        NotFoundError: the tenant has no such press.
    """
    await fleet.press(session, tenant_id, plant_id, press_id)
    rows = await repository.expected(session, tenant_id, plant_id=plant_id, press_id=press_id)
    return [ExpectedCycle(mould_id, own_s, set_s) for _, _, mould_id, own_s, set_s in sorted(rows, key=lambda r: r[2])]


async def plan_downtime(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str,
    press_id: str,
    start_ms: int,
    end_ms: int,
    reason: str,
    actor: Actor,
    now_ms: int,
) -> PlannedDowntime:
    """Plan that a press, or a whole plant, does not run.

    Raises:
        NotFoundError: the tenant has no such plant or press.
        InvalidFieldError: it ends before it begins, lasts over a year, or there are DOWNTIMES_MAX already.
    """
    if press_id:
        await fleet.press(session, tenant_id, plant_id, press_id)
    elif plant_id not in await fleet.plant_ids(session, tenant_id):
        raise NotFoundError("plant", plant_id)
    _check_time(start_ms, end_ms)
    await _check_room(session, tenant_id)
    row = PlannedDowntimeRow(
        downtime_id=uuid7(now_ms),
        tenant_id=tenant_id,
        plant_id=plant_id,
        press_id=press_id,
        start_ms=start_ms,
        end_ms=end_ms,
        reason=reason,
        dropped_ms=None,
    )
    session.add(row)
    after = {"plant_id": plant_id, "press_id": press_id, "start_ms": start_ms, "end_ms": end_ms, "reason": reason}
    target = f"downtime:{row.downtime_id}"
    audit.record(session, tenant_id, actor, "downtime_planned", target, now_ms=now_ms, after=after)
    return downtime_of(row)


async def change_downtime(
    session: AsyncSession,
    tenant_id: TenantId,
    downtime_id: UUID,
    *,
    start_ms: int,
    end_ms: int,
    reason: str,
    actor: Actor,
    now_ms: int,
) -> PlannedDowntime:
    """Move a planned downtime, or end it.

    Raises:
        NotFoundError: the tenant has none such.
        InvalidFieldError: it ends before it begins, or lasts over a year.
    """
    row = await _downtime(session, tenant_id, downtime_id)
    _check_time(start_ms, end_ms)
    before = {"start_ms": row.start_ms, "end_ms": row.end_ms, "reason": row.reason}
    row.start_ms, row.end_ms, row.reason = start_ms, end_ms, reason
    after = {"start_ms": start_ms, "end_ms": end_ms, "reason": reason}
    target = f"downtime:{downtime_id}"
    audit.record(session, tenant_id, actor, "downtime_changed", target, now_ms=now_ms, before=before, after=after)
    return downtime_of(row)


async def drop_downtime(
    session: AsyncSession, tenant_id: TenantId, downtime_id: UUID, *, actor: Actor, now_ms: int
) -> None:
    """Take a planned downtime back for good.

    Raises:
        NotFoundError: the tenant has none such.
    """
    await session.delete(await _downtime(session, tenant_id, downtime_id))
    audit.record(session, tenant_id, actor, "downtime_dropped", f"downtime:{downtime_id}", now_ms=now_ms)


async def set_aside_downtime(
    session: AsyncSession, tenant_id: TenantId, downtime_id: UUID, *, actor: Actor, now_ms: int
) -> None:
    """Take a planned downtime back; within UNDO_MS it can be brought back.

    Raises:
        NotFoundError: the tenant has none such.
    """
    row = await _downtime(session, tenant_id, downtime_id)
    row.dropped_ms = now_ms
    audit.record(session, tenant_id, actor, "downtime_dropped", f"downtime:{downtime_id}", now_ms=now_ms)


async def restore_downtime(
    session: AsyncSession, tenant_id: TenantId, downtime_id: UUID, *, actor: Actor, now_ms: int
) -> PlannedDowntime:
    """Bring back a planned downtime that was taken back.

    Raises:
        NotFoundError: the tenant has none such, or it was longer ago than UNDO_MS.
        InvalidFieldError: there are DOWNTIMES_MAX already.
    """
    row = await repository.downtime(session, tenant_id, downtime_id, is_dropped=True)
    if row is None or not can_be_undone(row.dropped_ms, now_ms):
        raise NotFoundError("planned downtime that was taken back of late", str(downtime_id))
    await _check_room(session, tenant_id)
    row.dropped_ms = None
    audit.record(session, tenant_id, actor, "downtime_restored", f"downtime:{downtime_id}", now_ms=now_ms)
    return downtime_of(row)


async def _downtime(session: AsyncSession, tenant_id: TenantId, downtime_id: UUID) -> PlannedDowntimeRow:
    row = await repository.downtime(session, tenant_id, downtime_id)
    if row is None:
        raise NotFoundError("planned downtime", str(downtime_id))
    return row


async def _check_room(session: AsyncSession, tenant_id: TenantId) -> None:
    if await repository.downtime_count(session, tenant_id) >= DOWNTIMES_MAX:
        raise InvalidFieldError("body", f"{DOWNTIMES_MAX} planned downtimes are the most; delete some")


def _check_time(start_ms: int, end_ms: int) -> None:
    if not 0 < end_ms - start_ms <= DOWNTIME_MS_MAX:
        raise InvalidFieldError("body.end_ms", "must be after start_ms, by at most 366 days")


def downtime_of(row: PlannedDowntimeRow) -> PlannedDowntime:
    """The value of a row."""
    return PlannedDowntime(row.downtime_id, row.plant_id, row.press_id, row.start_ms, row.end_ms, row.reason)
