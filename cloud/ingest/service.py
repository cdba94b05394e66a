"""The ingest: what the broker brings is stored, made known to the fleet, and only then committed to its gateway."""

from collections.abc import Sequence

import anyio
import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database, announce
from cloud.core.live import Live
from cloud.fleet.domain import SeenShot
from cloud.fleet.service import FleetService
from cloud.ingest import letters
from cloud.ingest.commits import CommitSchedule
from cloud.ingest.digest import (
    Digest,
    FleetNews,
    GatewayBorn,
    GatewayDied,
    GatewayHealth,
    PressBorn,
    PressDied,
    digest,
)
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot, TelemetryError, TelemetryStore
from contract import commit
from contract.sparkplug.host import HostSession
from contract.sparkplug.message import Message
from contract.sparkplug.topics import NodeKey
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, LinkEvent, Received

BATCH_MESSAGES_MAX = 500
DIGESTS_WAITING_MAX = 1
TICK_S = 0.1
REBIRTHS_WAITING_MAX = 10_000
log = structlog.get_logger()

Record = IncomingShot | IncomingGap


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
        database: Database,
        fleet: FleetService,
        live: Live,
        clock: Clock,
    ) -> None:
        self._link = link
        self._session = session
        self._store = store
        self._database = database
        self._fleet = fleet
        self._live = live
        self._clock = clock
        self._commits = CommitSchedule()
        self._rebirths: set[NodeKey] = set()
        self._decoder, self._storer = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)
        self._dropped = 0
        self.is_connected = False
        self.listening = anyio.Event()
        """Set once the ingest has subscribed for the first time: from then on the host may say that it is online."""

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._restore_births()
        send, receive = anyio.create_memory_object_stream[Digest](DIGESTS_WAITING_MAX)
        async with send, receive, anyio.create_task_group() as tasks:
            tasks.start_soon(self._decode, send, name="ingest.decode")
            tasks.start_soon(self._store_all, receive, name="ingest.store")
            tasks.start_soon(self._answer, name="ingest.answer")

    async def _restore_births(self) -> None:
        async with self._database.reading() as session:
            births = await self._fleet.load_births(session)
        for plant_id, gateway_id, press_id, raw in births:
            self._session.load_birth(NodeKey(plant_id, gateway_id), raw, press_id)

    async def _decode(self, send: MemoryObjectSendStream[Digest]) -> None:
        while True:
            messages: list[tuple[str, bytes]] = []
            for event in await self._link.events():
                self._take(event, messages)
            for start in range(0, len(messages), BATCH_MESSAGES_MAX):
                batch = messages[start : start + BATCH_MESSAGES_MAX]
                now_ms = self._clock.utc_ms()
                await send.send(await to_thread.run_sync(digest, self._session, batch, now_ms, limiter=self._decoder))

    async def _store_all(self, receive: MemoryObjectReceiveStream[Digest]) -> None:
        async for result in receive:
            await self._store_one(result)

    def _take(self, event: LinkEvent, messages: list[tuple[str, bytes]]) -> None:
        match event:
            case Received(topic, payload):
                messages.append((topic, payload))
            case Connected():
                self.is_connected = True
                self._link.subscribe(self._session.subscriptions())
                self.listening.set()
                log.info("ingest_connected")
            case Disconnected(reason):
                self.is_connected = False
                log.warning("ingest_disconnected", reason=reason)

    async def _store_one(self, result: Digest) -> None:
        is_stored = await to_thread.run_sync(self._is_written, result.records, limiter=self._storer)
        if len(self._rebirths) < REBIRTHS_WAITING_MAX:
            self._rebirths |= result.rebirths
        now_ms, now_s = self._clock.utc_ms(), self._clock.monotonic_s()
        await self._tell_fleet(result, result.records if is_stored else [], now_ms)
        for news in result.news:
            if isinstance(news, GatewayBorn):
                self._rebirths.discard(_node(news.gateway))
                if news.epoch:
                    self._commits.born(news.gateway, news.epoch, now_s)
        if is_stored:
            for record in result.records:
                self._commits.stored(record.gateway, record.epoch, now_s)

    def _is_written(self, records: Sequence[Record]) -> bool:
        try:
            self._store.write(records)
        except TelemetryError:
            log.exception("records_not_stored", records=len(records))
            return False
        return True

    async def _tell_fleet(self, result: Digest, records: Sequence[Record], now_ms: int) -> None:
        """Births, deaths, health and fresh shots, in one transaction; dead letters with them."""
        shots = [record for record in records if isinstance(record, IncomingShot)]
        if not (result.news or shots or result.letters):
            return
        async with self._database.transaction() as session:
            for news in result.news:
                await self._tell(session, news, now_ms)
            if shots:
                await self._fleet.shots_seen(session, [_seen(shot) for shot in shots])
                announce(session, self._live.shots)
            await letters.keep(session, result.letters)
        for letter in result.letters:
            log.warning("message_set_aside", topic=letter.topic, reason=letter.reason)

    async def _tell(self, session: AsyncSession, news: FleetNews, now_ms: int) -> None:
        plant_id, gateway_id = news.gateway.plant_id, news.gateway.gateway_id
        fleet = self._fleet
        match news:
            case GatewayBorn(_, epoch, metrics, raw):
                await fleet.node_born(session, plant_id, gateway_id, epoch=epoch, metrics=metrics, now_ms=now_ms)
                await fleet.save_birth(session, plant_id, gateway_id, None, raw, now_ms=now_ms)
            case PressBorn(_, press_id, _, raw):
                await fleet.device_born(session, plant_id, gateway_id, press_id, now_ms=now_ms)
                await fleet.save_birth(session, plant_id, gateway_id, press_id, raw, now_ms=now_ms)
            case GatewayDied():
                await fleet.node_died(session, plant_id, gateway_id, now_ms=now_ms)
            case PressDied(_, press_id):
                await fleet.device_died(session, plant_id, gateway_id, press_id, now_ms=now_ms)
            case GatewayHealth(_, metrics, offset_s):
                await fleet.node_health(
                    session, plant_id, gateway_id, metrics=metrics, now_ms=now_ms, clock_offset_s=offset_s
                )

    async def _answer(self) -> None:
        """Commits and rebirth requests, each at its own pace."""
        while True:
            await anyio.sleep(TICK_S)
            self._tell_of_drops()
            if not self.is_connected:
                continue
            now_ms, now_s = self._clock.utc_ms(), self._clock.monotonic_s()
            for gateway, epoch in self._commits.take_due(now_s):
                durable = await to_thread.run_sync(self._store.committed, gateway, epoch, limiter=self._storer)
                word = commit.to_metrics(commit.commit_of(epoch, durable))
                self._publish(self._session.command(_node(gateway), word, now_ms))
            for node in list(self._rebirths):
                request = self._session.rebirth_request(node, now_ms, now_s)
                if request is not None:
                    self._publish(request)
                    self._rebirths.discard(node)

    def _tell_of_drops(self) -> None:
        """A full inbox is no loss (what is not committed comes again), but it says that one worker is too few."""
        if self._link.dropped > self._dropped:
            log.warning("messages_dropped", count=self._link.dropped - self._dropped)
            self._dropped = self._link.dropped

    def _publish(self, message: Message) -> None:
        self._link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)


def _node(gateway: GatewayKey) -> NodeKey:
    return NodeKey(gateway.plant_id, gateway.gateway_id)


def _seen(record: IncomingShot) -> SeenShot:
    return SeenShot(
        plant_id=record.gateway.plant_id,
        gateway_id=record.gateway.gateway_id,
        press_id=record.scored.shot.press_id,
        ended_ms=record.scored.shot.ended_ms,
        received_ms=record.received_ms,
        is_historical=record.is_historical,
    )
