"""Bundle files in the cloud's storage folder, by their SHA-256; and the secret of the download tokens. Blocking."""

import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from cloud.rollouts.domain import BundleRefusedError
from cloud.rollouts.tokens import SECRET_BYTES
from models.runtime.bundle import Bundle, BundleError, read_bundle
from models.runtime.keys import KeyFileError, TrustList, trust_list

FOLDER: Final = "bundles"
SECRET_FILE: Final = "download.key"  # noqa: S105 - a file's name


class BundleFiles:
    """The folder `bundles`; a file is written once and never changed."""

    def __init__(self, storage_dir: Path, *, require_signature: bool, trusted_keys: Path | None) -> None:
        self._folder = storage_dir / FOLDER
        self._require_signature = require_signature
        self._trusted_keys = trusted_keys

    def secret(self) -> bytes:
        """What download tokens are sealed with; made when there is none."""
        path = self._folder / SECRET_FILE
        self._folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
        return path.read_bytes()

    def path_of(self, digest: str) -> Path:
        """Where the file with this SHA-256 lies."""
        return self._folder / f"{digest}.zip"

    def take(self, content: bytes) -> tuple[Bundle, str]:
        """Check an upload as a gateway would, but for what depends on its version and machine; keep it; its SHA-256.

        Raises:
            BundleRefusedError: it may not run.
        """
        digest = sha256(content).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{digest}.{secrets.token_hex(4)}.new"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            bundle = read_bundle(draft, features_hash=None, trust=self._trust())
            draft.replace(self.path_of(digest))
        except BundleError as error:
            raise BundleRefusedError(f"The bundle {error.reason}.") from error
        except KeyFileError as error:
            raise BundleRefusedError(f"No bundle can be judged: {error}.") from error
        finally:
            draft.unlink(missing_ok=True)
        if any(head.kind == "table" for head in bundle.manifest.heads):
            self.path_of(digest).unlink()
            raise BundleRefusedError("The bundle is of a customer's own columns; no gateway can fill them.")
        return bundle, digest

    def revoked_keys(self) -> tuple[str, ...]:
        """Ids of the keys that gateways are told not to trust any more."""
        trust = self._trust()
        return tuple(sorted(trust.revoked)) if trust is not None else ()

    def _trust(self) -> TrustList | None:
        if not self._require_signature:
            return None
        if self._trusted_keys is None:
            return TrustList()
        return trust_list(self._trusted_keys)
