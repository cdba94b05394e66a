"""A connection whose network is the test: for programs that publish and subscribe, without a broker."""

from collections.abc import Callable
from typing import Self

import anyio

from contract.sparkplug.message import Message
from kit.mqtt import Connected, LinkEvent, Received, Subscribed, Will

PATIENCE_S = 10.0
RECONNECT, LEFT = "reconnect", "left"
Subscriptions = tuple[tuple[str, int], ...]


class RecordingLink:
    """A `Link` whose network is the test: what is asked of it is kept in order, and the test says what comes in."""

    def __init__(self, make_will: Callable[[], Will]) -> None:
        self._make_will = make_will
        self._inbox: list[LinkEvent] = []
        self._came, self._done_news = anyio.Event(), anyio.Event()
        self.done: list[Message | Subscriptions | str] = []
        self.heard = 0  # how much of `done` the test has looked at
        self.grants = True
        self.dropped = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._did(LEFT)

    def connect(self) -> Will:
        """The broker accepts the next connection; its will."""
        will = self._make_will()
        self.put(Connected())
        return will

    def put(self, *events: LinkEvent) -> None:
        self._inbox += events
        self._came.set()

    def put_message(self, message: Message) -> None:
        self.put(Received(message.topic, message.payload))

    async def next(self) -> Message | Subscriptions | str:
        """What was done next, sooner or later."""
        with anyio.fail_after(PATIENCE_S):
            while len(self.done) == self.heard:
                self._done_news = anyio.Event()
                await self._done_news.wait()
        self.heard += 1
        return self.done[self.heard - 1]

    async def events(self) -> list[LinkEvent]:
        while not self._inbox:
            self._came = anyio.Event()
            await self._came.wait()
        taken, self._inbox = self._inbox, []
        return taken

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        self._did(tuple(topics))
        self.put(Subscribed(self.grants))

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        self._did(Message(topic, payload, qos, retain))
        return True

    async def reconnect(self, *, after_s: float = 0.0) -> None:
        assert after_s == 0.0
        self._did(RECONNECT)

    def _did(self, what: Message | Subscriptions | str) -> None:
        self.done.append(what)
        self._done_news.set()
