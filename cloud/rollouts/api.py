"""Bundles and their trials as JSON: upload, model cards, downloads for gateways, steps of a trial."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Body, Path, Request
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from cloud.core.access import NotAuthenticatedError, Principal, Right, principal_of, requires
from cloud.core.audit import actor_of
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, decode_uuid, page_of, slice_of
from cloud.core.problems import InvalidFieldError, NotFoundError, responses
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet.reading import tenants_of_plants
from cloud.rollouts import repository, views
from cloud.rollouts.domain import BundleRefusedError, RolloutError
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.shapes import (
    BundleOut,
    CardOut,
    EventOut,
    GatewayModelsOut,
    RolloutDetailOut,
    RolloutIn,
    RolloutOut,
    StepIn,
)
from cloud.rollouts.tokens import permission_of
from contract.model_orders import TOKEN_HEADER
from models.runtime.bundle import BUNDLE_BYTES_MAX

Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
BundleId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="Bundle id.")]
RolloutId = Annotated[UUID, Path(description="Trial id.")]
ZIP = "application/zip"


def router(parts: RolloutParts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["models"], prefix="/models")
    _add_bundles(routes, parts)
    _add_file(routes, parts)
    _add_rollouts(routes, parts)
    _add_steps(routes, parts)
    return routes


@contextmanager
def _conflicts() -> Iterator[None]:
    """What does not fit the state of bundles and trials is a 409."""
    try:
        yield
    except RolloutError as error:
        raise HTTPException(409, str(error)) from error


def _add_bundles(routes: APIRouter, parts: RolloutParts) -> None:
    database = parts.database

    @routes.get("/bundles", responses=responses(422), summary="Bundles, newest first")
    async def listed(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[BundleOut]:
        found = decode_cursor(cursor, int, str)
        before = (int(found[0]), str(found[1])) if found else None
        async with database.reading() as session:
            rows = await repository.bundles(session, tenant, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), BundleOut.model_validate, lambda row: (row.uploaded_ms, row.bundle_id))

    @routes.post(
        "/bundles",
        status_code=201,
        responses=responses(403, 422),
        summary="Upload a bundle",
        description="The body is the file; it becomes a candidate. The same bundle again changes nothing.",
    )
    async def upload(
        request: Request,
        principal: Engineer,
        content: Annotated[bytes, Body(media_type="application/octet-stream", max_length=BUNDLE_BYTES_MAX)],
    ) -> BundleOut:
        try:
            bundle, digest = await to_thread.run_sync(parts.files.take, content)
        except BundleRefusedError as error:
            raise InvalidFieldError("body", str(error)) from error
        async with database.transaction() as session:
            row = await parts.service.add_bundle(
                session,
                TenantId(principal.tenant_id),
                bundle,
                digest,
                len(content),
                actor_of(request),
                now_ms=parts.clock.utc_ms(),
            )
        return BundleOut.model_validate(row)

    @routes.get("/bundles/{bundle_id}", responses=responses(404, 422), summary="A bundle's model card")
    async def card(tenant: Tenant, bundle_id: BundleId) -> CardOut:
        async with database.reading() as session:
            return await views.card(session, tenant, bundle_id)

    @routes.get("/bundles/{bundle_id}/events", responses=responses(404, 422), summary="A bundle's life, newest first")
    async def events(
        tenant: Tenant, bundle_id: BundleId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[EventOut]:
        found = decode_cursor(cursor, int)
        before = int(found[0]) if found else None
        async with database.reading() as session:
            if await repository.bundle(session, tenant, bundle_id) is None:
                raise NotFoundError("bundle", bundle_id)
            rows = await repository.events(session, tenant, bundle_id, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), EventOut.model_validate, lambda row: (row.event_id,))

    @routes.post("/bundles/{bundle_id}/retire", responses=responses(403, 404, 409, 422), summary="Take out of use")
    async def retire(request: Request, principal: Engineer, bundle_id: BundleId, body: StepIn) -> BundleOut:
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), parts.clock.utc_ms()
        with _conflicts():
            async with database.transaction() as session:
                row = await parts.service.retire(session, tenant_id, bundle_id, actor, why=body.why, now_ms=now_ms)
        return BundleOut.model_validate(row)


def _add_file(routes: APIRouter, parts: RolloutParts) -> None:
    @routes.get(
        "/bundles/{bundle_id}/file",
        responses={**responses(401, 403, 404, 422), 200: {"content": {ZIP: {}}}, 206: {"content": {ZIP: {}}}},
        response_class=FileResponse,
        summary="A bundle's file",
        description=f"For who may read, and for gateways with `{TOKEN_HEADER}`; byte ranges are served.",
    )
    async def file(request: Request, bundle_id: BundleId) -> FileResponse:
        tenant_id = await _who_may_fetch(request, parts, bundle_id)
        async with parts.database.reading() as session:
            row = await repository.bundle(session, tenant_id, bundle_id)
        if row is None or not await to_thread.run_sync(parts.files.path_of(row.sha256).exists):
            raise NotFoundError("bundle", bundle_id)
        return FileResponse(parts.files.path_of(row.sha256), media_type=ZIP, filename=f"{bundle_id}.zip")


async def _who_may_fetch(request: Request, parts: RolloutParts, bundle_id: str) -> TenantId:
    principal = principal_of(request)
    if principal is not None and Right.READ in principal.rights:
        return TenantId(principal.tenant_id)
    token = request.headers.get(TOKEN_HEADER, "")
    secret = await to_thread.run_sync(parts.files.secret)
    permission = permission_of(secret, token, parts.clock.utc_ms())
    if permission is None:
        raise NotAuthenticatedError
    if permission.bundle_id != bundle_id or parts.is_barred(permission.plant_id, permission.gateway_id):
        raise HTTPException(403, "The token is for another bundle, or its gateway is shut out.")
    async with parts.database.reading() as session:
        tenants = await tenants_of_plants(session, [permission.plant_id])
    if permission.plant_id not in tenants:
        raise HTTPException(403, "The token is of a plant that is not known here.")
    return tenants[permission.plant_id]


def _add_rollouts(routes: APIRouter, parts: RolloutParts) -> None:
    database = parts.database

    @routes.get("/rollouts", responses=responses(422), summary="Trials, newest first")
    async def listed(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[RolloutOut]:
        before = decode_uuid(cursor)
        async with database.reading() as session:
            rows = await repository.rollouts(session, tenant, before=before, limit=limit + 1)
        return page_of(slice_of(rows, limit), RolloutOut.model_validate, lambda row: (str(row.rollout_id),))

    @routes.get("/rollouts/{rollout_id}", responses=responses(404, 422), summary="A trial with its guard figures")
    async def one(tenant: Tenant, rollout_id: RolloutId) -> RolloutDetailOut:
        async with database.reading() as session:
            return await views.rollout(session, tenant, rollout_id)

    @routes.get("/gateways", summary="What each gateway was told to run, and what it reports")
    async def gateways(tenant: Tenant) -> list[GatewayModelsOut]:
        async with database.reading() as session:
            return await views.gateways(session, tenant)


def _add_steps(routes: APIRouter, parts: RolloutParts) -> None:
    database, service, clock = parts.database, parts.service, parts.clock

    @routes.post(
        "/rollouts", status_code=201, responses=responses(403, 404, 409, 422), summary="Begin a trial, as a shadow"
    )
    async def start(request: Request, principal: Engineer, body: RolloutIn) -> RolloutOut:
        with _conflicts():
            async with database.transaction() as session:
                row = await service.start(
                    session,
                    TenantId(principal.tenant_id),
                    body.bundle_id,
                    actor_of(request),
                    canaries=[(press.plant_id, press.press_id) for press in body.canaries],
                    bounds=body.bounds,
                    is_automatic=body.is_automatic,
                    stage_shots=body.stage_shots,
                    why=body.why,
                    now_ms=clock.utc_ms(),
                )
        return RolloutOut.model_validate(row)

    @routes.post("/rollouts/{rollout_id}/advance", responses=responses(403, 404, 409, 422), summary="Next stage")
    async def advance(request: Request, principal: Engineer, rollout_id: RolloutId, body: StepIn) -> RolloutOut:
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), clock.utc_ms()
        with _conflicts():
            async with database.transaction() as session:
                row = await service.advance(
                    session, tenant_id, rollout_id, actor, seen=body.stage, why=body.why, now_ms=now_ms
                )
        return RolloutOut.model_validate(row)

    @routes.post("/rollouts/{rollout_id}/stop", responses=responses(403, 404, 409, 422), summary="Back to the old one")
    async def stop(request: Request, principal: Engineer, rollout_id: RolloutId, body: StepIn) -> RolloutOut:
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), clock.utc_ms()
        with _conflicts():
            async with database.transaction() as session:
                row = await service.stop(session, tenant_id, rollout_id, actor, why=body.why, now_ms=now_ms)
        return RolloutOut.model_validate(row)
