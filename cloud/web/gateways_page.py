"""The page of gateway identity: certificates and their ends, new claims with the command to run, revocation."""

import shlex
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import decode_cursor, encode_cursor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.gateways import service
from cloud.gateways.domain import REASON_CHARACTERS_MAX, ClaimsClosedError, NewClaim, PlantTakenError
from cloud.gateways.service import GatewayIdentities
from cloud.identity.middleware import is_own_site
from cloud.web.shell import Shell
from kit.clock import Clock

PAGE = "/gateways"
SHOWN_MAX = 50
ID_CHARACTERS_MAX = 64
CSRF_FIELD = "csrf_token"
Reader = Annotated[Principal, requires(Right.READ)]
Manager = Annotated[Principal, requires(Right.MANAGE_GATEWAYS)]


def include(app: FastAPI, shell: Shell, database: Database, identities: GatewayIdentities, clock: Clock) -> None:
    """Add the page and its two forms."""
    routes = APIRouter(include_in_schema=False)
    page = GatewaysPage(shell, database, identities, clock)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}/claims", page.claim, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{plant_id}}/{{gateway_id}}/revoke", page.revoke, methods=["POST"])
    app.include_router(routes)


class GatewaysPage:
    """The handlers; a form is taken from our own pages only, and with the session's token."""

    def __init__(self, shell: Shell, database: Database, identities: GatewayIdentities, clock: Clock) -> None:
        self._shell = shell
        self._database = database
        self._identities = identities
        self._clock = clock

    async def show(self, request: Request, principal: Reader, after: str = "") -> Response:
        """The claimed gateways by plant and id, a page at a time."""
        return await self._page(request, principal, after=after)

    async def claim(self, request: Request, principal: Manager) -> Response:
        """Make a claim; the answer is the only place where its token is shown."""
        t, form = self._shell.catalogue(request), await request.form()
        if not _is_trusted(request, principal, form.get(CSRF_FIELD)):
            return self._foreign(request)
        plant, gateway = (str(form.get(name, "")).strip()[:ID_CHARACTERS_MAX] for name in ("plant", "gateway"))
        actor, now_ms = actor_of(request), self._clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                tenant_id = TenantId(principal.tenant_id)
                made = await self._identities.make_claim(session, tenant_id, plant, gateway, actor, now_ms=now_ms)
        except InvalidFieldError:
            return await self._page(request, principal, fault=t("gateways.bad_ids"), status=422)
        except PlantTakenError:
            return await self._page(request, principal, fault=t("gateways.taken", plant=plant), status=409)
        except ClaimsClosedError:
            return await self._page(request, principal, status=409)
        return await self._page(request, principal, made=made, status=201)

    async def revoke(self, request: Request, principal: Manager, plant_id: str, gateway_id: str) -> Response:
        """Refuse a gateway from now on."""
        t, form = self._shell.catalogue(request), await request.form()
        if not _is_trusted(request, principal, form.get(CSRF_FIELD)):
            return self._foreign(request)
        reason = str(form.get("reason", "")).strip()[:REASON_CHARACTERS_MAX]
        if not reason:
            return await self._page(request, principal, fault=t("gateways.reason_missing"), status=422)
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

    async def _page(
        self,
        request: Request,
        principal: Principal,
        *,
        after: str = "",
        made: NewClaim | None = None,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        parts = decode_cursor(after or None, str, str)
        position = (str(parts[0]), str(parts[1])) if parts else None
        async with self._database.reading() as session:
            tenant_id = TenantId(principal.tenant_id)
            found = await service.identities(session, tenant_id, after=position, limit=SHOWN_MAX)
            at_work = await reading.gateways(session, tenant_id, after=position, limit=SHOWN_MAX)
        last = found.items[-1] if found.has_more else None
        more = encode_cursor((last.plant_id, last.gateway_id)) if last is not None else ""
        return self._shell.page(
            request,
            "gateways.html",
            status=status,
            page_name="gateways",
            gateways=found.items,
            at_work=at_work.items,
            is_later=bool(after),
            more_url=f"{PAGE}?{urlencode({'after': more})}" if more else None,
            may_manage=Right.MANAGE_GATEWAYS in principal.rights,
            is_open=self._identities.is_open,
            csrf_field=CSRF_FIELD,
            csrf_token=principal.form_token(),
            reason_characters_max=REASON_CHARACTERS_MAX,
            made=made,
            command=_command(request, made) if made is not None else "",
            fault=fault,
        )

    def _foreign(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=403, title=t("gateways.foreign_title"), detail=t("gateways.foreign"))


def _is_trusted(request: Request, principal: Principal, token: object) -> bool:
    """Whether a form comes from our own page in the session that it was made for."""
    is_theirs = isinstance(token, str) and principal.is_form_token(token)
    return is_own_site(request.headers) and (principal.kind == "api_key" or is_theirs)


def _command(request: Request, made: NewClaim) -> str:
    """What to type at the gateway; the token goes by the environment, where other users of the machine see nothing."""
    cloud = f"{request.url.scheme}://{request.url.netloc}"
    claim = ["zhisan", "gateway", "claim", "--cloud", cloud, "--config", "gateway.toml"]
    state = ["--state-dir", f"/var/lib/zhisan/{made.gateway_id}"]
    return f"ZHISAN_CLAIM_TOKEN={shlex.quote(made.token)} {shlex.join(claim + state)}"
