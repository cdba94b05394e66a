"""The gateway's identity on disk: key and certificate in one file, so that both change in one rename. Blocking."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kit.errors import ZhisanError

FOLDER = "identity"
GATEWAY_FILE, CA_FILE, ABOUT_FILE = "gateway.pem", "ca.pem", "identity.json"


class IdentityError(ZhisanError):
    """The gateway's identity cannot be read, made or renewed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class About:
    """What the cloud told with the certificate, and where that cloud is."""

    cloud_url: str
    plant: str
    gateway: str
    broker_host: str
    broker_port: int
    host_id: str
    cloud_ca_file: str = ""
    """Authority of the cloud's web certificate, when it is not a public one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A gateway's key with its certificate."""

    about: About
    certificate_pem: str
    ca_pem: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def lifetime_ms(self) -> tuple[int, int]:
        """From when until when the certificate is good, in UTC milliseconds."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


class IdentityFiles:
    """The folder `identity` in the gateway's state folder; nobody else may look into it."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER

    @property
    def gateway_file(self) -> Path:
        """Key and certificate: `broker.certificate_file`, without a `broker.private_key_file`."""
        return self.folder / GATEWAY_FILE

    @property
    def ca_file(self) -> Path:
        """What the broker's certificate must come from: `broker.ca_file`."""
        return self.folder / CA_FILE

    def exist(self) -> bool:
        """Whether this gateway was claimed."""
        return (self.folder / ABOUT_FILE).exists()

    def read(self) -> Identity:
        """The identity.

        Raises:
            IdentityError: a file is missing or damaged.
        """
        try:
            about = About(**json.loads((self.folder / ABOUT_FILE).read_text(encoding="utf-8")))
            both = self.gateway_file.read_bytes()
            ca_pem = self.ca_file.read_text(encoding="utf-8")
            key = serialization.load_pem_private_key(both, None)
            certificate = x509.load_pem_x509_certificate(both)
        except OSError as error:
            raise IdentityError(
                f"{error.filename} cannot be read: {error.strerror}. Claim the gateway again."
            ) from error
        except (ValueError, TypeError) as error:
            raise IdentityError(f"{self.folder} is damaged: {error}. Claim the gateway again.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise IdentityError(f"{self.gateway_file}: key and certificate do not belong together. Claim it again.")
        return Identity(about, certificate.public_bytes(serialization.Encoding.PEM).decode(), ca_pem, key)

    def write(self, identity: Identity) -> None:
        """Put a new identity in place; until the last rename of a first claim, the gateway counts as not claimed.

        Raises:
            IdentityError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            key_pem = identity.key.private_bytes(*form).decode()
            self._put(CA_FILE, identity.ca_pem)
            self._put(GATEWAY_FILE, key_pem + identity.certificate_pem)
            self._put(ABOUT_FILE, json.dumps(asdict(identity.about), ensure_ascii=False, indent=2) + "\n")
        except OSError as error:
            raise IdentityError(f"{error.filename} cannot be written: {error.strerror}") from error

    def _put(self, name: str, text: str) -> None:
        """Replace a file as a whole, durably; readable by its owner alone."""
        temporary = self.folder / f".{name}.new"
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(self.folder / name)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
