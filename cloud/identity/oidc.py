"""Sign-in by another provider: what is asked of it, and when its answer is believed. Pure (OpenID Connect Core 1.0)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from cloud.core.access import Role
from cloud.identity.domain import LOGIN_CHARACTERS_MAX
from kit.errors import ZhisanError

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures of a key that only the provider has: never `none`, never a shared secret (RFC 8725, 3.1 and 3.2)."""
SKEW_S: Final = 60
TOKEN_CHARACTERS_MAX: Final = 16_384
KEYS_MAX: Final = 50
RSA_BITS_MIN: Final = 2_048
SUBJECT_CHARACTERS_MAX: Final = 255
EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|[^\s@]+@localhost")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Reason = Literal[
    "address",
    "answer",
    "attempt",
    "denied",
    "disabled",
    "domain",
    "down",
    "no_account",
    "not_set_up",
    "token",
    "too_many",
    "unknown",
    "unverified",
]


class SignOnError(ZhisanError):
    """A sign-in by a provider that is refused; the page says `reason` in words, only the log tells `detail`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"sign-in by a provider refused ({reason}): {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom we believe, and in what; the issuer comes from the settings and from nowhere else."""

    name: str
    labels: Mapping[str, str]
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    allowed_domains: frozenset[str]
    tenant_id: str
    role: Role
    creates_users: bool


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3), as far as we use it."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    takes_secret_in_body: bool
    names_itself: bool
    """Whether it promises `iss` in every answer (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What ties an answer to one browser and one question; all of it comes from a secret that only its cookie holds."""

    state: str
    nonce: str
    verifier: str


def attempt_of(secret: str) -> Attempt:
    """The parts of an attempt, so that the database keeps no secret of it."""
    return Attempt(*(_derived(secret, part) for part in ("state", "nonce", "verifier")))


def authorization_url(provider: Provider, metadata: Metadata, attempt: Attempt, redirect_uri: str) -> str:
    """Where the browser is sent: authorization code with PKCE S256 (RFC 7636), state and nonce."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": _base64url(hashlib.sha256(attempt.verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"


def metadata_of(document: Mapping[str, Any], issuer: str) -> Metadata:
    """The metadata in a discovery document.

    Raises:
        SignOnError: `answer`; it is another issuer's, lacks an address, or names one that is not safe to call.
    """
    if document.get("issuer") != issuer:
        raise SignOnError("answer", f"discovery names the issuer {document.get('issuer')!r}, not {issuer!r}")
    addresses = {
        name: _address(document, name, issuer, is_needed=name != "userinfo_endpoint")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    }
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    is_body = isinstance(methods, list) and "client_secret_basic" not in methods
    names_itself = document.get("authorization_response_iss_parameter_supported") is True
    return Metadata(**addresses, takes_secret_in_body=is_body, names_itself=names_itself)


def code_of(answer: Mapping[str, str], attempt: Attempt, provider: Provider, metadata: Metadata) -> str:
    """The code in what the browser brings back.

    Raises:
        SignOnError: `attempt`, `denied` or `answer`.
    """
    check_state(answer, attempt)
    told = answer.get("iss")
    if told != provider.issuer and (told is not None or metadata.names_itself):
        raise SignOnError("answer", f"the answer comes from {told!r}, not {provider.issuer!r} (RFC 9207)")
    if "error" in answer:
        raise SignOnError("denied", f"the provider answered {answer['error'][:100]!r}")
    if not answer.get("code"):
        raise SignOnError("answer", "the answer has no code")
    return answer["code"]


def check_state(answer: Mapping[str, str], attempt: Attempt) -> None:
    """Whether the answer is to this browser's question.

    Raises:
        SignOnError: `attempt`; it is not.
    """
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        raise SignOnError("attempt", "the state is not that of this browser")


def keys_of(document: Mapping[str, Any]) -> dict[str, jwk.Key]:
    """The public signing keys in a JWK set by id; what cannot be one is passed over (RFC 7517, section 5)."""
    listed = document.get("keys")
    found = {}
    for item in listed[:KEYS_MAX] if isinstance(listed, list) else ():
        key = _key(item)
        if key is not None:
            found[key.kid or ""] = key
    return found


def key_id(token: str) -> str | None:
    """The id of the key that a token says it is signed with; None where it says none.

    Raises:
        SignOnError: `token`; it is no token.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise SignOnError("token", f"the ID token has {len(token)} characters: at most {TOKEN_CHARACTERS_MAX}")
    try:
        found = jws.extract_compact(token.encode()).protected.get("kid")
    except (JoseError, ValueError, AttributeError, RecursionError) as error:
        raise SignOnError("token", f"the ID token has no readable header: {type(error).__name__}") from error
    return found if isinstance(found, str) else None


