"""Errors as RFC 9457 problem documents: every refused request says what was wrong, and with which field."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cloud.core.access import ForbiddenError, NotAuthenticatedError, address_of, principal_of
from cloud.core.headers import DEFAULTS
from cloud.core.request_ids import HEADER, SCOPE_KEY, current_request_id, path_for_log
from kit.errors import ZhisanError

MEDIA_TYPE = "application/problem+json"
LOGIN = "/login"
"""The page where a person signs in."""
OF_EVERY_REQUEST = (414, 431)
"""What every operation may answer: the URL or the headers are too long."""
OF_EVERY_BODY = (400, 408, 413)
"""What every operation that takes a body may answer: it is no text, not here in time, or too long."""
log = structlog.get_logger()


class NotFoundError(ZhisanError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is no {kind} {name!r}.")
        self.kind = kind
        self.name = name


class InvalidFieldError(ZhisanError):
    """A field of the request cannot be used; `field` as `query.limit` or `body.comment`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Where it stands: `query.limit`, `path.row_id`, `body.comment`.")
    message: str


class EntitlementFact(BaseModel):
    """Which entitlement a plan has too little of."""

    name: str = Field(description="`presses_max`, `custom_models` and so on, as `GET /api/v1/plan` has them.")
    limit: int | bool | str | None = Field(description="What the plan has.")
    used: int | None = Field(description="What is used of it, where that can be counted.")
    tier: str | None = Field(description="The tier that the limit comes from; null for an override's.")
    plan: str = Field(description="Path of the page that says how to get more.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldProblem] | None = Field(None, description="One line for each wrong field; only with 422.")
    entitlement: EntitlementFact | None = Field(None, description="Where the plan has too little: 403, or 429.")
    request_id: str | None = Field(None, description="The X-Request-Id of this answer, by which the log knows it.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an operation's OpenAPI says about these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def answer(
    status: int,
    detail: str | None = None,
    errors: Sequence[FieldProblem] | None = None,
    *,
    entitlement: EntitlementFact | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> JSONResponse:
    """A problem document as an answer; it names the request that is being served unless `request_id` does."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(errors) if errors else None,
        entitlement=entitlement,
        request_id=request_id or current_request_id(),
    )
    content = problem.model_dump(exclude_none=True)
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of `app` leave as a problem document."""
    app.add_exception_handler(NotAuthenticatedError, _not_authenticated)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(InvalidFieldError, _invalid_field)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        """The description, with the problem document that `responses` speaks of, and what holds for all."""
        schema = describe()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        parts.update(problem.pop("$defs"), Problem=problem)
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            statuses = (*OF_EVERY_REQUEST, *(OF_EVERY_BODY if "requestBody" in operation else ()))
            for status, response in responses(*statuses).items():
                operation["responses"].setdefault(str(status), response)
            if "422" in operation["responses"]:
                operation["responses"]["422"] = responses(422)[422]  # FastAPI describes its own form otherwise
        return schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend it


async def _not_authenticated(request: Request, error: Exception) -> Response:
    """401 for programs; a person who opens a page is led to the sign-in page, and back after it."""
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
        behind = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = LOGIN if behind == "/" else f"{LOGIN}?{urlencode({'next': behind})}"
        return RedirectResponse(target, status_code=303)
    address = address_of(request)
    log.info("access_refused", status=401, method=request.method, path=path_for_log(request.url.path), address=address)
    is_htmx = request.headers.get("hx-request") == "true"
    return answer(
        401, str(error), headers={"WWW-Authenticate": "Bearer", **({"HX-Redirect": LOGIN} if is_htmx else {})}
    )


async def _forbidden(request: Request, error: Exception) -> JSONResponse:
    principal = principal_of(request)
    who = principal.id if principal else ""
    log.warning(
        "access_refused", status=403, method=request.method, path=path_for_log(request.url.path), principal_id=who
    )
    return answer(403, str(error))


async def _not_found(_request: Request, error: Exception) -> JSONResponse:
    return answer(404, str(error))


async def _invalid_field(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidFieldError)
    return answer(422, str(error), [FieldProblem(field=error.field, message=error.message)])


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [FieldProblem(field=".".join(map(str, e["loc"])), message=e["msg"]) for e in error.errors()]
    return answer(422, "; ".join(f"{e.field}: {e.message}" for e in errors), errors)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = answer(error.status_code, error.detail if error.detail != HTTPStatus(error.status_code).phrase else None)
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """A bug: its detail goes to the log, not to the caller. This runs outside of all middleware."""
    request_id = request.scope.get(SCOPE_KEY)
    log.error(
        "request_failed",
        method=request.method,
        path=path_for_log(request.url.path),
        request_id=request_id,
        exc_info=error,
    )
    headers = {**DEFAULTS, **({HEADER: request_id} if request_id else {})}
    return answer(500, headers=headers, request_id=request_id)
