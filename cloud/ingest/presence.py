"""The host's STATE: one client of its own says that the host application is online, and only while it listens."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import structlog

from cloud.ingest.contest import Contest
from cloud.ingest.flapping import Flapping
from cloud.ingest.listening import Listening
from contract.sparkplug.host import HostRival, HostSession, StateContested
from contract.sparkplug.message import Message
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, LinkEvent, Received, Subscribed, Will

OpenLink = Callable[[Callable[[], Will]], AbstractAsyncContextManager[Link]]
"""Makes a connection that asks for a will each time it connects."""
REFUSED_PAUSE_S = 10.0
log = structlog.get_logger()


class Presence:
    """Connected, and so online, only while the ingest listens; the will says offline when this program is killed.

    Each loss of the ingest's subscriptions ends this connection too, with a STATE offline: the next one has a later
    will, so that its online is newer than that offline for every edge node.
    """

    def __init__(self, open_link: OpenLink, host_id: str, listening: Listening, clock: Clock) -> None:
        self._session = HostSession(host_id)
        self._open_link = open_link
        self._listening = listening
        self._clock = clock
        self._contest = Contest()
        self._flapping = Flapping()
        self._news = anyio.Event()

    @property
    def has_rival(self) -> bool:
        """Whether another host that goes by our id was seen of late."""
        return self._contest.has_rival(self._clock.monotonic_s())

    async def next_rival(self) -> None:
        """Wait until another host under our id is news."""
        await self._news.wait()

    async def run(self) -> None:
        """Hold the STATE until cancelled."""
        while True:
            await self._listening.came()
            await anyio.sleep(await self._hold())

    async def _hold(self) -> float:
        """One connection, or one after the other, until the ingest is deaf; how long to stay away then."""
        pause_s = 0.0
        async with self._open_link(self._make_will) as link, anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_deaf, tasks.cancel_scope, name="presence.watch")
            try:
                while not pause_s:
                    events: list[LinkEvent] = []
                    with anyio.move_on_after(self._contest.wait_s(self._clock.monotonic_s())):
                        events = await link.events()
                    for event in events:
                        pause_s = self._take(link, event) or pause_s
                    if self._contest.take_due(self._clock.monotonic_s()):
                        _publish(link, self._session.state_birth())
                tasks.cancel_scope.cancel()
            finally:
                _publish(link, self._session.state_death(self._clock.utc_ms()))
        return pause_s

    async def _cancel_when_deaf(self, scope: anyio.CancelScope) -> None:
        await self._listening.lost()
        log.warning("host_state_offline", reason="the ingest does not hear the broker")
        scope.cancel()

    def _make_will(self) -> Will:
        message = self._session.state_will(self._clock.utc_ms())
        return Will(message.topic, message.payload, message.qos, message.retain)

    def _take(self, link: Link, event: LinkEvent) -> float:
        """How long to stay away because of this event; 0: go on."""
        match event:
            case Connected():
                self._flapping.connected(self._clock.monotonic_s())
                link.subscribe(self._session.subscriptions(groups=()))
            case Subscribed(is_granted=True):
                _publish(link, self._session.state_birth())
                log.info("host_state_online")
            case Subscribed():
                log.error("host_state_refused", reason="the broker does not let us read our own STATE")
                return REFUSED_PAUSE_S
            case Disconnected(reason):
                log.warning("host_state_disconnected", reason=reason)
                return self._flapping.lost(self._clock.monotonic_s())
            case Received(topic, payload):
                for answer in self._session.on_message(topic, payload, self._clock.utc_ms()):
                    if isinstance(answer, StateContested):
                        self._contest.contested()
                    elif isinstance(answer, HostRival):
                        self._rival_seen(answer)
        return 0.0

    def _rival_seen(self, rival: HostRival) -> None:
        if self._contest.rival_seen(self._clock.monotonic_s(), is_online=rival.state.is_online):
            log.error("host_id_contested", timestamp_ms=rival.state.timestamp_ms, is_online=rival.state.is_online)
            self._news.set()
            self._news = anyio.Event()


def _publish(link: Link, message: Message) -> None:
    link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
