"""The wizard that claims a gateway: name it, take the token to it, watch it come, or take the token back."""

import shlex
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from cloud.core.access import Right
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.live import Topic
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.gateways import service
from cloud.gateways.domain import ClaimsClosedError, ClaimSpentError, NewClaim, PlantTakenError
from cloud.gateways.service import GatewayIdentities
from cloud.web.claim_view import STAGES, Progress, progress_of
from cloud.web.gateways_page import PAGE, GatewaysPage, Manager, Reader, is_trusted
from cloud.web.live import Feeds, Snapshot, digest_of
from cloud.web.shell import Shell
from cloud.web.streams import stream
from kit.clock import Clock

CLAIMS = f"{PAGE}/claims"
ID_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class ClaimKey:
    """Which claim a reader watches, and whether it is one who may take it back."""

    tenant: TenantId
    language: str
    claim_id: UUID
    may_manage: bool


def include(
    app: FastAPI,
    gateways: GatewaysPage,
    shell: Shell,
    database: Database,
    identities: GatewayIdentities,
    clock: Clock,
    changes: Topic,
) -> Feeds[ClaimKey]:
    """Add the wizard; the streams of those who watch are closed by the caller."""
    page = ClaimPage(gateways, shell, database, identities, clock, changes)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(CLAIMS, page.claim, methods=["POST"])
    routes.add_api_route(f"{CLAIMS}/{{claim_id}}", page.show, methods=["GET"])
    routes.add_api_route(f"{CLAIMS}/{{claim_id}}/take-back", page.take_back, methods=["POST"])
    routes.add_api_route(f"/live{CLAIMS}/{{claim_id}}", page.live, methods=["GET"])
    app.include_router(routes)
    return page.feeds


class ClaimPage:
    """The handlers; a form is taken from our own pages only, and with the session's token."""

    def __init__(
        self,
        gateways: GatewaysPage,
        shell: Shell,
        database: Database,
        identities: GatewayIdentities,
        clock: Clock,
        changes: Topic,
    ) -> None:
        self._gateways = gateways
        self._shell = shell
        self._database = database
        self._identities = identities
        self._clock = clock
        self.feeds: Feeds[ClaimKey] = Feeds(self._snapshot, changes, clock)

    async def claim(self, request: Request, principal: Manager) -> Response:
        """Make a claim; the answer is the only place where its token is shown."""
        t, form = self._shell.catalogue(request), await request.form()
        if not is_trusted(request, principal, form):
            return self._gateways.foreign(request)
        plant, gateway = (str(form.get(name, "")).strip()[:ID_CHARACTERS_MAX] for name in ("plant", "gateway"))
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), self._clock.utc_ms()
        filled = {"plant": plant, "gateway": gateway}
        try:
            async with self._database.transaction() as session:
                made = await self._identities.make_claim(session, tenant_id, plant, gateway, actor, now_ms=now_ms)
        except InvalidFieldError:
            fault = t("gateways.bad_ids")
            return await self._gateways.page(request, principal, fault=fault, filled=filled, status=422)
        except PlantTakenError:
            fault = t("gateways.taken", plant=plant)
            return await self._gateways.page(request, principal, fault=fault, filled=filled, status=409)
        except ClaimsClosedError:
            return await self._gateways.page(request, principal, status=409)
        return await self._page(request, principal, made.claim_id, made=made, status=201)

    async def show(self, request: Request, principal: Reader, claim_id: UUID) -> Response:
        """How far a claim has come; its token is not shown again."""
        try:
            return await self._page(request, principal, claim_id)
        except NotFoundError:
            return self._unknown(request)

    async def take_back(self, request: Request, principal: Manager, claim_id: UUID) -> Response:
        """Let the token open nothing any more."""
        t, form = self._shell.catalogue(request), await request.form()
        if not is_trusted(request, principal, form):
            return self._gateways.foreign(request)
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), self._clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                await self._identities.take_back(session, tenant_id, claim_id, actor, now_ms=now_ms)
        except NotFoundError:
            return self._unknown(request)
        except ClaimSpentError:
            return await self._page(request, principal, claim_id, fault=t("claim.spent"), status=409)
        return RedirectResponse(f"{CLAIMS}/{claim_id}", status_code=303)

    async def live(self, request: Request, principal: Reader, claim_id: UUID) -> Response:
        """The stream of a claim's steps."""
        key = self._key(request, principal, claim_id)
        try:
            await self._progress(key.tenant, claim_id)
        except NotFoundError:
            return self._unknown(request)
        return stream(self.feeds, key, request)

    async def _page(
        self,
        request: Request,
        principal: Manager | Reader,
        claim_id: UUID,
        *,
        made: NewClaim | None = None,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        key = self._key(request, principal, claim_id)
        progress = await self._progress(key.tenant, claim_id)
        snapshot = await self._snapshot(key)
        return self._shell.page(
            request,
            "claim.html",
            status=status,
            page_name="gateways",
            progress=progress,
            pieces={name: Markup(html) for name, html in snapshot.pieces.items()},  # noqa: S704 - our own templates'
            live_url=f"/live{CLAIMS}/{claim_id}?lang={key.language}&have={digest_of(snapshot)}",
            may_manage=key.may_manage,
            csrf_token=principal.form_token(),
            made=made,
            command=_command(request, made) if made is not None else "",
            fault=fault,
        )

    async def _snapshot(self, key: ClaimKey) -> Snapshot:
        t = self._shell.catalogues[key.language]
        try:
            progress = await self._progress(key.tenant, key.claim_id)
        except NotFoundError:  # forgotten while somebody looked on
            return Snapshot(dict.fromkeys(("claim-steps", "claim-ways"), ""))
        steps = self._shell.fragment("claim_steps.html", t, progress=progress, stages=STAGES)
        ways = self._shell.fragment("claim_ways.html", t, progress=progress, may_manage=key.may_manage)
        return Snapshot({"claim-steps": steps, "claim-ways": ways})

    def _key(self, request: Request, principal: Manager | Reader, claim_id: UUID) -> ClaimKey:
        language, may_manage = self._shell.catalogue(request).language, Right.MANAGE_GATEWAYS in principal.rights
        return ClaimKey(TenantId(principal.tenant_id), language, claim_id, may_manage)

    async def _progress(self, tenant_id: TenantId, claim_id: UUID) -> Progress:
        async with self._database.reading() as session:
            claim = await service.claim_of(session, tenant_id, claim_id)
            gateway = await reading.gateway(session, tenant_id, claim.plant_id, claim.gateway_id)
            presses = await reading.presses_of(session, claim.plant_id, claim.gateway_id) if gateway else 0
        return progress_of(claim, gateway, presses, self._clock.utc_ms())

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("claim.unknown_title"), detail=t("claim.unknown"))


def _command(request: Request, made: NewClaim) -> str:
    """What to type at the gateway; the token goes by the environment, where other users of the machine see nothing."""
    token = f"ZHISAN_CLAIM_TOKEN={shlex.quote(made.token)}"
    return f"{token} {claim_command(address_of_cloud(request), made.gateway_id)}"


def address_of_cloud(request: Request) -> str:
    """Where the reader reaches this program, which is where a gateway does."""
    return f"{request.url.scheme}://{request.url.netloc}"


def claim_command(cloud: str, gateway_id: str) -> str:
    """The command that spends a token, which stands before it in the environment."""
    claim = ["zhisan", "gateway", "claim", "--cloud", cloud, "--config", "gateway.toml"]
    return shlex.join([*claim, "--state-dir", f"/var/lib/zhisan/{gateway_id}"])
