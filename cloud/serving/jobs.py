"""Serving's own work: months of options charged, invoices reminded of, tenants' evidence, margins watched."""

from typing import Any, Final

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements.domain import DAY_MS
from cloud.self_service import billing
from cloud.serving import charging, repository, tenant_evidence
from cloud.serving.catalogue import rules_of
from cloud.serving.margins import Margin, margins, turned
from cloud.serving.rules import ServingRules
from cloud.serving.tables import LowMarginRow
from cloud.tiering import repository as tiering
from cloud.tiering.packs import table_of
from cloud.tiering.tables import CustomerRow
from kit.clock import Clock

EVERY_S: Final = 3_600.0
MARGIN_LOW: Final = "serving.margin_low"
MARGIN_RECOVERED: Final = "serving.margin_recovered"


class ServingJob:
    """Looks once an hour, and at the margins once a day."""

    def __init__(self, database: Database, events: EventLog, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._reader = CapacityLimiter(1)
        self._watched_day = -1

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self.work()
            await anyio.sleep(EVERY_S)

    async def work(self) -> None:
        """Do all that is due now."""
        now_ms = self._clock.utc_ms()
        async with self._database.transaction() as session:
            await charging.charge_due(session, now_ms)
            await billing.remind_due(session, now_ms)
            await tenant_evidence.gather(session, DEFAULT_TENANT, now_ms)
        if now_ms // DAY_MS != self._watched_day:
            await self.watch_margins()
            self._watched_day = now_ms // DAY_MS

    async def watch_margins(self) -> int:
        """Tell of customers whose margin has become too low, and of those that have recovered; how many turned."""
        now_ms, tenant_id = self._clock.utc_ms(), DEFAULT_TENANT
        async with self._database.reading() as session:
            customers = await tiering.customers(session, tenant_id, limit=tiering.CUSTOMERS_MAX)
            table = await table_of(session, tenant_id, [row.customer_id for row in customers])
            low = await repository.low_margins(session, tenant_id)
            _, rules = await rules_of(session, tenant_id)
        found = await to_thread.run_sync(margins, table, now_ms // DAY_MS, limiter=self._reader)
        watched = [row.customer_id for row in customers if row.served_as in rules.watched]
        fallen, recovered = turned(found, watched, frozenset(low), rules)
        by_id = {row.customer_id: row for row in customers}
        async with self._database.transaction() as session:
            for margin in fallen:
                row = by_id[margin.customer_id]
                session.add(LowMarginRow(customer_id=row.customer_id, tenant_id=tenant_id, since_ms=now_ms))
                self._tell(session, tenant_id, MARGIN_LOW, row, margin, rules, now_ms)
            await repository.end_low_margins(session, recovered)
            for each in recovered:
                if each in by_id:
                    self._tell(session, tenant_id, MARGIN_RECOVERED, by_id[each], found.get(each), rules, now_ms)
        return len(fallen) + len(recovered)

    def _tell(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        kind: str,
        row: CustomerRow,
        margin: Margin | None,
        rules: ServingRules,
        now_ms: int,
    ) -> None:
        told: dict[str, Any] = {"customer_id": str(row.customer_id), "code": row.code, "tier": row.served_as}
        if margin is not None:
            told |= {
                "revenue_minor": margin.revenue_minor,
                "cost_minor": margin.cost_minor,
                "share": None if margin.share is None else round(margin.share, 4),
            }
        self._events.record(session, tenant_id, kind, told | {"floor": rules.margin_floor}, now_ms)