def claims_of(token: str, key: jwk.Key, provider: Provider, attempt: Attempt, now_s: int) -> dict[str, Any]:
    """The claims of an ID token, all of OpenID Connect Core 3.1.3.7 checked.

    Raises:
        SignOnError: `token`; signature, algorithm, issuer, audience, time, nonce or subject are not as they must be.
    """
    rules = jwt.JWTClaimsRegistry(
        now=now_s,
        leeway=SKEW_S,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": attempt.nonce},
    )
    try:
        claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        rules.validate(claims)
    except (JoseError, ValueError, RecursionError) as error:
        raise SignOnError("token", f"{type(error).__name__}: {error}") from error
    audience = claims["aud"]
    party = claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (None, provider.client_id):
        raise SignOnError("token", f"issued to {party!r}, among {len(audience)} audiences")
    if not 0 < len(claims["sub"]) <= SUBJECT_CHARACTERS_MAX:
        raise SignOnError("token", f"the subject has {len(claims['sub'])} characters")
    return dict(claims)


def verified_email(claims: Mapping[str, Any]) -> str:
    """The e-mail address, in lower case, that the provider has seen proved.

    Only ASCII: folding of cases makes one address of two different ones beyond it (`ß` and `ss`).

    Raises:
        SignOnError: `unverified` or `address`.
    """
    email, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or not (verified is True or verified == "true"):  # some providers send it as text
        raise SignOnError("unverified", "no e-mail address that the provider has verified")
    if not email.isascii() or len(email) > LOGIN_CHARACTERS_MAX or not EMAIL.fullmatch(email):
        raise SignOnError("address", "the e-mail address is none that can be a login here")
    return email.lower()


def check_domain(email: str, provider: Provider) -> None:
    """Whether an address is one of those that the settings let in.

    Raises:
        SignOnError: `domain`; it is not.
    """
    domain = email.rpartition("@")[2]
    if provider.allowed_domains and domain not in provider.allowed_domains:
        raise SignOnError("domain", f"the domain {domain!r} is not among allowed_domains")


def is_safe_url(url: str, *, plain_allowed: bool) -> bool:
    """Whether an address may be called: https; on this machine itself also http."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = plain_allowed and parts.scheme == "http" and host in LOOPBACK
    has_more = parts.username is not None or parts.password is not None or bool(parts.fragment)
    return bool(host) and (parts.scheme == "https" or is_plain) and not has_more and url.isascii() and url.isprintable()


def _derived(secret: str, part: str) -> str:
    return _base64url(hmac.new(secret.encode(), part.encode(), hashlib.sha256).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _address(document: Mapping[str, Any], name: str, issuer: str, *, is_needed: bool) -> str:
    found = document.get(name)
    if found is None and not is_needed:
        return ""
    if not isinstance(found, str) or not is_safe_url(found, plain_allowed=issuer.startswith("http:")):
        raise SignOnError("answer", f"discovery has no {name} that may be called")
    return found


def _key(item: object) -> jwk.Key | None:
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC") or item.get("use", "sig") != "sig":
        return None
    public = {name: item[name] for name in ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y") if name in item}
    try:
        key = jwk.import_key(public)
        if isinstance(key, jwk.RSAKey) and key.public_key.key_size < RSA_BITS_MIN:
            return None
        key.ensure_kid()
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if key.kid is None or isinstance(key.kid, str) else None
