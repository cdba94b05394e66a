"""The gateway as a Sparkplug edge node: births, records by the window's order, commits, rebirths, health."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal
from uuid import UUID

import anyio
import anyio.lowlevel
import structlog

from contract import commit, shot_wire, standing
from contract.commit import Commit, CommitError
from contract.ranges import RangeSet
from contract.sparkplug.codec import Metric, encode_metrics, mark_historical
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession, HostOffline, HostOnline, NodeCommand, RebirthRequested
from contract.sparkplug.message import Message
from contract.standing import Refusal, Replay, StandingError
from edge_agent.aliases import AliasTable
from edge_agent.health import PREFIX, Health, HealthReporter
from edge_agent.journal.journal import JournalFullError, Record
from edge_agent.journal.thread import JournalThread
from edge_agent.uplink.window import RESEND_AFTER_S_MAX, Fetch, ForeignCommitError, Window
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, LinkEvent, Received

TICK_S = 0.25
"""How long the sender sleeps when nothing wakes it: the grain of re-sending."""
HISTORICAL_AFTER_MS = 5 * 60 * 1000
"""A shot that ended longer ago (a replayed file, a backlog) is history even where it is new to the journal."""
REFUSED_PAUSE_S = 120.0
"""How long a gateway that the host refused stays away before it asks again; meanwhile it journals on."""
STATE_AGAIN_S = 5.0
"""How long to wait for the primary host's STATE before its topic is subscribed to once more."""
WORD_AFTER_S = 5.0
"""A host tells what it has as soon as it has taken a birth: when it does not, the birth was lost."""
SETTLE_AFTER_S = 30.0
"""A half-open link is found within two keep-alives of 10 s: what is older than that, and some, has gone through."""
LEFT_AFTER_S = 1.5 * RESEND_AFTER_S_MAX
"""A press without a source that has sent nothing for longer than any resend waits has left nothing behind."""
Confirmation = Literal["commit", "state"]
log = structlog.get_logger()


