"""Broker, cloud and gateway as programs of their own, with a signing key; shots come as replayed files."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np

from deploy.local import configs, signing
from deploy.local.broker import start_nats
from deploy.local.processes import Child, ProcessError, free_port
from edge_agent.sources.replay import inbox_of, submit
from kit.clock import SystemClock
from kit.ids import uuid7
from models.runtime.bundle import sign_bundle
from models.runtime.keys import load_private
from tests.rollout_bundles import MOULD, Kind, bundle_file, shots_like_training

LOOPBACK = "127.0.0.1"
ZHISAN = [sys.executable, "-m", "deploy.cli"]
ENVIRON = {
    "ZHISAN_EDGE__UPLINK__HEALTH_EVERY_S": "1.0",
    "ZHISAN_EDGE__LOG__STYLE": "json",
    "ZHISAN_CLOUD__LOG__STYLE": "json",
}
MAPPING = """\
press = "{press}"
mould = "{mould}"
[file]
kind = "csv"
[time]
column = "ended"
format = "unix_ms"
[columns]
cushion = {{ name = "CushionStroke", unit = "mm" }}
cycle = {{ name = "CycleTime", unit = "s" }}
"""


@dataclass(slots=True)
class RolloutPlant:
    """What the demo needs to hand; use it through `running`."""

    folder: Path
    url: str
    client: httpx.Client
    children: dict[str, Child] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    _files: int = 0

    def bundle(self, name: str, kind: Kind = "good", *, is_signed: bool = True, seed: int = 1) -> Path:
        """A bundle file, signed with the plant's key."""
        path = self.folder / f"{name}.zip"
        bundle_file(path, kind, seed=seed)
        if is_signed:
            sign_bundle(path, path, load_private(self.folder / "keys" / signing.KEY_FILE))
        return path

    def upload(self, path: Path) -> httpx.Response:
        """Give the file to the cloud's registry."""
        headers = {"Content-Type": "application/octet-stream"}
        return self.client.post("/api/v1/models/bundles", content=path.read_bytes(), headers=headers)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """A POST with a JSON body."""
        return self.client.post(f"/api/v1/models{path}", json=body)

    def get(self, path: str) -> Any:
        """The JSON that a path answers."""
        response = self.client.get(f"/api/v1{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def make_shots(self, press: str, count: int) -> None:
        """So many more shots of a press, like those of training; returns when they are handed over."""
        self._files += 1
        data, mapping = self.folder / f"{self._files}.csv", self.folder / f"{self._files}.toml"
        now_ms = SystemClock().utc_ms()
        rows = shots_like_training(count, seed=self._files)
        lines = [f"{now_ms - 1000 * (count - n)},{c:.4f},{t:.4f}" for n, (c, t) in enumerate(np.asarray(rows).tolist())]
        data.write_text("\n".join(["ended,cushion,cycle", *lines]) + "\n", encoding="utf-8")
        mapping.write_text(MAPPING.format(press=press, mould=MOULD), encoding="utf-8")
        job: UUID = uuid7(now_ms)
        submit(inbox_of(self.folder / "gateway"), job, data, mapping)
        self.sent[press] = self.sent.get(press, 0) + count

    def stored(self, press: str) -> int:
        """How many shots of a press the cloud has."""
        response = self.client.get(f"/api/v1/plants/{configs.PLANT_ID}/presses/{press}")
        return int(response.json()["shots_total"]) if response.status_code == 200 else 0

    def all_stored(self) -> bool:
        """Whether every shot has arrived."""
        return all(self.stored(press) == count for press, count in self.sent.items())

    def running_on(self) -> dict[str, str]:
        """The champion of each press as the gateway reports it."""
        found = self.get("/models/gateways")
        return {press: told["champion"] for press, told in found[0]["presses"].items()} if found else {}

    def rollout(self, rollout_id: str) -> Any:
        """One trial."""
        return self.get(f"/models/rollouts/{rollout_id}")

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        """Look again and again; all programs must stay alive meanwhile."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            for child in self.children.values():
                child.check()
            if time.monotonic() > deadline_s:
                logs = "\n".join(child.log_tail() for name, child in self.children.items() if name != "broker")
                raise ProcessError(f"not within {timeout_s:g} s: {what}\n{logs}")
            time.sleep(0.1)

    def start_gateway(self) -> None:
        """Start it, or start it again."""
        number = sum(name.startswith("gateway") for name in self.children)
        config = self.folder / "gateway.toml"
        command = [*ZHISAN, "edge", "run", "--config", str(config)]
        log = self.folder / f"gateway-{time.monotonic_ns()}-{number}.log"
        self.children["gateway"] = Child.start("gateway", command, log, environ=ENVIRON)


@contextmanager
def running(folder: Path, *, bundle: Path | None = None) -> Iterator[RolloutPlant]:
    """The programs, the gateway with a bundle of its own or none; whatever was started is ended with the block."""
    mqtt, web = free_port(), free_port()
    trusted = signing.trusted_folder(folder)
    url = f"http://{LOOPBACK}:{web}"
    cloud_config = configs.cloud(folder, LOOPBACK, web, mqtt, trusted_keys=trusted)
    configs.gateway(folder, mqtt, [], bundle, trusted_keys=trusted, cloud_url=url)
    key = [*ZHISAN, "cloud", "key", "--config", str(cloud_config), "--name", "test", "--days", "1"]
    key += ["--right", "read", "--right", "configure", "--right", "acknowledge"]
    made = subprocess.run(key, capture_output=True, text=True, timeout=60, check=True)
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        plant = RolloutPlant(folder, url, client)
        try:
            plant.children["broker"] = start_nats(folder / "broker", mqtt)
            command = [*ZHISAN, "cloud", "run", "--config", str(cloud_config)]
            plant.children["cloud"] = Child.start("cloud", command, folder / "cloud.log", environ=ENVIRON)
            plant.wait(lambda: _is_ready(client), "the cloud")
            plant.start_gateway()
            yield plant
        finally:
            for name in ("gateway", "cloud", "broker"):
                if name in plant.children:
                    plant.children[name].stop(20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def loads(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
