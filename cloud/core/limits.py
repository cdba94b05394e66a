"""How much one request may ask of us: its size, its time, and how many of them in a second."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import anyio
import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.access import SCOPE_KEY, Principal
from cloud.core.problems import answer
from cloud.core.rate_limit import RateLimit
from cloud.core.request_ids import path_for_log
from kit.clock import Clock

FREE_PATHS: Final = ("/static/", "/healthz")
"""Cost next to nothing, and are asked by every page and every launcher."""
TOLD_EVERY_S: Final = 10.0
"""A key that asks too often is logged this often, not once a request."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may have, and how many one caller may make."""

    json_bytes_max: int = 262_144
    form_bytes_max: int = 65_536
    """Of a form, and of every type that is not named here."""
    upload_bytes_max: int = 8_388_608
    header_bytes_max: int = 16_384
    url_bytes_max: int = 4_096
    body_s_max: float = 20.0
    """From the request's head to the last byte of its body."""
    requests_per_s: float = 100.0
    requests_burst: int = 1_000
    stranger_requests_per_s: float = 50.0
    """For one network address, of requests that are not signed in."""
    stranger_requests_burst: int = 300

    def body_bytes_max(self, content_type: str) -> int:
        """The most bytes of a body of this type."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind in ("multipart/form-data", "application/octet-stream"):
            return self.upload_bytes_max
        if kind == "application/json" or kind.endswith("+json"):
            return self.json_bytes_max
        return self.form_bytes_max


class RefusedError(HTTPException):
    """A request that is over a limit. What is left of it is not read: the connection ends with the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail, {"Connection": "close"})


class RequestLimits:
    """Refuses what is too long or too slow: 414 for a URL, 431 for headers, 413 for a body, 408 for a slow one.

    A body's length is counted as it comes, so that it holds for chunked bodies too; its time ends with its last byte,
    so that an answer may stream for as long as it likes.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def watched_send(message: Message) -> None:
            nonlocal is_begun
            is_begun = is_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            self._look_at_head(scope)
            await self._app(scope, _Body(scope, receive, self._limits).receive, watched_send)
        except RefusedError as error:
            log.warning("request_refused", status=error.status_code, path=path_for_log(scope["path"]))
            if is_begun:
                raise
            await answer(error.status_code, error.detail, headers=error.headers)(scope, receive, send)

    def _look_at_head(self, scope: Scope) -> None:
        """Check what is known before the body.

        Raises:
            RefusedError: it is over a limit.
        """
        limits, headers = self._limits, Headers(scope=scope)
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > limits.url_bytes_max:
            raise RefusedError(414, f"A URL has at most {limits.url_bytes_max} bytes.")
        if _size_of(scope["headers"]) > limits.header_bytes_max:
            raise RefusedError(431, f"All headers together have at most {limits.header_bytes_max} bytes.")
        length, bytes_max = headers.get("content-length", ""), limits.body_bytes_max(headers.get("content-type", ""))
        if length.isdecimal() and int(length) > bytes_max:
            raise _too_large(bytes_max)


class _Body:
    """The body of one request, counted and timed as it comes in."""

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._left_bytes = limits.body_bytes_max(Headers(scope=scope).get("content-type", ""))
        self._bytes_max = self._left_bytes
        self._ends_s = anyio.current_time() + limits.body_s_max
        self._is_whole = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            RefusedError: the body is too long, or not here in time.
        """
        if self._is_whole:
            return await self._receive()
        with anyio.CancelScope(deadline=self._ends_s) as scope:
            message = await self._receive()
        if scope.cancelled_caught:
            raise RefusedError(408, f"The request's body was not here within {self._limits.body_s_max:g} s.")
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            raise _too_large(self._bytes_max)
        return message


class RequestRates:
    """Refuses with 429 who asks too often: by principal, by network address who is not signed in.

    It stands inside of what finds the principal. A live stream is one request.
    """

    def __init__(self, app: ASGIApp, limits: Limits, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._known = RateLimit(per_s=limits.requests_per_s, burst=limits.requests_burst)
        self._strangers = RateLimit(per_s=limits.stranger_requests_per_s, burst=limits.stranger_requests_burst)
        self._told = RateLimit(per_s=1 / TOLD_EVERY_S, burst=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say when to come again."""
        if scope["type"] != "http" or scope["path"].startswith(FREE_PATHS):
            await self._app(scope, receive, send)
            return
        principal, now_s = scope.get(SCOPE_KEY), self._clock.monotonic_s()
        if isinstance(principal, Principal):
            key, rates = f"{principal.kind}:{principal.id}", self._known
        else:
            key, rates = f"address:{(scope.get('client') or ('',))[0]}", self._strangers
        wait_s = rates.take(key, now_s)
        if wait_s == 0.0:
            await self._app(scope, receive, send)
            return
        if self._told.take(key, now_s) == 0.0:
            log.warning("requests_too_many", key=key, path=path_for_log(scope["path"]))
        detail = "Too many requests; come again after the seconds in Retry-After."
        await answer(429, detail, headers={"Retry-After": str(math.ceil(wait_s))})(scope, receive, send)


def _size_of(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _too_large(bytes_max: int) -> RefusedError:
    return RefusedError(413, f"A body of this type has at most {bytes_max} bytes.")
