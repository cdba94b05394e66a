"""The gateway as a Sparkplug edge node: births, records by the window's order, commits, rebirths, health."""

from collections.abc import Iterable, Sequence

import anyio
import anyio.lowlevel
import structlog

from contract import commit, shot_wire
from contract.ranges import RangeSet
from contract.sparkplug.codec import Metric, encode_metrics, mark_historical
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession, HostOffline, HostOnline, NodeCommand, RebirthRequested
from contract.sparkplug.message import Message
from edge_agent.aliases import AliasTable
from edge_agent.health import Health, HealthReporter
from edge_agent.journal.journal import Record
from edge_agent.journal.thread import JournalThread
from edge_agent.uplink.window import Fetch, Window
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, LinkEvent, Received

TICK_S = 0.25
"""How long the sender sleeps when nothing wakes it: the grain of re-sending."""
HISTORICAL_AFTER_MS = 5 * 60 * 1000
"""A shot that ended longer ago (a replayed file, a backlog) is history even where it is new to the journal."""
log = structlog.get_logger()


class Uplink:
    """Two tasks over one session: one takes what the broker brings, one sends what the window asks for.

    What may be lost here is nothing: a record leaves the journal only by the host's commit.
    """

    def __init__(
        self,
        link: Link,
        session: EdgeNodeSession,
        journal: JournalThread,
        aliases: AliasTable,
        window: Window,
        health: Health,
        clock: Clock,
        *,
        health_every_s: float,
        node_properties: Sequence[Metric],
    ) -> None:
        self._link = link
        self._session = session
        self._journal = journal
        self._aliases = aliases
        self._window = window
        self._health = health
        self._reporter = HealthReporter(health, clock.monotonic_s())
        self._clock = clock
        self._health_every_s = health_every_s
        self._node_properties = list(node_properties)
        self._wake = anyio.Event()
        self._is_connected = False
        self._is_birth_due = False
        self._born: dict[str, int] = {}  # press -> how many aliases its birth declared

    def appended(self, next_id: int) -> None:
        """The journal has grown: there is something to send."""
        self._window.appended(next_id)
        self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled, then say farewell."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._receive, name="uplink.receive")
                tasks.start_soon(self._send, name="uplink.send")
                tasks.start_soon(self._report, name="uplink.report")
        finally:
            if self._is_connected and self._session.is_born:
                self._publish(self._session.node_death(self._clock.utc_ms()))

    async def _receive(self) -> None:
        while True:
            for event in await self._link.events():
                await self._on_event(event)

    async def _on_event(self, event: LinkEvent) -> None:
        match event:
            case Connected():
                self._is_connected = True
                self._session.connected()
                self._link.subscribe(self._session.subscriptions())
                self._is_birth_due = True
                log.info("broker_connected")
            case Disconnected(reason):
                self._is_connected = False
                self._born.clear()
                log.warning("broker_disconnected", reason=reason)
            case Received(topic, payload):
                await self._on_message(topic, payload)
        self._wake.set()

    async def _on_message(self, topic: str, payload: bytes) -> None:
        for event in self._session.on_message(topic, payload):
            match event:
                case RebirthRequested():
                    self._is_birth_due = True
                case HostOnline(host_id):
                    log.info("host_online", host_id=host_id)
                    self._is_birth_due = True
                case HostOffline(host_id):
                    log.warning("host_offline", host_id=host_id)
                    await self._leave()
                case NodeCommand(metrics):
                    await self._on_command(metrics)
                case _:
                    log.debug("message_ignored", topic=topic, reason=str(event))

    async def _leave(self) -> None:
        """The primary host is gone: die cleanly and come back, to be born again when it returns."""
        if self._session.is_born:
            self._publish(self._session.node_death(self._clock.utc_ms()))
        self._is_connected = False
        self._born.clear()
        await self._link.reconnect()

    async def _on_command(self, metrics: Iterable[Metric]) -> None:
        try:
            word = commit.from_metrics(metrics)
            if word is None or not self._window.committed(word):
                return
        except commit.CommitError as error:
            self._health.commits_refused += 1
            log.warning("commit_refused", error=str(error))
            return
        await self._journal.forget(word.below, RangeSet(word.ranges))

    async def _send(self) -> None:
        while True:
            self._wake = anyio.Event()
            while self._can_publish():
                if self._is_birth_due:
                    await self._give_birth()
                    continue  # the host may have gone while the journal was asked
                fetch = self._window.next(self._clock.monotonic_s())
                if fetch is None:
                    self._bury_lost_presses()
                    break
                await self._fetch(fetch)
            with anyio.move_on_after(TICK_S):
                await self._wake.wait()

    def _can_publish(self) -> bool:
        return self._is_connected and self._session.may_birth

    async def _give_birth(self) -> None:
        bounds, counts, oldest_ms = await self._journal.status()
        if not self._can_publish():
            return
        self._is_birth_due = False
        now_ms = self._clock.utc_ms()
        node_metrics = [
            *self._node_properties,
            Metric(commit.EPOCH, self._journal.epoch, DataType.UUID, timestamp_ms=now_ms),
            Metric("Journal/First", bounds[0], DataType.UInt64, timestamp_ms=now_ms),
            Metric("Journal/Next", bounds[1], DataType.UInt64, timestamp_ms=now_ms),
            *_health_metrics(self._reporter.metrics(self._clock.monotonic_s(), now_ms, counts, oldest_ms), now_ms),
        ]
        presses = {press: self._aliases.birth_metrics(press, now_ms) for press in self._aliases.presses()}
        self._window.begin(*bounds)
        self._born = {press: len(metrics) for press, metrics in presses.items()}
        for message in self._session.birth(node_metrics, presses, now_ms):
            self._publish(message)
        log.info("node_born", presses=len(presses), journal_first=bounds[0], journal_next=bounds[1])

    async def _fetch(self, fetch: Fetch) -> None:
        records = await self._journal.read(fetch.first, fetch.last, limit=fetch.limit)
        if not self._can_publish() or self._is_birth_due:
            return  # the world changed while the disk was read: the window's answer is no longer the right one
        for record in records:
            if self._window.wants(fetch, record.record_id):
                self._send_record(record, fetch)
        self._window.fetched(fetch, [record.record_id for record in records])
        await anyio.lowlevel.checkpoint()

    def _send_record(self, record: Record, fetch: Fetch) -> None:
        now_ms = self._clock.utc_ms()
        self._ensure_born(record.press_id, now_ms)
        alias_of = self._aliases.of(record.press_id)
        head = encode_metrics([shot_wire.id_metric(record.record_id, record.ended_ms, alias_of)])
        body = head + record.body + record.curves
        if fetch.lane != "live" or now_ms - record.ended_ms > HISTORICAL_AFTER_MS:
            body = mark_historical(body)
        if self._publish(self._session.device_data(record.press_id, body, now_ms)):
            self._window.sent(record.record_id, record.size_bytes, self._clock.monotonic_s())
            self._health.records_sent += 1
            self._health.records_sent_again += fetch.lane == "resend"

    def _bury_lost_presses(self) -> None:
        """DDEATH for each press that does not answer, once all that it left behind is sent; birth when it is back."""
        now_ms = self._clock.utc_ms()
        for press_id, is_connected in self._health.presses.items():
            if is_connected:
                self._ensure_born(press_id, now_ms)
            elif press_id in self._session.devices:
                self._publish(self._session.device_death(press_id, now_ms))
                self._born.pop(press_id, None)

    def _ensure_born(self, press_id: str, now_ms: int) -> None:
        """A press is born before its first record, and again when its records have metrics that its birth lacked."""
        if self._born.get(press_id) != self._aliases.count(press_id):
            metrics = self._aliases.birth_metrics(press_id, now_ms)
            self._publish(self._session.device_birth(press_id, metrics, now_ms))
            self._born[press_id] = len(metrics)

    def _publish(self, message: Message) -> bool:
        return self._link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    async def _report(self) -> None:
        while True:
            await anyio.sleep(self._health_every_s)
            _, counts, oldest_ms = await self._journal.status()
            now_ms = self._clock.utc_ms()
            values = self._reporter.metrics(self._clock.monotonic_s(), now_ms, counts, oldest_ms)
            if self._can_publish() and self._session.is_born and not self._is_birth_due:
                self._publish(self._session.node_data(_health_metrics(values, now_ms), now_ms))
            log.info("gateway_health", **{name.split("/")[1]: round(value, 2) for name, value in values.items()})


def _health_metrics(values: dict[str, float], now_ms: int) -> list[Metric]:
    return [Metric(name, value, DataType.Double, timestamp_ms=now_ms) for name, value in values.items()]
