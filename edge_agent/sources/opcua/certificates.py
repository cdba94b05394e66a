"""The gateway's own OPC UA certificate: what it says, and whether it may still be used."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from edge_agent.sources.source import SourceError

WARN_BEFORE = timedelta(days=30)


class CertificateError(SourceError):
    """A certificate file that cannot be used; the message names the file and the reason."""


def read_certificate(path: Path) -> x509.Certificate:
    """Read a DER or PEM certificate.

    Raises:
        CertificateError: the file is missing or is no certificate.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CertificateError(f"certificate {path} cannot be read: {error.strerror}") from error
    try:
        if content.startswith(b"-----"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError as error:
        raise CertificateError(f"certificate {path} is neither DER nor PEM: {error}") from error


def application_uri(path: Path) -> str:
    """The application URI in the subject alternative name, which the server compares with the session's.

    Raises:
        CertificateError: as `read_certificate`, or the certificate has no URI.
    """
    certificate = read_certificate(path)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0]
    except (x509.ExtensionNotFound, IndexError) as error:
        raise CertificateError(f"certificate {path} has no application URI in its subject alternative name") from error


def validity_problem(path: Path, now: datetime) -> str | None:
    """What is wrong with the certificate's time at `now`: expired, not yet valid, soon to expire; None when nothing is.

    Raises:
        CertificateError: as `read_certificate`.
    """
    certificate = read_certificate(path)
    if now >= certificate.not_valid_after_utc:
        return f"certificate {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return (
            f"certificate {path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}: is the clock right?"
        )
    if now >= certificate.not_valid_after_utc - WARN_BEFORE:
        return f"certificate {path} expires on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return None
