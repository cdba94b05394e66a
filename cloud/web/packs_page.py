"""The page on which a company changes its pack itself: what will change is told before it is chosen."""

from typing import Annotated, Final

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements import service as entitlements
from cloud.plan_api import usage
from cloud.self_service import packing, repository
from cloud.self_service.desk import SelfServiceDesk
from cloud.self_service.packing import AgreedError
from cloud.web.plan_page import USED_OF
from cloud.web.shell import Shell

PAGE: Final = "/plan/packs"
PACK_CHARACTERS_MAX: Final = 64
Payer = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]


def include(app: FastAPI, shell: Shell, desk: SelfServiceDesk) -> None:
    """Add the page."""
    page = PacksPage(shell, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(PAGE, page.choose, methods=["POST"])
    app.include_router(routes)


class PacksPage:
    """The handlers."""

    def __init__(self, shell: Shell, desk: SelfServiceDesk) -> None:
        self._shell = shell
        self._desk = desk

    async def show(
        self, request: Request, payer: Payer, pack: Annotated[str, Query(max_length=PACK_CHARACTERS_MAX)] = ""
    ) -> Response:
        """The packs, and what one of them would change."""
        return await self._show(request, payer, pack)

    async def choose(self, request: Request, payer: Payer) -> Response:
        """Take a pack."""
        form = await request.form(max_files=0, max_fields=3)
        pack_id, t = str(form.get("pack", "")), self._shell.catalogue(request)
        try:
            async with self._desk.database.transaction() as session:
                await packing.choose(
                    session,
                    TenantId(payer.tenant_id),
                    pack_id,
                    self._desk.packs,
                    actor=actor_of(request),
                    now_ms=self._desk.clock.utc_ms(),
                )
        except InvalidFieldError:
            return await self._show(request, payer, "", fault=t("packs.unknown"), status=422)
        except AgreedError:
            return await self._show(request, payer, "", fault=t("packs.agreed"), status=409)
        return RedirectResponse(PAGE, status_code=303)

    async def _show(
        self, request: Request, payer: Principal, pack_id: str, *, fault: str = "", status: int = 200
    ) -> Response:
        tenant, now_ms, packs = TenantId(payer.tenant_id), self._desk.clock.utc_ms(), self._desk.packs
        change, is_agreed = None, False
        async with self._desk.database.reading() as session:
            row = await repository.subscription(session, tenant)
            chosen = packs.get(pack_id)
            if row is not None and chosen is not None and pack_id != row.pack_id:
                held = (await entitlements.in_force(session, tenant, now_ms)).entitlements
                used = (await usage(session, tenant, held.presses_max)).model_dump()
                counted = {name: int(used[counter]) for name, counter in USED_OF.items()}
                try:
                    change = await packing.preview(session, row, chosen, packs, counted, now_ms)
                except AgreedError:
                    is_agreed = True
        t = self._shell.catalogue(request)
        return self._shell.page(
            request,
            "packs.html",
            status=status,
            page_name="plan",
            subscription=row,
            packs=list(packs.values()),
            names={pack.pack_id: pack.names[t.language] for pack in packs.values()},
            change=change,
            fault=fault or (t("packs.agreed") if is_agreed else ""),
            csrf_token=payer.form_token(),
        )
