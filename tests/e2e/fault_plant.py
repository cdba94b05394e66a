"""What every end-to-end fault test stands on: the real programs on private ports, broken on purpose and counted."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from bench import fault_feed
from bench.fault_feed import DOUBLED, given_up, query, submit_rows
from deploy.local import configs
from deploy.local.broker import mosquitto_program, start_mosquitto, start_nats
from deploy.local.processes import Child, free_port
from edge_agent.sources.replay import read_status

Broker = Literal["nats", "mosquitto"]
Part = Literal["gateway", "broker", "cloud"]
BROKERS = [
    "nats",
    pytest.param(
        "mosquitto", marks=pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is not installed")
    ),
]
LOOPBACK = "127.0.0.1"
ALL = ("presses", "gateway", "cloud", "broker")
"""All parts, in the order of a clean stop."""
POLL_S = 0.1
STOP_TIMEOUT_S = 20.0
PRESSES_START_S = 60.0
ZHISAN = [sys.executable, "-m", "deploy.cli"]


@dataclass(frozen=True, slots=True)
class Count:
    """One press in the store: how many shots, how many different ones, and the first and last cycle counter."""

    stored: int
    different: int
    first: int
    last: int

    @classmethod
    def once_each(cls, rows: int) -> "Count":
        """What a replayed file of so many rows must have come to."""
        return cls(rows, rows, 1, rows)


@dataclass(slots=True)
class Plant:
    """Broker, gateway and cloud over one folder; use it through `running`."""

    folder: Path
    broker: Broker
    start_broker: Callable[[], Child]
    prefix: Sequence[str]
    cloud_config: Path
    gateway_config: Path
    environ: Mapping[str, str]
    children: dict[str, Child] = field(default_factory=dict)
    jobs: dict[str, tuple[Path, int]] = field(default_factory=dict)
    gateway_logs: list[Path] = field(default_factory=list)

    def start(self, part: Part) -> None:
        """Start a part that does not run."""
        assert part not in self.children
        if part == "broker":
            self.children[part] = self.start_broker()
            return
        config = self.cloud_config if part == "cloud" else self.gateway_config
        log = self.folder / f"{part}.log"
        if part == "gateway":
            log = self.folder / f"gateway-{len(self.gateway_logs)}.log"  # counters begin again with the program
            self.gateway_logs.append(log)
        program = "cloud" if part == "cloud" else "edge"
        command = [*ZHISAN, program, "run", "--config", str(config)]
        prefix = self.prefix if part == "gateway" else ()
        self.children[part] = Child.start(part, [*prefix, *command], log, environ=self.environ)

    def kill(self, part: Part) -> None:
        """SIGKILL, and nothing started again."""
        self.children.pop(part).kill()

    def stop(self, *parts: str) -> None:
        """SIGTERM and wait, one after the other; what does not run is passed over."""
        for part in parts:
            if part in self.children:
                self.children.pop(part).stop(STOP_TIMEOUT_S)

    def start_presses(self, presses: int, speed: float) -> None:
        """Simulated presses as OPC UA servers, which the gateway reads from its next start on."""
        status = self.folder / "presses.json"
        command = [
            *(*self.prefix, sys.executable, "-m", "simulators.plant", "--presses", str(presses)),
            *("--base-port", "0", "--speed", str(speed), "--seed", "7", "--status-file", str(status)),
        ]
        self.children["presses"] = Child.start("presses", command, self.folder / "presses.log")
        wait_until(self, status.exists, PRESSES_START_S, "the simulated presses")
        listed = json.loads(status.read_text(encoding="utf-8"))
        sources = "".join(
            f"\n[[sources.opcua]]\npress = {json.dumps(each['press_id'])}\nurl = {json.dumps(each['url'])}\n"
            for each in listed
        )
        with self.gateway_config.open("a", encoding="utf-8") as config:
            config.write(sources)

    def replay(self, press: str, rows: int) -> None:
        """Give the gateway a file of so many shots of a press; their cycle counters are 1..rows."""
        assert press not in self.jobs
        self.jobs[press] = (submit_rows(self.folder, press, rows), rows)

    @property
    def is_journalled(self) -> bool:
        """Whether every row of every file is durable at the gateway."""
        return all(read_status(job).state == "done" for job, _ in self.jobs.values())

    def logged(self, event: str, *, by: Literal["gateway", "cloud"] = "gateway") -> list[dict[str, Any]]:
        """The log lines of one kind, of the gateway's present run or of the cloud's runs."""
        return fault_feed.logged(self.gateway_logs[-1] if by == "gateway" else self.folder / "cloud.log", event)

    def report(self) -> dict[str, float]:
        """The present gateway's last word on its health; all zero before its first."""
        return defaultdict(float, (self.logged("gateway_health") or [{}])[-1])

    def sent_on_the_wire(self) -> int:
        """How many records the gateway's runs say they sent, again or not; a killed run misses its last second."""
        told = [fault_feed.logged(log, "gateway_health") for log in self.gateway_logs]
        return sum(int(reports[-1]["RecordsSent"]) for reports in told if reports)

    def expected(self) -> dict[str, Count]:
        """What the store must hold of the replayed files."""
        return {press: Count.once_each(rows) for press, (_, rows) in self.jobs.items()}


