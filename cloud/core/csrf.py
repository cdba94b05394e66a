"""The token by which a form proves that it is ours: a session's secret under a pad that is new in each answer.

A secret that stands unchanged in pages that are compressed together with what a caller may choose can be read off
their lengths, character by character (BREACH). Under a one-time pad no two answers have a character of it in common.
"""

import base64
import binascii
import hmac
import secrets


def masked(secret: str) -> str:
    """A token of this secret; each call gives another one."""
    plain = secret.encode()
    pad = secrets.token_bytes(len(plain))
    return base64.urlsafe_b64encode(pad + _xor(pad, plain)).decode()


def is_token_of(token: str, secret: str) -> bool:
    """Whether `masked` may have made `token` of this secret; an empty secret has no tokens."""
    try:
        both = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    middle = len(both) // 2
    pad, rest = both[:middle], both[middle:]
    if not secret or len(pad) != len(rest):
        return False
    return hmac.compare_digest(_xor(pad, rest), secret.encode())


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
