"""Tells tasks of this program that something has changed; what it is they read themselves."""

from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import anyio


class Topic:
    """A count of changes that can be waited for: nothing queues, and many changes may wake a waiter once.

    Used from the event loop's thread only.
    """

    def __init__(self, parent: "Topic | None" = None) -> None:
        self._parent = parent
        self._version = 0
        self._changed = anyio.Event()

    @property
    def version(self) -> int:
        """How many changes so far."""
        return self._version

    def publish(self) -> None:
        """Count one change here and in the parent; never waits."""
        self._version += 1
        self._changed.set()
        self._changed = anyio.Event()
        if self._parent is not None:
            self._parent.publish()

    async def wait_beyond(self, version: int) -> None:
        """Return as soon as `self.version` is above `version`."""
        while self._version <= version:
            await self._changed.wait()


async def wait_for_change(topic: Topic, version: int, *, at_most_s: float) -> None:
    """Return when `topic` has moved beyond `version`, or after `at_most_s`: the poll that catches what was missed."""
    with anyio.move_on_after(at_most_s):
        await topic.wait_beyond(version)


class Topics:
    """A topic for each name, as long as somebody holds it."""

    def __init__(self) -> None:
        self._topics: WeakValueDictionary[str, Topic] = WeakValueDictionary()

    def of(self, name: str) -> Topic:
        """The topic of `name`."""
        return self._topics.setdefault(name, Topic())


@dataclass(frozen=True, slots=True)
class Live:
    """The topics of this program; `pages` moves with each that a page shows."""

    pages: Topic = field(default_factory=Topic)
    events: Topic = field(default_factory=Topic)
    access: Topics = field(default_factory=Topics)
    """By the id of a person or key: its sessions or what it may do have changed."""
    shots: Topic = field(init=False)
    fleet: Topic = field(init=False)
    alarms: Topic = field(init=False)
    deliveries: Topic = field(init=False)

    def __post_init__(self) -> None:
        for name in ("shots", "fleet", "alarms", "deliveries"):
            object.__setattr__(self, name, Topic(self.pages))
