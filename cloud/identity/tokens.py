"""Secrets that we make and know again by their hash; none is ever stored or logged itself."""

import hashlib
import hmac
import re
import secrets
from typing import Final

TOKEN_BYTES: Final = 32
"""256 bits of chance: a plain sha256 is enough to keep it by, there is nothing to guess."""
KEY_PATTERN: Final = re.compile(r"zsk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


def new_token() -> str:
    """A secret of 256 bits, fit for a URL and a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_secret_of(token: str) -> str:
    """What a session's forms prove themselves by: whoever has it cannot find the session's own secret by it."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def api_key(key_id: str, secret: str) -> str:
    """The key as its program keeps it; scanners know it by its prefix."""
    return f"zsk_{key_id}_{secret}"


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key; None when it is none."""
    found = KEY_PATTERN.fullmatch(text)
    return (found.group(1), found.group(2)) if found else None


def is_same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())
