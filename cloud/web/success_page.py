"""The forms of a success plan on a customer's page, and its reviews as a calendar in the reader's language."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.audit import Actor, actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.tiering.api import Staff
from cloud.tiering.plans import GoalState
from cloud.tiering.success import Goal, PlanConflictError, SuccessDesk
from cloud.tiering.success_api import calendar_file
from cloud.web.forms import day, figure, text
from cloud.web.tiering_page import PAGE, TieringPages

CUSTOMER: Final = f"{PAGE}/customers/{{customer_id}}"
FIELDS_MAX: Final = 10


def include(app: FastAPI, pages: TieringPages, desk: SuccessDesk) -> None:
    """Add the forms and calendars."""
    page = SuccessPages(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(f"{PAGE}/reviews.ics", page.calendar, methods=["GET"])
    routes.add_api_route(f"{CUSTOMER}/reviews.ics", page.calendar_of, methods=["GET"])
    routes.add_api_route(f"{CUSTOMER}/plan", page.save, methods=["POST"])
    routes.add_api_route(f"{CUSTOMER}/goals", page.set_goal, methods=["POST"])
    routes.add_api_route(f"{CUSTOMER}/reviews", page.hold, methods=["POST"])
    app.include_router(routes)


class SuccessPages:
    """The handlers; a form that cannot be taken shows the customer's page again, with the reason."""

    def __init__(self, pages: TieringPages, desk: SuccessDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def calendar(self, request: Request, principal: Staff) -> Response:
        """The reviews of all plans."""
        title = self._title(request)
        return calendar_file(await self._desk.calendar(TenantId(principal.tenant_id), title=title))

    async def calendar_of(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """The reviews of one plan."""
        title = self._title(request)
        return calendar_file(await self._desk.calendar(TenantId(principal.tenant_id), customer_id, title=title))

    async def save(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Begin or change the plan."""

        async def act(tenant_id: TenantId, form: FormData, actor: Actor) -> None:
            summary, owner, start_day = text(form, "summary"), text(form, "owner"), day(form, "start_day")
            told: Any = {"summary": summary, "owner": owner, "start_day": start_day, "version": _version(form)}
            await self._desk.save(tenant_id, customer_id, actor, **told)

        return await self._take(request, principal, customer_id, act)

    async def set_goal(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Add or change a goal."""

        async def act(tenant_id: TenantId, form: FormData, actor: Actor) -> None:
            await self._desk.set_goal(
                tenant_id, customer_id, _goal_id(form), _goal(form), actor, version=_version(form)
            )

        return await self._take(request, principal, customer_id, act)

    async def hold(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Keep what came of a review."""

        async def act(tenant_id: TenantId, form: FormData, actor: Actor) -> None:
            number, note = int(figure(form, "number")), text(form, "note")
            version = _version(form)
            await self._desk.hold_review(tenant_id, customer_id, number, actor, note=note, version=version)

        return await self._take(request, principal, customer_id, act)

    async def _take(
        self,
        request: Request,
        principal: Staff,
        customer_id: UUID,
        act: Callable[[TenantId, FormData, Actor], Awaitable[None]],
    ) -> Response:
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        try:
            await act(tenant_id, form, actor_of(request))
        except InvalidFieldError as error:
            return await self._pages.refuse(request, tenant_id, customer_id, error)
        except PlanConflictError:
            conflict = self._pages.shell.catalogue(request)("tiering.plan_conflict")
            return await self._pages.refuse(request, tenant_id, customer_id, conflict)
        return RedirectResponse(f"{PAGE}/customers/{customer_id}#plan", status_code=303)

    def _title(self, request: Request) -> str:
        return self._pages.shell.catalogue(request)("tiering.review_title", number="{number}", customer="{customer}")


def _goal(form: FormData) -> Goal:
    state = text(form, "state") or GoalState.OPEN
    if state not in set(GoalState):
        raise InvalidFieldError("body.state", "must be one of them")
    return Goal(
        title=text(form, "title"),
        measure=text(form, "measure"),
        target=figure(form, "target"),
        actual=figure(form, "actual") if text(form, "actual") else None,
        due_day=day(form, "due_day"),
        state=GoalState(state),
    )


def _version(form: FormData) -> int:
    """Of the plan that the form was made from."""
    return int(figure(form, "version"))


def _goal_id(form: FormData) -> UUID | None:
    told = text(form, "goal_id")
    try:
        return UUID(told) if told else None
    except ValueError as error:
        raise InvalidFieldError("body.goal_id", "is no id of a goal") from error
