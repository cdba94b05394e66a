"""Takes gateways' reports out of what the ingest tells the fleet, and keeps the last one of each."""

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database, announce
from cloud.core.live import Live, Topic
from cloud.fleet.reading import tenants_of_plants
from cloud.fleet.service import FleetService
from cloud.ingest.digest import Digest, GatewayBorn, GatewayHealth
from cloud.ingest.registry import FleetRegistry
from cloud.rollouts import repository
from cloud.rollouts.tables import OrderRow
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract.model_orders import REPORT, ModelOrderError, report_of

log = structlog.get_logger()


class ReportingRegistry(FleetRegistry):
    """The fleet's registry, with an ear for reports; one that is lost comes again with the next health metrics."""

    def __init__(self, database: Database, fleet: FleetService, live: Live, reported: Topic) -> None:
        super().__init__(database, fleet, live)
        self._reports = database
        self._reported = reported

    async def take(self, result: Digest, records: Sequence[IncomingShot | IncomingGap], now_ms: int) -> None:
        """See the port."""
        await super().take(result, records, now_ms)
        texts = {
            news.gateway: news.metrics[REPORT]
            for news in result.news
            if isinstance(news, GatewayBorn | GatewayHealth) and news.metrics.get(REPORT) is not None
        }
        if not texts:
            return
        async with self._reports.transaction() as session:
            for gateway, text in texts.items():
                await self._keep(session, gateway, text, now_ms)
            announce(session, self._reported)

    async def _keep(self, session: AsyncSession, gateway: GatewayKey, text: object, now_ms: int) -> None:
        try:
            report_of(text)
        except ModelOrderError as error:
            log.warning("model_report_refused", gateway=gateway, error=str(error))
            return
        row = await repository.order(session, gateway.plant_id, gateway.gateway_id)
        if row is None:
            tenants = await tenants_of_plants(session, [gateway.plant_id])
            if gateway.plant_id not in tenants:
                return
            row = OrderRow(
                plant_id=gateway.plant_id,
                gateway_id=gateway.gateway_id,
                tenant_id=tenants[gateway.plant_id],
                revision=0,
                wanted="",
                ordered_ms=now_ms,
            )
            session.add(row)
        row.report, row.reported_ms = str(text), now_ms
