"""The page of duplicates: customers that may be one, merging two, and taking a merge back."""

from typing import Final
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.tiering import repository
from cloud.tiering.api import Staff
from cloud.tiering.book import MergeStateError
from cloud.tiering.desk import TieringDesk
from cloud.tiering.duplicates import alike
from cloud.web.forms import text
from cloud.web.tiering_page import PAGE, TieringPages, form_token

DUPLICATES: Final = f"{PAGE}/duplicates"
MERGES_SHOWN: Final = 50


def include(app: FastAPI, pages: TieringPages, desk: TieringDesk) -> None:
    """Add the page."""
    page = DuplicatesPage(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(DUPLICATES, page.overview, methods=["GET"])
    routes.add_api_route(DUPLICATES, page.merge, methods=["POST"])
    routes.add_api_route(f"{DUPLICATES}/{{merge_id}}/undo", page.undo, methods=["POST"])
    app.include_router(routes)


class DuplicatesPage:
    """The handlers; customers are named by their codes, as in files."""

    def __init__(self, pages: TieringPages, desk: TieringDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def overview(self, request: Request, principal: Staff) -> Response:
        """Groups that look alike, a form, and the merges."""
        return await self._show(request, TenantId(principal.tenant_id))

    async def merge(self, request: Request, principal: Staff) -> Response:
        """Merge one into another, both by code."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=5)
        t = self._pages.shell.catalogue(request)
        kept, gone = text(form, "kept"), text(form, "gone")
        async with self._desk.database.reading() as session:
            ids = {row[1]: row[0] for row in await repository.labels(session, tenant_id)}
        missing = next((code for code in (kept, gone) if code not in ids), None)
        if missing is not None:
            fault = t("tiering.fault_code", code=missing[:128])
            return await self._show(request, tenant_id, fault=fault, status=422)
        try:
            await self._desk.merge(tenant_id, ids[kept], ids[gone], actor_of(request))
        except (MergeStateError, NotFoundError, InvalidFieldError) as error:
            return await self._show(request, tenant_id, fault=_words(t.find(_key(error)), error), status=409)
        return RedirectResponse(f"{DUPLICATES}#merges", status_code=303)

    async def undo(self, request: Request, principal: Staff, merge_id: UUID) -> Response:
        """Take a merge back."""
        tenant_id = TenantId(principal.tenant_id)
        t = self._pages.shell.catalogue(request)
        try:
            await self._desk.undo_merge(tenant_id, merge_id, actor_of(request))
        except MergeStateError as error:
            return await self._show(request, tenant_id, fault=_words(t.find(_key(error)), error), status=409)
        return RedirectResponse(f"{DUPLICATES}#merges", status_code=303)

    async def _show(self, request: Request, tenant_id: TenantId, *, fault: str = "", status: int = 200) -> Response:
        async with self._desk.database.reading() as session:
            rows = await repository.labels(session, tenant_id)
            merges = await repository.merges(session, tenant_id, limit=MERGES_SHOWN)
            ids = {each.kept_id for each in merges} | {each.gone_id for each in merges}
            customers = await repository.names(session, ids)
        return self._pages.shell.page(
            request,
            "tiering_duplicates.html",
            status=status,
            page_name="tiering",
            tab="duplicates",
            groups=await to_thread.run_sync(alike, rows),
            count=len(rows),
            merges=merges,
            customers=customers,
            fault=fault,
            csrf_token=form_token(request),
        )


def _key(error: Exception) -> str:
    return f"tiering.merge_fault.{error.reason}" if isinstance(error, MergeStateError) else ""


def _words(known: str | None, error: Exception) -> str:
    return known or str(error)
