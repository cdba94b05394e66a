"""Looks at a clock for presses that are silent, and lets rules of stale data raise and clear their alarms."""

from collections.abc import Mapping
from typing import Final

import anyio
import anyio.to_thread

from cloud.alarms.points import Point, Raising
from cloud.alarms.rules import repository
from cloud.alarms.rules.definition import StaleData
from cloud.alarms.rules.evaluation import Compiled
from cloud.alarms.rules.rulesets import RuleSets
from cloud.alarms.rules.silence import silence_ms_max
from cloud.alarms.service import AlarmService
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.fleet.reading import plant_ids, whole_fleet
from cloud.telemetry.store import PressKey, StoredShot, TelemetryStore
from kit.clock import Clock

LOOK_EVERY_S = 5.0
"""An alarm comes, and clears after the next shot, at most this much later."""
STALE_DATA: Final = "stale_data"
SILENT: Final = "silent"


class StaleWatch:
    """A press that has given a shot once and gives none for too long; its alarms stand in the database alone."""

    def __init__(self, database: Database, store: TelemetryStore, alarms: AlarmService, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._alarms = alarms
        self._clock = clock
        self._rule_sets = RuleSets(alarms.defaults)
        self._reader = anyio.CapacityLimiter(1)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """One look at the presses of all tenants that have such a rule; writes only where something has changed."""
        async with self._database.reading() as session:
            tenants = await repository.tenants(session)
        for tenant_id in tenants:
            await self._look_at(tenant_id)

    async def _look_at(self, tenant_id: TenantId) -> None:
        async with self._database.reading() as session:
            rules = (await self._rule_sets.of(session, tenant_id)).of_kind(STALE_DATA)
            if not rules:
                return
            plants = await plant_ids(session, tenant_id)
            _, presses = await whole_fleet(session, tenant_id)
        latest = await anyio.to_thread.run_sync(self._store.latest, plants, limiter=self._reader)
        cycles_ms = {
            PressKey(press.plant_id, press.press_id): None
            if press.expected_cycle_s is None
            else press.expected_cycle_s * 1000
            for press in presses
        }
        now_ms = self._clock.utc_ms()
        found = [raising for each in rules for raising in _raisings(tenant_id, each, latest, cycles_ms, now_ms)]
        wanted = {raising.point: raising for raising in found}
        async with self._database.reading() as session:
            active = await repository.active_points(session, tenant_id, STALE_DATA)
        if wanted.keys() != active:
            await self._follow(tenant_id, wanted, active, now_ms)

    async def _follow(
        self, tenant_id: TenantId, wanted: Mapping[Point, Raising], active: set[Point], now_ms: int
    ) -> None:
        async with self._database.transaction() as session:
            now = await self._rule_sets.of(session, tenant_id)
            known = {(each.rule_id, each.version) for each in now.of_kind(STALE_DATA)}
            for where, raising in wanted.items():
                if where not in active and (where.rule_id, raising.rule_version) in known:
                    await self._alarms.raise_at(session, raising, now_ms)
            for where in sorted(active - wanted.keys()):
                await self._alarms.clear_at(session, where, now_ms)


def _raisings(
    tenant_id: TenantId,
    each: Compiled,
    latest: Mapping[PressKey, StoredShot],
    cycles_ms: Mapping[PressKey, float | None],
    now_ms: int,
) -> list[Raising]:
    condition, rule = each.rule.condition, each.rule
    assert isinstance(condition, StaleData)
    found: list[Raising] = []
    for press, row in latest.items():
        limit_ms = silence_ms_max(condition, cycles_ms.get(press))
        is_there = rule.scope.has_place(press.plant_id, press.press_id)
        if not is_there or limit_ms is None or now_ms - row.received_ms < limit_ms:
            continue
        where = Point(press.plant_id, press.press_id, "", STALE_DATA, SILENT, each.rule_id)
        found.append(
            Raising(
                tenant_id,
                where,
                rule.priority_at(SILENT),
                is_latching=rule.is_latching,
                first_over_ms=row.received_ms,
                shot_row_id=row.row_id,
                rule_version=each.version,
                realarm_ms=rule.realarm_ms,
            )
        )
    return found
