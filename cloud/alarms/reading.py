"""Alarms, their history and their withheld points, for pages, the API and other modules."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.domain import Alarm
from cloud.alarms.life import OPEN_STATES, State
from cloud.alarms.points import Point
from cloud.alarms.record import alarm_of, point_of, withheld_of
from cloud.alarms.repository import EVERYTHING, AlarmFilter
from cloud.alarms.tables import HistoryRow, PointRow
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId

OPEN_ALARMS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One turn of an alarm's life, or a word about it: who, when, why, from where to where."""

    entry_id: int
    alarm_id: UUID | None
    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str
    priority: str
    at_ms: int
    what: str
    from_state: str
    to_state: str
    actor_kind: str
    actor_id: str
    actor_name: str
    why: str | None


@dataclass(frozen=True, slots=True)
class WithheldPoint:
    """A point of which nobody is told, and why."""

    point: Point
    state: State
    shelved_ms: int | None
    shelved_until_ms: int | None
    shelved_by: str | None
    shelf_reason: str | None
    is_one_shot: bool
    suppressed_ms: int | None
    suppressed_by: str | None
    suppression_reason: str | None
    taken_out_ms: int | None
    taken_out_by: str | None
    taken_out_reason: str | None
    alarm_id: UUID | None
    """The newest alarm of the point."""
    is_active: bool
    """Whether its cause is there."""


async def alarms(
    session: AsyncSession,
    tenant_id: TenantId,
    wanted: AlarmFilter = EVERYTHING,
    *,
    before: UUID | None = None,
    limit: int,
) -> Slice[Alarm]:
    """Alarms, newest first; `before` is the last alarm of the page before."""
    rows = await repository.alarms(session, tenant_id, wanted, before=before, limit=limit + 1)
    return slice_of([alarm_of(row) for row in rows], limit)


async def alarm(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> Alarm:
    """One alarm.

    Raises:
        NotFoundError: the tenant has no such alarm.
    """
    row = await repository.alarm(session, tenant_id, alarm_id)
    if row is None:
        raise NotFoundError("alarm", str(alarm_id))
    return alarm_of(row)


async def open_alarms(session: AsyncSession, tenant_id: TenantId) -> list[Alarm]:
    """What asks a person for something, newest first, at most OPEN_ALARMS_MAX."""
    return list((await alarms(session, tenant_id, AlarmFilter(states=OPEN_STATES), limit=OPEN_ALARMS_MAX)).items)


async def history(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    alarm_id: UUID | None = None,
    what: Collection[str] = (),
    wanted: AlarmFilter = EVERYTHING,
    before: int | None = None,
    limit: int,
) -> Slice[HistoryEntry]:
    """What happened, newest first: to one alarm, or to all of the tenant."""
    rows = await repository.history(
        session, tenant_id, alarm_id=alarm_id, what=what, wanted=wanted, before=before, limit=limit + 1
    )
    return slice_of([_entry(row) for row in rows], limit)


async def withheld_points(
    session: AsyncSession, tenant_id: TenantId, *, after: Point | None = None, limit: int
) -> Slice[WithheldPoint]:
    """What is shelved, suppressed by design or out of service, by place, kind and mode."""
    rows = await repository.withheld_points(session, tenant_id, after=after, limit=limit + 1)
    return slice_of([await _withheld(session, row) for row in rows], limit)


async def withheld_point(session: AsyncSession, alarm: Alarm) -> WithheldPoint | None:
    """Why an alarm is withheld; None when it is not."""
    point = Point(alarm.plant_id, alarm.press_id, alarm.gateway_id, alarm.kind, alarm.mode, alarm.rule_id)
    row = await repository.point(session, point)
    return await _withheld(session, row) if row is not None and withheld_of(row) else None


async def _withheld(session: AsyncSession, row: PointRow) -> WithheldPoint:
    newest = await repository.newest_alarm(session, point_of(row))
    holding = withheld_of(row)
    return WithheldPoint(
        point=point_of(row),
        state=next(name for name in ("out_of_service", "suppressed_by_design", "shelved") if name in holding),
        shelved_ms=row.shelved_ms,
        shelved_until_ms=row.shelved_until_ms,
        shelved_by=row.shelved_by,
        shelf_reason=row.shelf_reason,
        is_one_shot=row.is_one_shot,
        suppressed_ms=row.suppressed_ms,
        suppressed_by=row.suppressed_by,
        suppression_reason=row.suppression_reason,
        taken_out_ms=row.taken_out_ms,
        taken_out_by=row.taken_out_by,
        taken_out_reason=row.taken_out_reason,
        alarm_id=newest.alarm_id if newest else None,
        is_active=newest is not None and newest.cleared_ms is None,
    )


def _entry(row: HistoryRow) -> HistoryEntry:
    return HistoryEntry(
        entry_id=row.entry_id,
        alarm_id=row.alarm_id,
        plant_id=row.plant_id,
        press_id=row.press_id,
        gateway_id=row.gateway_id,
        kind=row.kind,
        mode=row.mode,
        priority=row.priority,
        at_ms=row.at_ms,
        what=row.what,
        from_state=row.from_state,
        to_state=row.to_state,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        why=row.why,
    )
