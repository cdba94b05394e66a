"""The pages of rules: all of them by kind, one with its form, its versions, and what it would have done."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from cloud.alarms.policy import MATRIX, PRIORITIES
from cloud.alarms.rules.definition import HORIZONS_H, UNITS, Kind
from cloud.alarms.rules.desk import RuleDesk
from cloud.alarms.rules.dry_run import DryRun
from cloud.alarms.rules.service import AnyRule, RuleRefusedError, StaleVersionError, UnreadableRule, kinds_of
from cloud.alarms.rules.shapes import WHY_CHARACTERS_MAX
from cloud.alarms.rules.stored import KINDS, Unreadable
from cloud.core.access import Principal, Right, current_principal, requires
from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import Tenant, TenantId
from cloud.web.rules_form import OF_SHOTS, Fields, blank, faults_of, fields_of, rule_of
from cloud.web.shell import Shell
from contract.trouble import COUNTERS
from contract.vocabulary import FAILURE_MODES

PAGE = "/rules"
NEW = f"{PAGE}/new"
VERSIONS_SHOWN = 50
FORM_FIELDS_MAX = 400
TRIED_ON: tuple[Kind, ...] = (*(kind for kind in KINDS if kind in OF_SHOTS), "stale_data")
"""Kinds for which stored shots tell what would have been."""

Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
KindTold = Annotated[str, Query(max_length=32)]


def include(app: FastAPI, shell: Shell, desk: RuleDesk) -> None:
    """Add the pages to `app`."""
    pages = RulePages(shell, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, pages.rules, methods=["GET"])
    routes.add_api_route(NEW, pages.new, methods=["GET"])
    routes.add_api_route(NEW, pages.create, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{rule_id}}", pages.rule, methods=["GET"])
    routes.add_api_route(f"{PAGE}/{{rule_id}}", pages.change, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{rule_id}}/revert", pages.revert, methods=["POST"])
    routes.add_api_route(f"{PAGE}/{{rule_id}}/delete", pages.delete, methods=["POST"])
    app.include_router(routes)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the page of one rule shows beside its form."""

    saved: AnyRule | None = None
    run: DryRun | None = None
    faults: tuple[tuple[str, str], ...] = ()
    conflict: str = ""
    status: int = 200


