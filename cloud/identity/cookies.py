"""The session's cookie: which name it has, where its secret comes from, how a browser is given it and loses it.

By https its name begins with `__Host-`: browsers then take it from this very host alone, and never without TLS, so that
no neighbour under the same domain can plant one. Plain http, as on loopback, cannot have such a name.
"""

from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from cloud.identity.domain import SessionRules

COOKIE: Final = "zhisan_session"
HOST_COOKIE: Final = f"__Host-{COOKIE}"
TOKEN_KEY: Final = "session_token"  # noqa: S105 - where it lies in a request's scope
"""Where the identity middleware leaves the secret of the session that asks."""


def is_secure(scope: Scope, rules: SessionRules) -> bool:
    """Whether the browser spoke https to us, or to the proxy before us."""
    return rules.is_https_only or scope.get("scheme") == "https"


def read_token(scope: Scope, rules: SessionRules) -> str | None:
    """The session's secret in a request's cookies; by https a cookie of the plain name is nobody's."""
    try:
        cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return None
    found = cookies.get(_name(scope, rules))
    return found.value if found and found.value else None


def session_token(request: HTTPConnection) -> str | None:
    """The secret of the session that asks; None for an API key."""
    token = request.scope.get(TOKEN_KEY)
    assert token is None or isinstance(token, str)
    return token


def set_session_cookie(response: Response, token: str, request: HTTPConnection, rules: SessionRules) -> None:
    """Give the browser its session."""
    _set(response, token, request, rules, age_s=rules.lasts_ms // 1000)


def forget_session_cookie(response: Response, request: HTTPConnection, rules: SessionRules) -> None:
    """Let the browser forget it; with all that its name asks for, else it would not listen."""
    _set(response, "", request, rules, age_s=0)


def _set(response: Response, token: str, request: HTTPConnection, rules: SessionRules, *, age_s: int) -> None:
    scope = request.scope
    response.set_cookie(
        _name(scope, rules),
        token,
        max_age=age_s,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_secure(scope, rules),
    )


def _name(scope: Scope, rules: SessionRules) -> str:
    return HOST_COOKIE if is_secure(scope, rules) else COOKIE
