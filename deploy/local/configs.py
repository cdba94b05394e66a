"""The settings files that the launcher writes; they lie in the demo's folder, to be read and copied."""

import json
from collections.abc import Sequence
from pathlib import Path

PLANT_ID = "demo"
GATEWAY_ID = "gw-1"
WEBHOOK_SECRET_VARIABLE = "ZHISAN_DEMO_WEBHOOK_SECRET"  # noqa: S105 - the variable's name


def gateway(folder: Path, mqtt_port: int, presses: Sequence[tuple[str, str]], bundle: Path) -> Path:
    """The gateway's settings: every press of the plant, by (press id, url)."""
    sources = "".join(
        f"\n[[sources.opcua]]\npress = {json.dumps(press_id)}\nurl = {json.dumps(url)}\n" for press_id, url in presses
    )
    text = f"""\
[gateway]
plant = "{PLANT_ID}"
id = "{GATEWAY_ID}"
state_dir = {json.dumps(str(folder / "gateway"))}

[broker]
host = "127.0.0.1"
port = {mqtt_port}

[models]
bundle = {json.dumps(str(bundle))}
{sources}"""
    return _written(folder / "gateway.toml", text)


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
