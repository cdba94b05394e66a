"""How the log names a request: by an id that its answer has too, and by a path in which no secret can stand."""

import re
import secrets
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-Id"
LOG_KEY: Final = "request_id"
SCOPE_KEY: Final = "request_id"
ID_BYTES: Final = 12
GIVEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
"""An id that a proxy before us may have given; whatever else stands in the header is not repeated."""

SEGMENT_CHARACTERS_MAX: Final = 24
UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PATH_CHARACTERS_MAX: Final = 200


class RequestIds:
    """Names each request: as the caller did, where its X-Request-Id is one, else by chance."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(Headers(scope=scope).get(HEADER)) or secrets.token_hex(ID_BYTES)
        scope[SCOPE_KEY] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(**{LOG_KEY: request_id}):
            await self._app(scope, receive, send_with_id)


def current_request_id() -> str | None:
    """The id of the request that is being served; None outside of one."""
    found = structlog.contextvars.get_contextvars().get(LOG_KEY)
    return found if isinstance(found, str) else None


def path_for_log(path: str) -> str:
    """The path without its long parts, which may be one-time tokens; UUIDs are names, and stay."""
    parts = path[:PATH_CHARACTERS_MAX].split("/")
    return "/".join(part if len(part) <= SEGMENT_CHARACTERS_MAX or UUID.fullmatch(part) else "…" for part in parts)


def _given(text: str | None) -> str | None:
    return text if text is not None and GIVEN.fullmatch(text) else None
