"""The pages of tiering: portfolio, one customer, what-if, economics; for the platform's own people."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.serving.accounts_desk import promise_at
from cloud.tiering import book, manager_repository, message_repository, playbook_repository, repository, runs, views
from cloud.tiering.api import Staff, tried_rules
from cloud.tiering.bands import RulesError
from cloud.tiering.desk import Looked, TieringDesk, What
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.evidence import EPOCH
from cloud.tiering.plans import GoalState
from cloud.tiering.runs import DAY_MS
from cloud.tiering.success import SuccessDesk
from cloud.tiering.table_export import TABLES
from cloud.tiering.weights import WeightsError, by_hand, from_pairwise
from cloud.web.forms import uuid_of
from cloud.web.pairwise_form import SCALE, matrix_of, pairs
from cloud.web.shell import Shell
from cloud.web.tiering_view import HEIGHT, POINTS_MAX, WIDTH, parts, points, sums

PAGE: Final = "/tiering"
LISTED, MOVEMENTS_SHOWN, EVIDENCE_SHOWN, HISTORY_SHOWN, FAULTS_SHOWN = 50, 30, 60, 24, 50
MOVEMENTS_DAYS: Final = 90
MONTHS_SHOWN: Final = 12
FILE_BYTES_MAX: Final = 8 * 1024 * 1024
SERVED: Final = (Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL)
Weight = Annotated[float, Query(ge=0, le=100)]


def include(app: FastAPI, shell: Shell, desk: TieringDesk, success: SuccessDesk) -> "TieringPages":
    """Add the pages; what adds forms to a customer's page gets them."""
    page = TieringPages(shell, desk, success)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.portfolio, methods=["GET"])
    routes.add_api_route(f"{PAGE}/files", page.take_file, methods=["POST"])
    routes.add_api_route(f"{PAGE}/runs", page.ask_run, methods=["POST"])
    routes.add_api_route(f"{PAGE}/what-if", page.what_if, methods=["GET"])
    routes.add_api_route(f"{PAGE}/economics", page.economics, methods=["GET"])
    routes.add_api_route(f"{PAGE}/customers/{{customer_id}}", page.customer, methods=["GET"])
    routes.add_api_route(f"{PAGE}/customers/{{customer_id}}/override", page.override, methods=["POST"])
    routes.add_api_route(f"{PAGE}/customers/{{customer_id}}/override/end", page.end_override, methods=["POST"])
    app.include_router(routes)
    return page


