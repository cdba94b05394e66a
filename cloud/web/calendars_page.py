"""The page of calendar addresses, and the answer at such an address, to which no session is needed."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.rate_limit import RateLimit
from cloud.core.tenants import TenantId
from cloud.tiering.api import Staff
from cloud.tiering.feeds import FeedDesk
from cloud.tiering.success_api import calendar_file
from cloud.web.forms import text
from cloud.web.tiering_page import PAGE, TieringPages, form_token

CALENDARS: Final = f"{PAGE}/calendars"
ADDRESS: Final = "/calendars"
READ_PER_S, READ_BURST = 0.1, 10
"""Of one client: a calendar program asks a few times an hour."""


def include(app: FastAPI, pages: TieringPages, desk: FeedDesk) -> None:
    """Add the page, and the addresses."""
    page = CalendarsPage(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(CALENDARS, page.overview, methods=["GET"])
    routes.add_api_route(CALENDARS, page.make, methods=["POST"])
    routes.add_api_route(f"{CALENDARS}/{{feed_id}}/revoke", page.revoke, methods=["POST"])
    routes.add_api_route(f"{ADDRESS}/{{secret}}.ics", page.read, methods=["GET"])
    app.include_router(routes)


class CalendarsPage:
    """The handlers."""

    def __init__(self, pages: TieringPages, desk: FeedDesk) -> None:
        self._pages = pages
        self._desk = desk
        self._limit = RateLimit(per_s=READ_PER_S, burst=READ_BURST)

    async def overview(self, request: Request, principal: Staff) -> Response:
        """The addresses that hold."""
        return await self._show(request, TenantId(principal.tenant_id))

    async def make(self, request: Request, principal: Staff) -> Response:
        """Make one, and show its secret this once."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=3)
        t = self._pages.shell.catalogue(request)
        try:
            secret = await self._desk.make(tenant_id, actor_of(request), label=text(form, "label"))
        except InvalidFieldError:
            return await self._show(request, tenant_id, fault=t("tiering.fault_label"), status=422)
        address = f"{request.base_url}{ADDRESS[1:]}/{secret}.ics?lang={t.language}"
        return await self._show(request, tenant_id, address=address)

    async def revoke(self, request: Request, principal: Staff, feed_id: UUID) -> Response:
        """Let one answer no more."""
        await self._desk.revoke(TenantId(principal.tenant_id), feed_id, actor_of(request))
        return RedirectResponse(CALENDARS, status_code=303)

    async def read(self, request: Request, secret: Annotated[str, Path(max_length=128)]) -> Response:
        """The reviews, for whoever has the secret."""
        client = request.client.host if request.client is not None else ""
        wait_s = self._limit.take(client, self._pages.shell.clock.monotonic_s())
        if wait_s > 0:
            return Response(status_code=429, headers={"Retry-After": str(int(wait_s) + 1)})
        t = self._pages.shell.catalogue(request)
        title = t("tiering.review_title", number="{number}", customer="{customer}")
        return calendar_file(await self._desk.read(secret, title=title))

    async def _show(
        self, request: Request, tenant_id: TenantId, *, address: str = "", fault: str = "", status: int = 200
    ) -> Response:
        return self._pages.shell.page(
            request,
            "tiering_calendars.html",
            status=status,
            page_name="tiering",
            tab="calendars",
            feeds=await self._desk.feeds(tenant_id),
            address=address,
            fault=fault,
            csrf_token=form_token(request),
        )
