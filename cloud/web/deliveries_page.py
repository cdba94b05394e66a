"""The pages of deliveries: the list with its filters, and one delivery with its tries."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.web.facts import LIST_ROWS, uuid_of
from cloud.web.lists import link_to
from cloud.web.shell import Shell
from cloud.webhooks import service
from cloud.webhooks.domain import STATES, EndpointError
from cloud.webhooks.filters import KNOWN_KINDS, PLATFORM_KINDS
from cloud.webhooks.parts import WebhookParts

PAGE = "/deliveries"
Reader = Annotated[Principal, requires(Right.READ)]
Engineer = Annotated[Principal, requires(Right.CONFIGURE)]


def include(app: FastAPI, shell: Shell, parts: WebhookParts) -> None:
    """Add the pages and their form."""
    page = DeliveriesPage(shell, parts)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{delivery_id}}", page.one, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{delivery_id}}/replay", page.replay, methods=["POST"])
    app.include_router(routes)


class DeliveriesPage:
    """The handlers."""

    def __init__(self, shell: Shell, parts: WebhookParts) -> None:
        self._shell = shell
        self._parts = parts

    async def show(
        self,
        request: Request,
        principal: Reader,
        state: str = "",
        endpoint: str = "",
        kind: str = "",
        before: str = "",
    ) -> Response:
        """The deliveries, newest first, a page at a time; a filter that is none is left out."""
        tenant_id = TenantId(principal.tenant_id)
        known = next((name for name in STATES if name == state), None)
        async with self._parts.database.reading() as session:
            endpoints = await self._parts.endpoints.endpoints(session, tenant_id)
            found = await service.deliveries(
                session,
                tenant_id,
                state=known,
                endpoint_id=uuid_of(endpoint),
                kind=kind[:128] or None,
                before=uuid_of(before),
                limit=LIST_ROWS,
            )
        link = link_to(PAGE, {"state": known or "", "endpoint": endpoint, "kind": kind, "before": before})
        older = str(found.items[-1].delivery_id) if found.has_more else ""
        return self._shell.page(
            request,
            "deliveries.html",
            page_name="webhooks",
            deliveries=found.items,
            endpoints=endpoints.items,
            kinds=(*KNOWN_KINDS, *(PLATFORM_KINDS if principal.tenant_id == DEFAULT_TENANT else ())),
            states=["", *STATES],
            state=known or "",
            endpoint=endpoint,
            kind=kind,
            is_older=bool(before),
            older_url=link(before=older) if older else None,
            link=link,
        )

    async def one(self, request: Request, principal: Reader, delivery_id: UUID) -> Response:
        """One delivery with what was sent and what came back."""
        return await self._page(request, principal, delivery_id)

    async def replay(self, request: Request, principal: Engineer, delivery_id: UUID) -> Response:
        """Owe a dead letter once more."""
        try:
            async with self._parts.database.transaction() as session:
                await self._parts.service.replay(session, TenantId(principal.tenant_id), delivery_id, actor_of(request))
        except NotFoundError:
            return self._unknown(request)
        except EndpointError as error:
            return await self._page(request, principal, delivery_id, fault=error.reason, status=409)
        return RedirectResponse(f"{PAGE}/{delivery_id}", status_code=303)

    async def _page(
        self, request: Request, principal: Principal, delivery_id: UUID, *, fault: str = "", status: int = 200
    ) -> Response:
        try:
            async with self._parts.database.reading() as session:
                tenant_id = TenantId(principal.tenant_id)
                delivery, attempts = await service.delivery_with_attempts(session, tenant_id, delivery_id)
        except NotFoundError:
            return self._unknown(request)
        return self._shell.page(
            request,
            "delivery.html",
            status=status,
            page_name="webhooks",
            delivery=delivery,
            attempts=attempts,
            fault=fault,
            may_change=Right.CONFIGURE in principal.rights,
            csrf_token=principal.form_token(),
        )

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("webhooks.unknown_title"), detail=t("webhooks.unknown"))
