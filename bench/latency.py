"""From the end of a press's cycle to the webhook's receiver and to an open page: 200 presses, one machine.

Budget (DESIGN 9): p99 <= 500 ms. Simulated presses behind simulated gateways (journal with fsync, records, MQTT as the
real one), a real broker, the real cloud program with SQLite and DuckDB, a receiver that checks signatures, and a live
fleet page. All clocks are this machine's.
"""

import argparse
import re
import secrets
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import psutil

from bench.latency_gateways import PRESSES_PER_GATEWAY, Gateway
from bench.report import tell
from deploy.local import configs
from deploy.local.broker import start_mosquitto, start_nats
from deploy.local.processes import Child, ProcessError, free_port
from deploy.local.receiver import Receiver
from kit.clock import SystemClock
from kit.mqtt import BrokerSettings

PRESSES, ALARMING, CYCLE_S, WATCH_S = 200, 40, 10.0, 60.0
WARM_S = 10.0
"""The first seconds are not counted: presses are registered, files grow their first pages."""
READY_S_MAX = 90.0
DRAIN_S = 5.0
HOST = "127.0.0.1"
ZHISAN = (sys.executable, "-m", "deploy.cli")
MORE_SETTINGS = """
[alarms]
on_delay_shots = 1
off_delay_shots = 1
"""
TILE_TIME = re.compile(rb'class="shot"><dt>[^<]*</dt><dd><time data-age datetime="([^"]+)"')
Figures = dict[str, float | int | str]


class Calls:
    """What the receiver got: from the end of the shot that raised an alarm to the call, in ms."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self.since_ms = sys.maxsize  # nothing counts before the warm-up is over
        self.latencies_ms: list[float] = []

    def take(self, _webhook_id: str, body: Mapping[str, Any]) -> None:
        """A verified call; runs in the receiver's threads."""
        now_ms = self._clock.utc_ms()
        ended_ms = _found(body, "first_over_ms")
        if body.get("type") == "alarm.raised" and ended_ms is not None and ended_ms >= self.since_ms:
            self.latencies_ms.append(now_ms - ended_ms)


def _found(value: Any, name: str) -> int | None:
    """The field wherever it stands in the body."""
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get(name), int):
        return int(value[name])
    return next((at for at in (_found(part, name) for part in value.values()) if at is not None), None)


class Watcher:
    """An open fleet page: when each shot's time first stood in what the page was sent."""

    def __init__(self, url: str, key: str, clock: SystemClock) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._seen: set[bytes] = set()
        self.since_ms = sys.maxsize  # nothing counts before the warm-up is over
        self.latencies_ms: list[float] = []

    async def run(self) -> None:
        """Read until cancelled."""
        headers = {"Authorization": f"Bearer {self._key}"}
        async with (
            httpx.AsyncClient(base_url=self._url, headers=headers, timeout=None) as client,
            client.stream("GET", "/live/fleet?lang=en") as answer,
        ):
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.aiter_raw():
                now_ms = self._clock.utc_ms()
                *events, rest = (rest + chunk).split(b"\n\n")
                for event in events:
                    self._take(event, now_ms)

    def _take(self, event: bytes, now_ms: int) -> None:
        for text in set(TILE_TIME.findall(event)) - self._seen:
            self._seen.add(text)
            ended_ms = round(datetime.fromisoformat(text.decode().replace("Z", "+00:00")).timestamp() * 1000)
            if ended_ms >= self.since_ms:
                self.latencies_ms.append(now_ms - ended_ms)


