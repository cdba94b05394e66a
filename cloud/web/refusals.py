"""What somebody sees who may not do what they asked: a page for people, a problem document for programs."""

from collections.abc import Awaitable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core import problems
from cloud.core.access import ForbiddenError, principal_of
from cloud.entitlements.gates import PLAN, EntitlementError, told_to_programs
from cloud.web.shell import Shell
from cloud.web.wording import plan_value

FOREIGN = "This request does not come from a page of this site. Reload the page, try again."


def include(app: FastAPI, shell: Shell) -> None:
    """Let a page that needs a right which its reader has not say so in the reader's language."""
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

    app.add_exception_handler(ForbiddenError, forbidden)
    app.add_exception_handler(EntitlementError, beyond_plan)


def foreign(shell: Shell, request: Request) -> Response:
    """A changing request that does not come from our own page in this session."""
    return _page(shell, request, "foreign") if _is_for_people(request) else problems.answer(403, FOREIGN)


def _page(shell: Shell, request: Request, what: str) -> Response:
    t = shell.catalogue(request)
    return shell.problem(request, status=403, title=t(f"refused.{what}_title"), detail=t(f"refused.{what}"))


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
