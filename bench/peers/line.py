"""A line that can be broken: what every fault may do to a peer's, and to our own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.peers.link import Link, linked
from bench.peers.listener import Centre, Listener, Source
from bench.peers.programs import Program, Setup
from deploy.local.processes import Child, ProcessError, free_port

POLL_S = 0.02
PATIENCE_S, QUIET_S = 180.0, 20.0
"""When nothing has come for QUIET_S after all is healed, nothing will."""

AGAIN_S = 2.0
"""After the last message has come, how long it may still come again."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of the messages: given to the line, taken over by it, arrived, how many different ones.

    `lost` are those that it has taken over and that never arrived.
    """

    sent: int
    accepted: int
    arrived: int
    distinct: int
    lost: int

    @property
    def doubled(self) -> int:
        """Arrived once more."""
        return self.arrived - self.distinct


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many different messages have arrived, and when the last of them did (monotonic)."""

    distinct: int
    last_s: float


class Line(Protocol):
    """Plant, peer and centre, running."""

    def wait_until_ready(self) -> None:
        """Until the peer is connected on both sides."""

    def send(self, messages: int) -> None:
        """Give the peer so many more; does not wait."""

    def wait_until_accepted(self, messages: int) -> None:
        """Until the peer has taken so many over, since the start."""

    def wait_until_arrived(self, messages: int) -> Arrivals:
        """Until so many have arrived, or nothing more comes."""

    def stop_centre(self) -> None:
        """The centre's broker stops."""

    def start_centre(self) -> None:
        """The centre's broker is back."""

    @property
    def link(self) -> Link:
        """Between peer and centre."""

    def kill(self) -> None:
        """SIGKILL to the peer."""

    def start(self) -> None:
        """Start the peer with what it has on disk."""

    @property
    def process_id(self) -> int:
        """The peer's."""

    def finish(self) -> Counted:
        """Wait until nothing more comes, stop all, count."""


@dataclass(slots=True)
class PeerLine:
    """A peer between a source and a centre that count; use it through `peer_line`."""

    name: str
    program: Program
    log: Path
    source: Source
    centre: Centre
    centre_listener: Listener
    link: Link
    child: Child | None = None
    ready_wanted: int = 1
    sides: list[Listener] = field(default_factory=list)

    def wait_until_ready(self) -> None:
        """See `Line`."""
        self._wait(lambda: self.source.subscriptions >= self.ready_wanted and self.centre_listener.clients > 0, "ready")

    def send(self, messages: int) -> None:
        """See `Line`."""
        self.source.offer(messages)

    def wait_until_accepted(self, messages: int) -> None:
        """See `Line`."""
        self._wait(lambda: len(self.source.accepted) >= messages, f"{messages} messages taken over")

    def wait_until_arrived(self, messages: int) -> Arrivals:
        """See `Line`."""
        deadline_s = time.monotonic() + PATIENCE_S
        self.centre.last_s = time.monotonic()
        while time.monotonic() < min(deadline_s, self.centre.last_s + QUIET_S) and len(self.centre.seen) < messages:
            time.sleep(POLL_S)
        return Arrivals(len(self.centre.seen), self.centre.last_s)

    def stop_centre(self) -> None:
        """See `Line`."""
        self.link.cut()
        self.centre_listener.close()

    def start_centre(self) -> None:
        """See `Line`."""
        self.centre_listener.open()
        self.link.restore()

    def kill(self) -> None:
        """See `Line`."""
        assert self.child is not None
        self.child.kill()
        self.child = None

    def start(self) -> None:
        """See `Line`."""
        assert self.child is None
        self.ready_wanted = self.source.subscriptions + 1
        self.child = Child.start(self.name, self.program.command, self.log, environ=self.program.environ)

    @property
    def process_id(self) -> int:
        """See `Line`."""
        assert self.child is not None
        return self.child.process.pid

    def finish(self) -> Counted:
        """See `Line`."""
        self.wait_until_arrived(self.source.sent)
        time.sleep(AGAIN_S)
        self.stop()
        accepted = self.source.accepted.copy()
        seen = self.centre.seen
        return Counted(self.source.sent, len(accepted), seen.total(), len(seen), len(accepted - seen.keys()))

    def stop(self) -> None:
        """Stop the peer, then both sides."""
        if self.child is not None:
            self.child.stop()
            self.child = None
        for listener in self.sides:
            listener.close()

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_so():
            if self.child is not None:
                self.child.check()
            if time.monotonic() > deadline_s:
                tail = self.child.log_tail() if self.child is not None else ""
                raise ProcessError(f"{self.name}: not within {PATIENCE_S:g} s: {what}\n{tail}")
            time.sleep(POLL_S)


@contextmanager
def peer_line(name: str, setup: Setup, folder: Path) -> Iterator[PeerLine]:
    """The line of a peer, started.

    Raises:
        InstallError: the peer cannot be had.
        ProcessError: it does not start.
    """
    source, centre = Source(), Centre()
    sides = [Listener(source, free_port()), Listener(centre, free_port())]
    with linked(sides[1].port) as link:
        program = setup(folder, sides[0].port, link.port, free_port())
        line = PeerLine(name, program, folder / "peer.log", source, centre, sides[1], link, sides=sides)
        try:
            for listener in sides:
                listener.open()
            line.start()
            yield line
        finally:
            line.stop()
