"""Reads what strangers send: certificate requests and certificates; garbage is one error and nothing else. Pure."""

from typing import TypeGuard

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.gateways.domain import PEM_CHARACTERS_MAX, RequestPemError

PARSE_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion)


def public_key_of_request(csr_pem: str) -> ec.EllipticCurvePublicKey:
    """The P-256 key of a request that is signed by that key; its subject and extensions are not looked at.

    Raises:
        RequestPemError: it is no such request.
    """
    if len(csr_pem) > PEM_CHARACTERS_MAX:
        raise RequestPemError("csr", f"is longer than {PEM_CHARACTERS_MAX} characters")
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        key = csr.public_key()
        is_signed = csr.is_signature_valid
    except PARSE_ERRORS as error:
        raise RequestPemError("csr", "is not a PEM certificate request") from error
    if not _is_p256(key):
        raise RequestPemError("csr", "must be for a P-256 key")
    if not is_signed:
        raise RequestPemError("csr", "is not signed by its own key")
    return key


def certificate_of(certificate_pem: str) -> x509.Certificate:
    """One certificate of a P-256 key.

    Raises:
        RequestPemError: it is no such certificate.
    """
    if len(certificate_pem) > PEM_CHARACTERS_MAX:
        raise RequestPemError("certificate", f"is longer than {PEM_CHARACTERS_MAX} characters")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = certificate.public_key()
    except PARSE_ERRORS as error:
        raise RequestPemError("certificate", "is not a PEM certificate") from error
    if not _is_p256(key):
        raise RequestPemError("certificate", "must be of a P-256 key")
    return certificate


def is_signed_by(certificate: x509.Certificate, signature: bytes, statement: bytes) -> bool:
    """Whether the holder of the certificate's key has signed the statement."""
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(signature, statement, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_p256(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
