"""Calls to providers, each bounded in time and size: discovery and keys (kept for a while), code exchange, userinfo."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import anyio
import httpx
from joserfc import jwk

from cloud.identity import oidc
from cloud.identity.oidc import Metadata, Provider, SignOnError
from kit.clock import Clock

CALL_S_MAX: Final = 10.0
BODY_BYTES_MAX: Final = 256 * 1024
KEPT_S: Final = 3_600.0
"""Discovery and keys are asked for again after an hour."""
PAUSE_S: Final = 10.0
"""A provider that has just failed is not asked again before: a slow one must not hold up one request after another."""
KEYS_AGAIN_S: Final = 60.0
"""An unknown key id makes us ask for the keys again, at most once a minute."""
DISCOVERY: Final = "/.well-known/openid-configuration"
USER_AGENT: Final = "zhisan-sign-on"


@dataclass(slots=True)
class _Kept:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    metadata: Metadata | None = None
    metadata_s: float = 0.0
    failed_s: float | None = None
    keys: dict[str, jwk.Key] = field(default_factory=dict)
    keys_s: float | None = None


class ProviderCalls:
    """What is asked of providers, one at a time for each; httpx without redirects, proxies or cookies."""

    def __init__(self, clock: Clock, *, call_s_max: float = CALL_S_MAX) -> None:
        self._clock = clock
        self._call_s_max = call_s_max
        self._tls = httpx.create_ssl_context()
        self._kept: dict[str, _Kept] = {}  # by issuer: as many as there are in the settings

    async def metadata(self, provider: Provider) -> Metadata:
        """What the provider says of itself.

        Raises:
            SignOnError: `down` or `answer`.
        """
        kept = self._of(provider)
        async with kept.lock:
            now_s = self._clock.monotonic_s()
            if kept.metadata is not None and now_s - kept.metadata_s < KEPT_S:
                return kept.metadata
            if kept.failed_s is not None and now_s - kept.failed_s < PAUSE_S:
                raise SignOnError("down", f"discovery failed less than {PAUSE_S:g} s ago")
            try:
                document = await self._ask("GET", provider.issuer.rstrip("/") + DISCOVERY)
                kept.metadata = oidc.metadata_of(document, provider.issuer)
            except SignOnError:
                kept.failed_s = self._clock.monotonic_s()
                raise
            kept.metadata_s, kept.failed_s = now_s, None
            return kept.metadata

    async def key(self, provider: Provider, metadata: Metadata, key_id: str | None) -> jwk.Key:
        """The provider's key of this id; without an id its only one.

        Raises:
            SignOnError: `down` or `answer`; `token` when it has no such key.
        """
        kept = self._of(provider)
        async with kept.lock:
            now_s = self._clock.monotonic_s()
            found = _pick(kept.keys, key_id)
            if kept.keys_s is None or now_s - kept.keys_s >= (KEYS_AGAIN_S if found is None else KEPT_S):
                kept.keys, kept.keys_s = {}, None  # a key that may have been withdrawn is not used on
                kept.keys, kept.keys_s = oidc.keys_of(await self._ask("GET", metadata.jwks_uri)), now_s
                found = _pick(kept.keys, key_id)
        if found is None:
            raise SignOnError("token", f"the provider has no signing key {key_id!r}")
        return found

    async def exchange(
        self, provider: Provider, metadata: Metadata, code: str, verifier: str, redirect_uri: str
    ) -> dict[str, Any]:
        """The tokens for a code.

        Raises:
            SignOnError: `down` or `answer`; the code is refused, too.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        login = None
        if metadata.takes_secret_in_body or not provider.client_secret:
            form["client_id"] = provider.client_id
            if provider.client_secret:
                form["client_secret"] = provider.client_secret
        else:  # RFC 6749, 2.3.1: each part is form-encoded first
            login = httpx.BasicAuth(quote(provider.client_id, safe=""), quote(provider.client_secret, safe=""))
        return await self._ask("POST", metadata.token_endpoint, form=form, login=login)

    async def userinfo(self, metadata: Metadata, access_token: str) -> dict[str, Any]:
        """What the provider says of a person beyond the ID token.

        Raises:
            SignOnError: `down` or `answer`.
        """
        headers = {"authorization": f"Bearer {access_token}"}
        return await self._ask("GET", metadata.userinfo_endpoint, headers=headers)

    def _of(self, provider: Provider) -> _Kept:
        return self._kept.setdefault(provider.issuer, _Kept())

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        login: httpx.Auth | None = None,
    ) -> dict[str, Any]:
        """The JSON object in an answer; no error tells of what was sent."""
        try:
            with anyio.fail_after(self._call_s_max):
                status, body = await self._fetch(method, url, form, headers, login)
        except TimeoutError:
            raise SignOnError("down", f"{url} did not answer within {self._call_s_max:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise SignOnError("down", f"{url}: {type(error).__name__}") from error
        if status != 200:
            raise SignOnError("down" if status >= 500 else "answer", f"{url} answered {status}{_error_in(body)}")
        found = _object(body)
        if found is None:
            raise SignOnError("answer", f"{url} answered no JSON object of at most {BODY_BYTES_MAX} bytes")
        return found

    async def _fetch(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        login: httpx.Auth | None,
    ) -> tuple[int, bytes]:
        sent = {
            "accept": "application/json",
            "accept-encoding": "identity",  # what is small packed may be large
            "user-agent": USER_AGENT,
            **(headers or {}),
        }
        async with (
            httpx.AsyncClient(
                verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._call_s_max
            ) as client,
            client.stream(method, url, data=form, headers=sent, auth=login) as response,
        ):
            body = b""
            async for chunk in response.aiter_raw(BODY_BYTES_MAX):
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    break
            return response.status_code, body


def _pick(keys: Mapping[str, jwk.Key], key_id: str | None) -> jwk.Key | None:
    if key_id is not None:
        return keys.get(key_id)
    return next(iter(keys.values())) if len(keys) == 1 else None


def _object(body: bytes) -> dict[str, Any] | None:
    if len(body) > BODY_BYTES_MAX:
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _error_in(body: bytes) -> str:
    """The error code of RFC 6749, 5.2, for the log; nothing else of the body, which may hold a token."""
    found = (_object(body) or {}).get("error")
    return f", {found[:60]!r}" if isinstance(found, str) else ""
