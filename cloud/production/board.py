"""The reports that pages show: made once for all who look, and renewed while somebody does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread

from cloud.core.database import Database
from cloud.core.live import Live
from cloud.core.tenants import TenantId
from cloud.production import reading
from cloud.production.reading import Report
from cloud.production.windows import Schedule, WindowName, window_of
from kit.clock import Clock

LOOK_EVERY_S = 10.0
RENEW_AFTER_S: Final[Mapping[WindowName, float]] = {"shift": 60.0, "day": 60.0, "week": 600.0}
"""With 10,000 presses a report costs 0.4 s of CPU, seven days of them 1.7 s."""
KEPT = 3.0
"""Whoever asks for a report that is so many times older waits for a new one."""
LOOKED_AT_S = 120.0
"""A report that nobody asked for in this time is let go."""

Key = tuple[TenantId, WindowName]


@dataclass(slots=True)
class _Kept:
    report: Report
    made_s: float
    asked_s: float


class ProductionBoard:
    """Reports by tenant and window."""

    def __init__(self, database: Database, live: Live, clock: Clock, schedule: Schedule) -> None:
        self._database = database
        self._live = live
        self._clock = clock
        self._schedule = schedule
        self._kept: dict[Key, _Kept] = {}
        self._lock = anyio.Lock()
        self._maker = anyio.CapacityLimiter(1)

    async def report(self, tenant_id: TenantId, name: WindowName) -> Report:
        """The figures; `window.end_ms` says of when they are."""
        key, now_s = (tenant_id, name), self._clock.monotonic_s()
        kept = self._kept.get(key)
        if kept is None or now_s - kept.made_s >= KEPT * RENEW_AFTER_S[name]:
            async with self._lock:
                kept = self._kept.get(key)
                if kept is None or now_s - kept.made_s >= KEPT * RENEW_AFTER_S[name]:
                    kept = await self._make(key, asked_s=now_s)
        kept.asked_s = now_s
        return kept.report

    def forget(self, tenant_id: TenantId) -> None:
        """What the reports were made from was changed by hand."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[0] != tenant_id}

    async def run(self) -> None:
        """Renew what is looked at until cancelled."""
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            await self.renew()

    async def renew(self) -> None:
        """Make each report anew that has its age and was asked for of late, and let go of those that nobody wants."""
        now_s = self._clock.monotonic_s()
        for key, kept in list(self._kept.items()):
            if now_s - kept.asked_s > LOOKED_AT_S:
                del self._kept[key]
                continue
            if now_s - kept.made_s < RENEW_AFTER_S[key[1]]:
                continue
            async with self._lock:
                await self._make(key, asked_s=kept.asked_s)
            self._live.fleet.publish()

    async def _make(self, key: Key, *, asked_s: float) -> _Kept:
        tenant_id, name = key
        window = window_of(name, self._clock.utc_ms(), self._schedule)
        async with self._database.reading() as session:
            sums = await reading.read(session, tenant_id, window)
        report = await anyio.to_thread.run_sync(reading.report, sums, limiter=self._maker)
        kept = self._kept[key] = _Kept(report, self._clock.monotonic_s(), asked_s)
        return kept
