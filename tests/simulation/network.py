"""A broker and the way to it, as a model: MQTT 3.1.1 as a client sees it, with every fault that a network has."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from kit.mqtt import KEEP_ALIVE_S, Connected, Disconnected, LinkEvent, Received, Subscribed, Will
from kit.mqtt_thread import RECONNECT_S_MAX, RECONNECT_S_MIN

if TYPE_CHECKING:
    from tests.simulation.virtual_loop import VirtualLoop

BROKER_PATIENCE_S = 1.5 * KEEP_ALIVE_S
CLIENT_PATIENCE_S = 2.0 * KEEP_ALIVE_S
INBOX_MAX = 20_000
ORDER_S = 1e-6
"""Between two messages of one connection: timers of the same moment have no order."""


@dataclass(slots=True)
class Weather:
    """What the network does at this moment; faults turn these up and down."""

    delay_s: float = 0.01
    loss: float = 0.0
    """Share of QoS 0 messages that the broker drops: a full queue."""
    duplication: float = 0.0
    reordering: float = 0.0
    """Share of messages that a cluster of brokers delivers up to a second late."""


@dataclass(slots=True, eq=False)
class _Connection:
    """One accepted connection, as the broker knows it."""

    link: SimLink
    will: Will | None
    subscriptions: list[tuple[str, int]] = field(default_factory=list)
    is_open: bool = True
    up_free_s: float = 0.0
    down_free_s: float = 0.0
    held_up: list[tuple[Callable[..., None], tuple[object, ...]]] = field(default_factory=list)
    held_down: list[tuple[Callable[..., None], tuple[object, ...]]] = field(default_factory=list)


class SimBroker:
    """Retained messages, wills, take-over of a client id, QoS 0 that may be lost; all by timers of the loop."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self._loop = loop
        self._rng = rng
        self.weather = Weather()
        self.is_up = True
        self.denies: set[str] = set()
        """Clients whose subscriptions are refused, as by an access list."""
        self.retained: dict[str, bytes] = {}
        self._connections: dict[str, _Connection] = {}
        self.delivered = self.lost = self.doubled = 0

    # what links call

    def connect(self, link: SimLink, will: Will | None) -> None:
        """A client asks to be let in; it hears of it after the way there and back."""
        if self.is_up and not link.is_cut_off:
            self._loop.call_later(2 * self._delay_s(), self._accept, link, will, link.attempt)

    def _accept(self, link: SimLink, will: Will | None, attempt: int) -> None:
        if not self.is_up or link.is_cut_off or attempt != link.attempt or link.is_dead:
            return
        old = self._connections.pop(link.name, None)
        if old is not None:
            self._end(old, with_will=True, told=True)
        connection = self._connections[link.name] = _Connection(link, will)
        link.accepted(connection)

    def subscribe(self, connection: _Connection, topics: list[tuple[str, int]]) -> None:
        """Filters reach the broker behind what was published before them."""
        self._up(connection, self._subscribe, connection, topics)

    def _subscribe(self, connection: _Connection, topics: list[tuple[str, int]]) -> None:
        if connection.link.name in self.denies:
            self._answer(connection, is_granted=False)
            return
        connection.subscriptions += topics
        self._answer(connection, is_granted=True)
        for topic, payload in list(self.retained.items()):
            if any(matches(wanted, topic) for wanted, _ in topics):
                self._down(connection, topic, payload)

    def publish(self, connection: _Connection, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """A message on its way; nobody tells the client whether it arrives."""
        self._up(connection, self._route, topic, payload, qos, retain)

    def disconnect(self, connection: _Connection) -> None:
        """A clean farewell, behind what was published before it: the will is dropped."""
        self._up(connection, self._farewell, connection)

    def _farewell(self, connection: _Connection) -> None:
        self._forget(connection)
        self._end(connection, with_will=False, told=False)

    # what faults call

    def stop(self, *, keep_state: bool) -> None:
        """As by kill -9: every connection is gone at once, no will is published; start again by `is_up`."""
        self.is_up = False
        if not keep_state:
            self.retained.clear()
        for connection in list(self._connections.values()):
            self._forget(connection)
            self._end(connection, with_will=False, told=True)

    def cut(self, name: str) -> None:
        """The client's connection is reset: both sides know at once."""
        connection = self._connections.get(name)
        if connection is not None:
            self._forget(connection)
            self._end(connection, with_will=True, told=True)

    def went_silent(self, link: SimLink) -> None:
        """Nothing comes from this client any more; it takes a while to know."""
        connection = self._connections.get(link.name)
        if connection is not None and connection.link is link:
            self._loop.call_later(BROKER_PATIENCE_S, self._give_up, connection)

    def _give_up(self, connection: _Connection) -> None:
        if connection.is_open and (connection.link.is_cut_off or connection.link.is_dead):
            self._forget(connection)
            self._end(connection, with_will=True, told=False)

    def release(self, link: SimLink) -> None:
        """The partition has healed: what TCP held back arrives."""
        connection = self._connections.get(link.name)
        if connection is None or connection.link is not link:
            return
        held_up, connection.held_up = connection.held_up, []
        held_down, connection.held_down = connection.held_down, []
        for work, arguments in held_up:
            self._up(connection, work, *arguments)
        for work, arguments in held_down:  # at once: what is on its way behind them may not overtake them
            self._arrive(connection, work, arguments)

    # inside

    def _forget(self, connection: _Connection) -> None:
        if self._connections.get(connection.link.name) is connection:
            del self._connections[connection.link.name]

    def _end(self, connection: _Connection, *, with_will: bool, told: bool) -> None:
        if not connection.is_open:
            return
        connection.is_open = False
        if told and not connection.link.is_cut_off:
            connection.link.lost(connection)
        if with_will and connection.will is not None:
            will = connection.will
            self._route(will.topic, will.payload, will.qos, will.retain)

    def _up(self, connection: _Connection, work: Callable[..., None], *arguments: object) -> None:
        if connection.link.is_cut_off:
            connection.held_up.append((work, arguments))
            return
        due_s = connection.up_free_s = max(connection.up_free_s + ORDER_S, self._loop.now_s + self._delay_s())
        self._loop.call_at(due_s, self._arrive, connection, work, arguments)

    def _arrive(self, connection: _Connection, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if connection.is_open and self.is_up:
            work(*arguments)

    def _route(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:  # noqa: FBT001
        if retain:
            self.retained[topic] = payload
        for connection in list(self._connections.values()):
            if not any(matches(wanted, topic) for wanted, _ in connection.subscriptions):
                continue
            if qos == 0 and self._rng.random() < self.weather.loss:
                self.lost += 1
                continue
            copies = 2 if self._rng.random() < self.weather.duplication else 1
            self.doubled += copies - 1
            for _ in range(copies):
                self._down(connection, topic, payload)

    def _down(self, connection: _Connection, topic: str, payload: bytes) -> None:
        if self._rng.random() < self.weather.reordering:
            self._loop.call_later(self._rng.uniform(0, 1), self._hand_over, connection, topic, payload)
            return
        due_s = connection.down_free_s = max(connection.down_free_s + ORDER_S, self._loop.now_s + self._delay_s())
        self._loop.call_at(due_s, self._hand_over, connection, topic, payload)

    def _answer(self, connection: _Connection, *, is_granted: bool) -> None:
        """What is no message is neither lost nor late, and goes in the order of the connection."""
        due_s = connection.down_free_s = max(connection.down_free_s + ORDER_S, self._loop.now_s + self.weather.delay_s)
        self._loop.call_at(due_s, self._tell, connection, is_granted)

    def _tell(self, connection: _Connection, is_granted: bool) -> None:  # noqa: FBT001
        if connection.is_open and connection.link.is_cut_off:
            connection.held_down.append((self._tell, (connection, is_granted)))
        elif connection.is_open:
            connection.link.subscribed(connection, is_granted=is_granted)

    def _hand_over(self, connection: _Connection, topic: str, payload: bytes) -> None:
        if not connection.is_open:
            return
        if connection.link.is_cut_off:
            connection.held_down.append((self._hand_over, (connection, topic, payload)))
            return
        self.delivered += 1
        connection.link.received(connection, topic, payload)

    def _delay_s(self) -> float:
        return self._rng.uniform(0.5, 1.5) * self.weather.delay_s


class SimLink:
    """`kit.mqtt.Link` over the model: connects by itself, waiting 1 to 30 s between attempts as paho does."""

    def __init__(self, loop: VirtualLoop, broker: SimBroker, name: str, make_will: Callable[[], Will | None]) -> None:
        self._loop = loop
        self._broker = broker
        self.name = name
        self._make_will = make_will
        self.is_dead = False
        self.is_cut_off = False
        self.attempt = 0
        self.inbox_max = INBOX_MAX
        self._pause_s = RECONNECT_S_MIN
        self._connection: _Connection | None = None
        self._inbox: deque[LinkEvent] = deque()
        self._wake = anyio.Event()
        self._dropped = 0

    async def __aenter__(self) -> SimLink:
        self._try()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()
        self.is_dead = True

    def kill(self) -> None:
        """The program of this link is gone without a word: its sockets are closed by the system."""
        self.is_dead = True
        if self._connection is not None and not self.is_cut_off:
            self._broker.cut(self.name) if self._connection.is_open else None
        elif self._connection is not None:
            self._broker.went_silent(self)
        self._connection = None

    def cut_off(self) -> None:
        """A partition begins: nothing passes, and nobody is told."""
        self.is_cut_off = True
        self._broker.went_silent(self)
        connection = self._connection
        if connection is not None:
            self._loop.call_later(CLIENT_PATIENCE_S, self._notice, connection)

    def heal(self) -> None:
        """The partition ends; a connection that the broker has given up meanwhile is reset by the first packet."""
        self.is_cut_off = False
        self._broker.release(self)
        if self._connection is not None and not self._connection.is_open:
            self.lost(self._connection)

    def _notice(self, connection: _Connection) -> None:
        if self.is_cut_off and connection is self._connection:
            self.lost(connection)

    async def events(self) -> list[LinkEvent]:
        """See `Link`."""
        await anyio.lowlevel.checkpoint()
        while not self._inbox:
            self._wake = anyio.Event()
            await self._wake.wait()
        taken = list(self._inbox)
        self._inbox.clear()
        return taken

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        """See `Link`."""
        if self._connection is not None:
            self._broker.subscribe(self._connection, topics)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """See `Link`."""
        if self._connection is None or self.is_dead:
            return False
        self._broker.publish(self._connection, topic, payload, qos, retain=retain)
        return True

    async def reconnect(self, *, after_s: float = 0.0) -> None:
        """See `Link`."""
        self._leave()
        await anyio.sleep(after_s)
        self._pause_s = RECONNECT_S_MIN
        self._try()

    @property
    def dropped(self) -> int:
        """See `Link`."""
        return self._dropped

    def _leave(self) -> None:
        self.attempt += 1
        if self._connection is not None and not self.is_dead:
            self._broker.disconnect(self._connection)
        self._connection = None

    def _try(self) -> None:
        if self.is_dead:
            return
        self.attempt += 1
        self._broker.connect(self, self._make_will())
        self._loop.call_later(self._pause_s, self._try_again, self.attempt)
        self._pause_s = min(2 * self._pause_s, RECONNECT_S_MAX)

    def _try_again(self, attempt: int) -> None:
        if attempt == self.attempt and self._connection is None:
            self._try()

    # what the broker calls

    def accepted(self, connection: _Connection) -> None:
        """The broker has let us in."""
        self._connection = connection
        self._pause_s = RECONNECT_S_MIN
        self._put(Connected())

    def lost(self, connection: _Connection) -> None:
        """The connection is gone; try again soon."""
        if connection is not self._connection or self.is_dead:
            return
        self._connection = None
        self._put(Disconnected("lost"))
        self.attempt += 1
        self._loop.call_later(self._pause_s, self._try_again, self.attempt)

    def subscribed(self, connection: _Connection, *, is_granted: bool) -> None:
        """The answer to a subscription."""
        if connection is self._connection and not self.is_dead:
            self._put(Subscribed(is_granted))

    def received(self, connection: _Connection, topic: str, payload: bytes) -> None:
        """A message of a subscription."""
        if connection is self._connection and not self.is_dead:
            self._put(Received(topic, payload))

    def _put(self, event: LinkEvent) -> None:
        if isinstance(event, Received) and len(self._inbox) >= self.inbox_max:
            self._dropped += 1
            return
        self._inbox.append(event)
        self._wake.set()


def matches(wanted: str, topic: str) -> bool:
    """Whether a topic filter takes in a topic."""
    filters, levels = wanted.split("/"), topic.split("/")
    for index, part in enumerate(filters):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(filters) == len(levels)