class Uplink:
    """Two tasks over one session: one takes what the broker brings, one sends what the window asks for.

    With `confirmation` "commit" nothing may be lost here: a record leaves the journal only by the host's word. A
    host that knows only Sparkplug never gives it: "state" is the specification's store and forward, in which a
    record counts as delivered when the connection and the host's STATE have held for SETTLE_AFTER_S behind it.
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
        instance: str,
        new_epoch: Callable[[], UUID],
        health_every_s: float,
        node_properties: Sequence[Metric],
        confirmation: Confirmation = "commit",
        reports: Callable[[], Sequence[Metric]] = tuple,
        on_command: Callable[[Sequence[Metric]], None] = lambda _: None,
        on_word: Callable[[], None] = lambda: None,
        on_health: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._session = session
        self._journal = journal
        self._aliases = aliases
        self._window = window
        self._health = health
        self._reporter = HealthReporter(health, clock.monotonic_s())
        self._clock = clock
        self._instance = instance
        self._new_epoch = new_epoch
        self._confirmation = confirmation
        self._foreign: Commit | None = None  # the word that told that others have used our next ids
        self._replay: Replay | None = None
        self._health_every_s = health_every_s
        self._node_properties = list(node_properties)
        self._reports = reports
        self._on_node_command = on_command
        self._on_word = on_word
        self._on_health = on_health
        self._report_due = anyio.Event()
        self._wake = anyio.Event()
        self._is_connected = False
        self._is_birth_due = False
        self._born_s = self._subscribed_s = 0.0
        self._born: dict[str, int] = {}  # press -> how many aliases its birth declared
        self._sent_s: dict[str, float] = {}  # press that was born -> when a record of it was sent last

    def appended(self, next_id: int) -> None:
        """The journal has grown: there is something to send."""
        self._window.appended(next_id)
        self._wake.set()

    def report_soon(self) -> None:
        """There is news in what `reports` tells: do not wait for the next health report."""
        self._report_due.set()

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
                self._subscribed_s = self._clock.monotonic_s()
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
                    if self._session.is_born:  # each new connection tells once more that the host is away
                        await self._leave()
                case NodeCommand(metrics):
                    self._on_node_command(metrics)
                    await self._on_command(metrics)
                case _:
                    log.debug("message_ignored", topic=topic, reason=str(event))

    async def _leave(self, *, after_s: float = 0.0) -> None:
        """Die cleanly and come back, to be born again when the primary host returns."""
        if self._session.is_born:
            self._publish(self._session.node_death(self._clock.utc_ms()))
        self._is_connected = False
        self._born.clear()
        await self._link.reconnect(after_s=after_s)

    async def _on_command(self, metrics: Iterable[Metric]) -> None:
        try:
            order, word = standing.order_of(metrics), commit.from_metrics(metrics)
            match order:
                case Replay(epoch) if epoch == self._journal.epoch:
                    self._replay = order
                case Refusal(instance, reason) if instance == self._instance:
                    await self._stand_down(reason)
            if word is not None:
                is_new = self._window.committed(word, self._clock.monotonic_s())
                self._health.records_committed = self._window.settled
                self._on_word()
                if is_new:
                    await self._journal.forget(word.below, RangeSet(word.ranges))
        except ForeignCommitError as error:
            self._foreign = word
            log.error("journal_older_than_host", error=str(error))
        except (CommitError, StandingError) as error:
            self._health.commits_refused += 1
            log.warning("command_refused", error=str(error))

    async def _stand_down(self, reason: str) -> None:
        """Another program goes by our name and was here first: do not fight for the connection, journal on."""
        self._health.refusals += 1
        log.error("gateway_refused", reason=reason, again_in_s=REFUSED_PAUSE_S)
        await self._leave(after_s=REFUSED_PAUSE_S)

    async def _send(self) -> None:
        while True:
            self._wake = anyio.Event()
            try:
                while self._can_publish() and await self._step():
                    pass
            except JournalFullError as error:
                log.error("uplink_waits_for_room", error=str(error))
            self._ask_for_state()
            with anyio.move_on_after(TICK_S):
                await self._wake.wait()

    async def _step(self) -> bool:
        """The most urgent thing; False when there is nothing to do, or nothing may be done, until something comes."""
        if self._foreign is not None:
            await self._renew_epoch(self._foreign)
        elif self._is_birth_due:
            await self._give_birth()  # the host may have gone while the journal was asked
        elif self._replay is not None:
            await self._recall(self._replay)
        elif self._is_unheard():
            return False
        else:
            await self._settle()
            fetch = self._window.next(self._clock.monotonic_s())
            if fetch is None:
                self._bury_lost_presses()
                return False
            await self._fetch(fetch)
        return True

    def _ask_for_state(self) -> None:
        """A broker may forget to send the retained STATE to who subscribes in its first moments: subscribe again."""
        now_s = self._clock.monotonic_s()
        if self._is_connected and not self._session.may_birth and now_s - self._subscribed_s >= STATE_AGAIN_S:
            self._subscribed_s = now_s
            self._link.subscribe(self._session.subscriptions())

    def _is_unheard(self) -> bool:
        """Whether to hold back until the host has said what it has; births are repeated until it does."""
        if self._confirmation == "state" or self._window.is_heard:
            return False
        self._is_birth_due = self._clock.monotonic_s() - self._born_s >= WORD_AFTER_S
        return True

    async def _renew_epoch(self, word: Commit) -> None:
        """This journal is a copy, or a backup put back: its next ids are taken. What is ours goes by a new epoch."""
        own_from = self._window.own_from
        ranges = RangeSet((first, min(last, own_from - 1)) for first, last in word.ranges if first < own_from)
        await self._journal.forget(min(word.below, own_from), ranges)
        await self._journal.begin_epoch(self._new_epoch(), commit.FIRST_RECORD_ID)
        self._window.renew(self._journal.epoch, 1)
        self._foreign = self._replay = None
        self._is_birth_due = True
        self._health.epochs_renewed += 1
        log.error("journal_epoch_renewed", epoch=self._journal.epoch, before=word.epoch)

    async def _recall(self, order: Replay) -> None:
        """The host was put back to an older state: bring back what the journal can still read."""
        recalled_from = await self._journal.recall(order.first)
        self._window.replay(recalled_from)
        self._replay = None
        log.warning("records_recalled", asked_from=order.first, recalled_from=recalled_from)

    async def _settle(self) -> None:
        if self._confirmation == "state":
            delivered = self._window.settle(self._clock.monotonic_s(), after_s=SETTLE_AFTER_S)
            self._health.records_committed = self._window.settled
            if len(delivered):
                self._on_word()
                await self._journal.forget(commit.FIRST_RECORD_ID, delivered)

    def _can_publish(self) -> bool:
        return self._is_connected and self._session.may_birth

    async def _give_birth(self) -> None:
        counts, oldest_ms = await self._journal.status()
        stands = await self._journal.standing(self._instance)
        if not self._can_publish() or self._foreign is not None:
            return
        self._is_birth_due = False
        now_ms = self._clock.utc_ms()
        node_metrics = [
            *self._node_properties,
            *self._told(now_ms),
            *standing.birth_metrics(stands),
            *standing.words_of_the_host(),
            *_health_metrics(self._reporter.metrics(self._clock.monotonic_s(), now_ms, counts, oldest_ms), now_ms),
        ]
        # a press that is no longer in the settings, or was in a replayed file, is born when a record of it is sent
        served = [press for press in self._aliases.presses() if press in self._health.presses]
        presses = {press: self._aliases.birth_metrics(press, now_ms) for press in served}
        self._window.begin(stands.first, stands.next_id)
        self._born_s = self._clock.monotonic_s()
        self._born = {press: len(metrics) for press, metrics in presses.items()}
        for message in self._session.birth(node_metrics, presses, now_ms):
            self._publish(message)
        log.info("node_born", presses=len(presses), journal_first=stands.first, journal_next=stands.next_id)

    async def _fetch(self, fetch: Fetch) -> None:
        records = await self._journal.read(fetch.first, fetch.last, limit=fetch.limit)
        if not self._can_publish() or self._is_birth_due:
            return  # the world changed while the disk was read: the window's answer is no longer the right one
        handled = 0
        for record in records:
            if self._window.wants(fetch, (record.record_id, record.last_id)):
                if not self._window.has_room(fetch.lane):
                    break
                self._send_record(record, fetch)
            handled += 1
        self._window.fetched(fetch, [(record.record_id, record.last_id) for record in records], handled)
        await anyio.lowlevel.checkpoint()

    def _send_record(self, record: Record, fetch: Fetch) -> None:
        now_ms = self._clock.utc_ms()
        self._ensure_born(record.press_id, now_ms)
        alias_of = self._aliases.of(record.press_id)
        head = encode_metrics(shot_wire.head_metrics(self._journal.epoch, record.record_id, record.ended_ms, alias_of))
        body = head + record.body + record.curves
        if fetch.lane != "live" or now_ms - record.ended_ms > HISTORICAL_AFTER_MS:
            body = mark_historical(body)
        if self._publish(self._session.device_data(record.press_id, body, now_ms)):
            now_s = self._sent_s[record.press_id] = self._clock.monotonic_s()
            is_again = self._window.sent((record.record_id, record.last_id), record.size_bytes, now_s)
            self._health.records_sent += 1
            self._health.records_sent_again += is_again

    def _bury_lost_presses(self) -> None:
        """DDEATH for each press that does not answer, once all that it left behind is sent; birth when it is back.

        One that is not in the settings (taken out, or of a replayed file) goes when it has been silent for a while.
        """
        now_ms, now_s = self._clock.utc_ms(), self._clock.monotonic_s()
        for press_id in sorted(self._session.devices - set(self._health.presses)):
            if now_s - self._sent_s.get(press_id, now_s) >= LEFT_AFTER_S:
                self._publish(self._session.device_death(press_id, now_ms))
                self._born.pop(press_id, None)
                del self._sent_s[press_id]
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

    def _told(self, now_ms: int) -> list[Metric]:
        return [metric._replace(timestamp_ms=now_ms) for metric in self._reports()]

    async def _report(self) -> None:
        while True:
            with anyio.move_on_after(self._health_every_s):
                await self._report_due.wait()
            self._report_due = anyio.Event()
            counts, oldest_ms = await self._journal.status()
            stands = await self._journal.standing(self._instance)
            now_ms = self._clock.utc_ms()
            values = self._reporter.metrics(self._clock.monotonic_s(), now_ms, counts, oldest_ms)
            if self._can_publish() and self._session.is_born and not self._is_birth_due:
                moved = standing.moving_metrics(stands)
                metrics = [*self._told(now_ms), *moved, *_health_metrics(values, now_ms)]
                self._publish(self._session.node_data(metrics, now_ms))
            plain = {name.removeprefix(PREFIX): value for name, value in values.items()}
            self._on_health(plain)
            log.info("gateway_health", **{name: round(value, 2) for name, value in plain.items()})


def _health_metrics(values: dict[str, float], now_ms: int) -> list[Metric]:
    return [Metric(name, value, DataType.Double, timestamp_ms=now_ms) for name, value in values.items()]
