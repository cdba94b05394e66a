"""Playbooks and their tasks as JSON, for the platform's own people."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Request
from starlette.exceptions import HTTPException

from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of, slice_of
from cloud.core.problems import InvalidFieldError, responses
from cloud.core.tenants import TenantId
from cloud.tiering import book, playbook_repository
from cloud.tiering.api import HISTORY_MAX, CustomerId, Staff
from cloud.tiering.playbook_shapes import CloseIn, GiveIn, ShelfIn, ShelfOut, TaskOut
from cloud.tiering.playbooks import OwnerRole, PlaybookError, to_json
from cloud.tiering.tasks import PlaybookDesk, TaskStateError, shelf_of


def router(desk: PlaybookDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tiering"], prefix="/tiering")
    _playbooks(routes, desk)
    _tasks(routes, desk)
    return routes


def _playbooks(routes: APIRouter, desk: PlaybookDesk) -> None:
    @routes.get("/playbooks", summary="What follows on which trigger, and the limits")
    async def playbooks(principal: Staff) -> ShelfOut:
        async with desk.database.reading() as session:
            version, held = await shelf_of(session, TenantId(principal.tenant_id))
        return ShelfOut(**to_json(held), version=version)

    @routes.put("/playbooks", responses=responses(422), summary="Save the next version of the playbooks")
    async def save(request: Request, principal: Staff, body: Annotated[ShelfIn, Body()]) -> ShelfOut:
        try:
            tenant = TenantId(principal.tenant_id)
            await desk.save(tenant, body.shelf(), actor_of(request), version=body.version)
        except PlaybookError as error:
            raise InvalidFieldError(f"body.{error.field}", error.why) from error
        return await playbooks(principal)


def _tasks(routes: APIRouter, desk: PlaybookDesk) -> None:
    @routes.get("/tasks", responses=responses(422), summary="Open tasks, the first due first")
    async def tasks(
        principal: Staff,
        owner_role: OwnerRole | None = None,
        manager_id: UUID | None = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[TaskOut]:
        at = decode_cursor(cursor, int, str)
        async with desk.database.reading() as session:
            rows = await playbook_repository.open_tasks(
                session,
                TenantId(principal.tenant_id),
                owner_role=owner_role,
                manager_id=manager_id,
                after=(int(at[0]), _uuid(str(at[1]))) if at else None,
                limit=limit + 1,
            )
        return page_of(slice_of(rows, limit), TaskOut.model_validate, lambda row: (row.due_day, str(row.task_id)))

    @routes.get("/customers/{customer_id}/tasks", responses=responses(404, 422), summary="Its tasks, newest first")
    async def tasks_of(principal: Staff, customer_id: CustomerId) -> list[TaskOut]:
        tenant = TenantId(principal.tenant_id)
        async with desk.database.reading() as session:
            await book.customer(session, tenant, customer_id)
            rows = await playbook_repository.tasks_of(session, tenant, customer_id, limit=HISTORY_MAX)
        return [TaskOut.model_validate(row) for row in rows]

    @routes.post("/tasks/{task_id}/close", responses=responses(404, 409, 422), summary="A task is done, or dismissed")
    async def close(request: Request, principal: Staff, task_id: UUID, body: Annotated[CloseIn, Body()]) -> TaskOut:
        try:
            row = await desk.close(
                TenantId(principal.tenant_id), task_id, actor_of(request), state=body.state, reason=body.reason
            )
        except TaskStateError as error:
            raise HTTPException(409, str(error)) from error
        return TaskOut.model_validate(row)

    @routes.post(
        "/tasks/{task_id}/give", responses=responses(404, 409, 422), summary="Give a task to a manager, or to the queue"
    )
    async def give(request: Request, principal: Staff, task_id: UUID, body: Annotated[GiveIn, Body()]) -> TaskOut:
        try:
            row = await desk.give(TenantId(principal.tenant_id), task_id, body.manager_id, actor_of(request))
        except TaskStateError as error:
            raise HTTPException(409, str(error)) from error
        return TaskOut.model_validate(row)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidFieldError("query.cursor", "is no cursor of this list") from error
