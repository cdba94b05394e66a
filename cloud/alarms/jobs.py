"""Reads stored shots in the order of their arrival and lets the rules of their tenants raise and clear alarms.

The alarms, their events, the trackers and the reader's cursor move in one transaction: wherever the program is killed,
the next one goes on behind the last shot that counted, and no alarm is lost or raised twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import anyio
import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.points import Point, Raising
from cloud.alarms.repository import TrackerKey
from cloud.alarms.rules import residuals
from cloud.alarms.rules.evaluation import Outcome, Seen, SeenKey, take
from cloud.alarms.rules.rulesets import RuleSets
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import TrackerRow
from cloud.core import cursors
from cloud.core.database import Database
from cloud.core.live import Live, wait_for_change
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.reading import tenants_of_plants
from cloud.telemetry.store import StoredShot, TelemetryStore
from contract.alarming import Tracker
from kit.clock import Clock

CURSOR = "shots:alarms"
BATCH_SHOTS_MAX = 500
POLL_S = 1.0


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
        self._rule_sets = RuleSets(alarms.defaults)
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
        rule_sets = {tenant_id: await self._rule_sets.of(session, tenant_id) for tenant_id in _tenants(rows, tenants)}
        known = await repository.trackers(session, presses)
        seen: dict[tuple[str, str], dict[SeenKey, Seen]] = {}
        for (plant_id, press_id, rule_id, subject), tracker in known.items():
            seen.setdefault((plant_id, press_id), {})[rule_id, subject] = _seen(tracker)
        for row in rows:
            place = row.press.plant_id, row.press.press_id
            tenant_id = tenants.get(row.press.plant_id, DEFAULT_TENANT)
            rules = rule_sets[tenant_id].of_press(*place)
            for outcome in take(rules, row, seen.setdefault(place, {})):
                await self._follow(session, tenant_id, row, outcome)
        for place, each in seen.items():
            for key, what in each.items():
                _keep(session, known.get((*place, *key)), (*place, *key), what)

    async def _follow(self, session: AsyncSession, tenant_id: TenantId, row: StoredShot, outcome: Outcome) -> None:
        now_ms = self._clock.utc_ms()
        raising = raising_of(tenant_id, row, outcome)
        if outcome.step == "raise":
            await self._alarms.raise_at(session, raising, now_ms)
        else:
            await self._alarms.clear_at(session, raising.point, now_ms, why=outcome.look.why or None)


def raising_of(tenant_id: TenantId, row: StoredShot, outcome: Outcome) -> Raising:
    """What an alarm says that a shot has brought about."""
    rule, look = outcome.compiled.rule, outcome.look
    where = Point(
        row.press.plant_id, row.press.press_id, "", rule.condition.kind, look.subject, outcome.compiled.rule_id
    )
    return Raising(
        tenant_id,
        where,
        rule.priority_at(look.subject),
        is_latching=rule.is_latching,
        probability=look.probability,
        threshold=look.threshold,
        value=look.value,
        reasons=look.reasons,
        first_over_ms=outcome.first_over_ms,
        shot_row_id=row.row_id,
        rule_version=outcome.compiled.version,
        realarm_ms=rule.realarm_ms,
        why=look.why,
    )


def _tenants(rows: Sequence[StoredShot], of_plants: Mapping[str, TenantId]) -> set[TenantId]:
    return {of_plants.get(row.press.plant_id, DEFAULT_TENANT) for row in rows}


def _seen(row: TrackerRow) -> Seen:
    tracker = Tracker(
        row.is_raised, row.over_count, row.first_over_ms, row.under_count, row.last_ended_ms, row.first_under_ms
    )
    return Seen(tracker, None if row.memory is None else residuals.from_stored(row.memory))


def _keep(session: AsyncSession, row: TrackerRow | None, key: TrackerKey, what: Seen) -> None:
    if row is None:
        plant_id, press_id, rule_id, mode = key
        row = TrackerRow(plant_id=plant_id, press_id=press_id, rule_id=rule_id, mode=mode)
        session.add(row)
    for name, value in asdict(what.tracker).items():
        setattr(row, name, value)
    row.memory = None if what.residuals is None else residuals.as_stored(what.residuals)
