"""The pages of serving: the catalogue of options, what was sold, one customer's options, customers by margin."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import NAMES, Tier
from cloud.serving import ledger, options, repository, rules, views
from cloud.serving.catalogue import options_of, rules_of
from cloud.serving.facts import unused_features
from cloud.serving.options import BUYERS, Billing
from cloud.serving.parts import ServingParts
from cloud.serving.sales import NEEDS_NOTE, OPEN, WORKED_ON, State, Step, is_over, steps_of
from cloud.serving.tables import SoldRow
from cloud.tiering.api import Staff
from cloud.tiering.money import shown
from cloud.tiering.runs import DAY_MS, policy_of
from cloud.web import forms, serving_forms
from cloud.web.shell import Shell
from cloud.web.tiering_page import PAGE, day_text, form_token

OPTIONS, SOLD, MARGINS = f"{PAGE}/options", f"{PAGE}/sold", f"{PAGE}/margins"
OF_CUSTOMER: Final = f"{PAGE}/customers/{{customer_id}}/options"
SOLD_SHOWN, MARGINS_SHOWN, THREADS_SHOWN = 100, 200, 20
FIELDS_MAX: Final = 30
EMPTY: Final[dict[str, object]] = dict.fromkeys(
    (
        *("code", "name_zh", "name_en", "description_zh", "description_en", "price", "effort_h"),
        *("need", "need_least", "retired_from", "is_custom"),
    ),
    "",
) | {"version": 0, "currency": "CNY", "per_customer_max": 1, "billing": Billing.ONE_OFF}


def include(app: FastAPI, shell: Shell, parts: ServingParts) -> None:
    """Add the pages."""
    pages = ServingPages(shell, parts)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(OPTIONS, pages.catalogue, methods=["GET"])
    routes.add_api_route(OPTIONS, pages.save_option, methods=["POST"])
    routes.add_api_route(f"{OPTIONS}/rules", pages.save_rules, methods=["POST"])
    routes.add_api_route(SOLD, pages.board, methods=["GET"])
    routes.add_api_route(f"{SOLD}/{{sold_id}}", pages.step, methods=["POST"])
    routes.add_api_route(f"{SOLD}/{{sold_id}}/hours", pages.book, methods=["POST"])
    routes.add_api_route(MARGINS, pages.margins, methods=["GET"])
    routes.add_api_route(OF_CUSTOMER, pages.shop, methods=["GET"])
    routes.add_api_route(OF_CUSTOMER, pages.offer, methods=["POST"])
    app.include_router(routes)


class ServingPages:
    """The handlers; a form that cannot be taken shows its page again, with the reason."""

    def __init__(self, shell: Shell, parts: ServingParts) -> None:
        self._shell = shell
        self._parts = parts
        self._database = parts.sales.database

    async def catalogue(
        self, request: Request, principal: Staff, code: Annotated[str, Query(max_length=64)] = ""
    ) -> Response:
        """All options, the form of one, and the rules."""
        return await self._catalogue(request, TenantId(principal.tenant_id), code)

    async def save_option(self, request: Request, principal: Staff) -> Response:
        """The next version of an option."""
        tenant, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)

        async def save() -> None:
            told = serving_forms.option(form)
            await self._parts.catalogue.save(tenant, told, actor_of(request), version=forms.whole(form, "version"))

        return await self._tried(
            save, lambda fault: self._catalogue(request, tenant, "", form, fault), request, OPTIONS
        )

    async def save_rules(self, request: Request, principal: Staff) -> Response:
        """The next version of the rules."""
        tenant, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        async with self._database.reading() as session:
            _, policy = await policy_of(session, tenant)

        async def save() -> None:
            told = serving_forms.rules(form, policy.currency)
            version = forms.whole(form, "version")
            await self._parts.catalogue.save_rules(tenant, told, actor_of(request), version=version)

        return await self._tried(
            save, lambda fault: self._catalogue(request, tenant, "", None, fault), request, OPTIONS
        )

    async def board(
        self, request: Request, principal: Staff, state: Annotated[State | Literal[""], Query()] = ""
    ) -> Response:
        """What was sold and is not over, or is in one state."""
        tenant = TenantId(principal.tenant_id)
        found = await views.board(self._database, tenant, state=state or None, limit=SOLD_SHOWN + 1)
        return self._shell.page(
            request,
            "serving_sold.html",
            page_name="tiering",
            tab="sold",
            state=state,
            states=tuple(State),
            has_more=len(found.rows) > SOLD_SHOWN,
            shown_max=SOLD_SHOWN,
            **self._sold(request, found, found.rows[:SOLD_SHOWN]),
        )

    async def step(self, request: Request, principal: Staff, sold_id: UUID) -> Response:
        """A step of a sold option; then its customer's page again."""
        tenant, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=4)

        async def take(_row: SoldRow) -> None:
            told = forms.text(form, "step")
            if told not in set(Step):
                raise InvalidFieldError("body.step", "is none")
            note = forms.text(form, "note")
            await self._parts.sales.step(tenant, sold_id, Step(told), actor_of(request), note=note)

        return await self._of_sold(request, tenant, sold_id, take)

    async def book(self, request: Request, principal: Staff, sold_id: UUID) -> Response:
        """Hours on a sold option; then its customer's page again."""
        tenant, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=5)

        async def book(_row: SoldRow) -> None:
            await self._parts.sales.book(
                tenant,
                sold_id,
                actor_of(request),
                hours=forms.figure(form, "hours"),
                day=forms.day(form, "day"),
                note=forms.text(form, "note"),
            )

        return await self._of_sold(request, tenant, sold_id, book)

    async def margins(
        self, request: Request, principal: Staff, tier: Annotated[Tier | Literal[""], Query()] = Tier.VALUE
    ) -> Response:
        """Customers by margin, those of the value tier first of all."""
        now_ms = self._shell.clock.utc_ms()
        found = await views.by_margin(self._database, TenantId(principal.tenant_id), now_ms, tier=tier or None)
        return self._shell.page(
            request,
            "serving_margins.html",
            page_name="tiering",
            tab="margins",
            found=found,
            lines=found.lines[:MARGINS_SHOWN],
            has_more=len(found.lines) > MARGINS_SHOWN,
            shown_max=MARGINS_SHOWN,
            tier=tier,
            tiers=tuple(Tier),
        )

    async def shop(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """A customer's options, and what it may buy."""
        return await self._shop(request, TenantId(principal.tenant_id), customer_id)

    async def offer(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Quote an option."""
        tenant, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        code = forms.text(form, "code")

        async def offer() -> None:
            async with self._database.reading() as session:
                _, option = (await options_of(session, tenant)).get(code, (0, None))
            told = serving_forms.estimate(form, option.currency) if option is not None and option.is_custom else None
            await self._parts.sales.offer(tenant, customer_id, code, actor_of(request), estimate=told)

        path = OF_CUSTOMER.format(customer_id=customer_id)
        return await self._tried(offer, lambda fault: self._shop(request, tenant, customer_id, fault), request, path)

    async def _of_sold(
        self, request: Request, tenant: TenantId, sold_id: UUID, do: Callable[[SoldRow], Awaitable[None]]
    ) -> Response:
        row = await self._parts.sales.opened(tenant, sold_id)
        path = f"{OF_CUSTOMER.format(customer_id=row.customer_id)}#sold-{sold_id}"
        return await self._tried(
            lambda: do(row), lambda fault: self._shop(request, tenant, row.customer_id, fault), request, path
        )

    async def _tried(
        self,
        do: Callable[[], Awaitable[None]],
        again: Callable[[str], Awaitable[Response]],
        request: Request,
        path: str,
    ) -> Response:
        """Do it and go on to `path`; what is refused shows the page again."""
        try:
            await do()
        except InvalidFieldError as error:
            t = self._shell.catalogue(request)
            name = t.find(f"serving.field.{error.field.removeprefix('body.')}") or error.field.removeprefix("body.")
            return await again(t("serving.refused", field=name, why=error.message))
        return RedirectResponse(path, status_code=303)

    async def _catalogue(
        self, request: Request, tenant: TenantId, code: str, given: FormData | None = None, fault: str = ""
    ) -> Response:
        async with self._database.reading() as session:
            known = await options_of(session, tenant)
            version, held = await rules_of(session, tenant)
            _, policy = await policy_of(session, tenant)
            versions = await repository.versions(session, tenant, code) if code in known else []
        chosen = known.get(code)
        return self._shell.page(
            request,
            "serving_options.html",
            status=422 if fault else 200,
            page_name="tiering",
            tab="options",
            known=list(known.values()),
            versions=versions,
            given=EMPTY | (dict(given) if given is not None else _filled(chosen)),
            given_tiers=_given(given, "tiers", chosen[1].tiers if chosen else ()),
            is_open=bool(chosen) or given is not None or not known,
            held=rules.to_json(held),
            hour_cost=shown(held.hour_cost_minor, policy.currency),
            rules_version=version,
            currency=policy.currency,
            buyers=BUYERS,
            billings=tuple(Billing),
            entitlements=NAMES,
            fault=fault,
            today=self._shell.clock.utc_ms() // DAY_MS,
            day_text=day_text,
            csrf_token=form_token(request),
        )

    async def _shop(self, request: Request, tenant: TenantId, customer_id: UUID, fault: str = "") -> Response:
        now_ms = self._shell.clock.utc_ms()
        found = await views.shop(self._database, tenant, customer_id, now_ms)
        async with self._database.reading() as session:
            unused = await unused_features(session, tenant, now_ms, customer_id=customer_id)
        theirs = ledger.tenant_of(found.customer)
        asked = await self._parts.accounts.threads_of(theirs, limit=THREADS_SHOWN) if theirs is not None else []
        return self._shell.page(
            request,
            "serving_shop.html",
            status=422 if fault else 200,
            page_name="tiering",
            tab="customer",
            customer=found.customer,
            choices=found.choices,
            margin=found.margin,
            unused=unused.get(customer_id, {}),
            asked=asked,
            currency=found.currency,
            fault=fault,
            **self._sold(request, found.board, found.board.rows),
        )

    def _sold(self, request: Request, found: views.Board, rows: object) -> dict[str, Any]:
        """What the macro of sold options takes."""
        return {
            "rows": rows,
            "found": found,
            "steps_of": lambda row: steps_of(State(row.state), is_custom=row.is_custom),
            "needs_note": NEEDS_NOTE,
            "worked_on": WORKED_ON,
            "open_states": OPEN,
            "is_over": lambda row: is_over(row.effort_h, row.booked_h),
            "today": day_text(self._shell.clock.utc_ms() // DAY_MS),
            "csrf_token": form_token(request),
        }


def _given(given: FormData | None, name: str, stored: tuple[Tier, ...]) -> list[str]:
    return [str(each) for each in given.getlist(name)] if given is not None else list(stored)


def _filled(chosen: tuple[int, options.Option] | None) -> dict[str, object]:
    """What the form of an option that is there has; nothing for a new one."""
    if chosen is None:
        return {}
    version, option = chosen
    need = option.need
    return {
        "version": version,
        "code": option.code,
        "name_zh": option.names["zh-CN"],
        "name_en": option.names["en"],
        "description_zh": option.descriptions["zh-CN"],
        "description_en": option.descriptions["en"],
        "billing": option.billing,
        "price": shown(option.price_minor, option.currency),
        "currency": option.currency,
        "effort_h": f"{option.effort_h:g}",
        "per_customer_max": option.per_customer_max,
        "need": need.entitlement if need is not None else "",
        "need_least": "" if need is None or need.least is None or need.least is True else need.least,
        "retired_from": day_text(option.retired_from) if option.retired_from is not None else "",
        "is_custom": "on" if option.is_custom else "",
    }
