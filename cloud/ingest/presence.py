"""The host's STATE: one client of its own says that the host application is online, and only when it can listen."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import structlog

from contract.sparkplug.host import HostSession, StateContested
from contract.sparkplug.message import Message
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, Link, Received, Will

OpenLink = Callable[[Callable[[], Will]], AbstractAsyncContextManager[Link]]
"""Makes a connection that asks for a will each time it connects."""
log = structlog.get_logger()


class Presence:
    """Publishes STATE online once `may_serve` is set, offline before it leaves; the will says it if it is killed."""

    def __init__(self, open_link: OpenLink, host_id: str, may_serve: anyio.Event, clock: Clock) -> None:
        self._session = HostSession(host_id)
        self._may_serve = may_serve
        self._clock = clock
        self._link = open_link(self._make_will)

    async def run(self) -> None:
        """Hold the STATE until cancelled."""
        await self._may_serve.wait()
        async with self._link as link:
            try:
                while True:
                    for event in await link.events():
                        self._take(link, event)
            finally:
                _publish(link, self._session.state_death(self._clock.utc_ms()))

    def _make_will(self) -> Will:
        message = self._session.state_will(self._clock.utc_ms())
        return Will(message.topic, message.payload, message.qos, message.retain)

    def _take(self, link: Link, event: object) -> None:
        match event:
            case Connected():
                own_state = self._session.subscriptions(groups=())
                link.subscribe(own_state)
                _publish(link, self._session.state_birth())
                log.info("host_state_online")
            case Disconnected(reason):
                log.warning("host_state_disconnected", reason=reason)
            case Received(topic, payload):
                for answer in self._session.on_message(topic, payload, self._clock.utc_ms()):
                    if isinstance(answer, StateContested):
                        _publish(link, answer.answer)


def _publish(link: Link, message: Message) -> None:
    link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
