"""Looks at what every gateway counts and lets it raise and clear the gateway's own alarms."""

from collections.abc import Iterable

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import TroubleTrackerRow
from cloud.core.database import Database
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
        now_ms = self._clock.utc_ms()
        if any(_changes(gateway, known, now_ms) for gateway in gateways):
            async with self._database.transaction() as session:
                await self._take(session, gateways, now_ms)

    async def _take(self, session: AsyncSession, gateways: Iterable[GatewayHealth], now_ms: int) -> None:
        rows = await repository.trouble_trackers(session)
        known = _trackers(rows)
        for gateway in gateways:
            place = gateway.plant_id, gateway.gateway_id
            for mode, (after, happened) in _changes(gateway, known, now_ms).items():
                if happened == "raise":
                    count = rise(known.get((*place, mode), TroubleTracker()), after.counted)
                    await self._alarms.raise_trouble(
                        session, gateway.tenant_id, *place, mode, count=count, now_ms=now_ms
                    )
                elif happened == "clear":
                    await self._alarms.clear_trouble(session, *place, mode, now_ms)
                row = rows.get((*place, mode))
                if row is None:
                    row = TroubleTrackerRow(plant_id=place[0], gateway_id=place[1], mode=mode)
                    session.add(row)
                row.is_raised, row.counted, row.risen_ms = after.is_raised, after.counted, after.risen_ms


TrackerKey = tuple[str, str, str]


def _trackers(rows: dict[TrackerKey, TroubleTrackerRow]) -> dict[TrackerKey, TroubleTracker]:
    return {key: TroubleTracker(row.is_raised, row.counted, row.risen_ms) for key, row in rows.items()}


def _changes(
    gateway: GatewayHealth, known: dict[TrackerKey, TroubleTracker], now_ms: int
) -> dict[str, tuple[TroubleTracker, Step | None]]:
    found: dict[str, tuple[TroubleTracker, Step | None]] = {}
    for mode, counted in counts_of(gateway.health).items():
        before = known.get((gateway.plant_id, gateway.gateway_id, mode), TroubleTracker())
        after, happened = step(before, counted, now_ms)
        if after != before:
            found[mode] = (after, happened)
    return found
