"""How do a press and its clients prove who they are? Self-signed certificates with the application URI in the SAN."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_BITS: Final = 2048
"""Basic256Sha256 asks for 2048 to 4096."""
BACKDATED: Final = timedelta(hours=1)
"""Clocks of press and client may differ a little."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate (DER) and its private key (PEM) lie."""

    certificate: Path
    private_key: Path


def press_uri(press_id: str) -> str:
    """The application URI of a simulated press."""
    return f"urn:zhisan:press:{press_id}"


def make_certificate(
    folder: Path, name: str, application_uri: str, now: datetime, *, host: str = "127.0.0.1", days: int = 365
) -> Certificate:
    """Make `<name>.der` and `<name>.pem` in a folder, self-signed, valid from an hour before `now` for `days`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = now.astimezone(UTC) - BACKDATED
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(_names(application_uri, host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / f"{name}.der", folder / f"{name}.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    made.private_key.touch(mode=0o600)
    made.private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def _names(application_uri: str, host: str) -> list[x509.GeneralName]:
    try:
        address: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        address = x509.DNSName(host)
    return [x509.UniformResourceIdentifier(application_uri), address]


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
