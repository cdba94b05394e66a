"""Forgets alarms whose life is over for long enough, each with its history, and old words of points, in parts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cloud.alarms.life import LASTING_STATES
from cloud.alarms.repository import first_id_of
from cloud.alarms.tables import AlarmRow, FloodRow, HistoryRow, PointRow
from cloud.core.database import Database
from kit.clock import Clock

PART_ALARMS_MAX = 200
"""In one transaction, so that nobody waits long for the writer's turn."""
PARTS_MAX = 500
"""In one go: 100,000 alarms; the rest waits for the next."""


class AlarmRetention:
    """Keeps what is not over, what somebody labelled (`kept`: ids of alarms), and the first-up alarm of a group."""

    def __init__(self, database: Database, clock: Clock, *, keep_ms: int, kept: Select[tuple[UUID]]) -> None:
        self._database = database
        self._clock = clock
        self._keep_ms = keep_ms
        self._kept = kept

    async def prune(self) -> int:
        """Forget at most PARTS_MAX parts; how many alarms."""
        before_ms, number = self._clock.utc_ms() - self._keep_ms, 0
        for _ in range(PARTS_MAX):
            async with self._database.transaction() as session:
                found = await self._part(session, before_ms)
                await _forget(session, found)
                if len(found) < PART_ALARMS_MAX:
                    await _forget_floods(session, before_ms)
            number += len(found)
            if len(found) < PART_ALARMS_MAX:
                break
        await self._prune_points(before_ms)
        return number

    async def _prune_points(self, before_ms: int) -> None:
        """What was said of points that never had an alarm, and are not withheld now."""
        old = select(HistoryRow.entry_id).where(
            HistoryRow.alarm_id.is_(None), HistoryRow.at_ms < before_ms, ~_is_withheld()
        )
        for _ in range(PARTS_MAX):
            async with self._database.transaction() as session:
                found = (await session.scalars(old.order_by(HistoryRow.entry_id).limit(PART_ALARMS_MAX))).all()
                await session.execute(delete(HistoryRow).where(HistoryRow.entry_id.in_(found)))
            if len(found) < PART_ALARMS_MAX:
                return

    async def _part(self, session: AsyncSession, before_ms: int) -> Sequence[UUID]:
        follower = aliased(AlarmRow)
        leads = exists().where(
            follower.group_id == AlarmRow.alarm_id,
            follower.alarm_id != AlarmRow.alarm_id,
            follower.state.in_(LASTING_STATES),
        )
        statement = select(AlarmRow.alarm_id).where(
            AlarmRow.alarm_id < first_id_of(before_ms),
            AlarmRow.state.not_in(LASTING_STATES),
            AlarmRow.cleared_ms < before_ms,
            AlarmRow.alarm_id.not_in(self._kept),
            ~leads,
        )
        return (await session.scalars(statement.order_by(AlarmRow.alarm_id).limit(PART_ALARMS_MAX))).all()


def _is_withheld() -> ColumnElement[bool]:
    """Whether the point of an entry is: the entry says since when, by whom and why."""
    place = (
        PointRow.plant_id == HistoryRow.plant_id,
        PointRow.press_id == HistoryRow.press_id,
        PointRow.gateway_id == HistoryRow.gateway_id,
        PointRow.kind == HistoryRow.kind,
        PointRow.mode == HistoryRow.mode,
    )
    reasons = (PointRow.shelved_ms, PointRow.suppressed_ms, PointRow.taken_out_ms)
    return exists().where(and_(*place), or_(*(reason.is_not(None) for reason in reasons)))


async def _forget(session: AsyncSession, alarm_ids: Sequence[UUID]) -> None:
    """The alarms first: the database lets nobody shorten the history of an alarm that is there."""
    await session.execute(delete(AlarmRow).where(AlarmRow.alarm_id.in_(alarm_ids)))
    await session.execute(delete(HistoryRow).where(HistoryRow.alarm_id.in_(alarm_ids)))


async def _forget_floods(session: AsyncSession, before_ms: int) -> None:
    await session.execute(delete(FloodRow).where(FloodRow.ended_ms < before_ms))
