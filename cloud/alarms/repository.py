"""All SQL of alarms, their points, history and floods."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.life import ACTIVE_STATES, LASTING_STATES, State
from cloud.alarms.points import Point
from cloud.alarms.tables import AlarmRow, FloodRow, HistoryRow, PointRow, TrackerRow, TroubleTrackerRow
from cloud.core.tenants import TenantId

KEYS_PER_QUERY_MAX = 400
LASTING_PER_POINT_MAX = 2_000
MOMENT_MS_MAX = (1 << 48) - 1
"""The last that an id can hold."""
ACTIVE_THEN_NEWEST = (AlarmRow.cleared_ms.is_not(None), AlarmRow.alarm_id.desc())
"""Ids of one millisecond are in no order; at most one alarm of a point is active."""


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms of a tenant are wanted; what is empty or None does not narrow."""

    plant_id: str | None = None
    press_id: str | None = None
    states: Sequence[State] = ()
    priorities: Sequence[str] = ()
    kind: str | None = None
    mode: str | None = None
    assigned_to: str | None = None
    search: str | None = None
    """Part of the name of a press, gateway or mode, in any case."""
    from_ms: int | None = None
    """Raised, or of a line of history: written, from then on."""
    to_ms: int | None = None
    """And before then."""


EVERYTHING = AlarmFilter()


