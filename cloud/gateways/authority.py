"""Our own small certificate authority: one key in one folder, and what it signs. Signing takes under 1 ms."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from cloud.gateways.domain import GatewayIdentityError

KEY_FILE, CERTIFICATE_FILE = "ca.key", "ca.pem"
YEARS = 10
BACKDATED = timedelta(minutes=5)
"""How far before now a certificate begins: the clock of who checks it may be late."""
CRL_DAYS = 7
"""For how long the broker takes a revocation list; without a newer one it then refuses everybody."""


class AuthorityError(GatewayIdentityError):
    """The authority's files cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate just signed."""

    serial: str
    certificate_pem: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs for gateways, the broker and the cloud itself; the key leaves this object only into its file."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def open(cls, folder: Path, now_ms: int) -> "Authority":
        """The authority of a folder; at the first time it is made: P-256, self-signed, for ten years.

        Raises:
            AuthorityError: the files cannot be written or read, or do not belong together.
        """
        try:
            if not (folder / CERTIFICATE_FILE).exists():
                _make(folder, now_ms)
            key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
        except OSError as error:
            raise AuthorityError(f"{error.filename}: the authority's file cannot be used: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise AuthorityError(f"{folder}: the authority's files are damaged: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise AuthorityError(f"{folder}: {KEY_FILE} and {CERTIFICATE_FILE} do not belong together")
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> str:
        """The authority's certificate: the chain of all that it signs."""
        return pem_of(self.certificate)

    def issue_client(self, key: ec.EllipticCurvePublicKey, subject: str, *, now_ms: int, life_ms: int) -> Issued:
        """A certificate to connect with; nothing of the asker's but the public key goes in."""
        return self._issue(key, subject, now_ms, life_ms, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def issue_server(
        self, key: ec.EllipticCurvePublicKey, names: Sequence[str], *, now_ms: int, life_ms: int
    ) -> Issued:
        """A certificate for the broker, which answers to `names`: host names and addresses."""
        return self._issue(key, names[0][:64], now_ms, life_ms, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def crl(self, revoked: Iterable[tuple[str, int]], *, now_ms: int) -> str:
        """The revocation list of these (serial, revoked_ms); its number rises with time."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(_utc(now_ms) - BACKDATED)
            .next_update(_utc(now_ms) + timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(now_ms), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        for serial, revoked_ms in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(_utc(revoked_ms))
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority gave that certificate."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _issue(
        self,
        key: ec.EllipticCurvePublicKey,
        subject: str,
        now_ms: int,
        life_ms: int,
        usage: ObjectIdentifier,
        names: Sequence[str],
    ) -> Issued:
        ends = min(_utc(now_ms + life_ms), self.certificate.not_valid_after_utc)
        builder = (
            _builder(subject, self.certificate.subject, key, _utc(now_ms) - BACKDATED, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(n) for n in names]), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        expires_ms = int(signed.not_valid_after_utc.timestamp() * 1000)
        return Issued(serial_of(signed), pem_of(signed), expires_ms)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as our tables keep it."""
    return f"{certificate.serial_number:x}"


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as text, not encrypted: its file's mode is its guard."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def write_file(path: Path, text: str, *, mode: int) -> None:
    """Put a file in place as a whole: who reads it sees the old one or the new one, and never with another mode."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)  # open() subtracts the umask
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def _make(folder: Path, now_ms: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    subject, begins = "Zhisan gateway authority", _utc(now_ms) - BACKDATED
    ends = begins + timedelta(days=365 * YEARS)
    certificate = (
        _builder(subject, _common_name(subject), key.public_key(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_file(folder / KEY_FILE, key_pem_of(key), mode=0o600)
    write_file(folder / CERTIFICATE_FILE, pem_of(certificate), mode=0o644)  # the last one: with it, all is there


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _utc(utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms // 1000, UTC)
