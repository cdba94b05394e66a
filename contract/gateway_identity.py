"""What a gateway and the cloud must agree on about certificates: the subject, and the bytes that a renewal signs."""

import hashlib
from typing import Final

SUBJECT_BYTES_MAX: Final = 64
"""Upper bound of a common name (X.520, ub-common-name), here in bytes of UTF-8."""
RENEWAL_TAG: Final = b"zhisan gateway renewal 1"
"""Begins what is signed, so that this signature can stand for nothing else."""


def subject_of(plant_id: str, gateway_id: str) -> str:
    """The common name of a gateway's certificate, which the broker takes as its user name; no id holds a `/`."""
    return f"{plant_id}/{gateway_id}"


def host_subject_of(host_id: str) -> str:
    """The common name of the cloud's own certificate; it holds no `/`, so it is no gateway's."""
    return f"host:{host_id}"


def renewal_statement(certificate_pem: str, csr_pem: str, signed_at_ms: int, nonce: str) -> bytes:
    """What the old key signs (ECDSA with SHA-256) to ask for a new certificate; each part goes in as its SHA-256."""
    parts = (certificate_pem, csr_pem, str(signed_at_ms), nonce)
    return RENEWAL_TAG + b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