def _key(config: Path) -> str:
    """An API key that may read, made before the cloud starts."""
    command = [*ZHISAN, "cloud", "key", "--config", str(config), "--name", "bench"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    [key] = re.findall(r"zsk_[\w-]+", done.stdout)
    return str(key)


async def measure(broker_name: str, presses: int, watch_s: float) -> Figures:
    """Start everything, watch, stop everything."""
    clock = SystemClock()
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    calls = Calls(clock)
    with tempfile.TemporaryDirectory() as name, Receiver(secret, calls.take) as receiver:
        folder = Path(name)
        mqtt_port, web_port = free_port(), free_port()
        config = configs.cloud(folder, HOST, web_port, mqtt_port, receiver.url)
        with config.open("a", encoding="utf-8") as file:
            file.write(MORE_SETTINGS)
        environ = {configs.WEBHOOK_SECRET_VARIABLE: secret}
        start = start_nats if broker_name == "nats" else start_mosquitto
        key = _key(config)
        broker = start(folder / "broker", mqtt_port)
        command = [*ZHISAN, "cloud", "run", "--config", str(config)]
        cloud = Child.start("cloud", command, folder / "cloud.log", environ=environ)
        try:
            watcher = Watcher(f"http://{HOST}:{web_port}", key, clock)
            await _ready(cloud, f"http://{HOST}:{web_port}")
            program = psutil.Process(cloud.process.pid)
            sent = await _watch(folder, BrokerSettings(host=HOST, port=mqtt_port), presses, watch_s, calls, watcher)
            cloud.check()
            cpu, lived_s = program.cpu_times(), clock.utc_ms() / 1000 - program.create_time()
        finally:
            cloud.stop()
            broker.stop()
    return {
        "broker": broker_name,
        "presses": presses,
        "shots_per_s": presses / CYCLE_S,
        "shots": sent,
        "cloud_cpu_share": (cpu.user + cpu.system) / lived_s,
        "load_average": psutil.getloadavg()[0],
        **_quantiles("webhook", calls.latencies_ms),
        **_quantiles("page", watcher.latencies_ms),
    }


async def _ready(cloud: Child, url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        with anyio.fail_after(READY_S_MAX):
            while True:
                cloud.check()
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await anyio.sleep(0.2)


async def _watch(
    folder: Path, broker: BrokerSettings, presses: int, watch_s: float, calls: Calls, watcher: Watcher
) -> int:
    """Let all presses run; what ends after the warm-up counts."""
    names = [f"press-{at:03}" for at in range(presses)]
    alarming = frozenset(names[:: max(1, presses // ALARMING)])
    parts = [tuple(names[start : start + PRESSES_PER_GATEWAY]) for start in range(0, presses, PRESSES_PER_GATEWAY)]
    gateways = [
        Gateway(f"gw-{at}", part, alarming, broker, folder, phase=at / len(parts)) for at, part in enumerate(parts)
    ]
    warmed_up = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for gateway in gateways:
            tasks.start_soon(gateway.run, CYCLE_S, warmed_up)
        await anyio.sleep(1)
        warmed_up.set()
        tasks.start_soon(watcher.run)
        await anyio.sleep(WARM_S)
        calls.since_ms = watcher.since_ms = SystemClock().utc_ms()
        before = sum(gateway.sent for gateway in gateways)
        await anyio.sleep(watch_s)
        sent = sum(gateway.sent for gateway in gateways) - before
        await anyio.sleep(min(DRAIN_S, watch_s))
        tasks.cancel_scope.cancel()
    return sent


def _quantiles(name: str, latencies_ms: list[float]) -> Figures:
    if not latencies_ms:
        raise ProcessError(f"nothing arrived: {name}")
    p50, p99 = np.percentile(latencies_ms, (50, 99))
    return {
        f"{name}_p50_ms": float(p50),
        f"{name}_p99_ms": float(p99),
        f"{name}_max_ms": float(max(latencies_ms)),
        f"{name}_samples": len(latencies_ms),
    }


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--presses", type=int, default=PRESSES)
    parser.add_argument("--watch-s", type=float, default=WATCH_S)
    parser.add_argument("--broker", choices=("nats", "mosquitto"), default="nats")
    arguments = parser.parse_args()
    tell(anyio.run(measure, arguments.broker, arguments.presses, arguments.watch_s), as_json=arguments.json)


if __name__ == "__main__":
    main()
