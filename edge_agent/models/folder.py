"""The gateway's bundles on disk, and the order that it follows: a restart goes on where it was. Blocking."""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.model_orders import BundleFile, Desired

FOLDER: Final = "models"
STATE_FILE: Final = "state.json"
STATE_BYTES_MAX: Final = 1024 * 1024
log = structlog.get_logger()


class State(BaseModel):
    """What outlives a restart; `running` is what scored each press when the order came, `""` all others."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order: Desired | None = None
    running: dict[str, str] = Field(default_factory=dict)
    taken_back: dict[str, tuple[str, str]] = Field(default_factory=dict)
    relearnt: dict[str, int] = Field(default_factory=dict)
    """By press, the repair after which its baselines began anew."""


class BundleFolder:
    """The folder `models` in the gateway's state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FOLDER

    def state(self) -> State:
        """What was saved; an empty one when there is nothing, or nothing that can be read: the cloud orders again."""
        path = self.path / STATE_FILE
        try:
            if not path.exists() or path.stat().st_size > STATE_BYTES_MAX:
                return State()
            return State.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            log.warning("model_state_unreadable", path=str(path), error=str(error))
            return State()

    def save(self, state: State) -> None:
        """Keep it, durably and as a whole; tokens are not kept.

        Raises:
            OSError: the disk does not take it.
        """
        raw = json.loads(state.model_dump_json(exclude_defaults=True))
        for file in (raw.get("order") or {}).get("files", ()):
            file.pop("token", None)
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / f".{STATE_FILE}.new"
        with draft.open("w", encoding="utf-8") as out:
            json.dump(raw, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.path / STATE_FILE)

    def file_of(self, bundle_id: str) -> Path:
        """Where a bundle lies once it is here."""
        return self.path / f"{bundle_id}.zip"

    def part_of(self, bundle_id: str) -> Path:
        """Where it grows while it is fetched."""
        return self.path / f"{bundle_id}.part"

    def has(self, file: BundleFile) -> bool:
        """Whether the bundle is here, byte for byte."""
        path = self.file_of(file.bundle_id)
        try:
            return path.stat().st_size == file.size_bytes and sha256(path.read_bytes()).hexdigest() == file.sha256
        except OSError:
            return False

    def keep_only(self, bundle_ids: Iterable[str]) -> None:
        """Delete what no press needs any more."""
        wanted = {f"{bundle_id}{suffix}" for bundle_id in bundle_ids for suffix in (".zip", ".part")}
        for path in self.path.glob("*"):
            if path.suffix in (".zip", ".part") and path.name not in wanted:
                path.unlink(missing_ok=True)
