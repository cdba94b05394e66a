"""What somebody sees whose request came to nothing: a page for people, a problem document for programs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from cloud.core import problems
from cloud.core.access import ForbiddenError, principal_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.request_ids import SCOPE_KEY
from cloud.entitlements.gates import PLAN, EntitlementError, told_to_programs
from cloud.web.shell import Shell
from cloud.web.wording import plan_value

Handler = Callable[[Request, Any], Any]
PAGES: Final[Mapping[int, str]] = {404: "not_found", 405: "not_found", 422: "invalid", 500: "broken"}
"""Which answers are a page for people, and its texts."""
API: Final = "/api/"
FIELDS_TOLD: Final = 5
OF_THE_BODY: Final = frozenset({"content-length", "content-type", "content-security-policy", "cache-control", "vary"})
FOREIGN = "This request does not come from a page of this site. Reload the page, try again."


def include(app: FastAPI, shell: Shell) -> None:
    """Let what is forbidden, not there, not possible or broken be a page in the reader's language."""
    tell_program = app.exception_handlers[ForbiddenError]

    async def forbidden(request: Request, error: Exception) -> Response:
        if _is_start(request):
            return RedirectResponse("/account", status_code=303)
        told = await cast(Awaitable[Response], tell_program(request, error))  # it also writes the log
        return _page(shell, request, "forbidden") if _is_for_people(request) else told

    async def beyond_plan(request: Request, error: Exception) -> Response:
        assert isinstance(error, EntitlementError)
        if not _is_for_people(request):
            return await told_to_programs(request, error)
        return _beyond_plan(shell, request, error)

    for kind in (NotFoundError, HTTPException, InvalidFieldError, RequestValidationError, Exception):
        app.add_exception_handler(kind, _for_people(shell, app.exception_handlers[kind]))
    app.add_exception_handler(ForbiddenError, forbidden)
    app.add_exception_handler(EntitlementError, beyond_plan)


def foreign(shell: Shell, request: Request) -> Response:
    """A changing request that does not come from our own page in this session."""
    return _page(shell, request, "foreign") if _is_for_people(request) else problems.answer(403, FOREIGN)


def _for_people(shell: Shell, tell_program: Handler) -> Handler:
    """What a program is told, as a page where a person opened one; what the API says stays as it is."""

    async def told(request: Request, error: Exception) -> Response:
        document = await cast(Awaitable[Response], tell_program(request, error))  # it also writes the log
        what = PAGES.get(document.status_code)
        if what is None or request.url.path.startswith(API) or not _is_for_people(request):
            return document
        page = _page(shell, request, what, status=document.status_code, why=_why(error))
        page.headers.update({name: value for name, value in document.headers.items() if name not in OF_THE_BODY})
        return page

    return told


def _why(error: Exception) -> str:
    """Which field, and why, where that is what is wrong."""
    if isinstance(error, RequestValidationError):
        return "; ".join(f"{found['loc'][-1]}: {found['msg']}" for found in error.errors()[:FIELDS_TOLD])
    return str(error) if isinstance(error, InvalidFieldError) else ""


def _page(shell: Shell, request: Request, what: str, *, status: int = 403, why: str = "") -> Response:
    t = shell.catalogue(request)
    detail = t(f"refused.{what}", request_id=request.scope.get(SCOPE_KEY) or "–", why=why)
    return shell.problem(request, status=status, title=t(f"refused.{what}_title"), detail=detail)


def _beyond_plan(shell: Shell, request: Request, error: EntitlementError) -> Response:
    """What the plan has too little of, in the reader's language."""
    t = shell.catalogue(request)
    what = t(f"entitlement.{error.entitlement}.name")
    limit = plan_value(t, error.entitlement, error.limit)
    detail = t(f"entitlement.{error.entitlement}.refused", limit=limit)
    return shell.page(
        request,
        "problem.html",
        status=403,
        page_name="problem",
        title=t("plan.beyond_title", what=what),
        detail=detail,
        way_out=(PLAN, t("plan.see")),
    )


def _is_start(request: Request) -> bool:
    """Whether a person only came in: who may see no presses is led to the own account, which says what there is."""
    reader = principal_of(request)
    return request.url.path == "/" and reader is not None and reader.kind == "user"


def _is_for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and request.headers.get("hx-request") != "true"
