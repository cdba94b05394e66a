"""Reads stored shots in the order of their arrival and counts them by press, mould and hour.

The counts, the expected cycle times and the reader's cursor move in one transaction: wherever the program is killed,
each shot counts once. What a page or an answer sums up later is hours, however many shots there were.
"""

from collections.abc import Sequence

import anyio
import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import cursors
from cloud.core.database import Database
from cloud.core.live import Live, wait_for_change
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.reading import tenants_of_plants
from cloud.production import repository
from cloud.production.counting import counted, counts_json, cycle_times, hour_fields, key_of, mould_fields, times_by_key
from cloud.production.repository import ExpectedKey
from cloud.production.tables import ExpectedCycleRow
from cloud.production.windows import Schedule, hour_of
from cloud.telemetry.store import PAGE_ROWS_MAX, StoredCycle, TelemetryStore
from kit.clock import Clock

CURSOR = "shots:production"
BATCH_SHOTS_MAX = PAGE_ROWS_MAX
POLL_S = 1.0
REST_S = 1.0
"""Between two batches of a slow stream: one transaction for a second's shots instead of one for each."""
PRUNE_EVERY_S = 3_600.0
KEPT_MS = 92 * 24 * 3_600_000


class ProductionConsumer:
    """The one reader of shots for production."""

    def __init__(self, database: Database, store: TelemetryStore, live: Live, clock: Clock, schedule: Schedule) -> None:
        self._database = database
        self._store = store
        self._live = live
        self._clock = clock
        self._schedule = schedule
        self._reader = anyio.CapacityLimiter(1)

    async def run(self) -> None:
        """Consume until cancelled."""
        pruned_s = self._clock.monotonic_s()
        while True:
            version = self._live.shots.version
            while await self.consume_batch() == BATCH_SHOTS_MAX:
                pass
            if self._clock.monotonic_s() - pruned_s >= PRUNE_EVERY_S:
                await self.prune()
                pruned_s = self._clock.monotonic_s()
            await anyio.sleep(REST_S)
            await wait_for_change(self._live.shots, version, at_most_s=POLL_S)

    async def consume_batch(self) -> int:
        """Take at most BATCH_SHOTS_MAX shots in one transaction; how many."""
        async with self._database.reading() as session:
            position = await cursors.position_of(session, CURSOR)
        cycles = await anyio.to_thread.run_sync(self._read, position, limiter=self._reader)
        if cycles:
            async with self._database.transaction() as session:
                await self._take(session, cycles)
                await cursors.advance(session, CURSOR, expected=position, to=cycles[-1].row_id)
        return len(cycles)

    async def begin_again(self) -> None:
        """Forget the cursor and the counts: the store has begun again at row 1 (it was in memory)."""
        async with self._database.transaction() as session:
            await cursors.rewind(session, CURSOR)
            await repository.forget_hours(session)

    async def prune(self) -> None:
        """Forget what is older than KEPT_MS."""
        async with self._database.transaction() as session:
            await repository.forget(session, self._clock.utc_ms() - KEPT_MS)

    def _read(self, position: int) -> list[StoredCycle]:
        return self._store.cycles(position, limit=BATCH_SHOTS_MAX)

    async def _take(self, session: AsyncSession, cycles: Sequence[StoredCycle]) -> None:
        keys = sorted({key_of(cycle) for cycle in cycles})
        tenants = await tenants_of_plants(session, sorted({plant_id for plant_id, _, _ in keys}))
        rows = await repository.expected_rows(session, keys)
        for key in keys:
            if key not in rows:
                rows[key] = _new_row(key, tenants.get(key[0], DEFAULT_TENANT))
                session.add(rows[key])
        expected_s = {key: row.own_s if row.set_s is None else row.set_s for key, row in rows.items()}
        counts = counted(
            cycles,
            expected_s,
            lambda plant_id: tenants.get(plant_id, DEFAULT_TENANT),
            lambda at_ms: hour_of(at_ms, self._schedule),
        )
        await repository.add_hours(session, hour_fields(counts))
        await repository.add_to_moulds(session, mould_fields(counts))
        for key, cycles_s in times_by_key(cycles).items():
            times = cycle_times(rows[key].counts).with_cycles(cycles_s)
            rows[key].counts, rows[key].own_s = counts_json(times), times.median_s()


def _new_row(key: ExpectedKey, tenant_id: str) -> ExpectedCycleRow:
    plant_id, press_id, mould_id = key
    return ExpectedCycleRow(
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
