"""The page of settings: how pages look, the company, how long what is kept, and the way to all other settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core import events
from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements import service as entitlements
from cloud.fleet import reading
from cloud.fleet.names import PlantNames, name_plant
from cloud.gateways.service import KEPT_MS as CLAIMS_KEPT_MS
from cloud.identity.domain import NAME_CHARACTERS_MAX
from cloud.identity.service import IdentityService
from cloud.production.jobs import KEPT_MS as HOURS_KEPT_MS
from cloud.production.windows import Schedule
from cloud.web.lists import back_to
from cloud.web.shell import COOKIE_AGE_S, LANGUAGE_COOKIE, THEME_COOKIE, THEMES, Shell
from cloud.web.translation import LANGUAGES
from cloud.webhooks.service import KEPT_MS as DELIVERIES_KEPT_MS

PAGE: Final = "/settings"
DAY_MS: Final = 24 * 3_600_000
Reader = Annotated[Principal, requires(Right.READ)]
Manager = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]
LINKS: Final[Sequence[tuple[str, str, Right]]] = (
    ("production", "/settings/production", Right.READ),
    ("people", "/people", Right.MANAGE_PEOPLE),
    ("keys", "/keys", Right.MANAGE_PEOPLE),
    ("gateways", "/gateways", Right.READ),
    ("webhooks", "/webhooks", Right.READ),
    ("rules", "/rules", Right.READ),
    ("audit", "/audit", Right.READ_AUDIT),
    ("plan", "/plan", Right.READ),
    ("account", "/account", Right.READ),
    ("start", "/start", Right.READ),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the installation's own settings say, which a page shows and does not change."""

    schedule: Schedule
    alarm_days: int
    providers: tuple[tuple[str, str], ...]
    """Label in Chinese and English of each way of single sign-on."""


def include(
    app: FastAPI, shell: Shell, database: Database, people: IdentityService, names: PlantNames, site: Site
) -> None:
    """Add the page and its forms."""
    page = SettingsPage(shell, database, people, names, site)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}/look", page.look, methods=["POST"])
    routes.add_api_route(f"{PAGE}/company", page.rename, methods=["POST"])
    routes.add_api_route(f"{PAGE}/plants", page.name_plant, methods=["POST"])
    app.include_router(routes)


class SettingsPage:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(
        self, shell: Shell, database: Database, people: IdentityService, names: PlantNames, site: Site
    ) -> None:
        self._shell = shell
        self._database = database
        self._people = people
        self._names = names
        self._site = site

    async def show(self, request: Request, principal: Reader) -> Response:
        """Everything on one page."""
        return await self._page(request, principal)

    async def look(self, request: Request, principal: Reader) -> Response:
        """Keep language and colours, with the reader's account and in the browser for when nobody is signed in."""
        form = await request.form()
        answer = RedirectResponse(back_to(request, PAGE).partition("?")[0], status_code=303)
        wishes = ((LANGUAGE_COOKIE, "language", LANGUAGES), (THEME_COOKIE, "theme", THEMES))
        chosen = {name: value for _, name, known in wishes if (value := str(form.get(name, ""))) in known}
        for cookie, name, _ in wishes:
            if name in chosen:
                answer.set_cookie(cookie, chosen[name], max_age=COOKIE_AGE_S, samesite="lax", httponly=True)
        if principal.kind == "user":
            async with self._database.transaction() as session:
                await self._people.set_look(session, principal.id, **chosen)
        return answer

    async def rename(self, request: Request, principal: Manager) -> Response:
        """Give the company another name."""
        name = str((await request.form()).get("name", "")).strip()
        if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            fault = self._shell.catalogue(request)("settings.fault.name", characters=NAME_CHARACTERS_MAX)
            return await self._page(request, principal, fault=fault, status=422)
        async with self._database.transaction() as session:
            now_ms = self._shell.clock.utc_ms()
            await self._people.rename_company(session, principal, actor_of(request), name, now_ms=now_ms)
        return RedirectResponse(PAGE, status_code=303)

    async def name_plant(self, request: Request, principal: Manager) -> Response:
        """Give a plant a display name, or its id again."""
        form = await request.form()
        plant_id, name = (str(form.get(field, "")) for field in ("plant", "name"))
        tenant_id, now_ms = TenantId(principal.tenant_id), self._shell.clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                await name_plant(session, tenant_id, plant_id, name, actor=actor_of(request), now_ms=now_ms)
        except InvalidFieldError:
            t = self._shell.catalogue(request)
            fault = t("settings.fault.plant", plant=plant_id, characters=NAME_CHARACTERS_MAX)
            return await self._page(request, principal, fault=fault, status=422)
        await self._names.read()
        return RedirectResponse(PAGE, status_code=303)

    async def _page(self, request: Request, principal: Principal, *, fault: str = "", status: int = 200) -> Response:
        tenant_id = TenantId(principal.tenant_id)
        async with self._database.reading() as session:
            name = await self._people.company(session, tenant_id)
            plants = await reading.plants(session, tenant_id, limit=reading.FLEET_MAX)
            shown = await entitlements.in_force(session, tenant_id, self._shell.clock.utc_ms())
        language = self._shell.catalogue(request).language
        return self._shell.page(
            request,
            "settings.html",
            status=status,
            page_name="settings",
            company=name,
            plants=plants.items,
            kept=self._kept(shown.entitlements.retention_days),
            providers=[labels[0 if language == "zh-CN" else 1] for labels in self._site.providers],
            zone=str(self._site.schedule.zone),
            shift_starts_h=self._site.schedule.shift_starts_h,
            links=[(name, path) for name, path, right in LINKS if right in principal.rights],
            themes=THEMES,
            languages=LANGUAGES,
            may_rename=Right.MANAGE_PEOPLE in principal.rights,
            csrf_token=principal.form_token(),
            name_characters_max=NAME_CHARACTERS_MAX,
            fault=fault,
        )

    def _kept(self, shown_days: int | None) -> Mapping[str, int | None]:
        """For how many days what is kept; None: for ever."""
        return {
            "shots": shown_days,
            "alarms": self._site.alarm_days,
            "hours": HOURS_KEPT_MS // DAY_MS,
            "events": events.KEPT_MS // DAY_MS,
            "deliveries": DELIVERIES_KEPT_MS // DAY_MS,
            "claims": CLAIMS_KEPT_MS // DAY_MS,
            "audit": None,
        }
