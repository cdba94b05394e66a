"""Alarms on a virtual clock: the real database and services, driven as a plant, time and people do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from cloud.alarms import reading
from cloud.alarms.answers import Answers
from cloud.alarms.domain import Alarm, AlarmDefaults
from cloud.alarms.keeper import AlarmKeeper
from cloud.alarms.points import Point, Raising
from cloud.alarms.policy import AlarmPolicy
from cloud.alarms.reading import HistoryEntry
from cloud.alarms.record import alarm_of
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import AlarmRow
from cloud.alarms.withholding import Withholder
from cloud.core.audit import Actor
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.migrations.upgrade import upgrade
from kit.clock import ManualClock

NOW_MS = 1_767_225_600_000
LI = Actor("user", "u-li", "Li Na", "10.0.0.9")


async def empty_database(folder: Path) -> Path:
    """A database file with all tables; a copy of it is quicker than to make them again."""
    path = folder / "empty.sqlite"
    database = Database(sqlite_url(path))
    await upgrade(database)
    await database.close()
    return path


def point(press: str = "press-1", mode: str = "check_ring_wear") -> Point:
    """A point of plant-1."""
    return Point("plant-1", press, "", "rule", mode)


@dataclass
class World:
    """One cloud's alarms; `clock` moves only when told."""

    database: Database
    policy: AlarmPolicy = field(default_factory=AlarmPolicy)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))

    def __post_init__(self) -> None:
        live = Live()
        self.alarms = AlarmService(EventLog(live), live, AlarmDefaults(), self.policy)
        self.answers, self.withholder = Answers(self.alarms), Withholder(self.alarms)
        self.keeper = AlarmKeeper(self.database, self.alarms, self.clock)

    async def raise_at(
        self, where: Point, *, priority: str = "high", is_latching: bool = False, cause: str = ""
    ) -> Alarm:
        raising = Raising(DEFAULT_TENANT, where, priority, cause=cause, is_latching=is_latching)
        async with self.database.transaction() as session:
            return await self.alarms.raise_at(session, raising, self.clock.utc_ms())

    async def clear_at(self, where: Point) -> None:
        async with self.database.transaction() as session:
            await self.alarms.clear_at(session, where, self.clock.utc_ms())

    async def acknowledge(self, alarm_id: UUID, comment: str | None = None) -> Alarm:
        async with self.database.transaction() as session:
            return await self.answers.acknowledge(
                session, DEFAULT_TENANT, alarm_id, comment=comment, actor=LI, now_ms=self.clock.utc_ms()
            )

    async def shelve(self, alarm_id: UUID, *, minutes: int = 60, is_one_shot: bool = False) -> Alarm:
        async with self.database.transaction() as session:
            return await self.withholder.shelve(
                session,
                DEFAULT_TENANT,
                alarm_id,
                minutes=minutes,
                reason="sensor is being changed",
                is_one_shot=is_one_shot,
                actor=LI,
                now_ms=self.clock.utc_ms(),
            )

    async def wait(self, seconds: float) -> None:
        """Let time pass, and the keeper do what is due."""
        self.clock.advance(seconds)
        while await self.keeper.look():
            pass

    async def alarm(self, alarm_id: UUID) -> Alarm:
        async with self.database.reading() as session:
            return await reading.alarm(session, DEFAULT_TENANT, alarm_id)

    async def everything(self) -> list[Alarm]:
        async with self.database.reading() as session:
            return [alarm_of(row) for row in await session.scalars(select(AlarmRow).order_by(AlarmRow.alarm_id))]

    async def history(self, alarm_id: UUID | None = None) -> list[HistoryEntry]:
        """Oldest first."""
        async with self.database.reading() as session:
            found = await reading.history(session, DEFAULT_TENANT, alarm_id=alarm_id, limit=1_000_000)
        return list(reversed(found.items))

    async def events(self, tenant_id: TenantId = DEFAULT_TENANT) -> Sequence[EventRow]:
        async with self.database.reading() as session:
            where = EventRow.tenant_id == tenant_id
            return (await session.scalars(select(EventRow).where(where).order_by(EventRow.event_id))).all()

    async def kinds(self) -> list[str]:
        return [event.kind.removeprefix("alarm.") for event in await self.events()]
