"""The pages of a tenant's people and API keys: who may do what, invite, change, take out; make and revoke keys."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import PLANT_ROLES, RIGHTS, Principal, Right, Role, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.problems import NotFoundError
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity import domain
from cloud.identity.domain import LoginTakenError, RoleError
from cloud.identity.keys import ApiKeys
from cloud.identity.service import IdentityService
from cloud.web.shell import Shell
from kit.clock import Clock

Manager = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]
SHOWN_MAX = 200


def include(
    app: FastAPI, shell: Shell, database: Database, people: IdentityService, keys: ApiKeys, *, clock: Clock
) -> None:
    """Add the pages."""
    pages = PeoplePages(shell, database, people, keys, clock)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/people", pages.people, methods=["GET"])
    routes.add_api_route("/people", pages.invite, methods=["POST"])
    routes.add_api_route("/people/{user_id}/roles", pages.set_roles, methods=["POST"])
    routes.add_api_route("/people/{user_id}/remove", pages.remove, methods=["POST"])
    routes.add_api_route("/keys", pages.keys, methods=["GET"])
    routes.add_api_route("/keys", pages.make_key, methods=["POST"])
    routes.add_api_route("/keys/{key_id}/revoke", pages.revoke_key, methods=["POST"])
    app.include_router(routes)


class PeoplePages:
    """The handlers; the middleware has seen to it that forms come from our own pages."""

    def __init__(self, shell: Shell, database: Database, people: IdentityService, keys: ApiKeys, clock: Clock) -> None:
        self._shell = shell
        self._database = database
        self._people = people
        self._keys = keys
        self._clock = clock

    async def people(self, request: Request, me: Manager) -> Response:
        """The people of this tenant."""
        return await self._people_page(request, me)

    async def invite(self, request: Request, me: Manager) -> Response:
        """Add somebody; the answer is the only place where the link is shown."""
        form = await request.form()
        login, name = (str(form.get(key, "")).strip() for key in ("login", "name"))
        if not login or any(character.isspace() for character in login):
            return await self._people_page(request, me, fault="login_blank")
        try:
            async with self._database.transaction() as session:
                person, token = await self._people.invite(
                    session,
                    me,
                    actor_of(request),
                    login=login,
                    name=name,
                    roles=_roles(form.getlist("roles")),
                    now_ms=self._clock.utc_ms(),
                )
        except LoginTakenError:
            return await self._people_page(request, me, fault="taken")
        except RoleError as error:
            return await self._people_page(request, me, fault=error.reason)
        link = str(request.base_url.replace(path="/welcome", query=f"token={token}")) if token else ""
        return await self._people_page(request, me, invited=person.login, link=link)

    async def set_roles(self, request: Request, me: Manager, user_id: str) -> Response:
        """Change what somebody may do."""
        form = await request.form()
        try:
            async with self._database.transaction() as session:
                now_ms = self._clock.utc_ms()
                roles = _roles(form.getlist("roles"))
                await self._people.set_roles(session, me, actor_of(request), user_id, roles, now_ms=now_ms)
        except RoleError as error:
            return await self._people_page(request, me, fault=error.reason)
        except NotFoundError:
            return self._unknown(request)
        return RedirectResponse("/people", status_code=303)

    async def remove(self, request: Request, me: Manager, user_id: str) -> Response:
        """Take somebody out of this tenant."""
        try:
            async with self._database.transaction() as session:
                await self._people.remove(session, me, actor_of(request), user_id, now_ms=self._clock.utc_ms())
        except RoleError as error:
            return await self._people_page(request, me, fault=error.reason)
        except NotFoundError:
            return self._unknown(request)
        return RedirectResponse("/people", status_code=303)

    async def keys(self, request: Request, me: Manager) -> Response:
        """The API keys of this tenant."""
        return await self._keys_page(request, me)

    async def make_key(self, request: Request, me: Manager) -> Response:
        """Make a key; the answer is the only place where it is shown."""
        form = await request.form()
        name, days = str(form.get("name", "")).strip(), str(form.get("days", ""))
        rights = domain.known_rights(form.getlist("rights"))
        if not name or not rights or not rights <= me.rights or not days.isdecimal():
            return await self._keys_page(request, me, fault="key")
        if not 1 <= int(days) <= domain.KEY_DAYS_MAX:
            return await self._keys_page(request, me, fault="days")
        async with self._database.transaction() as session:
            _, text = await self._keys.make(
                session,
                me.tenant_id,
                actor_of(request),
                name=name,
                rights=rights,
                days=int(days),
                now_ms=self._clock.utc_ms(),
            )
        return await self._keys_page(request, me, made=text)

    async def revoke_key(self, request: Request, me: Manager, key_id: str) -> Response:
        """Refuse a key from now on."""
        try:
            async with self._database.transaction() as session:
                await self._keys.revoke(session, me.tenant_id, key_id, actor_of(request), self._clock.utc_ms())
        except NotFoundError:
            return self._unknown(request)
        return RedirectResponse("/keys", status_code=303)

    async def _people_page(
        self, request: Request, me: Principal, *, fault: str = "", invited: str = "", link: str = ""
    ) -> Response:
        async with self._database.reading() as session:
            found = await self._people.people(session, me.tenant_id, limit=SHOWN_MAX)
        offered = [role for role in Role if RIGHTS[role] <= me.rights]
        return self._shell.page(
            request,
            "people.html",
            status=422 if fault else 201 if invited else 200,
            page_name="people",
            people=found,
            offered=offered if me.tenant_id == DEFAULT_TENANT else [r for r in offered if r in PLANT_ROLES],
            me=me,
            fault=fault,
            invited=invited,
            invitation=link,
        )

    async def _keys_page(self, request: Request, me: Principal, *, fault: str = "", made: str = "") -> Response:
        async with self._database.reading() as session:
            found = await self._keys.keys(session, me.tenant_id, limit=SHOWN_MAX)
        return self._shell.page(
            request,
            "keys.html",
            status=422 if fault else 201 if made else 200,
            page_name="keys",
            keys=found,
            offered=sorted(me.rights),
            days=domain.KEY_DAYS_DEFAULT,
            days_max=domain.KEY_DAYS_MAX,
            fault=fault,
            made=made,
        )

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("people.unknown_title"), detail=t("people.unknown"))


def _roles(chosen: Sequence[object]) -> list[Role]:
    return [Role(str(role)) for role in chosen if role in set(Role)]
