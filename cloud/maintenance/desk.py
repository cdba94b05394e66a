"""Where pages and API have maintenance done: reads scores, opens the transactions, wakes what shows the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import reading as alarms
from cloud.alarms.domain import Alarm
from cloud.alarms.life import ACTIVE_STATES
from cloud.alarms.repository import AlarmFilter
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import reading as fleet
from cloud.maintenance import jobs, moulds, repository
from cloud.maintenance.domain import MouldLife, Newest, OpenAlarm, Place, WorkItem, work_list
from cloud.maintenance.jobs import Done, Window
from cloud.maintenance.tables import JobRow
from cloud.production.board import ProductionBoard
from cloud.rollouts.labels import bundle_of_shot
from cloud.telemetry.store import Plants, TelemetryStore
from kit.clock import Clock

ALARMS_READ_MAX = 5_000
"""Active alarms that make work; a plant with more has other troubles than a list."""


@dataclass(frozen=True, slots=True)
class MaintenanceDesk:
    """The desk of one cloud."""

    database: Database
    store: TelemetryStore
    events: EventLog
    board: ProductionBoard
    clock: Clock
    threshold: float

    async def work(self, tenant_id: TenantId) -> list[WorkItem]:
        """What is to be done in a tenant's plants, the most urgent first."""
        async with self.database.reading() as session:
            plants = await fleet.plant_ids(session, tenant_id)
            active = await alarms.alarms(session, tenant_id, AlarmFilter(states=ACTIVE_STATES), limit=ALARMS_READ_MAX)
            done = await repository.done_places(session, tenant_id)
        shots = await to_thread.run_sync(_newest, self.store, plants)
        return work_list(shots, map(_open, _of_presses(active.items)), done, threshold=self.threshold)

    async def moulds(self, tenant_id: TenantId) -> list[MouldLife]:
        """The shot counters of all moulds."""
        async with self.database.reading() as session:
            return await moulds.lives(session, tenant_id, now_ms=self.clock.utc_ms())

    async def plan(self, tenant_id: TenantId, place: Place, window: Window, actor: Actor) -> JobRow:
        """See `jobs.plan`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await jobs.plan(session, self.events, tenant_id, *place, window, actor=actor, now_ms=now_ms)
        self.board.forget(tenant_id)
        return row

    async def change(self, tenant_id: TenantId, job_id: UUID, window: Window, actor: Actor) -> JobRow:
        """See `jobs.change`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await jobs.change(session, self.events, tenant_id, job_id, window, actor=actor, now_ms=now_ms)
        self.board.forget(tenant_id)
        return row

    async def cancel(self, tenant_id: TenantId, job_id: UUID, actor: Actor) -> JobRow:
        """See `jobs.cancel`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await jobs.cancel(session, self.events, tenant_id, job_id, actor=actor, now_ms=now_ms)
        self.board.forget(tenant_id)
        return row

    async def finish(self, tenant_id: TenantId, job_id: UUID, done: Done, actor: Actor) -> JobRow:
        """Say what came of a planned job.

        Raises:
            NotFoundError: the tenant has no such job.
            JobStateError: it is done or cancelled.
        """
        async with self.database.reading() as session:
            known = await repository.job(session, tenant_id, job_id)
        if known is None:
            raise NotFoundError("maintenance job", str(job_id))
        place = (known.plant_id, known.press_id, known.mode)
        return await self._finish(tenant_id, place, done, actor, job_id=job_id)

    async def finish_unplanned(self, tenant_id: TenantId, place: Place, done: Done, actor: Actor) -> JobRow:
        """Say what came of work that nobody had planned.

        Raises:
            NotFoundError: the tenant has no such press.
        """
        return await self._finish(tenant_id, place, done, actor, job_id=None)

    async def _finish(
        self, tenant_id: TenantId, place: Place, done: Done, actor: Actor, *, job_id: UUID | None
    ) -> JobRow:
        now_ms = self.clock.utc_ms()
        async with self.database.reading() as session:
            await fleet.press(session, tenant_id, place[0], place[1])
            plants = await fleet.plant_ids(session, tenant_id)
            asked = await _alarms_at(session, tenant_id, place)
        bundles = {
            alarm.alarm_id: await to_thread.run_sync(bundle_of_shot, self.store, plants, alarm.shot_row_id)
            for alarm in asked
        }
        async with self.database.transaction() as session:
            row = await repository.job(session, tenant_id, job_id) if job_id is not None else None
            if row is None:
                row = jobs.unplanned(session, tenant_id, place, actor=actor, now_ms=now_ms)
            return await jobs.finish(session, self.events, row, done, asked, bundles, actor=actor, now_ms=now_ms)

    async def reopen(self, tenant_id: TenantId, job_id: UUID, actor: Actor) -> JobRow:
        """See `jobs.reopen`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            return await jobs.reopen(session, self.events, tenant_id, job_id, actor=actor, now_ms=now_ms)

    async def set_interval(self, tenant_id: TenantId, mould_id: str, interval: int | None, actor: Actor) -> None:
        """See `moulds.set_interval`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            await moulds.set_interval(session, tenant_id, mould_id, interval, actor=actor, now_ms=now_ms)

    async def serviced(self, tenant_id: TenantId, mould_id: str, actor: Actor) -> None:
        """See `moulds.serviced`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            await moulds.serviced(session, self.events, tenant_id, mould_id, actor=actor, now_ms=now_ms)

    async def take_service_back(self, tenant_id: TenantId, mould_id: str, actor: Actor) -> None:
        """See `moulds.take_service_back`."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            await moulds.take_service_back(session, tenant_id, mould_id, actor=actor, now_ms=now_ms)


async def _alarms_at(session: AsyncSession, tenant_id: TenantId, place: Place) -> list[Alarm]:
    plant_id, press_id, mode = place
    wanted = AlarmFilter(plant_id=plant_id, press_id=press_id, states=ACTIVE_STATES)
    found = await alarms.alarms(session, tenant_id, wanted, limit=ALARMS_READ_MAX)
    return [alarm for alarm in found.items if alarm.mode == mode]


def _newest(store: TelemetryStore, plants: Plants) -> list[Newest]:
    return [
        Newest(key.plant_id, key.press_id, row.scored.shot.mould_id, row.scored.shot.ended_ms, row.scored.scores)
        for key, row in store.latest(plants).items()
    ]


def _of_presses(found: Sequence[Alarm]) -> list[Alarm]:
    return [alarm for alarm in found if alarm.press_id]


def _open(alarm: Alarm) -> OpenAlarm:
    return OpenAlarm(alarm.alarm_id, alarm.plant_id, alarm.press_id, alarm.mode, alarm.raised_ms)
