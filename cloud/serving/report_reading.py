"""Reads what a report is made of: production, alarms and gaps of a tenant's presses in a time and the one before."""

from dataclasses import replace

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.tables import AlarmRow
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS, ReportDepth
from cloud.entitlements.gates import demand_depth
from cloud.entitlements.plans import Plan, Plans
from cloud.fleet import reading as fleet
from cloud.production import reading as production
from cloud.production.windows import HOUR_MS, Window
from cloud.serving.report import AlarmFact, Found, PlantReport, build
from cloud.serving.tables import ReportConsentRow
from cloud.telemetry.store import TelemetryStore
from kit.clock import Clock

ALARMS_MAX = 50_000
"""The newest of a time; a plant with more has other worries."""


class ReportDesk:
    """Makes reports; one at a time is computed beside the loop."""

    def __init__(self, database: Database, store: TelemetryStore, plans: Plans, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self._store = store
        self._plans = plans
        self._threads = CapacityLimiter(1)

    async def report(self, tenant_id: TenantId, *, days: int, depth: ReportDepth | None = None) -> PlantReport:
        """The last days and the hour that runs, as deep as the plan goes or as asked.

        Raises:
            EntitlementError: deeper was asked than the plan goes.
        """
        plan, now_ms = await self._plans.of(tenant_id), self.clock.utc_ms()
        if depth is not None:
            async with self.database.reading() as session:
                await demand_depth(session, tenant_id, depth, now_ms=now_ms)
        hidden_ms = plan.hidden_before_ms(now_ms)
        from_ms = max(now_ms - now_ms % HOUR_MS - days * DAY_MS, hidden_ms)
        found = await self._found(tenant_id, plan, from_ms, now_ms)
        earlier_ms = from_ms - days * DAY_MS
        before = await self._found(tenant_id, plan, earlier_ms, from_ms) if earlier_ms >= hidden_ms else None
        wanted = depth or plan.effective.entitlements.report_depth
        return build(found, before, wanted, days=days, from_ms=from_ms, until_ms=now_ms)

    async def consent(self, tenant_id: TenantId) -> ReportConsentRow | None:
        """Who has let the platform's people read the tenant's reports, and when; None where nobody has."""
        async with self.database.reading() as session:
            return await session.get(ReportConsentRow, tenant_id)

    async def set_consent(self, tenant_id: TenantId, actor: Actor, *, is_given: bool) -> None:
        """Let the platform's people read the tenant's reports, or no longer."""
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            row = await session.get(ReportConsentRow, tenant_id)
            if (row is not None) == is_given:
                return
            if row is not None:
                await session.delete(row)
            else:
                by = actor.name[:NAME_CHARACTERS_MAX]
                session.add(ReportConsentRow(tenant_id=tenant_id, given_ms=now_ms, given_by=by))
            action = "report_consent_given" if is_given else "report_consent_withdrawn"
            audit.record(session, tenant_id, actor, action, f"tenant:{tenant_id}", now_ms=now_ms)

    async def _found(self, tenant_id: TenantId, plan: Plan, from_ms: int, until_ms: int) -> Found:
        async with self.database.reading() as session:
            sums = await production.read(session, tenant_id, Window("week", from_ms, until_ms - 1))
            alarms = await _alarms(session, tenant_id, from_ms, until_ms)
            plants = await fleet.plant_ids(session, tenant_id)
        missing = await to_thread.run_sync(
            lambda: self._store.missing(plants, from_ms=from_ms, until_ms=until_ms), limiter=self._threads
        )
        open_to_all = [each for each in sums.presences if (each.plant_id, each.press_id) not in plan.locked]
        made = await to_thread.run_sync(production.report, replace(sums, presences=open_to_all), limiter=self._threads)
        return Found(
            made,
            [each for each in alarms if each.place not in plan.locked],
            [each for each in missing if (each.press.plant_id, each.press.press_id) not in plan.locked],
        )


async def _alarms(session: AsyncSession, tenant_id: TenantId, from_ms: int, until_ms: int) -> list[AlarmFact]:
    row = AlarmRow
    statement = select(row.plant_id, row.press_id, row.kind, row.mode, row.raised_ms, row.acknowledged_ms).where(
        row.tenant_id == tenant_id, row.raised_ms >= from_ms, row.raised_ms < until_ms, row.is_held_back.is_(False)
    )
    found = await session.execute(statement.order_by(row.alarm_id.desc()).limit(ALARMS_MAX))
    return [AlarmFact((plant, press), kind, mode, raised, told) for plant, press, kind, mode, raised, told in found]
