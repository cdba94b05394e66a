"""The figures of a tenant's alarm system over some days: bounded queries, and the pure rules over what they give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import analytics, repository
from cloud.alarms.analytics import STANDING_MS, Bar, Chatter, Rate, Share
from cloud.alarms.analytics import Actor as BadActor
from cloud.alarms.domain import Alarm
from cloud.alarms.flood import WINDOW_MS, Band, band_of
from cloud.alarms.floods import operators, rate_now
from cloud.alarms.life import ACTIVE_STATES, OPEN_STATES, State
from cloud.alarms.points import Point
from cloud.alarms.policy import HOUR_MS
from cloud.alarms.record import alarm_of
from cloud.alarms.tables import AlarmRow, HistoryRow
from cloud.core.tenants import TenantId

DAYS_MAX = 90
BAD_ACTORS = 10
CHATTERERS = 10
CHATTER_ROWS_MAX = 50_000
"""The newest annunciations in which chattering is looked for."""
LONG_OPEN_MAX = 50
FLOODS_MAX = 20
BARS_MAX = 96

POINT = (HistoryRow.plant_id, HistoryRow.press_id, HistoryRow.gateway_id, HistoryRow.kind, HistoryRow.mode)


@dataclass(frozen=True, slots=True)
class FloodSpan:
    """One flood."""

    began_ms: int
    ended_ms: int | None
    raised: int
    held_back: int
    rate_max: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """How the alarm system did."""

    since_ms: int
    until_ms: int
    total: int
    rate_now: float
    band_now: Band
    rate: Rate
    over_time: Sequence[Bar]
    shares: Sequence[Share]
    bad_actors: Sequence[BadActor]
    chattering: Sequence[Chatter]
    standing: Sequence[Alarm]
    """Active for longer than a day, the longest first."""
    stale: Sequence[Alarm]
    """Cleared, and open all the same for longer than a day."""
    floods: Sequence[FloodSpan]


async def analyse(
    session: AsyncSession, tenant_id: TenantId, *, days: int, plant_id: str | None = None, now_ms: int
) -> Analysis:
    """The figures of the last `days`, of one plant or of all; rates are by the operators who are signed in now."""
    since_ms = now_ms - days * 24 * HOUR_MS
    told = [HistoryRow.tenant_id == tenant_id, HistoryRow.is_annunciation, HistoryRow.at_ms > since_ms]
    if plant_id is not None:
        told.append(HistoryRow.plant_id == plant_id)
    by_priority = await _counts(session, HistoryRow.priority, told)
    buckets = await _counts(session, HistoryRow.at_ms // WINDOW_MS, told)
    total, figure = sum(by_priority.values()), await rate_now(session, tenant_id, now_ms)
    people = await operators(session, tenant_id, now_ms)
    floods = await repository.floods(session, tenant_id, since_ms=since_ms, limit=FLOODS_MAX)
    return Analysis(
        since_ms=since_ms,
        until_ms=now_ms,
        total=total,
        rate_now=figure,
        band_now=band_of(figure),
        rate=analytics.rate_of(buckets, spans=analytics.spans_between(since_ms, now_ms), operators=people),
        over_time=analytics.over_time(buckets, since_ms=since_ms, until_ms=now_ms, points_max=BARS_MAX),
        shares=analytics.shares(by_priority),
        bad_actors=analytics.bad_actors(await _most(session, told), total),
        chattering=analytics.chattering(await _times(session, told))[:CHATTERERS],
        standing=await _long_open(session, tenant_id, plant_id, ACTIVE_STATES, now_ms),
        stale=await _long_open(
            session, tenant_id, plant_id, tuple(state for state in OPEN_STATES if state not in ACTIVE_STATES), now_ms
        ),
        floods=[FloodSpan(row.began_ms, row.ended_ms, row.raised, row.held_back, row.rate_max) for row in floods],
    )


async def _counts(session: AsyncSession, by: Any, told: Sequence[SQLColumnExpression[bool]]) -> dict[Any, int]:
    """How often people were told, by priority or by span of ten minutes: DAYS_MAX bound their number."""
    found = await session.execute(select(by, func.count()).where(*told).group_by(by))
    return dict(found.all())


async def _most(session: AsyncSession, told: Sequence[SQLColumnExpression[bool]]) -> list[tuple[Point, int]]:
    count = func.count()
    found = await session.execute(
        select(*POINT, count).where(*told).group_by(*POINT).order_by(count.desc(), *POINT).limit(BAD_ACTORS)
    )
    return [(Point(*names), number) for *names, number in found]


async def _times(session: AsyncSession, told: Sequence[SQLColumnExpression[bool]]) -> dict[Point, list[int]]:
    statement = select(*POINT, HistoryRow.at_ms).where(*told).order_by(HistoryRow.entry_id.desc())
    times: dict[Point, list[int]] = {}
    for *names, at_ms in await session.execute(statement.limit(CHATTER_ROWS_MAX)):
        times.setdefault(Point(*names), []).append(at_ms)
    return times


async def _long_open(
    session: AsyncSession, tenant_id: TenantId, plant_id: str | None, states: Sequence[State], now_ms: int
) -> list[Alarm]:
    statement = select(AlarmRow).where(
        AlarmRow.tenant_id == tenant_id, AlarmRow.state.in_(states), AlarmRow.raised_ms <= now_ms - STANDING_MS
    )
    if plant_id is not None:
        statement = statement.where(AlarmRow.plant_id == plant_id)
    rows = await session.scalars(statement.order_by(AlarmRow.raised_ms, AlarmRow.alarm_id).limit(LONG_OPEN_MAX))
    return [alarm_of(row) for row in rows]
