"""kill -9 of gateway and cloud, twenty times each at random moments of a replay: every row stored, none twice."""

import random
import sys
import time
from pathlib import Path

import duckdb
import httpx
import pytest

from deploy.local import configs
from deploy.local.broker import start_nats
from deploy.local.processes import Child, free_port
from edge_agent.sources.replay import inbox_of, read_status, submit
from kit.clock import SystemClock
from kit.ids import uuid7

ROWS, KILLS = 40_000, 20
ZHISAN = [sys.executable, "-m", "deploy.cli"]
MAPPING = """
press = "replayed-{job}"
[time]
column = "t"
format = "unix_ms"
[columns]
"cycle" = {{ name = "CycleTime", unit = "s" }}
"cushion" = {{ name = "CushionStroke", unit = "mm" }}
"peak" = {{ name = "SpecificPressureMaximum", unit = "bar" }}
"""


class Plant:
    """The real programs on private ports, started again after each kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web = free_port()
        mqtt = free_port()
        self.broker = start_nats(folder / "broker", mqtt)
        self.cloud_config = configs.cloud(folder, "127.0.0.1", self.web, mqtt)
        self.gateway_config = configs.gateway(folder, mqtt, [], None)
        self.cloud, self.gateway = self.start_cloud(), self.start_gateway()

    def start_cloud(self) -> Child:
        return Child.start("cloud", [*ZHISAN, "cloud", "run", "--config", self.cloud_config], self.folder / "cloud.log")

    def start_gateway(self) -> Child:
        command = [*ZHISAN, "edge", "run", "--config", self.gateway_config]
        return Child.start("gateway", command, self.folder / "gateway.log")

    def kill(self, name: str) -> None:
        if name == "gateway":
            self.gateway.kill()
            self.gateway = self.start_gateway()
        else:
            self.cloud.kill()
            self.cloud = self.start_cloud()

    def stored(self, jobs: int) -> int:
        """How many shots of all jobs the cloud has; -1 while it does not answer."""
        url = f"http://127.0.0.1:{self.web}/api/v1/plants/{configs.PLANT_ID}/presses/replayed-"
        try:
            responses = [httpx.get(f"{url}{job}", timeout=5) for job in range(jobs)]
        except httpx.HTTPError:
            return -1
        return sum(int(r.json()["shots_total"]) for r in responses if r.status_code == 200)

    def stop(self) -> None:
        for child in (self.gateway, self.cloud, self.broker):
            child.stop()


def wait_until_stored(plant: Plant, jobs: int, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while plant.stored(jobs) < jobs * ROWS:
        plant.gateway.check()
        plant.cloud.check()
        assert time.monotonic() < deadline_s, (
            f"{plant.stored(jobs)} of {jobs * ROWS} stored\n{plant.gateway.log_tail()}\n{plant.cloud.log_tail()}"
        )
        time.sleep(0.2)


def submit_job(folder: Path, inbox: Path, job: int) -> Path:
    """A file of ROWS shots for a press of its own."""
    data, mapping = folder / "data.csv", folder / "mapping.toml"
    rows = (f"{1_700_000_000_000 + 1_000 * n},{17 + n % 3},{5 + n % 7},{700 + n % 11}\n" for n in range(ROWS))
    data.write_text("t,cycle,cushion,peak\n" + "".join(rows), encoding="utf-8")
    mapping.write_text(MAPPING.format(job=job), encoding="utf-8")
    return submit(inbox, uuid7(SystemClock().utc_ms()), data, mapping)


@pytest.mark.timeout(600)
def test_every_record_is_stored_once_through_forty_kills(tmp_path: Path) -> None:
    rng = random.Random(20)
    plant = Plant(tmp_path)
    inbox = inbox_of(tmp_path / "gateway")
    jobs: list[Path] = []
    try:
        victims = ["gateway", "cloud"] * KILLS
        rng.shuffle(victims)
        for victim in victims:
            if all(read_status(job).state == "done" for job in jobs):
                jobs.append(submit_job(tmp_path, inbox, len(jobs)))
            time.sleep(rng.uniform(0.2, 2.0))
            plant.kill(victim)
        wait_until_stored(plant, len(jobs), timeout_s=400)
    finally:
        plant.stop()
    with duckdb.connect(str(tmp_path / "cloud" / "telemetry.duckdb"), read_only=True) as store:
        sql = """SELECT press_id, count(*), count(DISTINCT cycle_counter), min(cycle_counter), max(cycle_counter)
                 FROM shots GROUP BY press_id"""
        counted = {press_id: tuple(counts) for press_id, *counts in store.execute(sql).fetchall()}
        gaps = store.execute("SELECT count(*) FROM gaps").fetchone()
    print(f"kills {len(victims)}, files {len(jobs)}, sent {len(jobs) * ROWS}, stored {counted}")
    assert counted == {f"replayed-{job}": (ROWS, ROWS, 1, ROWS) for job in range(len(jobs))}
    assert gaps == (0,)
