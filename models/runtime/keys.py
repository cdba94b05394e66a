"""Keys that sign bundles, and the list of those that a gateway or a cloud trusts."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kit.errors import ZhisanError

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

REVOKED_FILE: Final = "revoked.txt"
PUBLIC_SUFFIX: Final = ".pub"
KEYS_MAX: Final = 100
KEY_FILE_BYTES_MAX: Final = 16 * 1024


class KeyFileError(ZhisanError):
    """A key file, or the folder of trusted ones, that cannot be used; the message says why."""


def key_id_of(key: PublicKey) -> str:
    """SHA-256 of the public key in PEM: the `hint` of OpenSSF Model Signing."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def public_pem(key: PublicKey) -> bytes:
    """The public key as its file holds it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class TrustList:
    """Public keys by id; a key in `revoked` is refused whether or not it is among them."""

    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()

    def good(self) -> dict[str, PublicKey]:
        """The keys that may sign."""
        return {key_id: key for key_id, key in self.keys.items() if key_id not in self.revoked}

    def without(self, revoked: Iterable[str]) -> "TrustList":
        """The same list with further keys revoked."""
        return TrustList(self.keys, self.revoked | frozenset(revoked))


def trust_list(folder: Path) -> TrustList:
    """The keys `*.pub` of a folder, less those whose ids stand in its `revoked.txt` (first word of each line).

    Raises:
        KeyFileError: the folder or one of its files cannot be read or is no P-256 key: no key is left out silently.
    """
    try:
        paths = sorted(folder.glob(f"*{PUBLIC_SUFFIX}"))
        listed = folder / REVOKED_FILE
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        is_folder = folder.is_dir()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{folder}: the trusted keys cannot be read: {error}") from error
    if not is_folder:
        raise KeyFileError(f"{folder} is no folder of trusted keys")
    if len(paths) > KEYS_MAX:
        raise KeyFileError(f"{folder} holds {len(paths)} keys, at most {KEYS_MAX}")
    keys = [load_public(path) for path in paths]
    revoked = frozenset(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))
    return TrustList({key_id_of(key): key for key in keys}, revoked)


def load_public(path: Path) -> PublicKey:
    """A P-256 public key in PEM.

    Raises:
        KeyFileError: the file is none.
    """
    try:
        key = serialization.load_pem_public_key(_content(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} is no public key in PEM") from error
    if not isinstance(key, PublicKey) or key.curve.name != ec.SECP256R1.name:
        raise KeyFileError(f"{path} is no P-256 key")
    return key


def load_private(path: Path) -> PrivateKey:
    """A P-256 private key in PEM.

    Raises:
        KeyFileError: the file is none.
    """
    try:
        key = serialization.load_pem_private_key(_content(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} is no unencrypted private key in PEM") from error
    if not isinstance(key, PrivateKey) or key.curve.name != ec.SECP256R1.name:
        raise KeyFileError(f"{path} is no P-256 key")
    return key


def make_key_pair(path: Path) -> tuple[Path, str]:
    """A new key in `path`, for its owner's eyes alone, and beside it the public one; the latter's path, and the id.

    Raises:
        KeyFileError: a file is already there (a key is never overwritten) or cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public_path = path.with_suffix(PUBLIC_SUFFIX)
    if path == public_path:
        raise KeyFileError(f"{path}: the private key cannot end in {PUBLIC_SUFFIX}")
    if public_path.exists():
        raise KeyFileError(f"{public_path} exists: a key is never overwritten")
    _write_new(path, key.private_bytes(*form), 0o600)
    _write_new(public_path, public_pem(key.public_key()), 0o644)
    return public_path, key_id_of(key.public_key())


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > KEY_FILE_BYTES_MAX:
        raise KeyFileError(f"{path} is too long for a key")
    return content


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists: a key is never overwritten") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from error
