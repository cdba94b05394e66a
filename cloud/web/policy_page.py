"""The page of the tiering policy: its fields, what another would change before it is saved, and its versions."""

from typing import Any, Final, get_args
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.tiering import repository, runs, views
from cloud.tiering.api import Staff
from cloud.tiering.bands import Cut, Rules, RulesError
from cloud.tiering.desk import TieringDesk
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.policy import RUN_EVERY_DAYS_MAX, Policy, PolicyError, WeightsBy, from_json, to_json
from cloud.tiering.policy_preview import Preview
from cloud.tiering.runs import DAY_MS
from cloud.tiering.scoring import Method
from cloud.tiering.weights import WeightsError, from_pairwise
from cloud.web.forms import figure, text, whole
from cloud.web.pairwise_form import SCALE, matrix_of, pairs
from cloud.web.tiering_page import PAGE, SERVED, TieringPages, form_token

POLICY: Final = f"{PAGE}/policy"
VERSIONS_SHOWN: Final = 20
DAYS_MAX: Final = 3_650
FIELDS_MAX: Final = 60


def include(app: FastAPI, pages: TieringPages, desk: TieringDesk) -> None:
    """Add the page."""
    page = PolicyPage(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(POLICY, page.policy, methods=["GET"])
    routes.add_api_route(POLICY, page.take, methods=["POST"])
    app.include_router(routes)


class PolicyPage:
    """The handlers."""

    def __init__(self, pages: TieringPages, desk: TieringDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def policy(self, request: Request, principal: Staff, version: int | None = Query(None, ge=0)) -> Response:
        """The policy that holds, or an earlier one to begin from."""
        tenant_id = TenantId(principal.tenant_id)
        async with self._desk.database.reading() as session:
            newest, held = await runs.policy_of(session, tenant_id)
            rows = await repository.policies(session, tenant_id, limit=VERSIONS_SHOWN)
        shown = next((from_json(row.policy) for row in rows if row.version == version), Policy())
        return await self._show(request, tenant_id, held if version is None else shown, newest)

    async def take(self, request: Request, principal: Staff) -> Response:
        """Look at what a policy would change, or save it."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        async with self._desk.database.reading() as session:
            newest, held = await runs.policy_of(session, tenant_id)
        t = self._pages.shell.catalogue(request)
        policy = held
        try:
            version = whole(form, "version", 0, 10**9)
            policy = _policy(form)
            policy.check()
            if form.get("do") == "keep":
                await self._desk.save_policy(tenant_id, policy, actor_of(request), version=version)
                return RedirectResponse(POLICY, status_code=303)
            today = self._pages.shell.clock.utc_ms() // DAY_MS
            found = await views.preview_policy(self._desk.database, tenant_id, policy, today)
            return await self._show(request, tenant_id, policy, version, found=found)
        except WeightsError as error:
            ratio = "" if error.ratio is None else t("tiering.ratio_high", ratio=f"{error.ratio:.3f}")
            return await self._show(request, tenant_id, policy, newest, fault=ratio or str(error), status=422)
        except (PolicyError, RulesError, InvalidFieldError) as error:
            field = error.field.rpartition(".")[2]
            fault = t.find(f"tiering.fault_{field}") or str(error)
            status = 409 if field == "version" else 422
            return await self._show(request, tenant_id, policy, newest, fault=fault, status=status)

    async def _show(
        self,
        request: Request,
        tenant_id: TenantId,
        policy: Policy,
        version: int,
        *,
        found: Preview | None = None,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        async with self._desk.database.reading() as session:
            rows = await repository.policies(session, tenant_id, limit=VERSIONS_SHOWN + 1)
            names = await repository.names(
                session, [UUID(each.customer_id) for each in found.changes.movers] if found else []
            )
        return self._pages.shell.page(
            request,
            "tiering_policy.html",
            status=status,
            page_name="tiering",
            tab="policy",
            policy=policy,
            version=version,
            pairs=pairs(policy.pairwise),
            scale=tuple(SCALE),
            ratio=_ratio(policy),
            dimensions=DIMENSIONS,
            rates="\n".join(f"{code} {rate}" for code, rate in policy.rates.items()),
            versions=[(row, _changed(row.policy, before)) for row, before in _with_before(rows)],
            found=found,
            names=names,
            tiers=SERVED,
            as_uuid=UUID,
            days_max=DAYS_MAX,
            run_every_max=RUN_EVERY_DAYS_MAX,
            fault=fault,
            csrf_token=form_token(request),
        )


def _with_before(rows: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Each version with the policy before it, the standard one before the first; the last row is for comparison."""
    before = [*(row.policy for row in rows[1:]), to_json(Policy())]
    return list(zip(rows[:VERSIONS_SHOWN], before, strict=False))


def _changed(policy: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """The names of what a version has changed."""
    return sorted(name for name in policy if policy[name] != before.get(name))


def _ratio(policy: Policy) -> float | None:
    try:
        return from_pairwise(policy.pairwise)[1]
    except WeightsError as error:
        return error.ratio


def _policy(form: FormData) -> Policy:
    by = next((each for each in get_args(WeightsBy) if each == text(form, "weights_by")), None)
    method = next((each for each in get_args(Method) if each == text(form, "method")), None)
    if by is None or method is None:
        raise InvalidFieldError("body.weights_by", "must be one of them")
    return Policy(
        currency=text(form, "currency").upper(),
        rates=_rates(text(form, "rates")),
        weights_by=by,
        pairwise=matrix_of(form),
        hand=[figure(form, f"hand_{each}", 0, 1_000) for each in DIMENSIONS],
        method=method,
        rules=Rules(
            strategic=_cut(form, "strategic"),
            value=_cut(form, "value"),
            stay_days=whole(form, "stay_days", 0, DAYS_MAX),
            notice_days=whole(form, "notice_days", 0, DAYS_MAX),
            provisional_days=whole(form, "provisional_days", 0, DAYS_MAX),
            confidence_min=figure(form, "confidence_min", 0, 100) / 100,
        ),
        run_every_days=whole(form, "run_every_days", 0, RUN_EVERY_DAYS_MAX),
    )


def _cut(form: FormData, name: str) -> Cut:
    return Cut(*(round(figure(form, f"{name}_{part}", 0, 100) / 100, 6) for part in ("quota", "enter", "leave")))


def _rates(told: str) -> dict[str, str]:
    """Lines of `USD 7.1`."""
    rates = {}
    for line in told.splitlines():
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2:
            raise InvalidFieldError("body.rates", "must be a currency and its rate a line")
        rates[parts[0].upper()] = parts[1]
    return rates
