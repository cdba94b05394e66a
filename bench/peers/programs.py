"""How each peer is set up between the plant's broker and the centre's: QoS 1 in, QoS 1 out, lasting sessions.

What a peer's manual leaves to the user is set so that it loses least; `mosquitto_default` shows what that changes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.install import InstallError, node_red, thingsboard_gateway
from bench.peers.listener import FEED_TOPIC, HOST
from deploy.local.broker import mosquitto_program

KEEP_ALIVE_S = 10
NOWHERE = f"http://{HOST}:9"
"""Where a peer's calls home go: nothing leaves this machine."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start."""

    command: Sequence[str | Path]
    environ: Mapping[str, str] = field(default_factory=dict)


Setup = Callable[[Path, int, int, int], Program]
"""Of folder, source's port, centre's port and a free port for the peer itself."""


def mosquitto_default(folder: Path, source_port: int, centre_port: int, own_port: int) -> Program:
    """A bridge as it comes: queues of 1,000 messages, in memory."""
    return _mosquitto(folder, source_port, centre_port, own_port, [])


def mosquitto_tuned(folder: Path, source_port: int, centre_port: int, own_port: int) -> Program:
    """A bridge with queues without bound whose state is on disk after each change."""
    more = ["persistence true", f"persistence_location {folder}/", "autosave_interval 1", "autosave_on_changes true"]
    return _mosquitto(
        folder, source_port, centre_port, own_port, [*more, "max_queued_messages 0", "max_queued_bytes 0"]
    )


def _mosquitto(folder: Path, source_port: int, centre_port: int, own_port: int, more: list[str]) -> Program:
    program = mosquitto_program()
    if program is None:
        raise InstallError("mosquitto is not installed")
    lines = [f"listener {own_port} {HOST}", "allow_anonymous true", "user root", *more]
    for name, port, way in (("source", source_port, "in"), ("centre", centre_port, "out")):
        lines += [
            f"connection {name}",
            f"address {HOST}:{port}",
            f"topic {FEED_TOPIC} {way} 1",
            "cleansession false",
            "notifications false",
            "try_private false",
            f"keepalive_interval {KEEP_ALIVE_S}",
            "restart_timeout 1",
        ]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Program([program, "-c", config])


def thingsboard(folder: Path, source_port: int, centre_port: int, _own_port: int) -> Program:
    """thingsboard-gateway with its SQLite storage and its MQTT connector."""
    command = thingsboard_gateway()
    general = {
        "thingsboard": {
            "host": HOST,
            "port": centre_port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "qos": 1,
            "keep_alive": KEEP_ALIVE_S,
            "security": {"type": "accessToken", "accessToken": "bench"},
        },
        "storage": {"type": "sqlite", "data_file_path": f"{folder}/data/"},
        "grpc": {"enabled": False},
        "connectors": [{"type": "mqtt", "name": "bench", "configuration": "mqtt.json"}],
    }
    mapping = {
        "topicFilter": FEED_TOPIC,
        "subscriptionQos": 1,
        "converter": {
            "type": "json",
            "deviceInfo": {
                "deviceNameExpressionSource": "constant",
                "deviceNameExpression": "press",
                "deviceProfileExpressionSource": "constant",
                "deviceProfileExpression": "default",
            },
            "timeout": 60_000,
            "attributes": [],
            "timeseries": [{"type": "integer", "key": "n", "value": "${n}"}],
        },
    }
    broker = {
        "host": HOST,
        "port": source_port,
        "clientId": "bench-peer",
        "version": 4,
        "keepAlive": KEEP_ALIVE_S,
        "cleanSession": False,
        "security": {"type": "anonymous"},
    }
    (folder / "data").mkdir(exist_ok=True)
    (folder / "tb_gateway.json").write_text(json.dumps(general), encoding="utf-8")
    (folder / "mqtt.json").write_text(
        json.dumps({"name": "bench", "broker": broker, "mapping": [mapping]}), encoding="utf-8"
    )
    logs = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"level": "WARNING", "handlers": ["console"]},
    }
    (folder / "logs.json").write_text(json.dumps(logs), encoding="utf-8")
    quiet = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "", "PIP_NO_INDEX": "1"}
    return Program(command, {"TB_GW_CONFIG_DIR": f"{folder}/", **quiet})


def nodered(folder: Path, source_port: int, centre_port: int, own_port: int) -> Program:
    """Node-RED with a flow of two nodes, mqtt in and mqtt out."""
    command = node_red()
    broker = {"type": "mqtt-broker", "broker": HOST, "keepalive": str(KEEP_ALIVE_S), "cleansession": False}
    flows = [
        {"id": "flow", "type": "tab", "label": "bench"},
        {"id": "source", **broker, "port": str(source_port), "clientid": "bench-in", "protocolVersion": "4"},
        {"id": "centre", **broker, "port": str(centre_port), "clientid": "bench-out", "protocolVersion": "4"},
        {
            "id": "in",
            "type": "mqtt in",
            "z": "flow",
            "topic": FEED_TOPIC,
            "qos": "1",
            "datatype": "buffer",
            "broker": "source",
            "inputs": 0,
            "wires": [["out"]],
        },
        {"id": "out", "type": "mqtt out", "z": "flow", "topic": "", "qos": "1", "broker": "centre", "wires": []},
    ]
    (folder / "flows.json").write_text(json.dumps(flows), encoding="utf-8")
    settings = {
        "flowFile": "flows.json",
        "uiHost": HOST,
        "uiPort": own_port,
        "httpAdminRoot": False,
        "mqttReconnectTime": 1_000,
        "telemetry": {"enabled": False, "updateNotification": False},
        "externalModules": {"palette": {"allowInstall": False}, "modules": {"allowInstall": False}},
    }
    (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)};\n", encoding="utf-8")
    return Program([*command, "--userDir", folder, "--settings", folder / "settings.js"])


PEERS: dict[str, Setup] = {each.__name__: each for each in (thingsboard, nodered, mosquitto_default, mosquitto_tuned)}
