"""The ingest: what the broker brings is stored, made known to the fleet, and only then committed to its gateway."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from cloud.core.spans import Spans, no_span
from cloud.ingest import recovery
from cloud.ingest.commits import CommitSchedule
from cloud.ingest.digest import Digest, GatewayBorn, digest
from cloud.ingest.flapping import Flapping
from cloud.ingest.gate import Gate
from cloud.ingest.listening import Listening
from cloud.ingest.registry import Registry
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot, TelemetryError, TelemetryStore
from contract import commit, standing
from contract.ranges import RangeSet
from contract.sparkplug.host import HostSession
from contract.sparkplug.message import Message
from contract.sparkplug.topics import NodeKey
from contract.standing import Refusal, Replay, Standing
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, LinkEvent, Received, Subscribed

BATCH_MESSAGES_MAX = 500
DIGESTS_WAITING_MAX = 1
TICK_S = 0.1
SUBSCRIBE_AGAIN_S = 10.0
"""A subscription that the broker refused, or did not answer, is tried again after this."""
REBIRTHS_WAITING_MAX = 10_000
REFUSALS_WAITING_MAX = 1_000
LOST_AT_HOST = "lost_at_host"
log = structlog.get_logger()

Record = IncomingShot | IncomingGap


@dataclass(slots=True)
class IngestCounts:
    """What the worker has done since its start; `store_s` is time spent in writing."""

    batches: int = 0
    shots: int = 0
    gaps: int = 0
    letters: int = 0
    seq_gaps: int = 0
    not_stored: int = 0
    store_s: float = 0.0


class Ingest:
    """One worker: it follows all plants, in the order of arrival.

    A batch is decoded in a thread, stored in another in one transaction of the telemetry store (records and what is
    durable), then told to the fleet; the next batch is decoded meanwhile. What cannot be stored is not committed, so
    its gateway sends it again.
    """

    def __init__(
        self,
        link: Link,
        session: HostSession,
        store: TelemetryStore,
        registry: Registry,
        gate: Gate,
        clock: Clock,
        *,
        spans: Spans = no_span,
    ) -> None:
        self._link = link
        self._span = spans
        self._session = session
        self._store = store
        self._registry = registry
        self._gate = gate
        self._clock = clock
        self._commits = CommitSchedule()
        self._rebirths: set[NodeKey] = set()
        self._refusals: dict[GatewayKey, Refusal] = {}
        self._decoder, self._storer = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)
        self._dropped = 0
        self._flapping = Flapping()
        self._pause_s = self._subscribed_s = 0.0
        self.counts = IngestCounts()
        self.is_connected = False
        self.listening = Listening()
        """On while the broker has granted our subscriptions: only then the host may say that it is online."""

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._restore_births()
        send, receive = anyio.create_memory_object_stream[Digest](DIGESTS_WAITING_MAX)
        try:
            async with send, receive, anyio.create_task_group() as tasks:
                tasks.start_soon(self._decode, send, name="ingest.decode")
                tasks.start_soon(self._store_all, receive, name="ingest.store")
                tasks.start_soon(self._answer, name="ingest.answer")
        finally:
            self.listening.turn(on=False)

    async def _restore_births(self) -> None:
        self._gate.load(await self._registry.gateways())
        for gateway, press_id, raw in await self._registry.births():
            self._session.load_birth(_node(gateway), raw, press_id)

    async def _decode(self, send: MemoryObjectSendStream[Digest]) -> None:
        while True:
            messages: list[tuple[str, bytes]] = []
            for event in await self._link.events():
                self._take(event, messages)
            for start in range(0, len(messages), BATCH_MESSAGES_MAX):
                batch = messages[start : start + BATCH_MESSAGES_MAX]
                await send.send(await to_thread.run_sync(self._digest, batch, limiter=self._decoder))
            if self._pause_s:
                log.error("ingest_stays_away", reason="its connections are taken away", for_s=self._pause_s)
                after_s, self._pause_s = self._pause_s, 0.0
                await self._link.reconnect(after_s=after_s)

    def _digest(self, messages: Sequence[tuple[str, bytes]]) -> Digest:
        return digest(self._session, self._gate, messages, self._clock.utc_ms(), self._clock.monotonic_s())

    async def _store_all(self, receive: MemoryObjectReceiveStream[Digest]) -> None:
        async for result in receive:
            await self._store_one(result)

    def _take(self, event: LinkEvent, messages: list[tuple[str, bytes]]) -> None:
        match event:
            case Received(topic, payload):
                messages.append((topic, payload))
            case Connected():
                self.is_connected = True
                self._flapping.connected(self._clock.monotonic_s())
                self._subscribe()
                log.info("ingest_connected")
            case Subscribed(is_granted):
                self.listening.turn(on=is_granted and self.is_connected)
                if not is_granted:
                    log.error("ingest_not_subscribed", again_in_s=SUBSCRIBE_AGAIN_S)
            case Disconnected(reason):
                self.is_connected = False
                self.listening.turn(on=False)
                self._pause_s = self._flapping.lost(self._clock.monotonic_s()) or self._pause_s
                log.warning("ingest_disconnected", reason=reason)

    def _subscribe(self) -> None:
        self._subscribed_s = self._clock.monotonic_s()
        self._link.subscribe(self._session.subscriptions())

    async def _store_one(self, result: Digest) -> None:
        with self._span("ingest.batch", records=len(result.records), news=len(result.news)):
            await self._keep(result)

    async def _keep(self, result: Digest) -> None:
        began_s = self._clock.monotonic_s()
        is_stored = await to_thread.run_sync(self._is_written, result.records, limiter=self._storer)
        self._count(result, is_stored=is_stored, took_s=self._clock.monotonic_s() - began_s)
        if len(self._rebirths) < REBIRTHS_WAITING_MAX:
            self._rebirths |= result.rebirths
        if len(self._refusals) < REFUSALS_WAITING_MAX:
            self._refusals |= result.refusals
        await self._registry.take(result, result.records if is_stored else [], self._clock.utc_ms())
        for news in result.news:
            if isinstance(news, GatewayBorn):
                self._rebirths.discard(_node(news.gateway))
                if news.standing is not None:
                    await self._stand(news.gateway, news.standing)
        if is_stored:
            now_s = self._clock.monotonic_s()
            for record in result.records:
                self._commits.stored(record.gateway, record.epoch, now_s)
        for letter in result.letters:
            log.warning("message_set_aside", topic=letter.topic, reason=letter.reason)

    def _count(self, result: Digest, *, is_stored: bool, took_s: float) -> None:
        shots = sum(isinstance(record, IncomingShot) for record in result.records)
        counts = self.counts
        counts.batches += 1
        counts.shots += shots
        counts.gaps += len(result.records) - shots
        counts.letters += len(result.letters)
        counts.seq_gaps += result.seq_gaps
        counts.not_stored += not is_stored
        counts.store_s += took_s

    async def _stand(self, gateway: GatewayKey, stands: Standing) -> None:
        """A gateway begins a session: what does it no longer have that we have not, and what could it bring back?"""
        durable = await self._durable(gateway, stands.epoch)
        now_ms = self._clock.utc_ms()
        gaps = [
            IncomingGap(gateway, stands.epoch, first, now_ms, "", now_ms, LOST_AT_HOST, last)
            for first, last in recovery.lost(stands, durable)
        ]
        if gaps:
            log.error("records_lost_at_host", gateway=gateway, ranges=[(g.record_id, g.last_id) for g in gaps])
            await to_thread.run_sync(self._is_written, gaps, limiter=self._storer)
        first = recovery.replay_from(stands, durable)
        if first is not None:
            log.warning("replay_asked", gateway=gateway, first=first)
            order = standing.order_metrics(Replay(stands.epoch, first))
            self._publish(self._session.command(_node(gateway), order, now_ms))
        self._commits.born(gateway, stands.epoch, self._clock.monotonic_s())

    async def _durable(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        return await to_thread.run_sync(self._store.committed, gateway, epoch, limiter=self._storer)

    def _is_written(self, records: Sequence[Record]) -> bool:
        try:
            self._store.write(records)
        except TelemetryError:
            log.exception("records_not_stored", records=len(records))
            return False
        return True

    async def _answer(self) -> None:
        """Commits and rebirth requests, each at its own pace."""
        while True:
            await anyio.sleep(TICK_S)
            self._tell_of_drops()
            if not self.is_connected:
                continue
            now_ms, now_s = self._clock.utc_ms(), self._clock.monotonic_s()
            if not self.listening.is_on and now_s - self._subscribed_s >= SUBSCRIBE_AGAIN_S:
                self._subscribe()
            for gateway, epoch in self._commits.take_due(now_s):
                word = commit.to_metrics(commit.commit_of(epoch, await self._durable(gateway, epoch)))
                self._publish(self._session.command(_node(gateway), word, now_ms))
            for node in list(self._rebirths):
                request = self._session.rebirth_request(node, now_ms, now_s)
                if request is not None:
                    self._publish(request)
                    self._rebirths.discard(node)

            while self._refusals:
                gateway, refusal = self._refusals.popitem()
                log.error("gateway_refused", gateway=gateway, instance=refusal.instance, reason=refusal.reason)
                if refusal.instance:
                    order = standing.order_metrics(refusal)
                    self._publish(self._session.command(_node(gateway), order, self._clock.utc_ms()))

    def _tell_of_drops(self) -> None:
        """A full inbox is no loss (what is not committed comes again), but it says that one worker is too few."""
        if self._link.dropped > self._dropped:
            log.warning("messages_dropped", count=self._link.dropped - self._dropped)
            self._dropped = self._link.dropped

    def _publish(self, message: Message) -> None:
        self._link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)


def _node(gateway: GatewayKey) -> NodeKey:
    return NodeKey(gateway.plant_id, gateway.gateway_id)
