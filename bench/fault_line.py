"""What the fault bench stands on: the real broker, cloud and gateway, fed by files, broken on purpose and counted."""

import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from bench import fault_feed
from bench.fault_feed import DOUBLED, FIRST_ROW_MS, ROW_MS, given_up, submit_rows
from deploy.local import configs
from deploy.local.broker import start_mosquitto, start_nats
from deploy.local.processes import Child, free_port
from edge_agent.sources.replay import read_status

Broker = Literal["nats", "mosquitto"]
Part = Literal["broker", "cloud", "gateway"]
LOOPBACK = "127.0.0.1"
DATABASE_FILE = "cloud.sqlite"
POLL_S = 0.05
STOP_TIMEOUT_S = 20.0
UP_TIMEOUT_S = 60.0
SLOWEST_PER_S = 100
"""A line that stores fewer shots a second than this, after it was healed, has stalled."""
DRAIN_S_MIN = 120.0
ZHISAN = (sys.executable, "-m", "deploy.cli")
MORE_SETTINGS = """
[uplink]
health_every_s = 1.0

[log]
style = "json"
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of the files: rows sent, rows in the store, different ones, ids given up, records stored twice.

    `altered` are stored rows whose time is not that of the row with their number.
    """

    sent: int
    stored: int
    distinct: int
    gaps: int
    doubled: int
    altered: int

    @property
    def lost(self) -> int:
        """Rows that are not in the store, whether the gap ledger accounts for them or not."""
        return self.sent - self.distinct


@dataclass(slots=True)
class Line:
    """Broker, cloud and gateway over one folder; use it through `running`."""

    folder: Path
    start_broker: Callable[[], Child]
    mqtt_port: int
    cloud_command: Sequence[str | Path]
    gateway_command: Sequence[str | Path]
    children: dict[Part, Child] = field(default_factory=dict)
    jobs: list[tuple[Path, str, int]] = field(default_factory=list)

    def start(self, part: Part) -> None:
        """Start a part that does not run."""
        assert part not in self.children
        if part == "broker":
            self.children[part] = self.start_broker()
            return
        command = self.cloud_command if part == "cloud" else self.gateway_command
        self.children[part] = Child.start(part, command, self.log_of(part))

    def kill(self, part: Part) -> None:
        """SIGKILL; it is not started again."""
        self.children.pop(part).kill()

    def stop(self, part: Part) -> None:
        """SIGTERM and wait; nothing when it does not run."""
        if part in self.children:
            self.children.pop(part).stop(STOP_TIMEOUT_S)

    def stop_all(self) -> None:
        """A clean stop, in the order in which nothing more comes."""
        for part in ("gateway", "cloud", "broker"):
            self.stop(part)

    def log_of(self, part: Part) -> Path:
        """Where the runs of a program write."""
        return self.folder / f"{part}.log"

    def send(self, rows: int) -> Path:
        """Give the gateway a file of so many shots of a new press; the job's folder."""
        press = f"bench-{len(self.jobs)}"
        job = submit_rows(self.folder, press, rows)
        self.jobs.append((job, press, rows))
        return job

    def taken(self, job: Path) -> int:
        """How many rows of a file are durable at the gateway, by its last word."""
        return read_status(job).rows_taken

    def wait_until_taken(self, job: Path, rows: int) -> None:
        """Until so many rows of a file are durable at the gateway.

        Raises:
            ProcessError: see `wait_until`.
        """
        self.wait_until(lambda: self.taken(job) >= rows, self.patience_s, f"{rows} rows taken")

    @property
    def sent(self) -> int:
        """Rows given to the gateway so far."""
        return sum(rows for _, _, rows in self.jobs)

    @property
    def patience_s(self) -> float:
        """How long the line may take for what it has been given."""
        return DRAIN_S_MIN + self.sent / SLOWEST_PER_S

    def logged(self, event: str, part: Part = "gateway") -> list[dict[str, Any]]:
        """The log lines of one kind."""
        return fault_feed.logged(self.log_of(part), event)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Look again and again; what was started must stay alive meanwhile.

        Raises:
            ProcessError: not within the time, or a program ended by itself; with the programs' last lines.
        """
        fault_feed.wait_until(self.children, condition, timeout_s, what, poll_s=POLL_S)

    def wait_until_up(self, births: int = 1) -> None:
        """Until the gateway has been born so often.

        Raises:
            ProcessError: see `wait_until`.
        """
        self.wait_until(lambda: len(self.logged("node_born")) >= births, UP_TIMEOUT_S, "the gateway's birth")

    def wait_until_drained(self) -> None:
        """Until every file is taken and the cloud has committed every record: the gateway's journal is empty.

        Raises:
            ProcessError: see `wait_until`.
        """
        is_taken = lambda: all(read_status(job).state == "done" for job, _, _ in self.jobs)  # noqa: E731
        self.wait_until(is_taken, self.patience_s, "every row durable at the gateway")
        # The first report from here on may have been asked for before the last row was there.
        behind = len(self.logged("gateway_health")) + 1
        is_empty = lambda: any(r["JournalRecords"] == 0 for r in self.logged("gateway_health")[behind:])  # noqa: E731
        self.wait_until(is_empty, self.patience_s, "an empty journal")

    def count(self) -> Counted:
        """What the stopped cloud's store holds of the files."""
        sql = f"""SELECT count(*), count(DISTINCT (press_id, cycle_counter)),
                         count(*) FILTER (ended_ms <> {FIRST_ROW_MS} + {ROW_MS} * (cycle_counter - 1)),
                         {DOUBLED}
                  FROM shots WHERE press_id LIKE 'bench-%'"""
        stored, distinct, altered, doubled = self.query(sql)[0]
        return Counted(self.sent, stored, distinct, given_up(self.folder), max(doubled, stored - distinct), altered)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the stopped cloud's telemetry store."""
        return fault_feed.query(self.folder, sql)

    def dead_letters(self) -> int:
        """How many messages the stopped cloud has kept that nothing could be made of."""
        with closing(sqlite3.connect(self.folder / "cloud" / DATABASE_FILE)) as database:
            return int(database.execute("SELECT count(*) FROM dead_letters").fetchone()[0])


