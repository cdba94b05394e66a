"""What time does to alarms: delays that have lasted, shelves that end, escalation, re-alarm, the end of a flood.

All that is due stands in the database, so that a program which was killed goes on where it was; each part is done in
one transaction with its history and events, and is no longer due after it.
"""

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.points import from_stored
from cloud.alarms.record import point_of
from cloud.alarms.repository import Due
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import PointRow
from cloud.alarms.withholding import Withholder
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from kit.clock import Clock

LOOK_EVERY_S = 5.0
"""What is due happens at most this much later."""
PART_MAX = 200
"""Of each kind in one transaction; the rest follows in the next, at once."""


class AlarmKeeper:
    """The one loop that looks for what is due."""

    def __init__(self, database: Database, alarms: AlarmService, clock: Clock) -> None:
        self._database = database
        self._alarms = alarms
        self._withholder = Withholder(alarms)
        self._clock = clock

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            while await self.look():
                pass
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> bool:
        """Do a part of what is due; whether more is. It takes the writer's turn only when there is something to do."""
        now_ms = self._clock.utc_ms()
        async with self._database.reading() as session:
            if (await repository.due(session, now_ms, limit=1)).is_empty:
                return False
        async with self._database.transaction() as session:
            due = await repository.due(session, now_ms, limit=PART_MAX)
            await self._do(session, due, now_ms)
        return due.is_cut(PART_MAX)

    async def _do(self, session: AsyncSession, due: Due, now_ms: int) -> None:
        for point in due.shelves:
            await self._withholder.expire(session, point, now_ms)
        for point in due.delays:
            await self._end_delay(session, point, now_ms)
        for row in due.escalations:
            if row.escalate_ms is not None and row.escalate_ms <= now_ms:  # an earlier part may have moved it
                await self._alarms.escalate(session, row, now_ms)
        for row in due.realarms:
            if row.realarm_ms is not None and row.realarm_ms <= now_ms:
                await self._alarms.realarm(session, row, now_ms)
        for flood in due.floods:
            await self._alarms.floods.look_for_end(session, flood, now_ms)
        for row in due.held_back:
            self._alarms.announce_late(session, row, now_ms)

    async def _end_delay(self, session: AsyncSession, point: PointRow, now_ms: int) -> None:
        """The cause was there, or gone, at the last look and all the time since."""
        where, step, stored = point_of(point), point.delay_step, point.delay_raising
        point.delay_step, point.delay_due_ms, point.delay_raising = None, None, None
        if step == "clear":
            await self._alarms.clear_at(session, where, now_ms)
        elif stored is not None:
            await self._alarms.raise_at(session, from_stored(TenantId(point.tenant_id), where, stored), now_ms)
