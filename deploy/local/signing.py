"""The demo's own signing key: its gateway and its cloud trust this key and no other."""

from pathlib import Path

from models.runtime.bundle import sign_bundle
from models.runtime.keys import load_private, make_key_pair

KEY_FILE = "demo.pem"


def trusted_folder(folder: Path) -> Path:
    """The folder of trusted keys, with the demo's public key; the key is made when there is none yet."""
    keys, trusted = folder / "keys", folder / "trusted_keys"
    private = keys / KEY_FILE
    if not private.exists():
        public, _ = make_key_pair(private)
        trusted.mkdir(parents=True, exist_ok=True)
        (trusted / public.name).write_bytes(public.read_bytes())
    return trusted


def signed_bundle(folder: Path, bundle: Path) -> Path:
    """A copy of the bundle, signed with the demo's key."""
    trusted_folder(folder)
    signed = folder / "bundle.zip"
    sign_bundle(bundle, signed, load_private(folder / "keys" / KEY_FILE))
    return signed
