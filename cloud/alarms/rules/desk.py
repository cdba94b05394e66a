"""Rules for the API and the pages: each call its own transaction, dry runs one at a time in a thread."""

from collections.abc import Callable

import anyio
import anyio.to_thread

from cloud.alarms.rules.definition import Rule
from cloud.alarms.rules.dry_run import DAYS_MAX, DryRun, can_replay, replay
from cloud.alarms.rules.service import AnyRule, RuleRefusedError, RuleService, RuleVersion, SavedRule
from cloud.alarms.service import AlarmService
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.paging import Slice
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.fleet.reading import plant_ids
from cloud.telemetry.store import TelemetryStore
from kit.clock import Clock

WAIT_S_MAX = 30.0
"""Longer than one dry run lasts: who waits longer than that is behind others, and is told so."""


class RuleDesk:
    """What people and programs may ask and do."""

    def __init__(
        self,
        database: Database,
        store: TelemetryStore,
        alarms: AlarmService,
        clock: Clock,
        *,
        seconds: Callable[[], float],
    ) -> None:
        self._database = database
        self._store = store
        self._rules = RuleService(alarms)
        self._clock = clock
        self._seconds = seconds
        self._turn = anyio.Lock()
        self._reader = anyio.CapacityLimiter(1)

    async def rules(self, tenant_id: TenantId) -> list[AnyRule]:
        """See `RuleService.rules`."""
        async with self._database.reading() as session:
            return await self._rules.rules(session, tenant_id, self._clock.utc_ms())

    async def rule(self, tenant_id: TenantId, rule_id: str) -> AnyRule:
        """See `RuleService.rule`."""
        async with self._database.reading() as session:
            return await self._rules.rule(session, tenant_id, rule_id, self._clock.utc_ms())

    async def versions(
        self, tenant_id: TenantId, rule_id: str, *, before: int | None, limit: int
    ) -> Slice[RuleVersion]:
        """See `RuleService.versions`."""
        async with self._database.reading() as session:
            return await self._rules.versions(session, tenant_id, rule_id, before=before, limit=limit)

    async def create(self, tenant_id: TenantId, rule: Rule, *, why: str, actor: Actor) -> SavedRule:
        """See `RuleService.create`."""
        async with self._database.transaction() as session:
            now_ms = self._clock.utc_ms()
            return await self._rules.create(session, tenant_id, rule, why=why, actor=actor, now_ms=now_ms)

    async def change(
        self, tenant_id: TenantId, rule_id: str, rule: Rule, *, version: int, why: str, actor: Actor
    ) -> SavedRule:
        """See `RuleService.change`."""
        async with self._database.transaction() as session:
            return await self._rules.change(
                session, tenant_id, rule_id, rule, version=version, why=why, actor=actor, now_ms=self._clock.utc_ms()
            )

    async def revert(
        self, tenant_id: TenantId, rule_id: str, *, to: int, version: int, why: str, actor: Actor
    ) -> SavedRule:
        """See `RuleService.revert`."""
        async with self._database.transaction() as session:
            now_ms = self._clock.utc_ms()
            return await self._rules.revert(
                session, tenant_id, rule_id, to=to, version=version, why=why, actor=actor, now_ms=now_ms
            )

    async def delete(self, tenant_id: TenantId, rule_id: str, *, version: int, why: str, actor: Actor) -> None:
        """See `RuleService.delete`."""
        async with self._database.transaction() as session:
            await self._rules.delete(
                session, tenant_id, rule_id, version=version, why=why, actor=actor, now_ms=self._clock.utc_ms()
            )

    async def dry_run(self, tenant_id: TenantId, rule: Rule, *, days: int = DAYS_MAX) -> DryRun:
        """See `dry_run.replay`; writes nothing.

        Raises:
            InvalidFieldError: nothing is kept that tells what such a rule would have done.
            RuleRefusedError: others' dry runs have the turn for WAIT_S_MAX.
        """
        if not can_replay(rule):
            kept = "gateway_trouble cannot be tried: what gateways counted is not kept over time"
            raise InvalidFieldError("body.rule.condition.kind", kept)
        async with self._database.reading() as session:
            plants = await plant_ids(session, tenant_id)
        with anyio.move_on_after(WAIT_S_MAX) as waiting:
            await self._turn.acquire()
        if waiting.cancelled_caught:
            raise RuleRefusedError("Other dry runs are going on: try again in a minute.")
        try:
            return await anyio.to_thread.run_sync(self._replay, plants, rule, days, limiter=self._reader)
        finally:
            self._turn.release()

    def _replay(self, plants: frozenset[str], rule: Rule, days: int) -> DryRun:
        return replay(
            self._store,
            plants,
            rule,
            self._rules.defaults,
            now_ms=self._clock.utc_ms(),
            days=days,
            seconds=self._seconds,
        )
