"""`zhisan up`: broker, cloud, a simulated plant and a gateway on this machine, started in order and stopped cleanly."""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from cloud.identity import setup_file
from deploy.local import configs, signing
from deploy.local.broker import start_nats
from deploy.local.current import Current, home, remove_current, write_current
from deploy.local.processes import Child, ProcessError, free_port, is_taken
from deploy.local.receiver import Receiver
from kit.errors import ZhisanError

WEB_PORT = 8000
CLOUD_START_S, PLANT_START_S, FIRST_SHOT_S = 60.0, 60.0, 60.0
BUNDLE = Path("build/bundle/default.zip")
ZHISAN = [sys.executable, "-m", "deploy.cli"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    host: str
    port: int
    presses: int
    speed: float
    seed: int
    keep: bool
    bundle: Path


class StopRequestedError(ZhisanError):
    """The user, or the system, asked to stop."""


def main(argv: Sequence[str]) -> int:
    """Run until Ctrl-C; 0 after a clean stop, 1 when a part could not start or ended by itself."""
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    try:
        with contextlib.ExitStack() as running:
            _run(_options(argv), console, running)
    except StopRequestedError:
        console.print("stopped")
        return 0
    except ZhisanError as error:
        console.print(f"[bold red]cannot go on[/]: {error}", highlight=False)
        return 1
    return 0


def _options(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="zhisan up", description=__doc__)
    port = os.environ.get("ZHISAN_PORT", str(WEB_PORT))
    parser.add_argument("--host", default="127.0.0.1", help="address that the web view binds to (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="port of the web view (default: ZHISAN_PORT, or 8000)")
    parser.add_argument("--presses", type=int, default=6, help="presses of the simulated plant (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=10.0, help="faster than real time by (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulated plant (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="go on with the data of the last run")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="model bundle (default: %(default)s)")
    return Options(**vars(parser.parse_args(argv)))


def _run(options: Options, console: Console, running: contextlib.ExitStack) -> None:
    folder = home() / "demo"
    _prepare(options, folder)
    parts: list[tuple[str, str]] = []
    secret = "whsec_" + b64encode(secrets.token_bytes(24)).decode()
    calls: list[Mapping[str, Any]] = []
    receiver = running.enter_context(Receiver(secret, lambda _id, body: calls.append(body)))
    with _step(console, "broker"):
        mqtt_port = free_port()
        broker = start_nats(folder / "broker", mqtt_port)
        running.callback(broker.stop)
        parts.append(("broker (NATS, MQTT 3.1.1)", f"mqtt://127.0.0.1:{mqtt_port}, loopback only"))
    web_url = f"http://{options.host}:{options.port}"
    with _step(console, "cloud"):
        trusted_keys = signing.trusted_folder(folder)
        config = configs.cloud(folder, options.host, options.port, mqtt_port, receiver.url, trusted_keys=trusted_keys)
        headers = {"Authorization": f"Bearer {_new_key(config)}"}
        environ = {configs.WEBHOOK_SECRET_VARIABLE: secret}
        cloud = Child.start(
            "cloud", [*ZHISAN, "cloud", "run", "--config", config], folder / "cloud.log", environ=environ
        )
        running.callback(cloud.stop)
        _wait_until_ready(cloud, f"{web_url}/readyz")
        parts.append(("cloud", f"{web_url}  (API: {web_url}/api/v1/openapi.json)"))
    with _step(console, f"simulated plant of {options.presses} presses"):
        plant, presses = _start_plant(options, folder)
        running.callback(plant.stop)
        parts.append(("plant", f"{len(presses)} presses (OPC 40077), {options.speed:g} times real time"))
    with _step(console, "gateway"):
        bundle = signing.signed_bundle(folder, options.bundle)
        config = configs.gateway(
            folder,
            mqtt_port,
            presses,
            bundle,
            trusted_keys=trusted_keys,
            cloud_url=web_url.replace("//0.0.0.0:", "//127.0.0.1:"),
        )
        gateway = Child.start("gateway", [*ZHISAN, "edge", "run", "--config", config], folder / "gateway.log")
        running.callback(gateway.stop)
        parts.append(("gateway", f"{configs.PLANT_ID}/{configs.GATEWAY_ID}, journal in {folder / 'gateway'}"))
    parts.append(("webhook receiver", receiver.url))
    key = headers["Authorization"].removeprefix("Bearer ")
    write_current(Current(web_url, configs.PLANT_ID, str(folder / "gateway"), key))
    running.callback(remove_current)
    children = [broker, cloud, plant, gateway]
    with _step(console, "first shot"):
        _wait_for_shots(children, f"{web_url}/api/v1/presses", headers)
    _show(console, web_url, parts, folder)
    _watch(console, children, calls)


def _prepare(options: Options, folder: Path) -> None:
    if is_taken(options.host, options.port):
        raise ProcessError(
            f"port {options.port} on {options.host} is taken: stop what listens there, or choose one with ZHISAN_PORT"
        )
    if not options.bundle.exists():
        raise ProcessError(f"model bundle {options.bundle} is missing: `make train` builds it")
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _start_plant(options: Options, folder: Path) -> tuple[Child, list[tuple[str, str]]]:
    status = folder / "plant.json"
    status.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "simulators.plant", "--presses", str(options.presses), "--base-port", str(free_port())),
        *("--speed", str(options.speed), "--seed", str(options.seed), "--status-file", str(status)),
        *("--fault-press", "3", "--fault-onset-s", "30", "--fault-growth-s", "120"),
    ]
    plant = Child.start("simulated plant", command, folder / "plant.log")
    deadline_s = time.monotonic() + PLANT_START_S
    while not status.exists():
        plant.check()
        if time.monotonic() > deadline_s:
            raise ProcessError(f"the simulated plant is not ready after {PLANT_START_S:g} s:\n{plant.log_tail()}")
        time.sleep(0.1)
    listed = json.loads(status.read_text(encoding="utf-8"))
    return plant, [(press["press_id"], press["url"]) for press in listed]


def _new_key(config: Path) -> str:
    """The launcher's own API key: made before the cloud runs, since only one program may use its folder."""
    command = [*ZHISAN, "cloud", "key", "--config", str(config), "--name", "launcher", "--days", "1"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=CLOUD_START_S, check=False)
    if made.returncode:
        raise ProcessError(f"no API key could be made: {made.stderr.strip()}")
    return made.stdout.strip()


def _wait_until_ready(cloud: Child, url: str) -> None:
    deadline_s = time.monotonic() + CLOUD_START_S
    answer = "no answer"
    while time.monotonic() < deadline_s:
        cloud.check()
        with contextlib.suppress(httpx.HTTPError):
            response = httpx.get(url, timeout=2)
            if response.status_code == 200:
                return
            answer = response.text[:500]
        time.sleep(0.2)
    raise ProcessError(f"the cloud is not ready after {CLOUD_START_S:g} s ({answer}):\n{cloud.log_tail()}")


def _wait_for_shots(children: Sequence[Child], url: str, headers: Mapping[str, str]) -> None:
    deadline_s = time.monotonic() + FIRST_SHOT_S
    while time.monotonic() < deadline_s:
        for child in children:
            child.check()
        with contextlib.suppress(httpx.HTTPError):
            presses = httpx.get(url, headers=dict(headers), timeout=2).json()["items"]
            if any(press["last_shot_ms"] is not None for press in presses):
                return
        time.sleep(0.2)
    logs = "\n".join(f"  {child.name}:\n{child.log_tail()}" for child in children)
    raise ProcessError(f"no shot has arrived after {FIRST_SHOT_S:g} s; the last words of each part:\n{logs}")


def _show(console: Console, web_url: str, parts: Sequence[tuple[str, str]], folder: Path) -> None:
    table = Table(title="Zhisan 智伞 is running", title_style="bold", show_header=False)
    for name, what in parts:
        table.add_row(name, what)
    table.add_row("logs and data", str(folder))
    console.print(table)
    link = setup_file.read(folder / "cloud")
    if link is not None:
        console.print(f"open [bold]{link}[/] to make the first account; the link works once", soft_wrap=True)
    else:
        console.print(f"open [bold]{web_url}[/]")
    console.print("Ctrl-C stops everything")
    console.print(
        "press-03's check ring begins to wear half a minute after the start; its alarm calls the receiver here"
    )
    console.print(f"replay a recorded file: {_command()} replay FILE --mapping deploy/mappings/polenta.toml")


def _command() -> str:
    """How `zhisan` is to be called here: by its name where the PATH has it, else by its path."""
    program = Path(sysconfig.get_path("scripts")) / "zhisan"
    if shutil.which("zhisan"):
        return "zhisan"
    return str(program.relative_to(Path.cwd())) if program.is_relative_to(Path.cwd()) else str(program)


def _watch(console: Console, children: Sequence[Child], calls: list[Mapping[str, Any]]) -> None:
    """Show each webhook call as it comes; until a part ends or the user has enough."""
    shown = 0
    while True:
        for child in children:
            child.check()
        for call in calls[shown:]:
            console.print(f"[bold]webhook received[/] {json.dumps(call, ensure_ascii=False)}", soft_wrap=True)
            shown += 1
        threading.Event().wait(0.25)


@contextlib.contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started_s = time.monotonic()
    with console.status(f"starting: {what}"):
        yield
    console.print(f"[green]✓[/] {what} [dim]({time.monotonic() - started_s:.1f} s)[/]")


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of the programs running
    raise StopRequestedError
