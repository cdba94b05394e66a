"""Reads stored shots in the order of their arrival and lets them raise and clear alarms.

The alarms, their events, the trackers and the reader's cursor move in one transaction: wherever the program is killed,
the next one goes on behind the last shot that counted, and no alarm is lost or raised twice.
"""

from collections.abc import Sequence
from dataclasses import asdict

import anyio
import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.domain import counts
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import TrackerRow
from cloud.core import cursors
from cloud.core.database import Database
from cloud.core.live import Live, wait_for_change
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.reading import tenants_of_plants
from cloud.telemetry.store import StoredShot, TelemetryStore
from contract.alarming import Tracker, risks, step
from kit.clock import Clock

CURSOR = "shots:alarms"
BATCH_SHOTS_MAX = 500
POLL_S = 1.0

TrackerKey = tuple[str, str, str]


class AlarmConsumer:
    """The one reader of shots for alarms."""

    def __init__(
        self, database: Database, store: TelemetryStore, alarms: AlarmService, live: Live, clock: Clock
    ) -> None:
        self._database = database
        self._store = store
        self._alarms = alarms
        self._live = live
        self._clock = clock
        self._reader = anyio.CapacityLimiter(1)

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            version = self._live.shots.version
            while await self.consume_batch() == BATCH_SHOTS_MAX:
                pass
            await wait_for_change(self._live.shots, version, at_most_s=POLL_S)

    async def consume_batch(self) -> int:
        """Take at most BATCH_SHOTS_MAX shots in one transaction; how many."""
        async with self._database.reading() as session:
            position = await cursors.position_of(session, CURSOR)
        rows = await anyio.to_thread.run_sync(self._read, position, limiter=self._reader)
        if rows:
            async with self._database.transaction() as session:
                await self._take(session, rows)
                await cursors.advance(session, CURSOR, expected=position, to=rows[-1].row_id)
        return len(rows)

    async def begin_again(self) -> None:
        """Forget the cursor and the trackers: the store has begun again at row 1 (it was in memory)."""
        async with self._database.transaction() as session:
            await cursors.rewind(session, CURSOR)
            await repository.forget_counts(session)

    def _read(self, position: int) -> list[StoredShot]:
        return self._store.after(position, limit=BATCH_SHOTS_MAX)

    async def _take(self, session: AsyncSession, rows: Sequence[StoredShot]) -> None:
        presses = sorted({(row.press.plant_id, row.press.press_id) for row in rows})
        tenants = await tenants_of_plants(session, sorted({plant_id for plant_id, _ in presses}))
        known = await repository.trackers(session, presses)
        trackers = {key: _tracker(row) for key, row in known.items()}
        for row in rows:
            tenant_id = tenants.get(row.press.plant_id, DEFAULT_TENANT)
            await self._take_shot(session, tenant_id, row, trackers)
        for key, tracker in trackers.items():
            _keep(session, known.get(key), key, tracker)

    async def _take_shot(
        self, session: AsyncSession, tenant_id: TenantId, row: StoredShot, trackers: dict[TrackerKey, Tracker]
    ) -> None:
        for mode, risk in risks(row.scored.scores).items():
            rules = self._alarms.rules.at(risk.threshold)
            key = (row.press.plant_id, row.press.press_id, mode)
            tracker = trackers.get(key, Tracker())
            if not counts(
                row.scored,
                is_historical=row.is_historical,
                received_ms=row.received_ms,
                tracker=tracker,
                rules=rules,
            ):
                continue
            after, happened = step(tracker, risk.probability, row.scored.shot.ended_ms, rules)
            trackers[key] = after
            if happened == "raise":
                await self._alarms.raise_alarm(
                    session,
                    tenant_id,
                    row,
                    mode,
                    probability=risk.probability,
                    threshold=rules.threshold,
                    first_over_ms=after.first_over_ms or row.scored.shot.ended_ms,
                    now_ms=self._clock.utc_ms(),
                )
            elif happened == "clear":
                await self._alarms.clear_alarm(session, *key, self._clock.utc_ms())


def _tracker(row: TrackerRow) -> Tracker:
    return Tracker(row.is_raised, row.over_count, row.first_over_ms, row.under_count, row.last_ended_ms)


def _keep(session: AsyncSession, row: TrackerRow | None, key: TrackerKey, tracker: Tracker) -> None:
    fields = asdict(tracker)
    if row is None:
        plant_id, press_id, mode = key
        session.add(TrackerRow(plant_id=plant_id, press_id=press_id, mode=mode, **fields))
        return
    for name, value in fields.items():
        setattr(row, name, value)
