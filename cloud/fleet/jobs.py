"""Looks every second for what has fallen silent."""

import anyio

from cloud.core.database import Database
from cloud.fleet import repository
from cloud.fleet.service import FleetService
from kit.clock import Clock

LOOK_EVERY_S = 1.0


class FleetWatcher:
    """Turns silent gateways and presses stale."""

    def __init__(self, database: Database, fleet: FleetService, clock: Clock) -> None:
        self._database = database
        self._fleet = fleet
        self._clock = clock

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """One look; it takes the writer's turn only when there is something to write."""
        now_ms = self._clock.utc_ms()
        async with self._database.reading() as session:
            if not await repository.has_silent(session, now_ms):
                return
        async with self._database.transaction() as session:
            await self._fleet.mark_silent(session, now_ms)
