"""Empties the outbox: one caller for each endpoint, so that a slow receiver holds up no other.

An endpoint is called with one message at a time, in the order of events while it answers; a call that failed is put
back to its next time and lets the others pass. A crash between a call and its record repeats the call with the same
webhook-id.
"""

from collections.abc import Mapping, Sequence

import anyio
import structlog

from cloud.core.database import Database
from cloud.core.live import Live, wait_for_change
from cloud.webhooks import repository
from cloud.webhooks.calling import Call, call, trusted_roots
from cloud.webhooks.service import Endpoint, WebhookService
from kit.clock import Clock

POLL_S = 1.0
MESSAGE_ID_PREFIX = "msg_"
log = structlog.get_logger()


class WebhookSender:
    """The callers of all endpoints."""

    def __init__(
        self, database: Database, webhooks: WebhookService, endpoints: Sequence[Endpoint], live: Live, clock: Clock
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._endpoints: Mapping[str, Endpoint] = {endpoint.name: endpoint for endpoint in endpoints}
        self._live = live
        self._clock = clock
        self._tls = trusted_roots()

    async def run(self) -> None:
        """Send until cancelled."""
        async with anyio.create_task_group() as tasks:
            for name in self._endpoints:
                tasks.start_soon(self._serve, name, name=f"webhook.{name}")
            await anyio.sleep_forever()

    async def _serve(self, name: str) -> None:
        while True:
            version = self._live.deliveries.version
            wait_s = await self.send_next(name)
            if wait_s > 0:
                await wait_for_change(self._live.deliveries, version, at_most_s=wait_s)

    async def send_next(self, name: str) -> float:
        """Make the call that is due to an endpoint; how long to wait before the next, 0 when more may be due."""
        async with self._database.reading() as session:
            row = await repository.next_pending(session, name)
        if row is None:
            return POLL_S
        now_ms = self._clock.utc_ms()
        wait_s = ((row.next_attempt_ms or 0) - now_ms) / 1000
        if wait_s > 0:
            return min(wait_s, POLL_S)
        message = Call(f"{MESSAGE_ID_PREFIX}{row.delivery_id}", row.body)
        answer = await call(self._endpoints[name], message, now_ms, self._tls)
        async with self._database.transaction() as session:
            await self._webhooks.record_answer(session, row.delivery_id, answer)
        log.info(
            "webhook_called",
            endpoint=name,
            kind=row.kind,
            message_id=message.message_id,
            attempt=row.attempts + 1,
            status=answer.status,
            error=answer.error,
        )
        return 0.0
