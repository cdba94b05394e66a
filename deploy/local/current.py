"""Where the running demo lies, written by the launcher for the commands beside it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "current.json"


@dataclass(frozen=True, slots=True)
class Current:
    """What `zhisan replay` needs to find the demo's gateway and cloud."""

    web_url: str
    plant_id: str
    gateway_state_dir: str
    api_key: str
    """Of the launcher: it reads, for a day."""


def home() -> Path:
    """The demo's folder: `ZHISAN_HOME`, or `.zhisan` where the command is run."""
    return Path(os.environ.get("ZHISAN_HOME", ".zhisan")).resolve()


def write_current(current: Current) -> None:
    """Leave word."""
    home().mkdir(parents=True, exist_ok=True)
    path = home() / FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(current)), encoding="utf-8")


def read_current() -> Current | None:
    """The word that the last launcher left, if there is one."""
    path = home() / FILE
    return Current(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def remove_current() -> None:
    """The demo has stopped."""
    (home() / FILE).unlink(missing_ok=True)
