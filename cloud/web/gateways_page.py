"""The page of gateways: those at work with their figures, certificates and their ends, revocation."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import decode_cursor, encode_cursor
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.fleet.domain import Gateway
from cloud.gateways import service
from cloud.gateways.domain import REASON_CHARACTERS_MAX, Identity
from cloud.gateways.service import GatewayIdentities
from cloud.identity.middleware import is_own_site
from cloud.rollouts import views as models
from cloud.web.gateways_view import AtWork, lines
from cloud.web.shell import Shell
from kit.clock import Clock

PAGE = "/gateways"
SHOWN_MAX = 50
CLAIMS_SHOWN = 20
CSRF_FIELD = "csrf_token"
Reader = Annotated[Principal, requires(Right.READ)]
Manager = Annotated[Principal, requires(Right.MANAGE_GATEWAYS)]


def include(
    app: FastAPI, shell: Shell, database: Database, identities: GatewayIdentities, clock: Clock
) -> "GatewaysPage":
    """Add the page and its form."""
    routes = APIRouter(include_in_schema=False)
    page = GatewaysPage(shell, database, identities, clock)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{plant_id}}/{{gateway_id}}/revoke", page.revoke, methods=["POST"])
    app.include_router(routes)
    return page


class GatewaysPage:
    """The handlers; a form is taken from our own pages only, and with the session's token."""

    def __init__(self, shell: Shell, database: Database, identities: GatewayIdentities, clock: Clock) -> None:
        self._shell = shell
        self._database = database
        self._identities = identities
        self._clock = clock

    async def show(self, request: Request, principal: Reader, after: str = "", work: str = "") -> Response:
        """Gateways by plant and id, a page at a time: `work` turns those at work, `after` the claimed ones."""
        return await self.page(request, principal, after=after, work=work)

    async def revoke(self, request: Request, principal: Manager, plant_id: str, gateway_id: str) -> Response:
        """Refuse a gateway from now on."""
        t, form = self._shell.catalogue(request), await request.form()
        if not is_trusted(request, principal, form):
            return self.foreign(request)
        reason = str(form.get("reason", "")).strip()[:REASON_CHARACTERS_MAX]
        if not reason:
            return await self.page(request, principal, fault=t("gateways.reason_missing"), status=422)
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), self._clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                await self._identities.revoke(
                    session, tenant_id, plant_id, gateway_id, actor, reason=reason, now_ms=now_ms
                )
        except NotFoundError:
            detail = t("gateways.unknown", gateway=f"{plant_id}/{gateway_id}")
            return self._shell.problem(request, status=404, title=t("gateways.unknown_title"), detail=detail)
        return RedirectResponse(PAGE, status_code=303)

    async def page(
        self,
        request: Request,
        principal: Principal,
        *,
        after: str = "",
        work: str = "",
        fault: str = "",
        filled: dict[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        """The page; `filled` are the fields of a claim that could not be made."""
        tenant_id, now_ms = TenantId(principal.tenant_id), self._clock.utc_ms()
        async with self._database.reading() as session:
            found = await service.identities(session, tenant_id, after=_position(after), limit=SHOWN_MAX)
            seen = await reading.gateways(session, tenant_id, after=_position(work), limit=SHOWN_MAX)
            shown = await _lines(session, tenant_id, seen.items, now_ms)
            claims = await service.open_claims(session, tenant_id, now_ms=now_ms, limit=CLAIMS_SHOWN)
            plants = sorted(await reading.plant_ids(session, tenant_id))
        return self._shell.page(
            request,
            "gateways.html",
            status=status,
            page_name="gateways",
            gateways=found.items,
            at_work=shown,
            claims=claims,
            plants=plants,
            is_later=bool(after or work),
            more_url=_more_url("after", found.items[-1:], has_more=found.has_more),
            more_work_url=_more_url("work", seen.items[-1:], has_more=seen.has_more),
            may_manage=Right.MANAGE_GATEWAYS in principal.rights,
            is_open=self._identities.is_open,
            csrf_field=CSRF_FIELD,
            csrf_token=principal.form_token(),
            reason_characters_max=REASON_CHARACTERS_MAX,
            filled=filled or {"plant": "", "gateway": ""},
            fault=fault,
        )

    def foreign(self, request: Request) -> Response:
        """What a form of another site is told."""
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=403, title=t("gateways.foreign_title"), detail=t("gateways.foreign"))


def is_trusted(request: Request, principal: Principal, form: FormData) -> bool:
    """Whether a form comes from our own page in the session that it was made for."""
    token = form.get(CSRF_FIELD)
    is_theirs = isinstance(token, str) and principal.is_form_token(token)
    return is_own_site(request.headers) and (principal.kind == "api_key" or is_theirs)


async def _lines(
    session: AsyncSession, tenant_id: TenantId, seen: Sequence[Gateway], now_ms: int
) -> tuple[AtWork, ...]:
    found = [
        (
            gateway,
            await service.identity_of(session, tenant_id, gateway.plant_id, gateway.gateway_id),
            await models.gateway(session, tenant_id, gateway.plant_id, gateway.gateway_id),
        )
        for gateway in seen
    ]
    return lines(found, now_ms)


def _position(cursor: str) -> tuple[str, str] | None:
    parts = decode_cursor(cursor or None, str, str)
    return (str(parts[0]), str(parts[1])) if parts else None


def _more_url(name: str, last: Sequence[Gateway | Identity], *, has_more: bool) -> str | None:
    if not has_more:
        return None
    return f"{PAGE}?{urlencode({name: encode_cursor((last[0].plant_id, last[0].gateway_id))})}"