@contextmanager
def running(
    folder: Path,
    broker: Broker,
    *,
    broker_host: str = LOOPBACK,
    port: int | None = None,
    gateway_port: int | None = None,
    cloud_port: int | None = None,
    prefix: Sequence[str] = (),
    start_broker: Callable[[Path, int], Child] | None = None,
    environ: Mapping[str, str] | None = None,
    parts: Sequence[Part] = ("broker", "cloud", "gateway"),
) -> Iterator[Plant]:
    """Broker, cloud and gateway; whatever the block starts is ended with it.

    Args:
        folder: All state and logs.
        broker: Which one.
        broker_host: Where it listens.
        port: Its port; a free one by default.
        gateway_port: Where the gateway finds it, when something stands between.
        cloud_port: Where the cloud finds it, when something stands between.
        prefix: What the gateway's command line begins with (`ip netns exec ...`).
        start_broker: Starts it in a folder and on a port, when the usual start will not do.
        environ: Settings by environment, of gateway and cloud.
        parts: What to start at once; the block may start the rest.
    """
    mqtt = port or free_port()
    start = start_broker or _usual_start(broker, broker_host)
    plant = Plant(
        folder=folder,
        broker=broker,
        start_broker=lambda: start(folder / "broker", mqtt),
        prefix=prefix,
        cloud_config=configs.cloud(folder, LOOPBACK, free_port(), cloud_port or mqtt),
        gateway_config=configs.gateway(folder, gateway_port or mqtt, [], None),
        environ={
            "ZHISAN_EDGE__UPLINK__HEALTH_EVERY_S": "1.0",
            "ZHISAN_EDGE__LOG__STYLE": "json",
            "ZHISAN_CLOUD__LOG__STYLE": "json",
            "ZHISAN_EDGE__BROKER__HOST": broker_host,
            "ZHISAN_CLOUD__BROKER__HOST": broker_host,
            **(environ or {}),
        },
    )
    try:
        for part in parts:
            plant.start(part)
        yield plant
    finally:
        plant.stop(*ALL)


def _usual_start(broker: Broker, host: str) -> Callable[[Path, int], Child]:
    start = start_nats if broker == "nats" else start_mosquitto
    return lambda folder, port: start(folder, port, host=host)


def wait_until(plant: Plant, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look again and again; all programs must stay alive meanwhile.

    Raises:
        ProcessError: not within the time, or a program ended; the message holds what the programs said last.
    """
    fault_feed.wait_until(plant.children, condition, timeout_s, what, poll_s=POLL_S)


def wait_until_drained(plant: Plant, timeout_s: float = 120.0) -> None:
    """Until the gateway has taken every file and the cloud has committed every record: its journal is empty.

    Raises:
        ProcessError: see `wait_until`.
    """
    wait_until(plant, lambda: plant.is_journalled, timeout_s, "every row durable at the gateway")
    # The first report from here on may have been asked for before the last row was there.
    behind = len(plant.logged("gateway_health")) + 1

    def is_empty() -> bool:
        return any(report["JournalRecords"] == 0 for report in plant.logged("gateway_health")[behind:])

    wait_until(plant, is_empty, timeout_s, "an empty journal")


def counted(folder: Path) -> dict[str, Count]:
    """What the stopped cloud's store holds, by press."""
    sql = """SELECT press_id, count(*), count(DISTINCT cycle_counter), min(cycle_counter), max(cycle_counter)
             FROM shots GROUP BY press_id"""
    return {press: Count(*counts) for press, *counts in query(folder, sql)}


def doubled(folder: Path) -> int:
    """How many records the stopped cloud's store holds more than once."""
    return int(query(folder, f"SELECT {DOUBLED} FROM shots")[0][0])


def assert_stored_once(plant: Plant, name: str) -> None:
    """Stop all and count: every row of every file in the store, none twice, none given up; prints the figures."""
    on_the_wire = plant.sent_on_the_wire()
    plant.stop(*ALL)
    replayed = {press: count for press, count in counted(plant.folder).items() if press in plant.jobs}
    twice, gaps = doubled(plant.folder), given_up(plant.folder)
    sent, stored = sum(rows for _, rows in plant.jobs.values()), sum(count.stored for count in replayed.values())
    print(
        f"{name} on {plant.broker}: sent {sent}, stored {stored}, doubled {twice}, given up {gaps}, "
        f"on the wire, as far as reported, {on_the_wire}"
    )
    assert replayed == plant.expected()
    assert (twice, gaps) == (0, 0)
