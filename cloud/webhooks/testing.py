"""The test button: one call by hand, outside of the outbox's turn, with its answer."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import anyio

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.webhooks.calling import Caller
from cloud.webhooks.domain import MESSAGE_ID_PREFIX, Answer, Attempt, Delivery
from cloud.webhooks.endpoints import EndpointService
from cloud.webhooks.message import message_of
from cloud.webhooks.sealing import Sealer, SealError
from cloud.webhooks.service import WebhookService, delivery_with_attempts
from cloud.webhooks.tables import AttemptRow
from cloud.webhooks.views import target_of
from kit.clock import Clock

TESTS_MAX: Final = 4
"""At once, of all tenants together."""


class EndpointTester:
    """Calls an endpoint once, whether it is enabled or not."""

    def __init__(
        self,
        database: Database,
        endpoints: EndpointService,
        webhooks: WebhookService,
        caller: Caller,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._endpoints = endpoints
        self._webhooks = webhooks
        self._caller = caller
        self._sealer = sealer
        self._clock = clock
        self._limiter = anyio.CapacityLimiter(TESTS_MAX)

    async def test(self, tenant_id: TenantId, endpoint_id: UUID, actor: Actor) -> tuple[Delivery, Sequence[AttemptRow]]:
        """Make the call; what was sent and what came back is also in the log.

        Raises:
            NotFoundError: the tenant has no such endpoint.
        """
        async with self._limiter:
            async with self._database.transaction() as session:
                endpoint = await self._endpoints.row(session, tenant_id, endpoint_id)
                row = self._webhooks.add_test(session, endpoint)
                target = f"webhook_endpoint:{endpoint.name}"
                now_ms = self._clock.utc_ms()
                audit.record(session, tenant_id, actor, "webhook_endpoint_tested", target, now_ms=now_ms)
            try:
                attempt = await self._caller.attempt(
                    target_of(endpoint, self._sealer, now_ms),
                    message_of(row.body, None),
                    f"{MESSAGE_ID_PREFIX}{row.delivery_id}",
                )
            except SealError as error:
                attempt = Attempt(now_ms, 0, endpoint.url_shown, {}, "", Answer(error=str(error)))
            async with self._database.transaction() as session:
                await self._webhooks.record_attempt(session, row.delivery_id, attempt)
                await session.flush()
                return await delivery_with_attempts(session, tenant_id, row.delivery_id)
