"""The pages on which a company signs up by itself: what it wants, the terms, and the confirmed address."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from cloud.core.access import address_of
from cloud.identity.cookies import set_session_cookie
from cloud.identity.desk import TooManyTriesError
from cloud.identity.domain import SessionRules
from cloud.identity.passwords import CHARACTERS_MIN, PasswordError
from cloud.self_service.desk import SelfServiceDesk
from cloud.self_service.domain import NAME_CHARACTERS_MAX, SignupError, Wish
from cloud.web.shell import Shell
from cloud.web.start_page import START

PAGE, CONFIRM = "/signup", "/signup/confirm"
FIRST_PAGE = START
FIELDS = ("company", "name", "email", "pack")


def include(app: FastAPI, shell: Shell, desk: SelfServiceDesk, *, rules: SessionRules, public_url: str) -> None:
    """Add the pages; `public_url` is what links in mails begin with, else what the browser asked."""
    pages = SignupPages(shell, desk, rules, public_url)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, pages.form, methods=["GET"])
    routes.add_api_route(PAGE, pages.begin, methods=["POST"])
    routes.add_api_route(CONFIRM, pages.confirm_form, methods=["GET"])
    routes.add_api_route(CONFIRM, pages.confirm, methods=["POST"])
    app.include_router(routes)


class SignupPages:
    """The handlers; nobody is signed in here yet."""

    def __init__(self, shell: Shell, desk: SelfServiceDesk, rules: SessionRules, public_url: str) -> None:
        self._shell = shell
        self._desk = desk
        self._rules = rules
        self._public_url = public_url.rstrip("/")

    async def form(self, request: Request) -> Response:
        """The form, with packs and terms."""
        return self._form(request, {})

    async def begin(self, request: Request) -> Response:
        """Take what was filled in."""
        form = await request.form()
        given = {name: str(form.get(name, "")) for name in (*FIELDS, "terms")}
        wish = Wish(given["company"], given["name"], given["email"], given["pack"], given["terms"])
        base_url = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        language = self._shell.catalogue(request).language
        try:
            link = await self._desk.begin(wish, language=language, address=address_of(request), base_url=base_url)
        except SignupError as error:
            return self._form(request, given, fault=error.reason, status=503 if error.reason == "mail" else 422)
        except TooManyTriesError:
            return self._form(request, given, fault="too_many", status=429)
        return self._shell.page(request, "signup_asked.html", page_name="signup", email=wish.email.strip(), link=link)

    async def confirm_form(self, request: Request, token: str = "") -> Response:
        """Who follows the link sets the password."""
        try:
            row = await self._desk.wish_of(token, address_of(request))
        except (SignupError, TooManyTriesError) as error:
            return self._bad_link(request, error)
        return self._confirm(request, token, company=row.company)

    async def confirm(self, request: Request) -> Response:
        """Make the company, and sign its administrator in."""
        form = await request.form()
        token, password, again = (str(form.get(name, "")) for name in ("token", "password", "again"))
        if password != again:
            return self._confirm(request, token, fault="password_differs")
        try:
            made = await self._desk.finish(token, password, address_of(request))
        except PasswordError as error:
            return self._confirm(request, token, fault=f"password_{error.reason}")
        except (SignupError, TooManyTriesError) as error:
            return self._bad_link(request, error)
        response = RedirectResponse(FIRST_PAGE, status_code=303)
        set_session_cookie(response, made, request, self._rules)
        return response

    def _form(self, request: Request, given: dict[str, str], *, fault: str = "", status: int = 200) -> Response:
        t = self._shell.catalogue(request)
        terms = self._desk.terms[self._desk.terms_version, t.language]
        packs = [
            (pack.pack_id, pack.names[t.language], t.money(pack.price_minor, pack.currency) if pack.price_minor else "")
            for pack in self._desk.packs.values()
        ]
        return self._shell.page(
            request,
            "signup.html",
            status=status,
            page_name="signup",
            given={name: given.get(name, "") for name in FIELDS},
            packs=packs,
            terms=terms,
            terms_html=Markup(terms.html),  # noqa: S704 - our own file
            characters_max=NAME_CHARACTERS_MAX,
            fault=fault,
        )

    def _confirm(self, request: Request, token: str, *, company: str = "", fault: str = "") -> Response:
        return self._shell.page(
            request,
            "signup_confirm.html",
            status=422 if fault else 200,
            page_name="signup",
            token=token,
            company=company,
            fault=fault,
            characters_min=CHARACTERS_MIN,
        )

    def _bad_link(self, request: Request, error: Exception) -> Response:
        t = self._shell.catalogue(request)
        if isinstance(error, TooManyTriesError):
            title, detail = t("login.too_many_title"), t("login.fault.too_many")
            return self._shell.problem(request, status=429, title=title, detail=detail)
        return self._shell.problem(request, status=403, title=t("setup.bad_link_title"), detail=t("signup.bad_link"))
