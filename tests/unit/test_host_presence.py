"""The STATE of a host: when it says online and offline, and what it does about a second host under its id."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from cloud.ingest.contest import ONLINE_AGAIN_S
from cloud.ingest.listening import Listening
from cloud.ingest.presence import Presence
from contract.sparkplug.message import Message
from contract.sparkplug.state import State, decode_state, encode_state
from kit.clock import ManualClock
from kit.mqtt import Disconnected, Will
from tests.unit.recording_link import LEFT, PATIENCE_S, RecordingLink

T = 1_767_225_600_000
STATE_TOPIC = "spBv1.0/STATE/zhisan"


class PresentHost:
    """A host's STATE over recording links, one after the other."""

    def __init__(self, clock: ManualClock) -> None:
        self.listening = Listening()
        self.links: list[RecordingLink] = []
        self.presence = Presence(self._open_link, "zhisan", self.listening, clock)

    def _open_link(self, make_will: Callable[[], Will]) -> RecordingLink:
        self.links.append(RecordingLink(make_will))
        return self.links[-1]

    async def listen(self) -> RecordingLink:
        """The ingest has subscribed: the link on which that will be told, before it is connected."""
        self.listening.turn(on=True)
        await anyio.wait_all_tasks_blocked()
        return self.links[-1]


@asynccontextmanager
async def present_host(clock: ManualClock) -> AsyncIterator[PresentHost]:
    host = PresentHost(clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.presence.run)
        yield host
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def present(clock: ManualClock) -> AsyncIterator[RecordingLink]:
    """The link of a host whose ingest listens, before its first connection."""
    async with present_host(clock) as host:
        yield await host.listen()


def state_message(*, is_online: bool, timestamp_ms: int) -> Message:
    return Message(STATE_TOPIC, encode_state(State(is_online, timestamp_ms)), qos=1, retain=True)


@pytest.mark.anyio
async def test_the_state_is_told_after_the_subscription_and_before_all_else() -> None:
    async with present(ManualClock(T)) as link:
        will = link.connect()
        assert (will.topic, will.qos, will.retain) == (STATE_TOPIC, 1, True)
        assert await link.next() == ((STATE_TOPIC, 1),)
        assert await link.next() == state_message(is_online=True, timestamp_ms=T)


@pytest.mark.anyio
async def test_each_connection_of_the_host_has_a_will_of_its_own_time() -> None:
    clock = ManualClock(T)
    async with present(clock) as link:
        for round_number in range(3):
            now_ms = T + 60_000 * round_number
            assert decode_state(link.connect().payload) == State(False, now_ms)
            assert await link.next() == ((STATE_TOPIC, 1),)
            assert await link.next() == state_message(is_online=True, timestamp_ms=now_ms)
            link.put(Disconnected("lost"))
            clock.advance(60.0)


@pytest.mark.anyio
async def test_an_offline_state_of_ours_is_answered_at_once() -> None:
    """The will of an older connection arrives late: the answer bears the time of the present one."""
    clock = ManualClock(T)
    async with present(clock) as link:
        link.connect()
        assert await link.next() == ((STATE_TOPIC, 1),)
        assert await link.next() == state_message(is_online=True, timestamp_ms=T)
        clock.advance(30.0)
        link.put_message(state_message(is_online=False, timestamp_ms=T - 9))
        assert await link.next() == state_message(is_online=True, timestamp_ms=T)


@pytest.mark.anyio
async def test_the_host_says_offline_at_the_present_time_before_it_leaves() -> None:
    clock = ManualClock(T)
    async with present(clock) as link:
        link.connect()
        await link.next()
        await link.next()
        clock.advance(30.0)
    assert link.done[link.heard :] == [state_message(is_online=False, timestamp_ms=T + 30_000), LEFT]


@pytest.mark.anyio
async def test_a_host_is_online_only_while_its_ingest_listens() -> None:
    """Deaf: offline and away. Listening again: a new connection, whose online is newer than that offline."""
    clock = ManualClock(T)
    async with present_host(clock) as host:
        await anyio.wait_all_tasks_blocked()
        assert host.links == [], "nothing is said before the ingest has subscribed"
        link = await host.listen()
        link.connect()
        assert [await link.next() for _ in range(2)][1] == state_message(is_online=True, timestamp_ms=T)
        clock.advance(30.0)
        host.listening.turn(on=False)
        host.listening.turn(on=True)
        assert await link.next() == state_message(is_online=False, timestamp_ms=T + 30_000)
        assert await link.next() == LEFT
        clock.advance(1.0)
        again = await host.listen()
        assert again is not link
        assert decode_state(again.connect().payload) == State(False, T + 31_000)
        assert [await again.next() for _ in range(2)][1] == state_message(is_online=True, timestamp_ms=T + 31_000)


@pytest.mark.anyio
async def test_a_host_that_may_not_read_its_own_state_does_not_say_online() -> None:
    async with present(ManualClock(T)) as link:
        link.grants = False
        link.connect()
        assert await link.next() == ((STATE_TOPIC, 1),)
        assert await link.next() == state_message(is_online=False, timestamp_ms=T)
        assert await link.next() == LEFT


@pytest.mark.anyio
async def test_another_host_under_our_id_is_noticed_and_told_of_us_once_a_minute() -> None:
    """What our topic held before our own first word is the past; what comes behind it and is not ours is another's."""
    clock = ManualClock(T)
    async with present_host(clock) as host:
        link = await host.listen()
        link.connect()
        link.put_message(state_message(is_online=True, timestamp_ms=T - 50))  # retained, of an earlier life
        await link.next()
        ours = await link.next()
        link.put_message(state_message(is_online=True, timestamp_ms=T))
        await anyio.wait_all_tasks_blocked()
        assert not host.presence.has_rival
        news = anyio.Event()

        async def wait_for_news() -> None:
            await host.presence.next_rival()
            news.set()

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait_for_news)
                await anyio.wait_all_tasks_blocked()
                link.put_message(state_message(is_online=True, timestamp_ms=T - 50))  # its clock is slow
        assert news.is_set()
        assert host.presence.has_rival
        assert await link.next() == ours
        for _ in range(100):  # it answers our answer, and we are not drawn into a quarrel
            link.put_message(state_message(is_online=True, timestamp_ms=T - 50))
            await anyio.wait_all_tasks_blocked()
        assert link.heard == len(link.done)
        clock.advance(ONLINE_AGAIN_S)
        link.put_message(state_message(is_online=True, timestamp_ms=T - 50))
        assert await link.next() == ours
        clock.advance(3_600.0)
        assert not host.presence.has_rival
