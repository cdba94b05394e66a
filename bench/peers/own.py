"""Our own line under the peers' faults: the real gateway, NATS and the cloud, fed through the gateway's replay inbox.

A shot is taken over when the job's status says so, and has arrived when the cloud has stored it. Shots that are sent
twice on the wire are told apart by the cloud, so that `doubled` is of the store.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import fault_line
from bench.peers.line import Arrivals, Counted
from bench.peers.link import Link, linked
from deploy.local.processes import free_port


@dataclass(slots=True)
class OwnLine:
    """Our programs; use it through `own_line`."""

    line: fault_line.Line
    link: Link
    births_wanted: int = 1

    def wait_until_ready(self) -> None:
        """See `bench.peers.line.Line`."""
        self.line.wait_until_up(self.births_wanted)

    def send(self, messages: int) -> None:
        """A file of so many shots of a new press."""
        self.line.send(messages)

    def wait_until_accepted(self, messages: int) -> None:
        """See `bench.peers.line.Line`."""
        is_so = lambda: sum(self.line.taken(job) for job, _, _ in self.line.jobs) >= messages  # noqa: E731
        self.line.wait_until(is_so, self.line.patience_s, f"{messages} shots taken over")

    def wait_until_arrived(self, messages: int) -> Arrivals:
        """Until the journal is empty, which the gateway tells once a second."""
        self.line.wait_until_drained()
        return Arrivals(messages, time.monotonic())

    def stop_centre(self) -> None:
        """See `bench.peers.line.Line`."""
        self.link.cut()
        self.line.stop("broker")

    def start_centre(self) -> None:
        """See `bench.peers.line.Line`."""
        self.line.start("broker")
        self.link.restore()

    def kill(self) -> None:
        """See `bench.peers.line.Line`."""
        self.line.kill("gateway")

    def start(self) -> None:
        """See `bench.peers.line.Line`."""
        self.births_wanted = len(self.line.logged("node_born")) + 1
        self.line.start("gateway")

    @property
    def process_id(self) -> int:
        """See `bench.peers.line.Line`."""
        return self.line.children["gateway"].process.pid

    def finish(self) -> Counted:
        """See `bench.peers.line.Line`."""
        self.line.wait_until_drained()
        accepted = sum(self.line.taken(job) for job, _, _ in self.line.jobs)
        self.line.stop_all()
        told = self.line.count()
        return Counted(told.sent, accepted, told.stored, told.distinct, accepted - told.distinct)


@contextmanager
def own_line(folder: Path) -> Iterator[OwnLine]:
    """Our line, started."""
    broker_port = free_port()
    with (
        linked(broker_port) as link,
        fault_line.running(folder, "nats", mqtt_port=broker_port, gateway_port=link.port) as line,
    ):
        yield OwnLine(line, link)
