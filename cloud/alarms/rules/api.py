"""Rules of alarms as JSON: read by all, written by engineers, tried on the last days before they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Path, Query, Request

from cloud.alarms.rules.desk import RuleDesk
from cloud.alarms.rules.service import RuleRefusedError, StaleVersionError
from cloud.alarms.rules.shapes import (
    WHY_CHARACTERS_MAX,
    DryRunIn,
    DryRunOut,
    NewRuleIn,
    RevertIn,
    RuleChangeIn,
    RuleOut,
    RulesOut,
    RuleVersionOut,
)
from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId

Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
RuleId = Annotated[str, Path(max_length=128, description="Rule id.")]
ToldVersion = Annotated[int, Query(ge=0, le=1_000_000_000, description="The version that was read.")]
ToldWhy = Annotated[str, Query(max_length=WHY_CHARACTERS_MAX)]


def router(desk: RuleDesk) -> APIRouter:
    """The routes; they stand before those of single alarms, whose ids are UUIDs."""
    routes = APIRouter(tags=["alarms"], prefix="/alarms/rules")
    _reads(routes, desk)
    _deeds(routes, desk)
    return routes


@contextmanager
def _conflicts() -> Iterator[None]:
    """What does not fit how things stand is a 409."""
    try:
        yield
    except (StaleVersionError, RuleRefusedError) as error:
        raise HTTPException(409, str(error)) from error


def _reads(routes: APIRouter, desk: RuleDesk) -> None:
    @routes.get("", summary="Rules of alarms")
    async def rules(tenant: Tenant) -> RulesOut:
        return RulesOut(items=[RuleOut.of(saved) for saved in await desk.rules(tenant)])

    @routes.get("/{rule_id}", responses=responses(404, 422), summary="One rule")
    async def rule(tenant: Tenant, rule_id: RuleId) -> RuleOut:
        return RuleOut.of(await desk.rule(tenant, rule_id))

    @routes.get("/{rule_id}/versions", responses=responses(404, 422), summary="A rule's versions, newest first")
    async def versions(
        tenant: Tenant, rule_id: RuleId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[RuleVersionOut]:
        parts = decode_cursor(cursor, int)
        before = int(parts[0]) if parts else None
        found = await desk.versions(tenant, rule_id, before=before, limit=limit)
        return page_of(found, RuleVersionOut.of, lambda each: (each.version,))


def _deeds(routes: APIRouter, desk: RuleDesk) -> None:
    @routes.post("", status_code=201, responses=responses(403, 409, 422), summary="Write a rule")
    async def create(request: Request, principal: Engineer, body: Annotated[NewRuleIn, Body()]) -> RuleOut:
        with _conflicts():
            saved = await desk.create(TenantId(principal.tenant_id), body.rule, why=body.why, actor=actor_of(request))
        return RuleOut.of(saved)

    @routes.post(
        "/dry-run",
        responses=responses(403, 409, 422),
        summary="Try a rule on the shots of the last days",
        description="Reads at most the newest 200,000 shots of all presses for at most 20 s, one run at a time; `cut` "
        "says if that was too little. Nothing is written.",
    )
    async def dry_run(principal: Engineer, body: Annotated[DryRunIn, Body()]) -> DryRunOut:
        with _conflicts():
            return DryRunOut.of(await desk.dry_run(TenantId(principal.tenant_id), body.rule, days=body.days))

    @routes.put("/{rule_id}", responses=responses(403, 404, 409, 422), summary="Change a rule")
    async def change(
        request: Request, principal: Engineer, rule_id: RuleId, body: Annotated[RuleChangeIn, Body()]
    ) -> RuleOut:
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        with _conflicts():
            saved = await desk.change(tenant, rule_id, body.rule, version=body.version, why=body.why, actor=actor)
        return RuleOut.of(saved)

    @routes.post("/{rule_id}/revert", responses=responses(403, 404, 409, 422), summary="Save an old version anew")
    async def revert(
        request: Request, principal: Engineer, rule_id: RuleId, body: Annotated[RevertIn, Body()]
    ) -> RuleOut:
        tenant, actor = TenantId(principal.tenant_id), actor_of(request)
        with _conflicts():
            saved = await desk.revert(tenant, rule_id, to=body.to, version=body.version, why=body.why, actor=actor)
        return RuleOut.of(saved)

    @routes.delete("/{rule_id}", status_code=204, responses=responses(403, 404, 409, 422), summary="Delete a rule")
    async def delete(
        request: Request, principal: Engineer, rule_id: RuleId, version: ToldVersion, why: ToldWhy = ""
    ) -> None:
        with _conflicts():
            await desk.delete(TenantId(principal.tenant_id), rule_id, version=version, why=why, actor=actor_of(request))
