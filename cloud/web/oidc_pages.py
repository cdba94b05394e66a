"""The way out to a provider and back: two addresses a provider, and a page that says why somebody was not let in."""

from typing import Final

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import address_of, principal_of
from cloud.identity.cookies import set_session_cookie
from cloud.identity.domain import SessionRules
from cloud.identity.oidc import SignOnError
from cloud.identity.oidc_service import ATTEMPT_MS, SingleSignOn
from cloud.web.account_pages import local_path
from cloud.web.shell import HEADERS, Shell

ATTEMPT_COOKIE: Final = "zhisan_sign_on"
COOKIE_PATH: Final = "/login/oidc"
STATUS: Final = {"unknown": 404, "too_many": 429, "down": 503, "answer": 502, "attempt": 400}
"""Of a refusal; 403 where none is named: the person is known, and has no access."""
ANSWER_CHARACTERS_MAX: Final = 2_048
log = structlog.get_logger()


def include(app: FastAPI, shell: Shell, sign_on: SingleSignOn, *, rules: SessionRules) -> None:
    """Add the addresses."""
    pages = OidcPages(shell, sign_on, rules)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/login/oidc/{provider}", pages.send_out, methods=["GET"])
    routes.add_api_route("/login/oidc/{provider}/callback", pages.come_back, methods=["GET"])
    app.include_router(routes)


class OidcPages:
    """The handlers. Both are GET: the browser comes back by a redirect, and CSP lets no form lead to another site."""

    def __init__(self, shell: Shell, sign_on: SingleSignOn, rules: SessionRules) -> None:
        self._shell = shell
        self._sign_on = sign_on
        self._rules = rules

    async def send_out(self, request: Request, provider: str, next: str = "") -> Response:  # noqa: A002 - as in /login
        """Send the browser to the provider."""
        if principal_of(request) is not None:
            return RedirectResponse(local_path(next), status_code=303)
        try:
            out = await self._sign_on.send_out(provider, local_path(next), address_of(request))
        except SignOnError as error:
            return self._refused(request, provider, error)
        response = RedirectResponse(out.url, status_code=303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            ATTEMPT_COOKIE,
            out.secret,
            max_age=ATTEMPT_MS // 1000,
            path=COOKIE_PATH,
            httponly=True,
            samesite="lax",
            secure=self._sign_on.is_secure,
        )
        return response

    async def come_back(self, request: Request, provider: str) -> Response:
        """Take the provider's answer and open a session."""
        secret = request.cookies.get(ATTEMPT_COOKIE, "")
        answer = {name: text[:ANSWER_CHARACTERS_MAX] for name, text in request.query_params.items()}
        try:
            if not secret:
                raise SignOnError("attempt", "the browser brings no attempt")
            arrived = await self._sign_on.come_back(provider, answer, secret, address_of(request))
        except SignOnError as error:
            response = self._refused(request, provider, error)
        else:
            log.info("signed_on", provider=provider)
            response = RedirectResponse(arrived.behind, status_code=303, headers=dict(HEADERS))
            set_session_cookie(response, arrived.token, request, self._rules)
        response.delete_cookie(ATTEMPT_COOKIE, path=COOKIE_PATH)
        return response

    def _refused(self, request: Request, provider: str, error: SignOnError) -> Response:
        log.warning("sign_on_refused", provider=provider[:64], reason=error.reason, detail=error.detail)
        t = self._shell.catalogue(request)
        return self._shell.page(
            request,
            "sign_on_refused.html",
            status=STATUS.get(error.reason, 403),
            page_name="login",
            title=t("sign_on.refused"),
            detail=t(f"sign_on.fault.{error.reason}"),
        )
