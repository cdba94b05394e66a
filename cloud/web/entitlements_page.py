"""The pages of the platform's people about what customers have: the catalogue with its versions, and each tenant."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.access import Principal, Right
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements import repository, service
from cloud.entitlements.api import Keeper, Watcher
from cloud.entitlements.domain import DEPTHS, KINDS, NAMES, Tier
from cloud.entitlements.service import AlreadyEndedError, CatalogueConflictError
from cloud.identity import repository as identities
from cloud.plan_api import usage
from cloud.web.plan_page import plan_lines
from cloud.web.shell import Shell
from cloud.web.wording import plan_value
from kit.clock import Clock

PAGE: Final = "/entitlements"
SHOWN_MAX: Final = 100
OVERRIDE_DAYS_MAX: Final = 3 * 365


def include(app: FastAPI, shell: Shell, database: Database, clock: Clock) -> None:
    """Add the pages and their forms."""
    page = EntitlementPages(shell, database, clock)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.overview, methods=["GET"])
    routes.add_api_route(f"{PAGE}/catalogue", page.save, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{tenant_id}}", page.tenant, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{tenant_id}}/tier", page.assign, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{tenant_id}}/overrides", page.override, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{tenant_id}}/overrides/{{override_id}}/end", page.end_override, methods=["POST"])
    app.include_router(routes)


class EntitlementPages:
    """The handlers."""

    def __init__(self, shell: Shell, database: Database, clock: Clock) -> None:
        self._shell = shell
        self._database = database
        self._clock = clock

    async def overview(
        self, request: Request, watcher: Watcher, after: Annotated[str, Query(max_length=128)] = ""
    ) -> Response:
        """The catalogue, who changed it, and the tenants by id."""
        return await self._overview(request, watcher, after=after)

    async def save(self, request: Request, keeper: Keeper) -> Response:
        """A new version of the catalogue: every field of every tier."""
        form = await request.form()
        version = str(form.get("version", ""))
        try:
            tiers = {tier: {name: _value(name, form, f"{tier}.{name}") for name in NAMES} for tier in Tier}
            if not version.isdecimal():
                raise InvalidFieldError("version", "is missing")
            async with self._database.transaction() as session:
                await service.save_catalogue(
                    session,
                    {str(tier): values for tier, values in tiers.items()},
                    version=int(version[:9]),
                    why=str(form.get("why", "")),
                    by=actor_of(request),
                    now_ms=self._clock.utc_ms(),
                )
        except InvalidFieldError as error:
            return await self._overview(request, keeper, fault=str(error))
        except CatalogueConflictError:
            return await self._overview(request, keeper, fault=self._shell.catalogue(request)("entitle.conflict"))
        return RedirectResponse(PAGE, status_code=303)

    async def tenant(self, request: Request, watcher: Watcher, tenant_id: str) -> Response:
        """What one tenant has, why, and what it had."""
        return await self._tenant(request, watcher, tenant_id)

    async def assign(self, request: Request, keeper: Keeper, tenant_id: str) -> Response:
        """Give a tier."""
        form = await request.form()
        tier = str(form.get("tier", ""))
        try:
            if tier not in set(Tier):
                raise InvalidFieldError("tier", f"must be one of {', '.join(Tier)}")
            async with self._database.transaction() as session:
                await service.assign_tier(
                    session,
                    TenantId(tenant_id),
                    Tier(tier),
                    reason=str(form.get("reason", "")),
                    by=actor_of(request),
                    now_ms=self._clock.utc_ms(),
                )
        except InvalidFieldError as error:
            return await self._tenant(request, keeper, tenant_id, fault=str(error))
        return RedirectResponse(f"{PAGE}/{tenant_id}", status_code=303)

    async def override(self, request: Request, keeper: Keeper, tenant_id: str) -> Response:
        """Let one entitlement be another for some days."""
        form = await request.form()
        name, days = str(form.get("entitlement", "")), str(form.get("days", ""))
        try:
            if not days.isdecimal() or not 1 <= int(days[:9]) <= OVERRIDE_DAYS_MAX:
                raise InvalidFieldError("days", f"must be a whole number of 1 to {OVERRIDE_DAYS_MAX}")
            now_ms = self._clock.utc_ms()
            ends = datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(days=int(days))
            async with self._database.transaction() as session:
                await service.set_override(
                    session,
                    TenantId(tenant_id),
                    name,
                    _value(name, form, "value"),
                    reason=str(form.get("reason", "")),
                    owner=str(form.get("owner", "")),
                    expires_ms=round(ends.timestamp() * 1000),
                    by=actor_of(request),
                    now_ms=now_ms,
                )
        except InvalidFieldError as error:
            return await self._tenant(request, keeper, tenant_id, fault=str(error))
        return RedirectResponse(f"{PAGE}/{tenant_id}", status_code=303)

    async def end_override(self, request: Request, keeper: Keeper, tenant_id: str, override_id: UUID) -> Response:
        """End one before its time; what the tier has is there again at once."""
        try:
            async with self._database.transaction() as session:
                by, now_ms = actor_of(request), self._clock.utc_ms()
                await service.end_override(session, TenantId(tenant_id), override_id, by=by, now_ms=now_ms)
        except AlreadyEndedError:
            return await self._tenant(request, keeper, tenant_id, fault=self._shell.catalogue(request)("entitle.ended"))
        return RedirectResponse(f"{PAGE}/{tenant_id}", status_code=303)

    async def _overview(self, request: Request, watcher: Principal, *, after: str = "", fault: str = "") -> Response:
        async with self._database.reading() as session:
            catalogue = await service.newest_catalogue(session)
            versions = await repository.catalogues(session, before=None, limit=SHOWN_MAX)
            tenants = await identities.tenants(session, after=after, limit=SHOWN_MAX + 1)
            tiers = await repository.tiers_now(session, [row.tenant_id for row in tenants])
        more = tenants[SHOWN_MAX - 1].tenant_id if len(tenants) > SHOWN_MAX else ""
        return self._shell.page(
            request,
            "entitlements.html",
            status=422 if fault else 200,
            page_name="entitlements",
            catalogue=catalogue,
            tier_names=list(Tier),
            names=NAMES,
            kinds=KINDS,
            depths=DEPTHS,
            versions=versions,
            tenants=tenants[:SHOWN_MAX],
            tiers=tiers,
            more=more,
            fault=fault,
            may_change=Right.ENTITLEMENTS in watcher.rights,
            csrf_token=watcher.form_token(),
        )

    async def _tenant(self, request: Request, watcher: Principal, tenant_id: str, *, fault: str = "") -> Response:
        known, t = TenantId(tenant_id), self._shell.catalogue(request)
        async with self._database.reading() as session:
            tenant = await identities.tenant(session, tenant_id)
            if tenant is None:
                raise NotFoundError("tenant", tenant_id)
            found = await service.in_force(session, known, self._clock.utc_ms())
            used = await usage(session, known, found.entitlements.presses_max)
            history = await repository.assignments(session, known, before=None, limit=SHOWN_MAX)
            overrides = await repository.overrides(session, known, before=None, limit=SHOWN_MAX)
        return self._shell.page(
            request,
            "entitlements_tenant.html",
            status=422 if fault else 200,
            page_name="entitlements",
            tenant=tenant,
            tier=found.tier,
            lines=plan_lines(t, found, used),
            history=history,
            overrides=[(row, plan_value(t, row.entitlement, row.value["value"])) for row in overrides],
            tier_names=list(Tier),
            names=NAMES,
            fault=fault,
            may_change=Right.ENTITLEMENTS in watcher.rights,
            csrf_token=watcher.form_token(),
        )


def _value(name: str, form: FormData, field: str) -> object:
    """A value as a form tells it; an empty amount is no limit."""
    told = str(form.get(field, "")).strip()
    match KINDS.get(name):
        case "flag":
            return told in ("true", "on")
        case "amount" | "hours":
            if told and not (told.isdecimal() and len(told) < 9):
                raise InvalidFieldError(field, "must be a whole number, or empty for no limit")
            return int(told) if told else None
        case _:
            return told