class RulePages:
    """The handlers."""

    def __init__(self, shell: Shell, desk: RuleDesk) -> None:
        self._shell = shell
        self._desk = desk

    async def rules(self, request: Request, tenant: Tenant) -> Response:
        """All rules by kind, with how often each has fired."""
        t, rules = self._shell.catalogue(request), await self._desk.rules(tenant)
        found = kinds_of(rules)
        principal = current_principal(request)
        return self._shell.page(
            request,
            "rules.html",
            page_name="rules",
            kinds=[(kind, found.get(kind, [])) for kind in KINDS],
            unreadable=[
                (saved, faults_of(saved.stored.error, t)) for saved in rules if isinstance(saved, UnreadableRule)
            ],
            may_write=Right.CONFIGURE in principal.rights,
        )

    async def new(self, request: Request, _principal: Engineer, kind: KindTold = "limit") -> Response:
        """The form of a rule to be written."""
        known = _kind(kind)
        if known is None:
            return self._unknown(request, kind)
        return await self._sheet(request, known, blank(known), Sheet())

    async def rule(self, request: Request, tenant: Tenant, rule_id: str) -> Response:
        """One rule with its versions."""
        try:
            saved = await self._desk.rule(tenant, rule_id)
        except NotFoundError:
            return self._unknown(request, rule_id)
        return await self._stands(request, saved)

    async def create(self, request: Request, principal: Engineer, kind: KindTold = "limit") -> Response:
        """Try a new rule, or save it."""
        known = _kind(kind)
        if known is None:
            return self._unknown(request, kind)
        return await self._write(request, principal, known, None)

    async def change(self, request: Request, principal: Engineer, rule_id: str) -> Response:
        """Try a changed rule, or save its next version."""
        try:
            saved = await self._desk.rule(TenantId(principal.tenant_id), rule_id)
        except NotFoundError:
            return self._unknown(request, rule_id)
        if saved.kind is None:
            return await self._stands(request, saved, conflict="unknown_kind")
        return await self._write(request, principal, saved.kind, saved)

    async def _write(self, request: Request, principal: Principal, kind: Kind, saved: AnyRule | None) -> Response:
        t, form = self._shell.catalogue(request), await request.form(max_fields=FORM_FIELDS_MAX)
        fields, tenant, actor = _fields(form), TenantId(principal.tenant_id), actor_of(request)
        why = _text(form, "why")[:WHY_CHARACTERS_MAX]
        try:
            rule = rule_of(kind, fields)
            if form.get("action") == "try":
                run = await self._desk.dry_run(tenant, rule)
                return await self._sheet(request, kind, fields, Sheet(saved, run))
            if saved is None:
                saved = await self._desk.create(tenant, rule, why=why, actor=actor)
            else:
                version = _number(form, "version")
                saved = await self._desk.change(tenant, saved.rule_id, rule, version=version, why=why, actor=actor)
        except ValidationError as error:
            return await self._sheet(request, kind, fields, Sheet(saved, faults=tuple(faults_of(error, t)), status=422))
        except InvalidFieldError as error:
            fault = (error.field.rpartition(".")[2], error.message)
            return await self._sheet(request, kind, fields, Sheet(saved, faults=(fault,), status=422))
        except StaleVersionError:
            return await self._sheet(request, kind, fields, Sheet(saved, conflict="stale", status=409))
        except RuleRefusedError:
            return await self._sheet(request, kind, fields, Sheet(saved, conflict="refused", status=409))
        return RedirectResponse(f"{PAGE}/{quote(saved.rule_id)}", status_code=303)

    async def revert(self, request: Request, principal: Engineer, rule_id: str) -> Response:
        """Save an old version anew."""
        form, tenant = await request.form(), TenantId(principal.tenant_id)
        try:
            await self._desk.revert(
                tenant,
                rule_id,
                to=_number(form, "to"),
                version=_number(form, "version"),
                why=_text(form, "why")[:WHY_CHARACTERS_MAX],
                actor=actor_of(request),
            )
        except NotFoundError:
            return self._unknown(request, rule_id)
        except StaleVersionError:
            return await self._stands(request, await self._desk.rule(tenant, rule_id), conflict="stale")
        except RuleRefusedError:
            return await self._stands(request, await self._desk.rule(tenant, rule_id), conflict="unreadable_version")
        return RedirectResponse(f"{PAGE}/{quote(rule_id)}", status_code=303)

    async def delete(self, request: Request, principal: Engineer, rule_id: str) -> Response:
        """Delete a rule; its alarms clear."""
        form, tenant = await request.form(), TenantId(principal.tenant_id)
        why = _text(form, "why")[:WHY_CHARACTERS_MAX]
        try:
            version = _number(form, "version")
            await self._desk.delete(tenant, rule_id, version=version, why=why, actor=actor_of(request))
        except NotFoundError:
            return self._unknown(request, rule_id)
        except (StaleVersionError, RuleRefusedError):
            return await self._stands(request, await self._desk.rule(tenant, rule_id), conflict="stale")
        return RedirectResponse(PAGE, status_code=303)

    async def _stands(self, request: Request, saved: AnyRule, *, conflict: str = "") -> Response:
        """The rule as it is saved, with what kept it from being changed."""
        found = saved.stored if isinstance(saved, UnreadableRule) else saved.rule
        faults = tuple(faults_of(found.error, self._shell.catalogue(request))) if isinstance(found, Unreadable) else ()
        sheet = Sheet(saved, faults=faults, conflict=conflict, status=409 if conflict else 200)
        return await self._sheet(request, saved.kind, fields_of(found), sheet)

    async def _sheet(self, request: Request, kind: Kind | None, fields: Fields, sheet: Sheet) -> Response:
        principal, saved = current_principal(request), sheet.saved
        versions: list[Any] = []
        if saved is not None:
            tenant = TenantId(principal.tenant_id)
            found = await self._desk.versions(tenant, saved.rule_id, before=None, limit=VERSIONS_SHOWN)
            versions = list(found.items)
        return self._shell.page(
            request,
            "rule.html",
            status=sheet.status,
            page_name="rules",
            kind=kind,
            fields=fields,
            saved=saved,
            unreadable=saved.stored if isinstance(saved, UnreadableRule) else None,
            versions=versions,
            run=sheet.run,
            faults=sheet.faults,
            conflict=sheet.conflict,
            modes=FAILURE_MODES,
            horizons=[f"{hours:g}" for hours in HORIZONS_H],
            features=list(UNITS.items()),
            troubles=list(COUNTERS),
            priorities=PRIORITIES,
            consequences=list(MATRIX),
            may_write=Right.CONFIGURE in principal.rights,
            may_try=kind in TRIED_ON,
            is_of_shots=kind in OF_SHOTS,
            token=principal.form_token(),
        )

    def _unknown(self, request: Request, rule_id: str) -> Response:
        t = self._shell.catalogue(request)
        detail = t("rules.unknown", rule=rule_id)
        return self._shell.problem(request, status=404, title=t("rules.unknown_title"), detail=detail)


def _kind(name: str) -> Kind | None:
    return next((kind for kind in KINDS if kind == name), None)


def _fields(form: FormData) -> dict[str, list[str]]:
    return {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _number(form: FormData, name: str) -> int:
    """A number that our own form holds; what is none is no version that there is."""
    text = _text(form, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
