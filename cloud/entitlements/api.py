"""Entitlements as JSON for the platform's own people: the catalogue, and what each tenant has and why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of, slice_of
from cloud.core.problems import NotFoundError, responses
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements import repository, service
from cloud.entitlements.domain import CatalogueVersion, Tier
from cloud.entitlements.service import AlreadyEndedError, CatalogueConflictError
from cloud.entitlements.shapes import (
    MS_MAX,
    AssignmentOut,
    CatalogueIn,
    CatalogueOut,
    CatalogueVersionOut,
    EffectiveOut,
    EntitlementsShape,
    OverrideIn,
    OverrideOut,
    TenantTierOut,
    TierIn,
    effective_out,
    override_out,
)
from cloud.identity import repository as identities
from kit.clock import Clock

PREFIX = "/entitlements"
AtMs = Annotated[int | None, Query(ge=0, le=MS_MAX, description="As of this moment; now without it.")]
OverrideId = Annotated[UUID, Path(description="Override id.")]
TenantName = Annotated[str, Path(max_length=NAME_CHARACTERS_MAX, description="Tenant id.")]


def of_the_platform(principal: Principal, right: Right) -> Principal:
    """Who asks, where it is somebody of the company that runs the platform.

    Raises:
        NotFoundError: it is a customer's, whatever the rights there.
    """
    if principal.tenant_id != DEFAULT_TENANT:
        raise NotFoundError("page", right)
    return principal


def _watcher(principal: Annotated[Principal, requires(Right.TIERING)]) -> Principal:
    return of_the_platform(principal, Right.TIERING)


def _keeper(principal: Annotated[Principal, requires(Right.ENTITLEMENTS)]) -> Principal:
    return of_the_platform(principal, Right.ENTITLEMENTS)


Watcher = Annotated[Principal, Depends(_watcher)]
"""Who may see what customers have."""
Keeper = Annotated[Principal, Depends(_keeper)]
"""Who may change it."""


@asynccontextmanager
async def _conflicts() -> AsyncIterator[None]:
    try:
        yield
    except (AlreadyEndedError, CatalogueConflictError) as error:
        raise HTTPException(409, str(error)) from error


def router(database: Database, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["entitlements"], prefix=PREFIX)
    _catalogue(routes, database, clock)
    _tenants(routes, database, clock)
    _overrides(routes, database, clock)
    return routes


def _catalogue(routes: APIRouter, database: Database, clock: Clock) -> None:
    @routes.get("/catalogue", responses=responses(404), summary="What every tier has")
    async def catalogue(_watcher: Watcher) -> CatalogueOut:
        async with database.reading() as session:
            found = await service.newest_catalogue(session)
        return _catalogue_out(found)

    @routes.put("/catalogue", responses=responses(404, 409, 422), summary="Save a new version of the catalogue")
    async def save(request: Request, _keeper: Keeper, body: CatalogueIn) -> CatalogueOut:
        tiers = {str(tier): shape.model_dump() for tier, shape in body.tiers.items()}
        async with _conflicts(), database.transaction() as session:
            saved = await service.save_catalogue(
                session, tiers, version=body.version, why=body.why, by=actor_of(request), now_ms=clock.utc_ms()
            )
        return _catalogue_out(saved)

    @routes.get("/catalogue/versions", responses=responses(404, 422), summary="Saved catalogues, newest first")
    async def versions(
        _watcher: Watcher, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[CatalogueVersionOut]:
        at = decode_cursor(cursor, int)
        async with database.reading() as session:
            rows = await repository.catalogues(session, before=int(at[0]) if at else None, limit=limit + 1)
        return page_of(slice_of(rows, limit), CatalogueVersionOut.model_validate, lambda row: (row.version,))


def _tenants(routes: APIRouter, database: Database, clock: Clock) -> None:
    @routes.get("/tenants", responses=responses(404, 422), summary="Tenants by id, with their tiers")
    async def tenants(_watcher: Watcher, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[TenantTierOut]:
        at = decode_cursor(cursor, str)
        async with database.reading() as session:
            rows = await identities.tenants(session, after=str(at[0]) if at else "", limit=limit + 1)
            tiers = await repository.tiers_now(session, [row.tenant_id for row in rows])
        found = [
            TenantTierOut(tenant_id=row.tenant_id, name=row.name, tier=_tier(tiers.get(row.tenant_id))) for row in rows
        ]
        return page_of(slice_of(found, limit), lambda one: one, lambda one: (one.tenant_id,))

    @routes.get("/tenants/{tenant_id}", responses=responses(404, 422), summary="What is in force for a tenant, and why")
    async def tenant(_watcher: Watcher, tenant_id: TenantName, at_ms: AtMs = None) -> EffectiveOut:
        async with database.reading() as session:
            if await identities.tenant(session, tenant_id) is None:
                raise NotFoundError("tenant", tenant_id)
            found = await service.in_force(session, TenantId(tenant_id), clock.utc_ms() if at_ms is None else at_ms)
        return effective_out(tenant_id, found)

    @routes.get("/tenants/{tenant_id}/tiers", responses=responses(404, 422), summary="A tenant's tiers, newest first")
    async def tiers(
        _watcher: Watcher, tenant_id: TenantName, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[AssignmentOut]:
        at = decode_cursor(cursor, int)
        before = int(at[0]) if at else None
        async with database.reading() as session:
            rows = await repository.assignments(session, TenantId(tenant_id), before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), AssignmentOut.model_validate, lambda row: (row.assignment_id,))

    @routes.post("/tenants/{tenant_id}/tier", responses=responses(404, 422), summary="Give a tenant a tier")
    async def assign(request: Request, _keeper: Keeper, tenant_id: TenantName, body: TierIn) -> EffectiveOut:
        now_ms, known = clock.utc_ms(), TenantId(tenant_id)
        async with database.transaction() as session:
            await service.assign_tier(
                session, known, body.tier, reason=body.reason, by=actor_of(request), now_ms=now_ms
            )
            found = await service.in_force(session, known, now_ms)
        return effective_out(tenant_id, found)


def _overrides(routes: APIRouter, database: Database, clock: Clock) -> None:
    @routes.get(
        "/tenants/{tenant_id}/overrides", responses=responses(404, 422), summary="A tenant's overrides, newest first"
    )
    async def overrides(
        _watcher: Watcher, tenant_id: TenantName, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[OverrideOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            rows = await repository.overrides(session, TenantId(tenant_id), before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), override_out, lambda row: (str(row.override_id),))

    @routes.post(
        "/tenants/{tenant_id}/overrides",
        status_code=201,
        responses=responses(404, 422),
        summary="Let one entitlement of a tenant be another for a time",
    )
    async def override(request: Request, _keeper: Keeper, tenant_id: TenantName, body: OverrideIn) -> OverrideOut:
        async with database.transaction() as session:
            row = await service.set_override(
                session,
                TenantId(tenant_id),
                body.entitlement,
                body.value,
                reason=body.reason,
                owner=body.owner,
                expires_ms=body.expires_ms,
                by=actor_of(request),
                now_ms=clock.utc_ms(),
            )
        return override_out(row)

    @routes.post(
        "/tenants/{tenant_id}/overrides/{override_id}/end",
        responses=responses(404, 409, 422),
        summary="End an override before its time",
    )
    async def end(request: Request, _keeper: Keeper, tenant_id: TenantName, override_id: OverrideId) -> OverrideOut:
        async with _conflicts(), database.transaction() as session:
            row = await service.end_override(
                session, TenantId(tenant_id), override_id, by=actor_of(request), now_ms=clock.utc_ms()
            )
        return override_out(row)


def _catalogue_out(found: CatalogueVersion) -> CatalogueOut:
    tiers = {tier: EntitlementsShape.model_validate(entitlements) for tier, entitlements in found.tiers.items()}
    return CatalogueOut(version=found.version, made_ms=found.made_ms, tiers=tiers)


def _tier(name: str | None) -> Tier | None:
    return None if name is None else Tier(name)
