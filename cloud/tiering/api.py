"""Tiering as JSON, for the platform's own people: customers, evidence, runs, tiers, what-if, economics, exports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of, slice_of
from cloud.core.problems import FieldProblem, InvalidFieldError, NotFoundError, answer, responses
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.api import of_the_platform
from cloud.entitlements.domain import Tier
from cloud.tiering import book, export, repository, runs, table_export, views
from cloud.tiering.bands import Cut, Rules, RulesError
from cloud.tiering.book import MergeStateError
from cloud.tiering.desk import Looked, TieringDesk, What
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.economics import MONTHS_MAX
from cloud.tiering.policy import PolicyError, to_json
from cloud.tiering.shapes import (
    FAULTS_TOLD,
    TIME_MS_MAX,
    CustomerOut,
    EconomicsOut,
    EvidenceOut,
    FaultOut,
    ImportOut,
    LookedOut,
    MergeIn,
    MergeOut,
    OverrideIn,
    OverrideOut,
    PolicyIn,
    PolicyOut,
    RunOut,
    ScoreOut,
    TierEntryOut,
    TierMonthOut,
    WhatIfIn,
    WhatIfOut,
)
from cloud.tiering.weights import WeightsError, by_hand, from_pairwise

HISTORY_MAX = 200
CSV = "text/csv"


def staff(principal: Annotated[Principal, requires(Right.TIERING)]) -> Principal:
    """Who works for the company that runs the platform, with the right to tiering.

    Raises:
        NotFoundError: a tenant's own people, whatever their role says.
    """
    return of_the_platform(principal, Right.TIERING)


Staff = Annotated[Principal, Depends(staff)]
CustomerId = Annotated[UUID, Path(description="Customer id.")]
RunId = Annotated[UUID, Path(description="Run id.")]
AtMs = Annotated[int | None, Query(ge=0, le=TIME_MS_MAX, description="As of this moment; absent: now.")]


@asynccontextmanager
async def _fields() -> AsyncIterator[None]:
    """What a policy or weights cannot be is a 422 with its field; what a merge cannot be is a 409."""
    try:
        yield
    except (PolicyError, RulesError, WeightsError) as error:
        raise InvalidFieldError(f"body.{error.field}", error.why) from error
    except MergeStateError as error:
        raise HTTPException(409, str(error)) from error


def router(desk: TieringDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["tiering"], prefix="/tiering")
    _policy(routes, desk)
    _imports(routes, desk)
    _customers(routes, desk)
    _tiers(routes, desk)
    _runs(routes, desk)
    _views(routes, desk)
    _exports(routes, desk)
    return routes


def _policy(routes: APIRouter, desk: TieringDesk) -> None:
    @routes.get("/policy", summary="How customers are scored and cut")
    async def policy(principal: Staff) -> PolicyOut:
        async with desk.database.reading() as session:
            version, held = await runs.policy_of(session, TenantId(principal.tenant_id))
        _, ratio = from_pairwise(held.pairwise)
        weights = None
        if held.weights_by != "entropy":
            told = from_pairwise(held.pairwise)[0] if held.weights_by == "ahp" else by_hand(held.hand, len(DIMENSIONS))
            weights = dict(zip(DIMENSIONS, map(float, told), strict=True))
        return PolicyOut(**to_json(held), version=version, weights=weights, consistency_ratio=ratio)

    @routes.put("/policy", responses=responses(422), summary="Save the next version of the policy")
    async def save(request: Request, principal: Staff, body: Annotated[PolicyIn, Body()]) -> PolicyOut:
        async with _fields():
            tenant = TenantId(principal.tenant_id)
            await desk.save_policy(tenant, body.policy(), actor_of(request), version=body.version)
        return await policy(principal)


def _imports(routes: APIRouter, desk: TieringDesk) -> None:
    @routes.post(
        "/imports",
        responses=responses(422),
        summary="Look at a CSV or XLSX file of customers or evidence; take it when `keep` and no row is bad",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
        response_model=LookedOut,
    )
    async def take(
        request: Request,
        principal: Staff,
        what: Annotated[What, Query(description="What the rows are.")],
        name: Annotated[str, Query(min_length=1, max_length=NAME_CHARACTERS_MAX, description="Of the file.")],
        *,
        keep: Annotated[bool, Query(description="Take it; otherwise it is only looked at.")] = False,
    ) -> Response:
        content = await request.body()
        tenant = TenantId(principal.tenant_id)
        looked = await desk.take_file(tenant, what, content, name, actor_of(request), keep=keep)
        if keep and looked.kept is None:
            told = [FieldProblem(field=f"row {each.row}: {each.field}", message=each.message) for each in looked.faults]
            return answer(422, f"{len(looked.faults)} rows are bad: nothing was taken", told[:FAULTS_TOLD])
        return Response(_looked(looked).model_dump_json(), media_type="application/json")

    @routes.get("/imports", responses=responses(422), summary="Files that were taken, newest first")
    async def imports(principal: Staff, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[ImportOut]:
        before = decode_uuid(cursor)
        async with desk.database.reading() as session:
            tenant = TenantId(principal.tenant_id)
            rows = await repository.imports(session, tenant, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), ImportOut.model_validate, lambda row: (str(row.import_id),))


def _looked(looked: Looked) -> LookedOut:
    return LookedOut(
        what=looked.what,
        rows=looked.rows,
        known=looked.known,
        faults_count=len(looked.faults),
        faults=[FaultOut.model_validate(each) for each in looked.faults[:FAULTS_TOLD]],
        kept=None if looked.kept is None else ImportOut.model_validate(looked.kept),
    )


def _customers(routes: APIRouter, desk: TieringDesk) -> None:
    one = "/customers/{customer_id}"

    @routes.get("/customers", responses=responses(422), summary="Customers by code")
    async def customers(
        principal: Staff, tier: Tier | None = None, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[CustomerOut]:
        at = decode_cursor(cursor, str)
        async with desk.database.reading() as session:
            rows = await repository.customers(
                session, TenantId(principal.tenant_id), tier=tier, after=str(at[0]) if at else None, limit=limit + 1
            )
        return page_of(slice_of(rows, limit), CustomerOut.model_validate, lambda row: (row.code,))

    @routes.get(one, responses=responses(404, 422), summary="One customer")
    async def customer(principal: Staff, customer_id: CustomerId) -> CustomerOut:
        async with desk.database.reading() as session:
            return CustomerOut.model_validate(await book.customer(session, TenantId(principal.tenant_id), customer_id))

    @routes.get(f"{one}/evidence", responses=responses(404, 422), summary="Its evidence, the last entered first")
    async def evidence(
        principal: Staff, customer_id: CustomerId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[EvidenceOut]:
        at, tenant = decode_cursor(cursor, int), TenantId(principal.tenant_id)
        async with desk.database.reading() as session:
            await book.customer(session, tenant, customer_id)
            before = int(at[0]) if at else None
            rows = await repository.evidence(session, tenant, customer_id=customer_id, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), EvidenceOut.model_validate, lambda row: (row.evidence_id,))

    @routes.get(f"{one}/scores", responses=responses(404, 422), summary="Its scores, newest first")
    async def scores(principal: Staff, customer_id: CustomerId) -> list[ScoreOut]:
        async with desk.database.reading() as session:
            tenant = TenantId(principal.tenant_id)
            await book.customer(session, tenant, customer_id)
            rows = await repository.score_history(session, tenant, customer_id, limit=HISTORY_MAX)
        return [ScoreOut.model_validate(row) for row in rows]

    @routes.post(
        "/merges",
        responses=responses(404, 409, 422),
        status_code=201,
        summary="Merge a duplicate into the customer it is",
    )
    async def merge(request: Request, principal: Staff, body: Annotated[MergeIn, Body()]) -> MergeOut:
        async with _fields():
            tenant = TenantId(principal.tenant_id)
            return MergeOut.model_validate(await desk.merge(tenant, body.kept_id, body.gone_id, actor_of(request)))

    @routes.post("/merges/{merge_id}/undo", responses=responses(404, 409, 422), summary="Take a merge back")
    async def undo(request: Request, principal: Staff, merge_id: UUID) -> MergeOut:
        async with _fields():
            row = await desk.undo_merge(TenantId(principal.tenant_id), merge_id, actor_of(request))
            return MergeOut.model_validate(row)


def _tiers(routes: APIRouter, desk: TieringDesk) -> None:
    @routes.get(
        "/customers/{customer_id}/tiers",
        responses=responses(404, 422),
        summary="Its tiers up to a moment, newest first",
    )
    async def tiers(principal: Staff, customer_id: CustomerId, at_ms: AtMs = None) -> list[TierEntryOut]:
        async with desk.database.reading() as session:
            tenant = TenantId(principal.tenant_id)
            await book.customer(session, tenant, customer_id)
            rows = await repository.tier_history(session, tenant, customer_id, limit=HISTORY_MAX)
        return [TierEntryOut.model_validate(row) for row in rows if at_ms is None or row.from_ms <= at_ms]

    @routes.post(
        "/customers/{customer_id}/override",
        responses=responses(404, 422),
        status_code=201,
        summary="Serve a customer by another tier until a day",
    )
    async def override(
        request: Request, principal: Staff, customer_id: CustomerId, body: Annotated[OverrideIn, Body()]
    ) -> OverrideOut:
        row = await desk.set_override(
            TenantId(principal.tenant_id),
            customer_id,
            Tier(body.tier),
            actor_of(request),
            reason=body.reason,
            owner=body.owner,
            expires_ms=body.expires_ms,
        )
        return OverrideOut.model_validate(row)

    @routes.post("/overrides/{tier_override_id}/end", responses=responses(404, 422), summary="End an override now")
    async def end(request: Request, principal: Staff, tier_override_id: UUID) -> OverrideOut:
        row = await desk.end_override(TenantId(principal.tenant_id), tier_override_id, actor_of(request))
        return OverrideOut.model_validate(row)


def _runs(routes: APIRouter, desk: TieringDesk) -> None:
    @routes.post(
        "/runs", responses=responses(403), status_code=202, summary="Score all customers and review their tiers"
    )
    async def ask(request: Request, principal: Staff) -> RunOut:
        return RunOut.model_validate(await desk.ask_run(TenantId(principal.tenant_id), actor_of(request)))

    @routes.get("/runs", responses=responses(422), summary="Scoring runs, newest first")
    async def listed(principal: Staff, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[RunOut]:
        before = decode_uuid(cursor)
        async with desk.database.reading() as session:
            rows = await repository.runs(session, TenantId(principal.tenant_id), before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), RunOut.model_validate, lambda row: (str(row.run_id),))

    @routes.get("/runs/{run_id}", responses=responses(404, 422), summary="One run")
    async def one(principal: Staff, run_id: RunId) -> RunOut:
        async with desk.database.reading() as session:
            row = await repository.run(session, TenantId(principal.tenant_id), run_id)
        if row is None:
            raise NotFoundError("tiering run", str(run_id))
        return RunOut.model_validate(row)

    @routes.get("/runs/{run_id}/scores", responses=responses(404, 422), summary="Its scores by rank")
    async def scores(
        principal: Staff, run_id: RunId, tier: Tier | None = None, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[ScoreOut]:
        at = decode_cursor(cursor, int)
        await one(principal, run_id)
        async with desk.database.reading() as session:
            after = int(at[0]) if at else None
            rows = await repository.scores(session, run_id, after=after, tier=tier, limit=limit + 1)
        return page_of(slice_of(rows, limit), ScoreOut.model_validate, lambda row: (row.rank,))


def _views(routes: APIRouter, desk: TieringDesk) -> None:
    @routes.post("/what-if", responses=responses(422), summary="What other weights or quotas would change")
    async def what_if(principal: Staff, body: Annotated[WhatIfIn, Body()]) -> WhatIfOut:
        async with _fields():
            count = len(DIMENSIONS)
            if body.weights_by == "ahp" and len(body.pairwise) != count:
                raise WeightsError("pairwise", f"must have {count} rows, one for each dimension")
            weights = from_pairwise(body.pairwise)[0] if body.weights_by == "ahp" else by_hand(body.hand, count)
            rules = tried_rules(body.strategic_quota, body.value_quota)
            found = await views.try_weights(desk.database, TenantId(principal.tenant_id), weights, body.method, rules)
        return WhatIfOut.model_validate(found)

    @routes.get("/economics", responses=responses(422), summary="What each tier brings and costs, by month")
    async def economics(principal: Staff, months: Annotated[int, Query(ge=1, le=MONTHS_MAX)] = 12) -> EconomicsOut:
        tenant = TenantId(principal.tenant_id)
        found = await views.tier_economics(desk.database, tenant, now_ms=desk.clock.utc_ms(), months=months)
        async with desk.database.reading() as session:
            _, policy = await runs.policy_of(session, tenant)
        return EconomicsOut(currency=policy.currency, items=[TierMonthOut.model_validate(each) for each in found])


def tried_rules(strategic: float | None, value: float | None) -> Rules | None:
    """Quotas to try; None when none is given.

    Raises:
        RulesError: they cannot hold together.
    """
    if strategic is None and value is None:
        return None
    standard = Rules()
    first = standard.strategic.quota if strategic is None else strategic
    second = standard.value.quota if value is None else value
    if not 0 < first < second < 1:
        raise RulesError("value_quota", "must be above strategic_quota, which is counted in it")
    return Rules(strategic=Cut(first, first, first), value=Cut(second, second, second))


def _exports(routes: APIRouter, desk: TieringDesk) -> None:
    told: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {}}}}

    @routes.get(
        "/export/customers.csv", responses=told, response_class=Response, summary="Customers, as an import takes them"
    )
    async def customers(principal: Staff) -> StreamingResponse:
        return _csv("customers", export.customers(desk.database, TenantId(principal.tenant_id)))

    @routes.get(
        "/export/evidence.csv", responses=told, response_class=Response, summary="Evidence, as an import takes it"
    )
    async def evidence(principal: Staff) -> StreamingResponse:
        tenant = TenantId(principal.tenant_id)
        return _csv("evidence", export.evidence(desk.database, tenant, await _currency(desk, tenant)))

    @routes.get(
        "/export/scores.csv",
        responses={**told, **responses(404)},
        response_class=Response,
        summary="The newest run's scores by rank",
    )
    async def scores(principal: Staff) -> StreamingResponse:
        tenant = TenantId(principal.tenant_id)
        async with desk.database.reading() as session:
            run = await repository.newest_run(session, tenant, "done")
        if run is None:
            raise NotFoundError("tiering run", "newest")
        return _csv("scores", export.scores(desk.database, run.run_id, await _currency(desk, tenant)))

    @routes.get(
        "/export/tiers.csv",
        responses={**told, **responses(422)},
        response_class=Response,
        summary="Everybody's tier at a moment",
    )
    async def tiers(principal: Staff, at_ms: AtMs = None) -> StreamingResponse:
        when = desk.clock.utc_ms() if at_ms is None else at_ms
        return _csv("tiers", export.tiers(desk.database, TenantId(principal.tenant_id), when))

    @routes.get(
        "/export/tables/{table}.{form}",
        responses={200: {"content": {CSV: {}, "application/json": {}}}, **responses(422)},
        response_class=Response,
        summary="A table of tiering, every row as it is kept",
    )
    async def rows(principal: Staff, table: table_export.Name, form: table_export.Form) -> StreamingResponse:
        tenant = TenantId(principal.tenant_id)
        if form == "csv":
            return _csv(table, table_export.as_csv(desk.database, tenant, table))
        headers = {"Content-Disposition": f'attachment; filename="{table}.json"'}
        lines = table_export.as_json(desk.database, tenant, table)
        return StreamingResponse(lines, media_type="application/json", headers=headers)


async def _currency(desk: TieringDesk, tenant: TenantId) -> str:
    async with desk.database.reading() as session:
        return (await runs.policy_of(session, tenant))[1].currency


def _csv(name: str, lines: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(lines, media_type=CSV, headers=headers)