async def alarm(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> AlarmRow | None:
    """One alarm of the tenant."""
    row = await session.get(AlarmRow, alarm_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def active_alarm(session: AsyncSession, point: Point) -> AlarmRow | None:
    """The alarm of a point whose cause is there."""
    statement = _of_point(point).where(AlarmRow.cleared_ms.is_(None))
    found: AlarmRow | None = await session.scalar(statement)
    return found


async def lasting_alarms(session: AsyncSession, point: Point) -> Sequence[AlarmRow]:
    """The alarms of a point whose life is not over, the active one first, at most LASTING_PER_POINT_MAX."""
    statement = _of_point(point).where(AlarmRow.state.in_(LASTING_STATES)).order_by(*ACTIVE_THEN_NEWEST)
    return (await session.scalars(statement.limit(LASTING_PER_POINT_MAX))).all()


async def newest_alarm(session: AsyncSession, point: Point) -> AlarmRow | None:
    """The last alarm of a point, whatever became of it."""
    found: AlarmRow | None = await session.scalar(_of_point(point).order_by(*ACTIVE_THEN_NEWEST).limit(1))
    return found


async def latched_alarm(session: AsyncSession, point: Point) -> AlarmRow | None:
    """The alarm of a point that has cleared and waits for its reset."""
    waits = (AlarmRow.is_latching, AlarmRow.reset_ms.is_(None), AlarmRow.cleared_ms.is_not(None))
    found: AlarmRow | None = await session.scalar(
        _of_point(point).where(*waits).order_by(AlarmRow.alarm_id.desc()).limit(1)
    )
    return found


def _of_point(point: Point) -> Select[AlarmRow]:
    return select(AlarmRow).where(
        AlarmRow.plant_id == point.plant_id,
        AlarmRow.press_id == point.press_id,
        AlarmRow.gateway_id == point.gateway_id,
        AlarmRow.kind == point.kind,
        AlarmRow.mode == point.mode,
        AlarmRow.rule_id == point.rule_id,
    )


async def point(session: AsyncSession, key: Point) -> PointRow | None:
    """What is held of a point."""
    return await session.get(PointRow, (key.plant_id, key.press_id, key.gateway_id, key.kind, key.mode, key.rule_id))


async def last_of_group(session: AsyncSession, place: Point, cause: str) -> tuple[UUID, int] | None:
    """The group of the active alarms of a place and cause, with its last number; None when there is none."""
    statement = select(AlarmRow.group_id).where(
        AlarmRow.plant_id == place.plant_id,
        AlarmRow.press_id == place.press_id,
        AlarmRow.gateway_id == place.gateway_id,
        AlarmRow.cause == cause,
        AlarmRow.cleared_ms.is_(None),
    )
    group_id = await session.scalar(statement.order_by(AlarmRow.alarm_id.desc()).limit(1))
    if group_id is None:
        return None
    last = await session.scalar(select(func.max(AlarmRow.group_order)).where(AlarmRow.group_id == group_id))
    return group_id, last or 1


async def alarms(
    session: AsyncSession, tenant_id: TenantId, wanted: AlarmFilter, *, before: UUID | None, limit: int
) -> Sequence[AlarmRow]:
    """Alarms, newest first."""
    statement = select(AlarmRow).where(AlarmRow.tenant_id == tenant_id).order_by(AlarmRow.alarm_id.desc())
    statement = statement.where(*_narrows(AlarmRow, wanted))
    if wanted.states:
        statement = statement.where(AlarmRow.state.in_(wanted.states))
    if wanted.assigned_to is not None:
        statement = statement.where(AlarmRow.assigned_to == wanted.assigned_to)
    if wanted.from_ms is not None:
        statement = statement.where(AlarmRow.alarm_id >= first_id_of(wanted.from_ms))
    if wanted.to_ms is not None:
        statement = statement.where(AlarmRow.alarm_id < first_id_of(wanted.to_ms))
    if wanted.search:
        names = (AlarmRow.press_id, AlarmRow.gateway_id, AlarmRow.mode)
        statement = statement.where(or_(*(name.icontains(wanted.search, autoescape=True) for name in names)))
    if before is not None:
        statement = statement.where(AlarmRow.alarm_id < before)
    return (await session.scalars(statement.limit(limit))).all()


def first_id_of(utc_ms: int) -> UUID:
    """Below the id of every alarm that was raised then or later, above all others: ids rise with time."""
    return UUID(int=min(max(utc_ms, 0), MOMENT_MS_MAX) << 80)


def _narrows(of: type[AlarmRow | HistoryRow], wanted: AlarmFilter) -> list[ColumnElement[bool]]:
    """What holds of an alarm and of a line of its history by the same names."""
    told = (
        (of.plant_id, wanted.plant_id),
        (of.press_id, wanted.press_id),
        (of.kind, wanted.kind),
        (of.mode, wanted.mode),
    )
    found = [column == value for column, value in told if value is not None]
    return [*found, of.priority.in_(wanted.priorities)] if wanted.priorities else found


async def withheld_points(
    session: AsyncSession, tenant_id: TenantId, *, after: Point | None, limit: int
) -> Sequence[PointRow]:
    """Points that are shelved, suppressed or out of service, by their names."""
    columns = (
        PointRow.plant_id,
        PointRow.press_id,
        PointRow.gateway_id,
        PointRow.kind,
        PointRow.mode,
        PointRow.rule_id,
    )
    reasons = (PointRow.shelved_ms, PointRow.suppressed_ms, PointRow.taken_out_ms)
    statement = select(PointRow).where(PointRow.tenant_id == tenant_id, or_(*(r.is_not(None) for r in reasons)))
    if after is not None:
        key = (after.plant_id, after.press_id, after.gateway_id, after.kind, after.mode, after.rule_id)
        statement = statement.where(tuple_(*columns) > key)
    return (await session.scalars(statement.order_by(*columns).limit(limit))).all()


async def history(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    alarm_id: UUID | None = None,
    what: Collection[str] = (),
    wanted: AlarmFilter = EVERYTHING,
    before: int | None = None,
    limit: int,
) -> Sequence[HistoryRow]:
    """What happened, newest first: to one alarm, or to all of the tenant."""
    statement = select(HistoryRow).where(HistoryRow.tenant_id == tenant_id).order_by(HistoryRow.entry_id.desc())
    if alarm_id is not None:
        statement = statement.where(HistoryRow.alarm_id == alarm_id)
    if what:
        statement = statement.where(HistoryRow.what.in_(what))
    statement = statement.where(*_narrows(HistoryRow, wanted))
    if wanted.states:
        statement = statement.where(HistoryRow.to_state.in_(wanted.states))
    if wanted.from_ms is not None:
        statement = statement.where(HistoryRow.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        statement = statement.where(HistoryRow.at_ms < wanted.to_ms)
    if before is not None:
        statement = statement.where(HistoryRow.entry_id < before)
    return (await session.scalars(statement.limit(limit))).all()


async def entries_of(session: AsyncSession, alarm_id: UUID, what: str, *, at_most: int) -> int:
    """How many entries of a kind an alarm has; counts no further than `at_most`."""
    some = select(HistoryRow.entry_id).where(HistoryRow.alarm_id == alarm_id, HistoryRow.what == what).limit(at_most)
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


async def annunciations(session: AsyncSession, tenant_id: TenantId, since_ms: int, *, at_most: int) -> int:
    """How often people were told of an alarm since then; counts no further than `at_most`."""
    some = select(HistoryRow.entry_id).where(
        HistoryRow.tenant_id == tenant_id, HistoryRow.is_annunciation, HistoryRow.at_ms > since_ms
    )
    return await session.scalar(select(func.count()).select_from(some.limit(at_most).subquery())) or 0


async def running_flood(session: AsyncSession, tenant_id: TenantId) -> FloodRow | None:
    """The flood that has not ended."""
    statement = select(FloodRow).where(FloodRow.tenant_id == tenant_id, FloodRow.ended_ms.is_(None))
    found: FloodRow | None = await session.scalar(statement)
    return found


async def floods(session: AsyncSession, tenant_id: TenantId, *, since_ms: int, limit: int) -> Sequence[FloodRow]:
    """Floods that had not ended by then, newest first."""
    statement = select(FloodRow).where(
        FloodRow.tenant_id == tenant_id, or_(FloodRow.ended_ms.is_(None), FloodRow.ended_ms >= since_ms)
    )
    return (await session.scalars(statement.order_by(FloodRow.flood_id.desc()).limit(limit))).all()


@dataclass(frozen=True, slots=True)
class Due:
    """Work whose time has come, a bounded part of each kind, the longest overdue first."""

    delays: Sequence[PointRow]
    shelves: Sequence[PointRow]
    escalations: Sequence[AlarmRow]
    realarms: Sequence[AlarmRow]
    floods: Sequence[FloodRow]
    held_back: Sequence[AlarmRow]
    """Alarms told of with their group only, while no flood runs."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.floods and not any(self._work)

    def is_cut(self, limit: int) -> bool:
        """Whether there may be more of a kind; a running flood is looked at again, not done with."""
        return any(len(part) >= limit for part in self._work)

    @property
    def _work(self) -> tuple[Sequence[object], ...]:
        return self.delays, self.shelves, self.escalations, self.realarms, self.held_back


async def due(session: AsyncSession, now_ms: int, *, limit: int) -> Due:
    """What is to be done by now, at most `limit` of each kind."""
    delays = select(PointRow).where(PointRow.delay_due_ms <= now_ms).order_by(PointRow.delay_due_ms)
    shelves = select(PointRow).where(PointRow.shelved_until_ms <= now_ms).order_by(PointRow.shelved_until_ms)
    escalations = select(AlarmRow).where(AlarmRow.escalate_ms <= now_ms).order_by(AlarmRow.escalate_ms)
    realarms = select(AlarmRow).where(AlarmRow.realarm_ms <= now_ms).order_by(AlarmRow.realarm_ms)
    running = select(FloodRow.tenant_id).where(FloodRow.ended_ms.is_(None))
    held_back = select(AlarmRow).where(
        AlarmRow.is_held_back, AlarmRow.state.in_(ACTIVE_STATES), AlarmRow.tenant_id.not_in(running)
    )
    return Due(
        (await session.scalars(delays.limit(limit))).all(),
        (await session.scalars(shelves.limit(limit))).all(),
        (await session.scalars(escalations.limit(limit))).all(),
        (await session.scalars(realarms.limit(limit))).all(),
        (await session.scalars(select(FloodRow).where(FloodRow.ended_ms.is_(None)).limit(limit))).all(),
        (await session.scalars(held_back.order_by(AlarmRow.alarm_id).limit(limit))).all(),
    )


TrackerKey = tuple[str, str, str, str]
"""(plant, press or gateway, rule, what the rule looks at)."""


async def trackers(session: AsyncSession, presses: Sequence[tuple[str, str]]) -> dict[TrackerKey, TrackerRow]:
    """The trackers of these (plant, press)."""
    found: dict[TrackerKey, TrackerRow] = {}
    for start in range(0, len(presses), KEYS_PER_QUERY_MAX):
        chunk = presses[start : start + KEYS_PER_QUERY_MAX]
        statement = select(TrackerRow).where(tuple_(TrackerRow.plant_id, TrackerRow.press_id).in_(chunk))
        rows = await session.scalars(statement)
        found |= {(row.plant_id, row.press_id, row.rule_id, row.mode): row for row in rows}
    return found


async def forget_counts(session: AsyncSession) -> None:
    """Let every tracker count and learn from nothing; what is raised stays raised."""
    nothing = {"over_count": 0, "first_over_ms": None, "under_count": 0, "last_ended_ms": None, "memory": None}
    await session.execute(update(TrackerRow).values(nothing))


async def trouble_trackers(session: AsyncSession) -> dict[TrackerKey, TroubleTrackerRow]:
    """All trackers of gateways' troubles."""
    rows = await session.scalars(select(TroubleTrackerRow))
    return {(row.plant_id, row.gateway_id, row.rule_id, row.mode): row for row in rows}
