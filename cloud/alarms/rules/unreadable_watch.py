"""Looks for stored rules that cannot be read any more, and lets each have an alarm in the plants of its tenant."""

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.points import Point, Raising
from cloud.alarms.rules import repository
from cloud.alarms.rules.rulesets import RuleSets
from cloud.alarms.rules.stored import RULE_UNREADABLE, priority_of_unreadable
from cloud.alarms.service import AlarmService
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.fleet.reading import plant_ids
from kit.clock import Clock

LOOK_EVERY_S = 30.0
"""A rule becomes unreadable by an upgrade, so at a start; it is told at most this much later."""


class UnreadableWatch:
    """What nobody can read watches over nothing: that is itself an alarm, of a plant and without a press."""

    def __init__(self, database: Database, alarms: AlarmService, clock: Clock) -> None:
        self._database = database
        self._alarms = alarms
        self._clock = clock
        self._rule_sets = RuleSets(alarms.defaults)
        self.found = 0
        """Rules of all tenants that the last look could not read."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """One look at the rules of all tenants; writes only where something has changed."""
        async with self._database.reading() as session:
            tenants = await repository.tenants(session)
        found = 0
        for tenant_id in tenants:
            found += await self._look_at(tenant_id)
        self.found = found

    async def _look_at(self, tenant_id: TenantId) -> int:
        async with self._database.reading() as session:
            wanted, active = await self._state(session, tenant_id)
            number = len((await self._rule_sets.of(session, tenant_id)).unreadable)
        if wanted.keys() == active:
            return number
        async with self._database.transaction() as session:
            wanted, active = await self._state(session, tenant_id)
            now_ms = self._clock.utc_ms()
            for where in sorted(wanted.keys() - active):
                await self._alarms.raise_at(session, wanted[where], now_ms)
            for where in sorted(active - wanted.keys()):
                await self._alarms.clear_at(session, where, now_ms)
        return number

    async def _state(self, session: AsyncSession, tenant_id: TenantId) -> tuple[dict[Point, Raising], set[Point]]:
        """The alarms that should be there, and where one is."""
        unreadable = (await self._rule_sets.of(session, tenant_id)).unreadable
        plants = await plant_ids(session, tenant_id) if unreadable else frozenset[str]()
        wanted = [
            Raising(
                tenant_id,
                Point(plant_id, "", "", RULE_UNREADABLE, RULE_UNREADABLE, rule_id),
                priority_of_unreadable(),
                rule_version=version,
            )
            for rule_id, version in unreadable
            for plant_id in plants
        ]
        active = await repository.active_points(session, tenant_id, RULE_UNREADABLE)
        return {raising.point: raising for raising in wanted}, active
