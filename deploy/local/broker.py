"""The MQTT brokers that run beside the programs: NATS from a wheel, or mosquitto where the system has it."""

import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from deploy.local.processes import Child, ProcessError, wait_for_port
from deploy.mosquitto.configuration import configuration

START_TIMEOUT_S = 20.0
USUAL = "persistence true\nmax_queued_messages 1000\n"


def start_nats(folder: Path, port: int, *, host: str = "127.0.0.1", more: str = "") -> Child:
    """The NATS server as an MQTT 3.1.1 broker, its state under `folder`; returns when it accepts connections.

    `more` is further lines of its configuration.

    Raises:
        ProcessError: it is not installed or did not start.
    """
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise ProcessError("nats-server is not installed: it comes with the extra `demo`")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: zhisan\nhost: "{host}"\nport: -1\n'
        f'jetstream {{ store_dir: "{folder / "jetstream"}" }}\n'
        f'mqtt {{ host: "{host}", port: {port} }}\n{more}',
        encoding="utf-8",
    )
    child = Child.start("broker (NATS)", [program, "-c", config], folder / "broker.log")
    wait_for_port(child, host, port, START_TIMEOUT_S)
    return child


def mosquitto_program() -> Path | None:
    """Where mosquitto is installed; Debian puts it outside an ordinary user's PATH."""
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    return None if found is None else Path(found)


def start_mosquitto(folder: Path, port: int, *, host: str = "127.0.0.1", more: str = USUAL) -> Child:
    """Mosquitto with anonymous access on loopback; returns when it accepts connections.

    `more` is further lines of its configuration.

    Raises:
        ProcessError: it is not installed or did not start.
    """
    text = f"listener {port} {host}\nallow_anonymous true\npersistence_location {folder}/\n{more}"
    return _start_mosquitto("broker (mosquitto)", folder, text, host, [port])


def start_mosquitto_with_certificates(folder: Path, files: Path, port: int, host_port: int) -> Child:
    """Mosquitto as for a plant, on loopback: mutual TLS, and the lists in `files`, which the cloud has written.

    Gateways connect to `port`, the cloud to `host_port`; the pid file is `mosquitto.pid` in `folder`.

    Raises:
        ProcessError: it is not installed or did not start.
    """
    text = configuration(
        files,
        folder / "mosquitto.pid",
        gateway_port=port,
        gateway_address="127.0.0.1",
        host_port=host_port,
    )
    return _start_mosquitto("broker (mosquitto, TLS)", folder, text, "127.0.0.1", [port, host_port])


def _start_mosquitto(name: str, folder: Path, text: str, host: str, ports: Sequence[int]) -> Child:
    program = mosquitto_program()
    if program is None:
        raise ProcessError("mosquitto is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "mosquitto.conf"
    config.write_text(f"{text}user root\n", encoding="utf-8")
    child = Child.start(name, [program, "-c", config], folder / "broker.log")
    for port in ports:
        wait_for_port(child, host, port, START_TIMEOUT_S)
    return child
