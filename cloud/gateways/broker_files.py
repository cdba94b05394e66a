"""What the broker reads from us: its own certificate, the authority, the revocation list, the access list. Blocking."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.gateways.authority import Authority, key_pem_of, write_file
from cloud.gateways.domain import DAY_MS, access_list
from contract.gateway_identity import host_subject_of

CA_FILE, CRL_FILE, ACCESS_FILE = "ca.pem", "crl.pem", "access"
SERVER_FILE, SERVER_KEY_FILE = "server.pem", "server.key"
HOST_FILE, HOST_KEY_FILE = "host.pem", "host.key"
OWN_LIFE_MS = 365 * DAY_MS
"""Life of the broker's and the cloud's own certificates; `prepare` makes new ones at a third of it."""


@dataclass(frozen=True, slots=True)
class BrokerFolders:
    """Where the files go: `broker` is for the broker to read, `host` for the cloud alone."""

    broker: Path
    host: Path


def prepare(
    folders: BrokerFolders, authority: Authority, *, host_id: str, broker_names: Sequence[str], now_ms: int
) -> bool:
    """Make the broker's and the cloud's own certificates where they are missing, old or for other names.

    True when one is new: the broker is to be told.
    """
    for folder, mode in ((folders.broker, 0o750), (folders.host, 0o700)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    changed = _put(folders.broker / CA_FILE, authority.certificate_pem)
    if _is_due(folders.broker / SERVER_FILE, authority, sorted(broker_names), now_ms):
        key = ec.generate_private_key(ec.SECP256R1())
        server = authority.issue_server(key.public_key(), broker_names, now_ms=now_ms, life_ms=OWN_LIFE_MS)
        write_file(folders.broker / SERVER_KEY_FILE, key_pem_of(key), mode=0o640)
        write_file(folders.broker / SERVER_FILE, server.certificate_pem, mode=0o640)
        changed = True
    _put(folders.host / CA_FILE, authority.certificate_pem)
    if _is_due(folders.host / HOST_FILE, authority, [], now_ms):
        key = ec.generate_private_key(ec.SECP256R1())
        host = authority.issue_client(key.public_key(), host_subject_of(host_id), now_ms=now_ms, life_ms=OWN_LIFE_MS)
        write_file(folders.host / HOST_KEY_FILE, key_pem_of(key), mode=0o600)
        write_file(folders.host / HOST_FILE, host.certificate_pem, mode=0o600)
    return changed


def write_lists(
    folder: Path,
    authority: Authority,
    *,
    host_id: str,
    standing: Sequence[tuple[str, str, bool]],
    revoked: Sequence[tuple[str, int]],
    now_ms: int,
) -> None:
    """Write the access list of all gateways in good standing, and a fresh revocation list."""
    good = [(plant, gateway) for plant, gateway, is_revoked in standing if not is_revoked]
    write_file(folder / CRL_FILE, authority.crl(revoked, now_ms=now_ms), mode=0o640)
    write_file(folder / ACCESS_FILE, access_list(host_id, good), mode=0o640)


def _put(path: Path, text: str) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_file(path, text, mode=0o644)
    return True


def _is_due(path: Path, authority: Authority, names: Sequence[str], now_ms: int) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return True
    left_ms = certificate.not_valid_after_utc.timestamp() * 1000 - now_ms
    return left_ms < OWN_LIFE_MS / 3 or not authority.has_signed(certificate) or _names_of(certificate) != list(names)


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(str(name.value) for name in names)
