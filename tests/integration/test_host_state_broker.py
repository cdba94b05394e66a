"""The host's STATE over a real broker: it follows the ingest's subscription, and nothing old is sent again."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from cloud.ingest.gate import Gate
from cloud.ingest.listening import Listening
from cloud.ingest.memory_registry import MemoryRegistry
from cloud.ingest.presence import Presence
from cloud.ingest.service import Ingest
from cloud.telemetry.memory_store import MemoryStore
from contract.sparkplug.host import HostSession
from contract.sparkplug.state import State, decode_state
from deploy.local.broker import mosquitto_program, start_mosquitto, start_nats
from deploy.local.processes import Child, free_port
from kit.clock import SystemClock
from kit.mqtt import BrokerSettings, Connected, PahoLink, Received, Subscribed

TOPIC = "spBv1.0/STATE/zhisan"
PATIENCE_S = 30.0
StartBroker = Callable[[], Child]


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BrokerSettings, StartBroker]:
    port = free_port()
    if request.param == "mosquitto" and mosquitto_program() is None:
        pytest.skip("mosquitto is not installed")
    start = start_nats if request.param == "nats" else start_mosquitto
    return BrokerSettings(port=port), lambda: start(tmp_path / "broker", port)


class Watcher:
    """Keeps what is published on some topics, in order."""

    def __init__(self, broker: BrokerSettings, *topics: str) -> None:
        self._link = PahoLink(broker, "watcher", lambda: None)
        self._topics = [(topic, 1) for topic in topics]
        self.is_subscribed = anyio.Event()
        self.heard: list[bytes] = []

    async def run(self) -> None:
        async with self._link:
            while True:
                for event in await self._link.events():
                    match event:
                        case Connected():
                            self._link.subscribe(self._topics)
                        case Subscribed(is_granted):
                            assert is_granted
                            self.is_subscribed.set()
                        case Received(_, payload):
                            self.heard.append(payload)

    def states(self) -> list[State]:
        return [decode_state(payload) for payload in self.heard]


@asynccontextmanager
async def watching(broker: BrokerSettings, *topics: str) -> AsyncIterator[Watcher]:
    watcher = Watcher(broker, *topics)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        with anyio.fail_after(PATIENCE_S):
            await watcher.is_subscribed.wait()
        yield watcher
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.sleep(0.02)


def presence_of(broker: BrokerSettings, name: str, listening: Listening) -> Presence:
    return Presence(lambda make_will: PahoLink(broker, name, make_will), "zhisan", listening, SystemClock())


@pytest.mark.anyio
async def test_the_state_follows_the_subscription_of_the_ingest(broker: tuple[BrokerSettings, StartBroker]) -> None:
    """Another client takes the ingest's connection over: offline at once, and online with a later time behind it."""
    settings, start = broker
    child, clock = start(), SystemClock()
    try:
        link = PahoLink(settings, "ingest", lambda: None)
        ingest = Ingest(link, HostSession("zhisan"), MemoryStore(), MemoryRegistry(), Gate(), clock)
        presence = presence_of(settings, "state", ingest.listening)
        async with watching(settings, TOPIC) as watcher, link, anyio.create_task_group() as tasks:
            tasks.start_soon(ingest.run)
            tasks.start_soon(presence.run)
            await until(lambda: len(watcher.heard) >= 1)
            async with PahoLink(settings, "ingest", lambda: None) as thief:
                await until(lambda: not watcher.states()[-1].is_online)
                assert await thief.events()
            await until(lambda: watcher.states()[-1].is_online)
            first, *others = watcher.states()
            tasks.cancel_scope.cancel()
    finally:
        child.stop()
    online = [state.timestamp_ms for state in others if state.is_online]
    offline = [state.timestamp_ms for state in others if not state.is_online]
    assert first.timestamp_ms < max(offline) <= online[0], "an edge node takes no STATE that is older than its last"
    assert not presence.has_rival


@pytest.mark.anyio
async def test_two_hosts_under_one_id_see_each_other_and_do_not_quarrel(
    broker: tuple[BrokerSettings, StartBroker],
) -> None:
    settings, start = broker
    child, listening = start(), Listening()
    listening.turn(on=True)
    one, other = presence_of(settings, "one", listening), presence_of(settings, "other", listening)
    try:
        async with watching(settings, TOPIC) as watcher, anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await until(lambda: len(watcher.heard) >= 1)
            tasks.start_soon(other.run)
            await until(lambda: one.has_rival and other.has_rival)
            await anyio.sleep(1.0)
            assert len(watcher.heard) <= 6, watcher.states()
            tasks.cancel_scope.cancel()
    finally:
        child.stop()


@pytest.mark.anyio
async def test_what_was_published_without_a_connection_is_not_sent_by_the_next(
    broker: tuple[BrokerSettings, StartBroker],
) -> None:
    """Left alone, paho keeps QoS 1 that nobody confirmed: an old STATE would go out before the birth."""
    settings, start = broker
    child = start()
    try:
        async with PahoLink(settings, "state", lambda: None) as link:
            await until_connected(link)
            os.kill(child.process.pid, signal.SIGSTOP)
            assert link.publish("t/unconfirmed", b"unconfirmed", qos=1)
            child.kill()
            await anyio.sleep(0.3)
            assert not link.publish("t/kept", b"kept", qos=1)
            child = start()
            async with watching(settings, "t/#") as watcher:
                await until_connected(link)
                assert link.publish("t/birth", b"birth", qos=1)
                await until(lambda: b"birth" in watcher.heard)
    finally:
        child.stop()
    assert watcher.heard == [b"birth"]


async def until_connected(link: PahoLink) -> None:
    with anyio.fail_after(PATIENCE_S):
        while Connected() not in await link.events():
            pass
