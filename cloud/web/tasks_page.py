"""The page of open tasks, by owner, and the form that closes one."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.tiering import manager_repository, playbook_repository, repository
from cloud.tiering.api import Staff
from cloud.tiering.playbooks import OwnerRole
from cloud.tiering.tasks import PlaybookDesk, TaskStateError, shelf_of
from cloud.web.forms import uuid_of
from cloud.web.tiering_page import PAGE, TieringPages, day_text, form_token

TASKS_SHOWN: Final = 200


def include(app: FastAPI, pages: TieringPages, desk: PlaybookDesk) -> None:
    """Add the page."""
    page = TasksPage(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(f"{PAGE}/tasks", page.tasks, methods=["GET"])
    routes.add_api_route(f"{PAGE}/tasks/{{task_id}}/close", page.close, methods=["POST"])
    routes.add_api_route(f"{PAGE}/tasks/{{task_id}}/give", page.give, methods=["POST"])
    app.include_router(routes)


class TasksPage:
    """The handlers."""

    def __init__(self, pages: TieringPages, desk: PlaybookDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def tasks(
        self,
        request: Request,
        principal: Staff,
        owner_role: Annotated[OwnerRole | Literal[""], Query()] = "",
        manager: Annotated[UUID | Literal[""], Query()] = "",
    ) -> Response:
        """The open tasks of a role or a manager, or of all."""
        return await self._show(request, TenantId(principal.tenant_id), owner_role, manager or None)

    async def give(self, request: Request, principal: Staff, task_id: UUID) -> Response:
        """A task is somebody else's; then the customer's page again."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=3)
        try:
            row = await self._desk.give(tenant_id, task_id, uuid_of(form, "manager_id"), actor_of(request))
        except TaskStateError:
            t = self._pages.shell.catalogue(request)
            return await self._show(request, tenant_id, "", fault=t("tiering.fault_closed"), status=409)
        return RedirectResponse(f"{PAGE}/customers/{row.customer_id}#tasks", status_code=303)

    async def close(self, request: Request, principal: Staff, task_id: UUID) -> Response:
        """A task is done, or dismissed with a reason; then the customer's page again."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=4)
        state: Literal["done", "dismissed"] = "done" if form.get("state") == "done" else "dismissed"
        t = self._pages.shell.catalogue(request)
        try:
            reason = str(form.get("reason", ""))
            row = await self._desk.close(tenant_id, task_id, actor_of(request), state=state, reason=reason)
        except InvalidFieldError:
            return await self._show(request, tenant_id, "", fault=t("tiering.fault_dismiss"), status=422)
        except TaskStateError:
            return await self._show(request, tenant_id, "", fault=t("tiering.fault_closed"), status=409)
        return RedirectResponse(f"{PAGE}/customers/{row.customer_id}#tasks", status_code=303)

    async def _show(
        self,
        request: Request,
        tenant_id: TenantId,
        owner_role: str,
        manager_id: UUID | None = None,
        *,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        async with self._desk.database.reading() as session:
            rows = await playbook_repository.open_tasks(
                session,
                tenant_id,
                owner_role=owner_role or None,
                manager_id=manager_id,
                after=None,
                limit=TASKS_SHOWN + 1,
            )
            managers = await manager_repository.managers(session, tenant_id)
            customers = await repository.names(session, {row.customer_id for row in rows})
            _, shelf = await shelf_of(session, tenant_id)
        return self._pages.shell.page(
            request,
            "tiering_tasks.html",
            status=status,
            page_name="tiering",
            tab="tasks",
            tasks=rows[:TASKS_SHOWN],
            has_more=len(rows) > TASKS_SHOWN,
            shown_max=TASKS_SHOWN,
            customers=customers,
            managers=managers,
            chosen=manager_id,
            shelf=shelf,
            roles=tuple(OwnerRole),
            owner_role=owner_role,
            today=self._pages.shell.clock.utc_ms() // 86_400_000,
            fault=fault,
            day_text=day_text,
            csrf_token=form_token(request),
        )
