"""The pages of webhooks: endpoints with their state, one endpoint, a new one with a preview of its calls."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import Actor, actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.web.deliveries_page import include as include_deliveries
from cloud.web.shell import HEADERS, Shell
from cloud.webhooks import endpoints, service
from cloud.webhooks.domain import LANGUAGES, TEMPLATES, EndpointError, Language, Template
from cloud.webhooks.endpoints import draft_of
from cloud.webhooks.filters import ALL_ALARMS, DEFAULT_KINDS, KNOWN_KINDS, PLATFORM_KINDS, PRIORITIES
from cloud.webhooks.parts import WebhookParts
from cloud.webhooks.samples import sample_body
from cloud.webhooks.sealing import Private
from cloud.webhooks.shapes import EndpointChange, EndpointIn
from cloud.webhooks.templates.services import SERVICES

PAGE = "/webhooks"
DELIVERIES_SHOWN = 10
FIELDS_MAX = 60
LISTS = ("recipients", "plants", "presses", "modes")
TIME_ZONES: dict[str, str] = {"zh-CN": "Asia/Shanghai", "en": "UTC"}
Reader = Annotated[Principal, requires(Right.READ)]
Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
Step = Callable[[AsyncSession, TenantId, Actor, FormData], Awaitable[str]]
"""Does what a form asks for; gives a secret that is to be shown, mostly none."""


def include(app: FastAPI, shell: Shell, parts: WebhookParts) -> None:
    """Add the pages and their forms."""
    page = WebhooksPage(shell, parts)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.show, methods=["GET"])
    routes.add_api_route(PAGE, page.create, methods=["POST"])
    routes.add_api_route(f"{PAGE}/new", page.new, methods=["GET"])
    routes.add_api_route(f"{PAGE}/preview", page.preview, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{endpoint_id}}", page.one, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{endpoint_id}}", page.change, methods=["POST"])
    for name in ("switch", "rotate", "replay", "remove", "test"):
        routes.add_api_route(f"{PAGE}/{{endpoint_id}}/{name}", getattr(page, name), methods=["POST"])
    app.include_router(routes)
    include_deliveries(app, shell, parts)


class WebhooksPage:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(self, shell: Shell, parts: WebhookParts) -> None:
        self._shell = shell
        self._parts = parts

    async def show(self, request: Request, principal: Reader) -> Response:
        """The endpoints, and the kinds that a new one can be of."""
        async with self._parts.database.reading() as session:
            found = await self._parts.endpoints.endpoints(session, TenantId(principal.tenant_id))
        return self._shell.page(
            request,
            "webhooks.html",
            page_name="webhooks",
            endpoints=found.items,
            templates=self._templates(),
            may_change=Right.CONFIGURE in principal.rights,
        )

    async def new(self, request: Request, principal: Engineer, template: str = "json") -> Response:
        """The form of a new endpoint."""
        return self._form(request, principal, _template(template))

    async def preview(
        self, _principal: Engineer, template: str = "json", language: str = "", time_zone: str = "UTC"
    ) -> Response:
        """What a call looks like, as a fragment."""
        return HTMLResponse(self._preview(_template(template), _language(language), time_zone), headers=dict(HEADERS))

    async def create(self, request: Request, principal: Engineer) -> Response:
        """Make an endpoint; the answer is the only place where its secret is shown."""
        form = await request.form(max_files=0, max_fields=FIELDS_MAX)
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        template = _template(str(form.get("template", "")))
        try:
            wanted = EndpointIn.model_validate({**_values(form), "template": template})
            async with self._parts.database.transaction() as session:
                row, secret = await self._parts.endpoints.create(session, tenant_id, actor, wanted.draft())
        except (ValidationError, InvalidFieldError, EndpointError) as error:
            return self._form(request, principal, template, form=form, fault=_fault(error))
        return await self._page(request, principal, row.endpoint_id, secret=secret, status=201)

    async def one(self, request: Request, principal: Reader, endpoint_id: UUID) -> Response:
        """One endpoint: how it does, its settings, what can be done, its last deliveries."""
        return await self._page(request, principal, endpoint_id)

    async def change(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Save what the form says; an empty address or secret stays as it is."""

        async def step(session: AsyncSession, tenant_id: TenantId, actor: Actor, form: FormData) -> str:
            values = _values(form)
            for name in ("url", "secret"):
                if not values.get(name):
                    values.pop(name, None)
            changes = EndpointChange.model_validate(values).changes()
            await self._parts.endpoints.change(session, tenant_id, endpoint_id, actor, changes)
            return ""

        return await self._do(request, principal, endpoint_id, step)

    async def switch(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Enable or disable."""

        async def step(session: AsyncSession, tenant_id: TenantId, actor: Actor, form: FormData) -> str:
            changes = {"is_enabled": form.get("to") == "enabled"}
            await self._parts.endpoints.change(session, tenant_id, endpoint_id, actor, changes)
            return ""

        return await self._do(request, principal, endpoint_id, step)

    async def rotate(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Make a new secret; the answer is the only place where it is shown."""

        async def step(session: AsyncSession, tenant_id: TenantId, actor: Actor, form: FormData) -> str:
            hours = str(form.get("grace", endpoints.GRACE_H_DEFAULT))
            if not hours.isdecimal() or int(hours[:9]) > endpoints.GRACE_H_MAX:
                raise InvalidFieldError("body.grace", "is not a number of hours")
            grace_h = int(hours)
            _, secret = await self._parts.endpoints.rotate(session, tenant_id, endpoint_id, actor, grace_h=grace_h)
            return secret

        return await self._do(request, principal, endpoint_id, step)

    async def replay(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Owe all dead letters once more."""

        async def step(session: AsyncSession, tenant_id: TenantId, actor: Actor, _form: FormData) -> str:
            row = await self._parts.endpoints.row(session, tenant_id, endpoint_id)
            await self._parts.service.replay_all(session, row, actor)
            return ""

        return await self._do(request, principal, endpoint_id, step)

    async def remove(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Remove it."""

        async def step(session: AsyncSession, tenant_id: TenantId, actor: Actor, _form: FormData) -> str:
            await self._parts.endpoints.remove(session, tenant_id, endpoint_id, actor)
            return ""

        return await self._do(request, principal, endpoint_id, step, behind=PAGE)

    async def test(self, request: Request, principal: Engineer, endpoint_id: UUID) -> Response:
        """Call it now; the answer is shown."""
        try:
            tested = await self._parts.tester.test(TenantId(principal.tenant_id), endpoint_id, actor_of(request))
        except NotFoundError:
            return self._unknown(request)
        return await self._page(request, principal, endpoint_id, tested=tested)

    async def _do(
        self, request: Request, principal: Principal, endpoint_id: UUID, step: Step, *, behind: str = ""
    ) -> Response:
        form = await request.form(max_files=0, max_fields=FIELDS_MAX)
        try:
            async with self._parts.database.transaction() as session:
                secret = await step(session, TenantId(principal.tenant_id), actor_of(request), form)
        except NotFoundError:
            return self._unknown(request)
        except (ValidationError, InvalidFieldError, EndpointError) as error:
            status = 409 if isinstance(error, EndpointError) else 422
            return await self._page(request, principal, endpoint_id, fault=_fault(error), status=status)
        if secret:
            return await self._page(request, principal, endpoint_id, secret=secret)
        return RedirectResponse(behind or f"{PAGE}/{endpoint_id}", status_code=303)

    async def _page(
        self,
        request: Request,
        principal: Principal,
        endpoint_id: UUID,
        *,
        status: int = 200,
        fault: str = "",
        secret: str = "",
        tested: object = None,
    ) -> Response:
        tenant_id = TenantId(principal.tenant_id)
        try:
            async with self._parts.database.reading() as session:
                endpoint = await self._parts.endpoints.endpoint(session, tenant_id, endpoint_id)
                row = await self._parts.endpoints.row(session, tenant_id, endpoint_id)
                found = await service.deliveries(session, tenant_id, endpoint_id=endpoint_id, limit=DELIVERIES_SHOWN)
        except NotFoundError:
            return self._unknown(request)
        draft = draft_of(row, Private())
        return self._shell.page(
            request,
            "webhook.html",
            status=status,
            page_name="webhooks",
            endpoint=endpoint,
            deliveries=found.items,
            fault=fault,
            secret=secret,
            is_new=status == 201,
            tested=tested,
            grace_h=endpoints.GRACE_H_DEFAULT,
            grace_h_max=endpoints.GRACE_H_MAX,
            may_change=Right.CONFIGURE in principal.rights,
            **self._form_values(principal, endpoint.template, {**_shown(draft), "name": endpoint.name}),
        )

    def _form(
        self,
        request: Request,
        principal: Principal,
        template: Template,
        *,
        form: FormData | None = None,
        fault: str = "",
    ) -> Response:
        language = self._shell.catalogue(request).language
        start = {"language": language, "time_zone": TIME_ZONES[language], "kinds": list(DEFAULT_KINDS)}
        values: dict[str, Any] = {**start, **(_values(form) if form is not None else {})}
        values.pop("secret", None)
        return self._shell.page(
            request,
            "webhook_new.html",
            status=422 if fault else 200,
            page_name="webhooks",
            templates=self._templates(),
            fault=fault,
            is_new=True,
            **self._form_values(principal, template, values),
        )

    def _form_values(self, principal: Principal, template: Template, values: dict[str, Any]) -> dict[str, Any]:
        shown = {"name": "", "url": "", "priority_min": None, **{name: [] for name in LISTS}, **values}
        language = _language(str(shown["language"]))
        return {
            "chosen": template,
            "service": SERVICES[template],
            "values": shown,
            "kinds": (ALL_ALARMS, *KNOWN_KINDS, *(PLATFORM_KINDS if principal.tenant_id == DEFAULT_TENANT else ())),
            "priorities": PRIORITIES,
            "languages": LANGUAGES,
            "csrf_token": principal.form_token(),
            "preview": self._preview(template, language, str(shown["time_zone"])),
        }

    def _preview(self, template: Template, language: Language, time_zone: str) -> str:
        body = sample_body(template, language, time_zone, self._parts.texts[language], self._parts.link)
        if template != "email":
            body = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
        return self._shell.fragment("webhook_preview.html", self._shell.catalogues[language], body=body)

    def _templates(self) -> list[Template]:
        return [name for name in TEMPLATES if name != "email" or self._parts.endpoints.has_mail]

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("webhooks.unknown_title"), detail=t("webhooks.unknown"))


def _values(form: FormData) -> dict[str, Any]:
    """The fields of a form as the API takes them; those that a form does not have are left out."""
    found: dict[str, Any] = {
        name: str(form[name]).strip() for name in ("name", "url", "secret", "language", "time_zone") if name in form
    }
    if "priority_min" in form:
        found["priority_min"] = str(form["priority_min"]) or None
    if "kinds_shown" in form:
        found["kinds"] = [str(kind) for kind in form.getlist("kinds")] or [""]  # refused: none would mean all
    for name in LISTS:
        if name in form:
            words = str(form[name]).replace(",", "\n").replace(",", "\n").splitlines()
            found[name] = [word.strip() for word in words if word.strip()]
    return found


def _shown(draft: Any) -> dict[str, Any]:
    events = draft.events
    return {
        "language": draft.language,
        "time_zone": draft.time_zone,
        "recipients": draft.recipients,
        "kinds": events.kinds or (ALL_ALARMS,),
        "priority_min": events.priority_min,
        "plants": events.plants,
        "presses": events.presses,
        "modes": events.modes,
    }


def _fault(error: Exception) -> str:
    """The word of the catalogue for what was refused."""
    if isinstance(error, EndpointError):
        return error.reason
    if isinstance(error, InvalidFieldError):
        return error.field.removeprefix("body.")
    assert isinstance(error, ValidationError)
    return str(error.errors()[0]["loc"][0])


def _template(text: str) -> Template:
    return next((name for name in TEMPLATES if name == text), "json")


def _language(text: str) -> Language:
    return next((language for language in LANGUAGES if language == text), "zh-CN")