class TieringPages:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(self, shell: Shell, desk: TieringDesk, success: SuccessDesk) -> None:
        self.shell = shell
        self._desk = desk
        self._success = success

    async def portfolio(self, request: Request, principal: Staff) -> Response:
        """All customers at a glance."""
        return await self._portfolio(request, TenantId(principal.tenant_id))

    async def take_file(self, request: Request, principal: Staff) -> Response:
        """Look at a file, or take it; the portfolio says what came of it."""
        tenant_id = TenantId(principal.tenant_id)
        async with request.form(max_files=1, max_fields=5) as form:
            file, name, keep = form.get("file"), "", form.get("do") == "keep"
            content = b""
            if isinstance(file, UploadFile):
                content, name = await file.read(FILE_BYTES_MAX), file.filename or ""
            what: What = "customers" if form.get("what") == "customers" else "evidence"
        try:
            looked = await self._desk.take_file(tenant_id, what, content, name, actor_of(request), keep=keep)
        except InvalidFieldError as error:
            return await self._portfolio(request, tenant_id, fault=error.message, status=422)
        status = 422 if looked.faults else 200
        return await self._portfolio(request, tenant_id, looked=looked, status=status)

    async def ask_run(self, request: Request, principal: Staff) -> Response:
        """Score all customers."""
        await self._desk.ask_run(TenantId(principal.tenant_id), actor_of(request))
        return RedirectResponse(PAGE, status_code=303)

    async def what_if(
        self,
        request: Request,
        principal: Staff,
        revenue: Weight | None = None,
        data: Weight | None = None,
        demonstration: Weight | None = None,
        stability: Weight | None = None,
        potential: Weight | None = None,
        strategic: Annotated[float, Query(ge=1, le=50)] = 5,
        value: Annotated[float, Query(ge=2, le=90)] = 30,
        by: Literal["hand", "ahp"] = "hand",
    ) -> Response:
        """Other weights, by hand or from a pairwise matrix, and other quotas, tried on the last run."""
        tenant_id = TenantId(principal.tenant_id)
        async with self._desk.database.reading() as session:
            run = await repository.newest_run(session, tenant_id, "done")
            _, policy = await runs.policy_of(session, tenant_id)
        held = run.figures.get("weights", {}) if run is not None else {}
        asked = dict(zip(DIMENSIONS, (revenue, data, demonstration, stability, potential), strict=True))
        told = {each: round(100 * held.get(each, 0.2)) if asked[each] is None else asked[each] for each in DIMENSIONS}
        fault, found, names, ratio = "", None, {}, None
        matrix: Sequence[Sequence[float]] = policy.pairwise
        try:
            if by == "ahp":
                matrix = matrix_of(request.query_params)
                weights, ratio = from_pairwise(matrix)
            else:
                weights = by_hand([float(told[each] or 0) for each in DIMENSIONS], len(DIMENSIONS))
            rules = tried_rules(strategic / 100, value / 100)
            found = await views.try_weights(self._desk.database, tenant_id, weights, "weighted", rules)
            async with self._desk.database.reading() as session:
                names = await repository.names(session, [UUID(each.customer_id) for each in found.movers])
        except (WeightsError, RulesError, InvalidFieldError) as error:
            t = self.shell.catalogue(request)
            ratio = error.ratio if isinstance(error, WeightsError) else None
            told_ratio = None if ratio is None else t("tiering.ratio_high", ratio=f"{ratio:.3f}")
            fault = told_ratio or t("tiering.fault_pairwise" if by == "ahp" else "tiering.fault_weights")
        return self.shell.page(
            request,
            "tiering_what_if.html",
            status=422 if fault else 200,
            page_name="tiering",
            tab="what_if",
            told=told,
            by=by,
            pairs=pairs(matrix),
            scale=tuple(SCALE),
            ratio=ratio,
            weights=dict(zip(DIMENSIONS, weights.tolist(), strict=True)) if ratio is not None and found else None,
            strategic=strategic,
            value=value,
            found=found,
            names=names,
            fault=fault,
            run=run,
            tiers=SERVED,
            as_uuid=UUID,
        )

    async def economics(self, request: Request, principal: Staff) -> Response:
        """What each tier brings and costs."""
        tenant_id, now_ms = TenantId(principal.tenant_id), self.shell.clock.utc_ms()
        months = await views.tier_economics(self._desk.database, tenant_id, now_ms=now_ms, months=MONTHS_SHOWN)
        async with self._desk.database.reading() as session:
            _, policy = await runs.policy_of(session, tenant_id)
            promise = await promise_at(session, now_ms)
        return self.shell.page(
            request,
            "tiering_economics.html",
            promise=promise,
            page_name="tiering",
            tab="economics",
            months=[each for each in reversed(months) if each.customers or each.gone],
            sums=sums(months, SERVED),
            currency=policy.currency,
        )

    async def customer(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """One customer, its score opened."""
        return await self._customer(request, TenantId(principal.tenant_id), customer_id)

    async def override(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Serve it by another tier until a day."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=6)
        try:
            await self._desk.set_override(
                tenant_id,
                customer_id,
                _tier(str(form.get("tier", ""))),
                actor_of(request),
                reason=str(form.get("reason", "")),
                owner=str(form.get("owner", "")),
                expires_ms=_end_of(str(form.get("until", ""))),
            )
        except InvalidFieldError as error:
            return await self.refuse(request, tenant_id, customer_id, error)
        return RedirectResponse(f"{PAGE}/customers/{customer_id}", status_code=303)

    async def end_override(self, request: Request, principal: Staff, customer_id: UUID) -> Response:
        """Serve it by its own tier again."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=3)
        override_id = uuid_of(form, "override_id")
        if override_id is None:
            raise InvalidFieldError("body.override_id", "is missing")
        await self._desk.end_override(tenant_id, override_id, actor_of(request))
        return RedirectResponse(f"{PAGE}/customers/{customer_id}", status_code=303)

    async def refuse(
        self, request: Request, tenant_id: TenantId, customer_id: UUID, error: InvalidFieldError | str
    ) -> Response:
        """A customer's page with what was wrong with a form of it, or with the words for what stood against it."""
        t = self.shell.catalogue(request)
        if isinstance(error, str):
            return await self._customer(request, tenant_id, customer_id, fault=error, status=409)
        fault = t.find(f"tiering.fault_{error.field.rpartition('.')[2]}") or str(error)
        return await self._customer(request, tenant_id, customer_id, fault=fault, status=422)

    async def _portfolio(
        self, request: Request, tenant_id: TenantId, *, looked: Looked | None = None, fault: str = "", status: int = 200
    ) -> Response:
        since_ms = self.shell.clock.utc_ms() - MOVEMENTS_DAYS * DAY_MS
        async with self._desk.database.reading() as session:
            newest = await repository.runs(session, tenant_id, before=None, limit=1)
            run = await repository.newest_run(session, tenant_id, "done")
            scores = await views.best_scores(session, run, limit=POINTS_MAX)
            counts = await repository.tier_counts(session, tenant_id)
            moved = await repository.movements(session, tenant_id, since_ms=since_ms, limit=MOVEMENTS_SHOWN)
            ids = {row.customer_id for row in scores} | {row.customer_id for row in moved}
            customers = await repository.names(session, ids)
            _, policy = await runs.policy_of(session, tenant_id)
        return self.shell.page(
            request,
            "tiering.html",
            status=status,
            page_name="tiering",
            tab="portfolio",
            newest=newest[0] if newest else None,
            tables=tuple(TABLES),
            run=run,
            points=points(scores, customers),
            width=WIDTH,
            height=HEIGHT,
            scores=scores[:LISTED],
            scored=run.customers if run is not None else 0,
            customers=customers,
            counts=[(tier, counts.get(tier, 0)) for tier in (*SERVED, Tier.PROVISIONAL)],
            moved=moved,
            looked=looked,
            faults=looked.faults[:FAULTS_SHOWN] if looked else (),
            fault=fault,
            currency=policy.currency,
            csrf_token=form_token(request),
        )

    async def _customer(
        self, request: Request, tenant_id: TenantId, customer_id: UUID, *, fault: str = "", status: int = 200
    ) -> Response:
        async with self._desk.database.reading() as session:
            row = await book.customer(session, tenant_id, customer_id)
            history = await repository.score_history(session, tenant_id, customer_id, limit=HISTORY_SHOWN)
            evidence = await repository.evidence_by_day(session, tenant_id, customer_id, limit=EVIDENCE_SHOWN)
            tiers = await repository.tier_history(session, tenant_id, customer_id, limit=HISTORY_SHOWN)
            care = await manager_repository.care(session, tenant_id, customer_id)
            cared_by = care.manager_id if care is not None else None
            manager = await manager_repository.manager(session, tenant_id, cared_by) if cared_by else None
            managers = await manager_repository.managers(session, tenant_id)
            tasks = await playbook_repository.tasks_of(session, tenant_id, customer_id, limit=HISTORY_SHOWN)
            messages = await message_repository.of_customer(session, tenant_id, customer_id, limit=HISTORY_SHOWN)
            held = (await repository.overrides(session, tenant_id, limit=repository.CUSTOMERS_MAX)).get(customer_id)
            _, policy = await runs.policy_of(session, tenant_id)
        success = await self._success.find(tenant_id, customer_id)
        return self.shell.page(
            request,
            "tiering_customer.html",
            status=status,
            page_name="tiering",
            tab="customer",
            customer=row,
            score=history[0] if history else None,
            parts=parts(history[0].opened) if history else [],
            evidence=evidence,
            tiers=tiers,
            override=held,
            success=success,
            can_plan=row.served_as == Tier.STRATEGIC and row.merged_into is None,
            goal_states=tuple(GoalState),
            fault=fault,
            choices=SERVED,
            day_text=day_text,
            tasks=tasks,
            messages=messages,
            manager=manager,
            managers=managers,
            currency=policy.currency,
            csrf_token=form_token(request),
        )


def day_text(day: int) -> str:
    """A day counted from 1970, as YYYY-MM-DD."""
    return date.fromordinal(day + EPOCH).isoformat()


def form_token(request: Request) -> str:
    """What a form of ours brings back."""
    principal: Any = request.scope["principal"]
    return cast("str", principal.form_token())


def _tier(told: str) -> Tier:
    if told not in SERVED:
        raise InvalidFieldError("body.tier", "must be one of them")
    return Tier(told)


def _end_of(day: str) -> int:
    """The end of a day, in UTC."""
    try:
        return (datetime.fromisoformat(day).date().toordinal() - EPOCH + 1) * DAY_MS
    except ValueError as error:
        raise InvalidFieldError("body.expires_ms", "must be a day") from error
