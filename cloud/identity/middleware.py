"""Finds out for each request who asks: by the session's cookie or an API key; and refuses forged ones."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.access import ASK_AGAIN_KEY, CHANGES_KEY, SCOPE_KEY, Principal
from cloud.core.database import Database
from cloud.core.live import Topics
from cloud.identity import repository, tokens
from cloud.identity.cookies import TOKEN_KEY, read_token
from cloud.identity.domain import MINUTE_MS, SessionRules, rights_of
from cloud.identity.keys import rights_now
from cloud.identity.tables import ApiKeyRow, SessionRow
from kit.clock import Clock

CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "x-csrf-token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PREFIXES: Final = ("/static/", "/healthz", "/readyz")
"""Answered without asking who it is: no database for a load balancer's question."""
DOORS: Final = frozenset({"/login", "/setup", "/welcome", "/signup", "/signup/confirm"})
"""Forms that open a session by a secret of their own: they act by no cookie, and have no token to bring."""
FORM_BYTES_MAX: Final = 64 * 1024
SEEN_EVERY_MS: Final = MINUTE_MS
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

AskAgain = Callable[[], Awaitable[Principal | None]]


class Identify:
    """Leaves the `Principal` in the scope; a changing request by a cookie must come from our own pages.

    Two proofs are asked for, so that a fault in one opens nothing: browsers say where a request comes from (Fetch
    Metadata, else Origin), and the session's own token must come back, in a header or a field of the form. An API
    key is sent by no browser of itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        database: Database,
        clock: Clock,
        rules: SessionRules,
        access: Topics,
        refuse: Callable[[Request], ASGIApp],
    ) -> None:
        self._app = app
        self._database = database
        self._clock = clock
        self._rules = rules
        self._access = access
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PREFIXES):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        bearer = _bearer(headers)
        if bearer is not None:
            self._leave(scope, await self._by_key(bearer), partial(self._by_key, bearer))
            await self._app(scope, receive, send)
            return
        token = scope[TOKEN_KEY] = read_token(scope, self._rules)
        principal = await self._by_session(token) if token else None
        self._leave(scope, principal, partial(self._by_session, token, is_use=False) if token else None)
        if scope["method"] not in SAFE_METHODS:
            is_ours = is_own_site(headers)
            if is_ours and principal is not None and scope["path"] not in DOORS:
                is_ours, receive = await _has_token(headers, principal, receive)
            if not is_ours:
                await self._refuse(Request(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _leave(self, scope: Scope, principal: Principal | None, ask_again: AskAgain | None) -> None:
        scope[SCOPE_KEY] = principal
        if ask_again is not None:
            scope[ASK_AGAIN_KEY] = ask_again
        if principal is not None:
            scope[CHANGES_KEY] = self._access.of(principal.id)

    async def _by_session(self, token: str, *, is_use: bool = True) -> Principal | None:
        """Whose session it is; only a use of it, not a look at it, keeps it from growing idle."""
        now_ms, token_hash = self._clock.utc_ms(), tokens.hash_of(token)
        async with self._database.reading() as session:
            row = await repository.session_by_hash(session, token_hash)
            if row is None or not self._is_open(row, now_ms):
                return None
            user = await repository.user(session, row.user_id)
            roles = await repository.roles_of(session, row.tenant_id, [row.user_id])
            company = await repository.tenant(session, row.tenant_id)
        if user is None or user.is_disabled or not roles:
            return None
        if is_use and now_ms - row.seen_ms >= SEEN_EVERY_MS:
            async with self._database.transaction() as session:
                await repository.mark_seen(session, token_hash, now_ms)
        rights = rights_of(role.role for role in roles)
        return Principal(
            "user",
            user.user_id,
            user.login,
            row.tenant_id,
            rights,
            tokens.csrf_secret_of(token),
            company=company.name if company is not None else "",
            language=user.language,
            theme=user.theme,
        )

    def _is_open(self, row: SessionRow, now_ms: int) -> bool:
        return now_ms < row.expires_ms and now_ms - row.seen_ms < self._rules.idle_ms

    async def _by_key(self, text: str) -> Principal | None:
        parsed = tokens.parse_api_key(text)
        if parsed is None:
            return None
        key_id, secret = parsed
        now_ms = self._clock.utc_ms()
        async with self._database.reading() as session:
            row = await repository.key(session, key_id)
            if row is None or not _is_good(row, secret, now_ms):
                return None
            (rights,) = await rights_now(session, [row])
        if not rights:
            return None
        if row.used_ms is None or now_ms - row.used_ms >= SEEN_EVERY_MS:
            async with self._database.transaction() as session:
                await repository.mark_used(session, key_id, now_ms)
        return Principal("api_key", row.key_id, row.name, row.tenant_id, rights)


def is_own_site(headers: Mapping[str, str]) -> bool:
    """Whether a changing request comes from our own pages, not from a foreign one in the same browser.

    Browsers say so themselves (Fetch Metadata, else Origin); a program that sends neither is no browser.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def _is_good(row: ApiKeyRow, secret: str, now_ms: int) -> bool:
    is_known = tokens.is_same(tokens.hash_of(secret), row.secret_hash)
    return is_known and row.revoked_ms is None and now_ms < row.expires_ms


async def _has_token(headers: Mapping[str, str], principal: Principal, receive: Receive) -> tuple[bool, Receive]:
    """Whether the request brings the session's token, in a header or in a field of its form."""
    told = headers.get(CSRF_HEADER)
    if told is not None:
        return principal.is_form_token(told), receive
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, MULTIPART):
        return False, receive
    body, again = await _read(receive)
    if kind == MULTIPART:
        return principal.is_form_token(_first_part(body)), again
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=1_000)
    return principal.is_form_token(fields.get(CSRF_FIELD, [""])[0]), again


def _first_part(body: bytes) -> str:
    """The token of a form with a file: its first field in our pages, since all the rest may be long."""
    head, _, rest = body.partition(b"\r\n\r\n")
    is_token = f'name="{CSRF_FIELD}"'.encode() in head
    return rest.partition(b"\r\n")[0].decode("ascii", "replace") if is_token else ""


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body, to its end or until FORM_BYTES_MAX of it have come, and a `receive` that gives it once more."""
    messages: list[Message] = []
    body = b""
    while len(body) <= FORM_BYTES_MAX:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again
