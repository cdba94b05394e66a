"""Short-lived permissions to fetch one bundle, for one gateway; nothing of them is stored. Pure."""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

LIFE_MS: Final = 15 * 60_000
TOKEN_CHARACTERS_MAX: Final = 500
SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may fetch what, until when."""

    plant_id: str
    gateway_id: str
    bundle_id: str
    expires_ms: int


def token_of(secret: bytes, permission: Permission) -> str:
    """The permission as a token that only who has the secret can make."""
    parts = [permission.plant_id, permission.gateway_id, permission.bundle_id, permission.expires_ms]
    payload = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    return f"{payload}.{_seal(secret, payload)}"


def permission_of(secret: bytes, token: str, now_ms: int) -> Permission | None:
    """The permission in a token; None when it is none of ours, or has ended."""
    payload, _, seal = token[:TOKEN_CHARACTERS_MAX].partition(".")
    if not hmac.compare_digest(seal.encode(), _seal(secret, payload).encode()):
        return None
    try:
        plant_id, gateway_id, bundle_id, expires_ms = json.loads(base64.urlsafe_b64decode(payload))
    except (ValueError, TypeError, binascii.Error):
        return None
    return Permission(plant_id, gateway_id, bundle_id, expires_ms) if now_ms < expires_ms else None


def _seal(secret: bytes, payload: str) -> str:
    return hmac.new(secret, payload.encode(), sha256).hexdigest()
