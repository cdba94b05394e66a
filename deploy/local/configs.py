"""The settings files that the launcher writes; they lie in the demo's folder, to be read and copied."""

import json
from collections.abc import Sequence
from pathlib import Path

PLANT_ID = "demo"
GATEWAY_ID = "gw-1"
WEBHOOK_SECRET_VARIABLE = "ZHISAN_DEMO_WEBHOOK_SECRET"  # noqa: S105 - the variable's name


def gateway(
    folder: Path,
    mqtt_port: int,
    presses: Sequence[tuple[str, str]],
    bundle: Path | None,
    *,
    trusted_keys: Path | None = None,
    cloud_url: str = "",
) -> Path:
    """The gateway's settings: every press of the plant, by (press id, url)."""
    sources = "".join(
        f"\n[[sources.opcua]]\npress = {json.dumps(press_id)}\nurl = {json.dumps(url)}\n" for press_id, url in presses
    )
    models = f"\n[models]\ncloud_url = {json.dumps(cloud_url)}\n"
    models += f"bundle = {json.dumps(str(bundle))}\n" if bundle else ""
    models += f"trusted_keys = {json.dumps(str(trusted_keys))}\n" if trusted_keys else ""
    text = f"""\
[gateway]
plant = "{PLANT_ID}"
id = "{GATEWAY_ID}"
state_dir = {json.dumps(str(folder / "gateway"))}

[broker]
host = "127.0.0.1"
port = {mqtt_port}
{models}{sources}"""
    return _written(folder / "gateway.toml", text)


def cloud(
    folder: Path,
    host: str,
    port: int,
    mqtt_port: int,
    receiver_url: str | None = None,
    *,
    trusted_keys: Path | None = None,
) -> Path:
    """The cloud's settings; with a receiver, one webhook endpoint on loopback whose secret comes by environment."""
    endpoint = f"""
[webhooks]
first_retry_s = 1.0

[[webhooks.endpoints]]
name = "demo-receiver"
url = {json.dumps(receiver_url)}
secret_variable = "{WEBHOOK_SECRET_VARIABLE}"
allow_private_addresses = true
"""
    text = f"""\
[storage]
dir = {json.dumps(str(folder / "cloud"))}

[web]
host = {json.dumps(host)}
port = {port}

[broker]
host = "127.0.0.1"
port = {mqtt_port}
"""
    models = f"\n[models]\ntrusted_keys = {json.dumps(str(trusted_keys))}\n" if trusted_keys else ""
    return _written(folder / "cloud.toml", text + models + (endpoint if receiver_url else ""))


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
