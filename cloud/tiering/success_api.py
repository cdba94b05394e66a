"""Success plans as JSON, and their reviews as a calendar, for the platform's own people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Path, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from cloud.core.audit import actor_of
from cloud.core.problems import responses
from cloud.core.tenants import TenantId
from cloud.tiering.api import CustomerId, Staff
from cloud.tiering.plan_shapes import GoalIn, PlanIn, PlanOut, ReviewIn, plan_out
from cloud.tiering.plans import REVIEWS_MAX
from cloud.tiering.success import PlanConflictError, SuccessDesk

CALENDAR: Final = "text/calendar"
PLAN: Final = "/customers/{customer_id}/plan"


def router(desk: SuccessDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tiering"], prefix="/tiering")
    _plan(routes, desk)
    _calendars(routes, desk)
    return routes


@asynccontextmanager
async def _conflicts() -> AsyncIterator[None]:
    """What somebody else has saved first is a 409."""
    try:
        yield
    except PlanConflictError as error:
        raise HTTPException(409, str(error)) from error


def _plan(routes: APIRouter, desk: SuccessDesk) -> None:
    @routes.get(PLAN, responses=responses(404, 422), summary="Its success plan: goals and quarterly reviews")
    async def plan(principal: Staff, customer_id: CustomerId) -> PlanOut:
        return plan_out(await desk.opened(TenantId(principal.tenant_id), customer_id))

    @routes.put(
        PLAN, responses=responses(404, 409, 422), summary="Begin a strategic customer's success plan, or change it"
    )
    async def save(
        request: Request, principal: Staff, customer_id: CustomerId, body: Annotated[PlanIn, Body()]
    ) -> PlanOut:
        tenant = TenantId(principal.tenant_id)
        async with _conflicts():
            await desk.save(tenant, customer_id, actor_of(request), **body.model_dump())
        return await plan(principal, customer_id)

    @routes.post(f"{PLAN}/goals", responses=responses(404, 409, 422), status_code=201, summary="Add a goal to its plan")
    async def add_goal(
        request: Request, principal: Staff, customer_id: CustomerId, body: Annotated[GoalIn, Body()]
    ) -> PlanOut:
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        async with _conflicts():
            await desk.set_goal(tenant, customer_id, None, body.goal(), actor, version=body.version)
        return await plan(principal, customer_id)

    @routes.put(f"{PLAN}/goals/{{goal_id}}", responses=responses(404, 409, 422), summary="Change a goal of its plan")
    async def change_goal(
        request: Request, principal: Staff, customer_id: CustomerId, goal_id: UUID, body: Annotated[GoalIn, Body()]
    ) -> PlanOut:
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        async with _conflicts():
            await desk.set_goal(tenant, customer_id, goal_id, body.goal(), actor, version=body.version)
        return await plan(principal, customer_id)

    @routes.put(f"{PLAN}/reviews/{{number}}", responses=responses(404, 409, 422), summary="Keep what came of a review")
    async def hold(
        request: Request,
        principal: Staff,
        customer_id: CustomerId,
        number: Annotated[int, Path(ge=1, le=REVIEWS_MAX, description="Of the review, from 1.")],
        body: Annotated[ReviewIn, Body()],
    ) -> PlanOut:
        tenant = TenantId(principal.tenant_id)
        async with _conflicts():
            actor = actor_of(request)
            await desk.hold_review(tenant, customer_id, number, actor, note=body.note, version=body.version)
        return await plan(principal, customer_id)


def _calendars(routes: APIRouter, desk: SuccessDesk) -> None:
    told: dict[int | str, dict[str, Any]] = {200: {"content": {CALENDAR: {}}}}

    @routes.get(
        f"{PLAN}/reviews.ics",
        responses={**told, **responses(404, 422)},
        response_class=Response,
        summary="Its reviews as an iCalendar file",
    )
    async def one(principal: Staff, customer_id: CustomerId) -> Response:
        return calendar_file(await desk.calendar(TenantId(principal.tenant_id), customer_id))

    @routes.get(
        "/plans/reviews.ics",
        responses=told,
        response_class=Response,
        summary="The reviews of all success plans as an iCalendar file",
    )
    async def every(principal: Staff) -> Response:
        return calendar_file(await desk.calendar(TenantId(principal.tenant_id)))


def calendar_file(content: bytes) -> Response:
    """A calendar as a file."""
    headers = {"Content-Disposition": 'attachment; filename="reviews.ics"'}
    return Response(content, media_type=CALENDAR, headers=headers)
