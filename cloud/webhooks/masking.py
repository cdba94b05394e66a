"""Stars in place of secrets, in whatever is kept or shown of a call. Pure."""

import base64
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cloud.webhooks.domain import Target
from cloud.webhooks.templates.services import SERVICES

STARS: Final = "***"
SECRET_CHARACTERS_MIN: Final = 6
"""Shorter pieces of an address are words such as `send`, and no secrets."""
SIGNATURE_HEADERS: Final = frozenset({"webhook-signature", "authorization"})
SIGNATURE_CHARACTERS_SHOWN: Final = 9


def shown_url(url: str, *, is_secret: bool) -> str:
    """An address for people's eyes: without its query, and of one that is a secret only the host."""
    parts = urlsplit(url)
    path = ("/" + STARS if parts.path.strip("/") else "") if is_secret else parts.path
    query = f"?{STARS}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def secrets_of(target: Target) -> tuple[str, ...]:
    """All that must not be seen of a target: its secrets in every spelling, and the secret parts of its address."""
    found: list[str] = []
    for secret in target.secrets:
        raw = secret.removeprefix("whsec_")
        found += [secret, raw, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()]
    parts = urlsplit(target.url)
    found += [value for _, value in parse_qsl(parts.query)]
    if SERVICES[target.template].is_url_secret:
        found += [piece for piece in parts.path.split("/") if any(map(str.isdigit, piece)) or len(piece) >= 20]
    spellings = {spelling for piece in found for spelling in (piece, unquote(piece), quote(piece, safe=""))}
    return tuple(sorted((s for s in spellings if len(s) >= SECRET_CHARACTERS_MIN), key=len, reverse=True))


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with stars where a secret stands."""
    for secret in secrets:
        text = text.replace(secret, STARS)
    return text


def masked_headers(headers: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Headers with stars; of a signature only its beginning is kept, enough to compare."""
    known = tuple(secrets)
    found = {}
    for name, value in headers.items():
        if name.lower() in SIGNATURE_HEADERS:
            value = " ".join(part[:SIGNATURE_CHARACTERS_SHOWN] + STARS for part in value.split(" "))
        found[name] = masked(value, known)
    return found