@contextmanager
def running(
    folder: Path,
    broker: Broker,
    *,
    mqtt_port: int | None = None,
    gateway_port: int | None = None,
    gateway_program: Sequence[str | Path] = (*ZHISAN, "edge", "run"),
    more_settings: str = "",
    parts: Sequence[Part] = ("broker", "cloud", "gateway"),
) -> Iterator[Line]:
    """Broker, cloud and gateway, started; whatever runs at the end of the block is stopped.

    Args:
        folder: All state and logs.
        broker: Which one.
        mqtt_port: Where the broker listens; a free port by default.
        gateway_port: Where the gateway finds it, when something stands between.
        gateway_program: What `--config FILE` is added to.
        more_settings: Tables for the gateway's file.
        parts: What to start at once; the block may start the rest.
    """
    port = mqtt_port or free_port()
    start = start_nats if broker == "nats" else start_mosquitto
    gateway_config = configs.gateway(folder, gateway_port or port, [], None)
    with gateway_config.open("a", encoding="utf-8") as file:
        file.write(MORE_SETTINGS + more_settings)
    line = Line(
        folder=folder,
        start_broker=lambda: start(folder / "broker", port),
        mqtt_port=port,
        cloud_command=[*ZHISAN, "cloud", "run", "--config", configs.cloud(folder, LOOPBACK, free_port(), port)],
        gateway_command=[*gateway_program, "--config", gateway_config],
    )
    try:
        for part in parts:
            line.start(part)
        yield line
    finally:
        line.stop_all()


def logged_at_s(entry: dict[str, Any]) -> float:
    """When a log line was written, in seconds of the system's wall clock."""
    return datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")).timestamp()
