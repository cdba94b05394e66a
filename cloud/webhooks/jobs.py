"""Empties the outbox: calls side by side within bounds, those of one alarm one after the other.

One task looks at what is due and starts calls. An endpoint gets at most CALLS_PER_ENDPOINT_MAX at once, one as soon as
a call has failed, none while its circuit is open or it has asked for a pause. Endpoints that fail share a small lane of
their own, so that no number of receivers that hang takes the lane from those that answer. A crash between a call and
its record repeats the call with the same webhook-id.
"""

from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.live import Live, Topic, wait_for_change
from cloud.webhooks import repository
from cloud.webhooks.calling import Caller
from cloud.webhooks.circuit import calls_allowed
from cloud.webhooks.domain import MESSAGE_ID_PREFIX, Answer, Attempt
from cloud.webhooks.message import message_of
from cloud.webhooks.sealing import Sealer, SealError
from cloud.webhooks.service import WebhookService
from cloud.webhooks.tables import DeliveryRow, EndpointRow
from cloud.webhooks.templates.services import SERVICES
from cloud.webhooks.views import circuit_of, target_of, template_of
from kit.clock import Clock

POLL_S = 1.0
CALLS_PER_ENDPOINT_MAX = 4
CALLS_MAX = 48
CALLS_TO_FAILING_MAX = 16
EXPIRE_EVERY_S = 30.0
MINUTE_S = 60.0
log = structlog.get_logger()


@dataclass(slots=True)
class _Traffic:
    """Calls to one endpoint: the order keys under way, by lane, and when the last minute's began."""

    busy: dict[str, bool] = field(default_factory=dict)
    """Order keys of calls under way, and whether they go by the lane of those that fail."""
    begun_s: deque[float] = field(default_factory=deque)

    def room(self, now_s: float, per_minute_max: int) -> int:
        """How many calls may still begin in this minute."""
        while self.begun_s and now_s - self.begun_s[0] >= MINUTE_S:
            self.begun_s.popleft()
        return per_minute_max - len(self.begun_s)


class WebhookSender:
    """The one task that starts calls."""

    def __init__(
        self, database: Database, webhooks: WebhookService, caller: Caller, sealer: Sealer, live: Live, clock: Clock
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._caller = caller
        self._sealer = sealer
        self._live = live
        self._clock = clock
        self._traffic: dict[UUID, _Traffic] = {}
        self._wake = Topic()
        self._turn = 0
        self._expired_s: float | None = None

    async def run(self) -> None:
        """Send until cancelled; calls under way are given up and made again by the next run."""
        self._traffic.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._forward_news, name="webhooks.news")
            while True:
                version = self._wake.version
                await anyio.lowlevel.checkpoint()  # reading is shielded, and waiting ends at once after news
                await self._start_due(tasks)
                await wait_for_change(self._wake, version, at_most_s=POLL_S)

    async def send_due(self) -> int:
        """Make the calls that may be made now and wait until they have ended; how many."""
        begun = 0
        async with anyio.create_task_group() as tasks:
            begun += await self._start_due(tasks)
        return begun

    async def _forward_news(self) -> None:
        """What is new in the outbox wakes the sender, as an ended call does."""
        version = self._live.deliveries.version
        while True:
            await self._live.deliveries.wait_beyond(version)
            version = self._live.deliveries.version
            self._wake.publish()

    async def _start_due(self, tasks: TaskGroup) -> int:
        await self._expire()
        begun = 0
        # What ends while we look is still owed in the moment that we see: it must not begin again.
        held = {endpoint_id: set(traffic.busy) for endpoint_id, traffic in self._traffic.items()}
        async with self._database.reading() as session:
            endpoints = await repository.waiting(session)
            self._turn += 1
            first = self._turn % len(endpoints) if endpoints else 0  # when the lanes are full, another one is last
            for endpoint in (*endpoints[first:], *endpoints[:first]):
                for row in await self._due(session, endpoint, held.get(endpoint.endpoint_id, set())):
                    self._begin(endpoint, row)
                    tasks.start_soon(self._deliver, endpoint, row, name=f"webhook.{endpoint.name}")
                    begun += 1
        return begun

    async def _due(self, session: AsyncSession, endpoint: EndpointRow, held: set[str]) -> list[DeliveryRow]:
        """What may be sent to an endpoint now; `held` are the order keys under way when the look began."""
        now_ms, now_s = self._clock.utc_ms(), self._clock.monotonic_s()
        if endpoint.resume_at_ms is not None and now_ms < endpoint.resume_at_ms:
            return []
        traffic = self._traffic.setdefault(endpoint.endpoint_id, _Traffic())
        circuit = circuit_of(endpoint)
        allowed = min(
            calls_allowed(circuit, now_ms, under_way=len(traffic.busy), calls_max=CALLS_PER_ENDPOINT_MAX),
            self._lane_room(is_failing=_is_failing(endpoint)),
            traffic.room(now_s, SERVICES[template_of(endpoint)].calls_per_minute_max),
        )
        if allowed <= 0:
            return []
        due_ms = None if circuit.state(now_ms) == "half_open" else now_ms
        rows = await repository.sendable(
            session, endpoint.endpoint_id, due_ms=due_ms, busy=held | set(traffic.busy), limit=allowed
        )
        return list(rows)

    def _lane_room(self, *, is_failing: bool) -> int:
        lane = [went for traffic in self._traffic.values() for went in traffic.busy.values() if went == is_failing]
        return (CALLS_TO_FAILING_MAX if is_failing else CALLS_MAX) - len(lane)

    def _begin(self, endpoint: EndpointRow, row: DeliveryRow) -> None:
        traffic = self._traffic[endpoint.endpoint_id]
        traffic.busy[row.order_key] = _is_failing(endpoint)
        traffic.begun_s.append(self._clock.monotonic_s())

    async def _deliver(self, endpoint: EndpointRow, row: DeliveryRow) -> None:
        message_id = f"{MESSAGE_ID_PREFIX}{row.delivery_id}"
        try:
            attempt = await self._attempt(endpoint, row, message_id)
            async with self._database.transaction() as session:
                await self._webhooks.record_attempt(session, row.delivery_id, attempt)
        finally:
            self._traffic[endpoint.endpoint_id].busy.pop(row.order_key, None)
            self._wake.publish()
        log.info(
            "webhook_called",
            endpoint=endpoint.name,
            kind=row.kind,
            message_id=message_id,
            attempt=row.attempts + 1,
            status=attempt.answer.status,
            error=attempt.answer.error,
        )

    async def _attempt(self, endpoint: EndpointRow, row: DeliveryRow, message_id: str) -> Attempt:
        started_ms = self._clock.utc_ms()
        try:
            target = target_of(endpoint, self._sealer, started_ms)
        except SealError as error:
            return Attempt(started_ms, 0, endpoint.url_shown, {}, "", Answer(error=str(error)))
        return await self._caller.attempt(target, message_of(row.body, row.event_id), message_id)

    async def _expire(self) -> None:
        """Now and then, give up what was not delivered in time."""
        now_s = self._clock.monotonic_s()
        if self._expired_s is not None and now_s - self._expired_s < EXPIRE_EVERY_S:
            return
        self._expired_s = now_s
        async with self._database.reading() as session:
            is_late = await repository.has_expired(session, self._clock.utc_ms())
        if is_late:
            async with self._database.transaction() as session:
                await self._webhooks.expire(session)


def _is_failing(endpoint: EndpointRow) -> bool:
    return endpoint.failures > 0
