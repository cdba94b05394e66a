"""The pages of one's own access: sign in and out, set up, follow a one-time link, own password and sessions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, address_of, current_principal, principal_of
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.problems import NotFoundError
from cloud.identity import setup_file
from cloud.identity.cookies import forget_session_cookie, session_token, set_session_cookie
from cloud.identity.desk import FrontDesk, TooManyTriesError
from cloud.identity.domain import LinkError, SessionRules, SignInRefusedError
from cloud.identity.oidc_service import Choice
from cloud.identity.passwords import CHARACTERS_MIN, PasswordError
from cloud.identity.service import IdentityService
from cloud.web.shell import Shell
from kit.clock import Clock

Me = Annotated[Principal, Depends(current_principal)]
SESSIONS_SHOWN_MAX = 50


def include(
    app: FastAPI,
    shell: Shell,
    database: Database,
    desk: FrontDesk,
    people: IdentityService,
    *,
    rules: SessionRules,
    folder: Path,
    clock: Clock,
    providers: Sequence[Choice] = (),
    has_signup: bool = False,
) -> None:
    """Add the pages; `providers`, and sign-up where there is one, are offered on the sign-in page."""
    pages = AccountPages(shell, database, desk, people, rules, folder, clock, providers, has_signup=has_signup)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route("/login", pages.login, methods=["GET"])
    routes.add_api_route("/login", pages.sign_in, methods=["POST"])
    routes.add_api_route("/logout", pages.sign_out, methods=["POST"])
    routes.add_api_route("/setup", pages.setup, methods=["GET"])
    routes.add_api_route("/setup", pages.set_up, methods=["POST"])
    routes.add_api_route("/welcome", pages.welcome, methods=["GET"])
    routes.add_api_route("/welcome", pages.take_link, methods=["POST"])
    routes.add_api_route("/account", pages.account, methods=["GET"])
    routes.add_api_route("/account/password", pages.change_password, methods=["POST"])
    routes.add_api_route("/account/sessions/end", pages.end_others, methods=["POST"])
    routes.add_api_route("/account/sessions/{session_id}/end", pages.end_one, methods=["POST"])
    routes.add_api_route("/account/tenant", pages.go_to, methods=["POST"])
    app.include_router(routes)


class AccountPages:
    """The handlers; a new session always comes with a new cookie."""

    def __init__(
        self,
        shell: Shell,
        database: Database,
        desk: FrontDesk,
        people: IdentityService,
        rules: SessionRules,
        folder: Path,
        clock: Clock,
        providers: Sequence[Choice],
        *,
        has_signup: bool,
    ) -> None:
        self._shell = shell
        self._database = database
        self._desk = desk
        self._people = people
        self._rules = rules
        self._folder = folder
        self._clock = clock
        self._providers = providers
        self._has_signup = has_signup

    async def login(self, request: Request, next: str = "") -> Response:  # noqa: A002 - the word in the URL
        """The sign-in form."""
        if principal_of(request) is not None:
            return RedirectResponse(local_path(next), status_code=303)
        return self._login(request, next)

    async def sign_in(self, request: Request) -> Response:
        """One try with a password."""
        form = await request.form()
        login, password, behind = (str(form.get(name, "")) for name in ("login", "password", "next"))
        try:
            token = await self._desk.sign_in(login, password, address_of(request))
        except (SignInRefusedError, TooManyTriesError) as error:
            return self._login(request, behind, login=login, fault=_fault(error))
        return self._signed_in(request, token, local_path(behind))

    async def sign_out(self, request: Request) -> Response:
        """End this session."""
        token = session_token(request)
        if token is not None:
            async with self._database.transaction() as session:
                await self._people.sign_out(session, token, actor_of(request), self._clock.utc_ms())
        response = RedirectResponse("/login", status_code=303)
        forget_session_cookie(response, request, self._rules)
        return response

    async def setup(self, request: Request, token: str = "") -> Response:
        """The first person makes the first account."""
        return await self._with_link(request, token, self._setup_form)

    async def set_up(self, request: Request) -> Response:
        """Make the first account."""
        form = await request.form()
        token, login, name, password = (str(form.get(key, "")) for key in ("token", "login", "name", "password"))
        fault = _form_fault(login, password, str(form.get("again", "")))
        try:
            if fault:
                return self._setup_form(request, token, login=login, name=name, fault=fault)
            made = await self._desk.set_up(
                token, login=login, name=name, password=password, address=address_of(request)
            )
        except PasswordError as error:
            return self._setup_form(request, token, login=login, name=name, fault=f"password_{error.reason}")
        except (LinkError, TooManyTriesError) as error:
            return self._bad_link(request, error)
        setup_file.remove(self._folder)
        return self._signed_in(request, made, "/")

    async def welcome(self, request: Request, token: str = "") -> Response:
        """Somebody follows a one-time link to set a password."""
        return await self._with_link(request, token, self._welcome_form)

    async def take_link(self, request: Request) -> Response:
        """Set the password that a one-time link is for."""
        form = await request.form()
        token, password, again = (str(form.get(key, "")) for key in ("token", "password", "again"))
        fault = _form_fault("-", password, again)
        try:
            if fault:
                return self._welcome_form(request, token, fault=fault)
            made = await self._desk.take_link(token, password, address_of(request))
        except PasswordError as error:
            return self._welcome_form(request, token, fault=f"password_{error.reason}")
        except (LinkError, TooManyTriesError) as error:
            return self._bad_link(request, error)
        return self._signed_in(request, made, "/")

    async def account(self, request: Request, me: Me) -> Response:
        """One's own password and open sessions."""
        return await self._account(request, me)

    async def change_password(self, request: Request, me: Me) -> Response:
        """Set one's own password."""
        form = await request.form()
        old, password, again = (str(form.get(key, "")) for key in ("old", "password", "again"))
        fault = _form_fault("-", password, again)
        try:
            if fault:
                return await self._account(request, me, fault=fault)
            token = await self._desk.change_password(me, old, password, actor_of(request))
        except PasswordError as error:
            return await self._account(request, me, fault=f"password_{error.reason}")
        except TooManyTriesError as error:
            return await self._account(request, me, fault=_fault(error))
        return self._signed_in(request, token, "/account?changed=1")

    async def end_others(self, request: Request, me: Me) -> Response:
        """Sign out everywhere but here."""
        token = session_token(request)
        if token is not None:
            async with self._database.transaction() as session:
                now_ms = self._clock.utc_ms()
                await self._people.end_other_sessions(session, me, token, actor_of(request), now_ms)
        return RedirectResponse("/account", status_code=303)

    async def end_one(self, request: Request, me: Me, session_id: str) -> Response:
        """Sign out in one other place."""
        try:
            async with self._database.transaction() as session:
                now_ms = self._clock.utc_ms()
                await self._people.end_session(session, me, session_id, actor_of(request), now_ms)
        except NotFoundError:
            return self._unknown(request)
        return RedirectResponse("/account", status_code=303)

    async def go_to(self, request: Request, me: Me) -> Response:
        """Go on in another company in which one has a role."""
        form, token = await request.form(), session_token(request)
        tenant_id = str(form.get("tenant", ""))
        try:
            if token is None:
                return self._unknown(request)
            async with self._database.transaction() as session:
                now_ms = self._clock.utc_ms()
                made = await self._people.go_to(session, me, token, tenant_id, actor_of(request), now_ms)
        except NotFoundError:
            return self._unknown(request)
        return self._signed_in(request, made, "/")

    def _signed_in(self, request: Request, token: str, behind: str) -> Response:
        response = RedirectResponse(behind, status_code=303)
        set_session_cookie(response, token, request, self._rules)
        return response

    def _login(self, request: Request, behind: str, *, login: str = "", fault: str = "") -> Response:
        status = {"": 200, "too_many": 429}.get(fault, 401)
        return self._shell.page(
            request,
            "login.html",
            status=status,
            page_name="login",
            next=local_path(behind),
            login=login,
            fault=fault,
            providers=self._providers,
            has_signup=self._has_signup,
        )

    async def _with_link(self, request: Request, token: str, show: Callable[..., Response]) -> Response:
        try:
            await self._desk.link_login(token, address_of(request))
        except (LinkError, TooManyTriesError) as error:
            return self._bad_link(request, error)
        return show(request, token)

    def _setup_form(
        self, request: Request, token: str, *, login: str = "", name: str = "", fault: str = ""
    ) -> Response:
        return self._shell.page(
            request,
            "setup.html",
            status=422 if fault else 200,
            page_name="setup",
            token=token,
            login=login,
            name=name,
            fault=fault,
            characters_min=CHARACTERS_MIN,
        )

    def _welcome_form(self, request: Request, token: str, *, fault: str = "") -> Response:
        return self._shell.page(
            request,
            "welcome.html",
            status=422 if fault else 200,
            page_name="welcome",
            token=token,
            fault=fault,
            characters_min=CHARACTERS_MIN,
        )

    def _bad_link(self, request: Request, error: Exception) -> Response:
        t = self._shell.catalogue(request)
        if isinstance(error, TooManyTriesError):
            return self._shell.problem(
                request, status=429, title=t("login.too_many_title"), detail=t("login.fault.too_many")
            )
        return self._shell.problem(request, status=403, title=t("setup.bad_link_title"), detail=t("setup.bad_link"))

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("account.unknown_title"), detail=t("account.unknown"))

    async def _account(self, request: Request, me: Principal, *, fault: str = "") -> Response:
        async with self._database.reading() as session:
            sessions = await self._people.sessions(
                session,
                me.id,
                session_token(request),
                limit=SESSIONS_SHOWN_MAX,
                now_ms=self._clock.utc_ms(),
            )
            workplaces = await self._people.workplaces(session, me.id)
        return self._shell.page(
            request,
            "account.html",
            status=422 if fault else 200,
            page_name="account",
            sessions=sessions,
            workplaces=workplaces,
            rights=sorted(me.rights),
            may_read=Right.READ in me.rights,
            is_changed=bool(request.query_params.get("changed")) and not fault,
            fault=fault,
            characters_min=CHARACTERS_MIN,
        )


def local_path(target: str) -> str:
    """The path of one of our own pages, never another site's."""
    parts = urlsplit(target)
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in target
    return target if is_ours and not target.startswith("//") else "/"


def _form_fault(login: str, password: str, again: str) -> str:
    if not login.strip() or any(character.isspace() for character in login.strip()):
        return "login_blank"
    return "" if password == again else "password_differs"


def _fault(error: Exception) -> str:
    return "too_many" if isinstance(error, TooManyTriesError) else "wrong"
