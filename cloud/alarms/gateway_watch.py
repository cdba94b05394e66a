"""Looks at what every gateway counts and lets it raise and clear the gateway's own alarms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.points import Point, Raising
from cloud.alarms.repository import TrackerKey
from cloud.alarms.rules.evaluation import Compiled
from cloud.alarms.rules.rulesets import RuleSets
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import TroubleTrackerRow
from cloud.alarms.trouble import GATEWAY_TROUBLE
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.fleet.reading import GatewayHealth, health_of_all_gateways
from contract.trouble import Step, TroubleTracker, counts_of, rise, step
from kit.clock import Clock

LOOK_EVERY_S = 5.0
"""Gateways tell their counters every few seconds; an alarm comes at most this much later."""


class GatewayWatch:
    """Alarms, their events and the trackers move in one transaction: a kill between two looks doubles nothing."""

    def __init__(self, database: Database, alarms: AlarmService, clock: Clock) -> None:
        self._database = database
        self._alarms = alarms
        self._clock = clock
        self._rule_sets = RuleSets(alarms.defaults)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """One look at all gateways of all tenants; writes only where something has changed."""
        async with self._database.reading() as session:
            gateways = await health_of_all_gateways(session)
            known = _trackers(await repository.trouble_trackers(session))
            rules = await self._rules(session, gateways)
        now_ms = self._clock.utc_ms()
        if any(_changes(gateway, rules[gateway.tenant_id], known, now_ms) for gateway in gateways):
            async with self._database.transaction() as session:
                await self._take(session, gateways, now_ms)

    async def _rules(
        self, session: AsyncSession, gateways: Iterable[GatewayHealth]
    ) -> dict[TenantId, tuple[Compiled, ...]]:
        tenants = {gateway.tenant_id for gateway in gateways}
        return {each: (await self._rule_sets.of(session, each)).of_kind(GATEWAY_TROUBLE) for each in tenants}

    async def _take(self, session: AsyncSession, gateways: Sequence[GatewayHealth], now_ms: int) -> None:
        rows = await repository.trouble_trackers(session)
        known, rules = _trackers(rows), await self._rules(session, gateways)
        for gateway in gateways:
            for key, change in _changes(gateway, rules[gateway.tenant_id], known, now_ms).items():
                raising = _raising(gateway, change)
                if change.happened == "raise":
                    await self._alarms.raise_at(session, raising, now_ms)
                elif change.happened == "clear":
                    await self._alarms.clear_at(session, raising.point, now_ms)
                row = rows.get(key)
                if row is None:
                    plant_id, gateway_id, rule_id, mode = key
                    row = TroubleTrackerRow(plant_id=plant_id, gateway_id=gateway_id, rule_id=rule_id, mode=mode)
                    session.add(row)
                after = change.after
                row.is_raised, row.counted, row.risen_ms = after.is_raised, after.counted, after.risen_ms


@dataclass(frozen=True, slots=True)
class Change:
    """What a look made of one counter of a gateway, by one rule."""

    compiled: Compiled
    mode: str
    count: int
    after: TroubleTracker
    happened: Step | None


def _raising(gateway: GatewayHealth, change: Change) -> Raising:
    rule = change.compiled.rule
    where = Point(gateway.plant_id, "", gateway.gateway_id, GATEWAY_TROUBLE, change.mode, change.compiled.rule_id)
    return Raising(
        gateway.tenant_id,
        where,
        rule.priority_at(change.mode),
        is_latching=rule.is_latching,
        count=change.count,
        rule_version=change.compiled.version,
        realarm_ms=rule.realarm_ms,
    )


def _trackers(rows: dict[TrackerKey, TroubleTrackerRow]) -> dict[TrackerKey, TroubleTracker]:
    return {key: TroubleTracker(row.is_raised, row.counted, row.risen_ms) for key, row in rows.items()}


def _changes(
    gateway: GatewayHealth, rules: Iterable[Compiled], known: dict[TrackerKey, TroubleTracker], now_ms: int
) -> dict[TrackerKey, Change]:
    found: dict[TrackerKey, Change] = {}
    counted_of = counts_of(gateway.health)
    for each in rules:
        if not each.rule.scope.has_place(gateway.plant_id):
            continue
        for mode, counted in counted_of.items():
            if not each.rule.has_subject(mode):
                continue
            key = gateway.plant_id, gateway.gateway_id, each.rule_id, mode
            # What was counted before somebody wrote a rule is no news to it.
            before = known.get(key, TroubleTracker(counted=counted if each.version else 0))
            after, happened = step(before, counted, now_ms)
            if after != before or key not in known:
                found[key] = Change(each, mode, rise(before, counted), after, happened)
    return found
