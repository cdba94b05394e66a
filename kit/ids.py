"""Identifiers that sort by time: UUIDv7 (RFC 9562, section 5.7)."""

import secrets
from uuid import UUID


def uuid7(utc_ms: int, random_bits: int | None = None) -> UUID:
    """A UUIDv7 for `utc_ms`; `random_bits` (74 bits) makes it reproducible, else the system's randomness is used."""
    assert 0 <= utc_ms < 1 << 48
    bits = secrets.randbits(74) if random_bits is None else random_bits
    rand_a, rand_b = (bits >> 62) & 0xFFF, bits & ((1 << 62) - 1)
    return UUID(int=(utc_ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
