"""Tiering's own work: runs that were asked for or are due, playbooks, overrides whose time is over."""

from typing import Final

import anyio

from cloud.core.audit import SYSTEM
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tenants import DEFAULT_TENANT
from cloud.telemetry.store import TelemetryStore
from cloud.tiering import book, repository, runs
from cloud.tiering.evaluation import Evaluator, MoreFacts
from cloud.tiering.packs import Packer
from cloud.tiering.runner import Runner
from cloud.tiering.runs import DAY_MS
from kit.clock import Clock

POLL_S: Final = 5.0
EXPIRED_MAX: Final = 500
FAILED_AGAIN_MS: Final = DAY_MS
"""A run that was due and failed is asked for again after so long."""


class TieringJob:
    """Looks every POLL_S, and at once when woken."""

    def __init__(
        self,
        database: Database,
        events: EventLog,
        clock: Clock,
        store: TelemetryStore,
        more_facts: MoreFacts | None = None,
    ) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._packer = Packer(database)
        self._runner = Runner(database, events, clock, self._packer, store)
        self._evaluator = Evaluator(database, events, clock, more_facts)
        self._wake = anyio.Event()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._runner.fail_interrupted()
        while True:
            self._wake = anyio.Event()
            await self.work()
            with anyio.move_on_after(POLL_S):
                await self._wake.wait()

    async def work(self) -> None:
        """Do all that is due now."""
        await self.end_expired()
        await self.ask_due()
        await self._runner.do_waiting()
        await self._packer.pack_new(DEFAULT_TENANT)
        await self._evaluator.do_due()

    async def end_expired(self) -> int:
        """End overrides whose time is over; how many."""
        now_ms = self._clock.utc_ms()
        async with self._database.reading() as session:
            if not await repository.expired(session, now_ms, limit=1):
                return 0
        async with self._database.transaction() as session:
            rows = await repository.expired(session, now_ms, limit=EXPIRED_MAX)
            for row in rows:
                await book.end_override(session, self._events, row, actor=SYSTEM, now_ms=now_ms)
        return len(rows)

    async def ask_due(self) -> bool:
        """Ask for the run that the policy's rhythm wants, once there is a customer to score."""
        now_ms, tenant_id = self._clock.utc_ms(), DEFAULT_TENANT
        async with self._database.reading() as session:
            _, policy = await runs.policy_of(session, tenant_id)
            newest = await repository.runs(session, tenant_id, before=None, limit=1)
            has_any = await repository.count_customers(session, tenant_id) > 0
        every_ms = policy.run_every_days * DAY_MS
        if newest and newest[0].state == "failed":
            every_ms = min(every_ms, FAILED_AGAIN_MS)
        if not every_ms or not has_any or (newest and now_ms - newest[0].asked_ms < every_ms):
            return False
        async with self._database.transaction() as session:
            await runs.ask(session, tenant_id, actor=SYSTEM, now_ms=now_ms)
        return True
