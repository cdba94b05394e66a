"""Keeps the addresses and secrets of endpoints encrypted in the database; the key is a file beside it.

A copy of the database alone gives nothing away. Without the key the endpoints must be told their secrets anew.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from kit.errors import ZhisanError

KEY_FILE: Final = "webhooks.key"


class SealError(ZhisanError):
    """What is sealed was sealed with another key."""

    def __init__(self) -> None:
        super().__init__(f"the endpoint's secrets were sealed with another key than {KEY_FILE}: set them anew")


@dataclass(frozen=True, slots=True)
class Private:
    """What is sealed of an endpoint."""

    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    old_secret: str = field(default="", repr=False)


class Sealer:
    """Seals and opens with one key (Fernet: AES-128-CBC with HMAC-SHA-256)."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    def seal(self, private: Private) -> str:
        """As text for the database; twice the same gives two texts."""
        return self._fernet.encrypt(json.dumps(asdict(private)).encode()).decode()

    def open(self, sealed: str) -> Private:
        """What was sealed.

        Raises:
            SealError: it was sealed with another key.
        """
        try:
            return Private(**json.loads(self._fernet.decrypt(sealed.encode())))
        except InvalidToken as error:
            raise SealError from error


def sealer_in(folder: Path) -> Sealer:
    """The sealer of this installation; its key is made at the first call, readable by its owner only. Blocking."""
    path = folder / KEY_FILE
    if not path.exists():
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    return Sealer(path.read_bytes().strip())
