"""Gateway identity as JSON: claim tokens, the claim itself, renewal, revocation, the broker's lists."""

import base64
import binascii
import math
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, address_of, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of
from cloud.core.problems import InvalidFieldError, NotFoundError, responses
from cloud.core.tenants import DEFAULT_TENANT, Tenant, TenantId
from cloud.gateways import service
from cloud.gateways.domain import (
    NONCE_CHARACTERS_MAX,
    NONCE_CHARACTERS_MIN,
    PEM_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    TOKEN_CHARACTERS_MAX,
    ClaimRefusedError,
    ClaimsClosedError,
    ClaimSpentError,
    PlantTakenError,
    RenewalRefusedError,
    RequestPemError,
)
from cloud.gateways.jobs import BrokerKeeper
from cloud.gateways.service import GatewayIdentities, Welcome
from cloud.gateways.tries import Tries
from kit.clock import Clock

SIGNATURE_CHARACTERS_MAX = 200
OPEN_CLAIMS_MAX = 200
"""A token opens for an hour: of more at once the oldest are not listed."""
Manager = Annotated[Principal, requires(Right.MANAGE_GATEWAYS)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class ClaimIn(BaseModel):
    """Which gateway is to come."""

    plant: Id = Field(description="Plant id: the Sparkplug group.")
    gateway: Id = Field(description="Gateway id: the Sparkplug edge node.")


class NewClaimOut(BaseModel):
    """A one-time token; it is told here and never again."""

    model_config = ConfigDict(from_attributes=True)

    claim_id: UUID
    plant_id: str
    gateway_id: str
    token: str
    expires_ms: int


class ClaimOut(BaseModel):
    """A claim, without its token."""

    model_config = ConfigDict(from_attributes=True)

    claim_id: UUID
    plant_id: str
    gateway_id: str
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None


class TokenIn(BaseModel):
    """A gateway's claim."""

    token: str = Field(min_length=1, max_length=TOKEN_CHARACTERS_MAX)
    csr: str = Field(min_length=1, max_length=PEM_CHARACTERS_MAX, description="PEM, P-256; only its key is used.")


class RenewalIn(BaseModel):
    """A gateway's wish for a new certificate, signed with the key of the one it has."""

    certificate: str = Field(min_length=1, max_length=PEM_CHARACTERS_MAX, description="The present one, PEM.")
    csr: str = Field(min_length=1, max_length=PEM_CHARACTERS_MAX, description="PEM, P-256; only its key is used.")
    signed_at_ms: int = Field(ge=0, lt=1 << 53, description="Its clock; may be 5 minutes off.")
    nonce: str = Field(min_length=NONCE_CHARACTERS_MIN, max_length=NONCE_CHARACTERS_MAX, description="Used once.")
    signature: str = Field(
        max_length=SIGNATURE_CHARACTERS_MAX, description="Base64 of ECDSA-SHA256 over contract.gateway_identity."
    )


class WelcomeOut(BaseModel):
    """All that a gateway needs to connect."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    gateway_id: str
    certificate_pem: str
    chain_pem: str
    expires_ms: int
    broker_host: str
    broker_port: int
    host_id: str = Field(description="The gateway's primary host.")


class RevocationIn(BaseModel):
    """Why."""

    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX)


class IdentityOut(BaseModel):
    """A claimed gateway."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    gateway_id: str
    claimed_ms: int
    claimed_by: str = Field(description="Who made its claim token.")
    renewed_ms: int | None
    expires_ms: int = Field(description="When its newest certificate ends.")
    revoked_ms: int | None
    revoked_by: str | None
    revoked_reason: str | None


def router(database: Database, identities: GatewayIdentities, keeper: BrokerKeeper, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["gateway identity"], prefix="/gateways")
    tries = Tries()
    claiming, renewing = [Depends(_limited(tries.claim, clock))], [Depends(_limited(tries.renew, clock))]
    _add_management(routes, database, identities, clock)
    _add_broker_lists(routes, keeper)

    @routes.post(
        "/claim", responses=responses(403, 409, 422, 429), dependencies=claiming, summary="Spend a claim token"
    )
    async def claim(request: Request, body: TokenIn) -> WelcomeOut:
        try:
            async with database.transaction() as session:
                now_ms, actor = clock.utc_ms(), actor_of(request)
                welcome = await identities.claim(session, body.token, body.csr, actor, now_ms=now_ms)
        except ClaimRefusedError as error:
            raise HTTPException(403, str(error)) from error
        except RequestPemError as error:
            raise _invalid(error) from error
        return _out(welcome)

    @routes.post("/renew", responses=responses(403, 422, 429), dependencies=renewing, summary="Renew a certificate")
    async def renew(request: Request, body: RenewalIn) -> WelcomeOut:
        try:
            signature = base64.b64decode(body.signature, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidFieldError("body.signature", "is not base64") from error
        try:
            async with database.transaction() as session:
                welcome = await identities.renew(
                    session,
                    body.certificate,
                    body.csr,
                    signature,
                    actor_of(request),
                    signed_at_ms=body.signed_at_ms,
                    nonce=body.nonce,
                    now_ms=clock.utc_ms(),
                )
        except RenewalRefusedError as error:
            raise HTTPException(403, str(error)) from error
        except RequestPemError as error:
            raise _invalid(error) from error
        return _out(welcome)

    return routes


def _add_management(routes: APIRouter, database: Database, identities: GatewayIdentities, clock: Clock) -> None:
    """What people and their programs may do."""

    @routes.post("/claims", status_code=201, responses=responses(401, 403, 409, 422), summary="Make a claim token")
    async def claims(request: Request, principal: Manager, body: ClaimIn) -> NewClaimOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        try:
            async with database.transaction() as session:
                made = await identities.make_claim(
                    session, tenant_id, body.plant, body.gateway, actor, now_ms=clock.utc_ms()
                )
        except (PlantTakenError, ClaimsClosedError) as error:
            raise HTTPException(409, str(error)) from error
        return NewClaimOut.model_validate(made)

    @routes.get("/claims", responses=responses(401), summary="Claims whose token still opens, newest first")
    async def open_claims(tenant: Tenant) -> list[ClaimOut]:
        async with database.reading() as session:
            found = await service.open_claims(session, tenant, now_ms=clock.utc_ms(), limit=OPEN_CLAIMS_MAX)
        return [ClaimOut.model_validate(one) for one in found]

    @routes.delete(
        "/claims/{claim_id}", status_code=204, responses=responses(401, 403, 404, 409, 422), summary="Take a claim back"
    )
    async def take_back(request: Request, principal: Manager, claim_id: UUID) -> None:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        try:
            async with database.transaction() as session:
                await identities.take_back(session, tenant_id, claim_id, actor, now_ms=clock.utc_ms())
        except ClaimSpentError as error:
            raise HTTPException(409, str(error)) from error

    @routes.get("/identities", responses=responses(401, 422), summary="Claimed gateways by plant and id")
    async def listed(tenant: Tenant, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[IdentityOut]:
        parts = decode_cursor(cursor, str, str)
        after = (str(parts[0]), str(parts[1])) if parts else None
        async with database.reading() as session:
            found = await service.identities(session, tenant, after=after, limit=limit)
        return page_of(found, IdentityOut.model_validate, lambda one: (one.plant_id, one.gateway_id))

    @routes.post("/{plant_id}/{gateway_id}/revoke", responses=responses(401, 403, 404, 422), summary="Refuse a gateway")
    async def revoke(
        request: Request, principal: Manager, plant_id: str, gateway_id: str, body: RevocationIn
    ) -> IdentityOut:
        tenant_id, actor = TenantId(principal.tenant_id), actor_of(request)
        async with database.transaction() as session:
            identity = await identities.revoke(
                session, tenant_id, plant_id, gateway_id, actor, reason=body.reason, now_ms=clock.utc_ms()
            )
        return IdentityOut.model_validate(identity)


def _add_broker_lists(routes: APIRouter, keeper: BrokerKeeper) -> None:
    @routes.get(
        "/broker/{name}",
        responses=responses(401, 403, 404, 422),
        response_class=PlainTextResponse,
        summary="A list for a distant broker",
    )
    async def broker_list(principal: Manager, name: str) -> Response:
        if principal.tenant_id != DEFAULT_TENANT:  # the lists name every tenant's gateways
            raise NotFoundError("list", name)
        text = await to_thread.run_sync(keeper.published, name)
        if text is None:
            raise NotFoundError("list", name)
        return PlainTextResponse(text)


def _limited(take: Callable[[str, float], float], clock: Clock) -> Callable[[Request], None]:
    def demand(request: Request) -> None:
        wait_s = take(address_of(request), clock.monotonic_s())
        if wait_s > 0:
            detail = "Too many tries; come again after the seconds in Retry-After."
            raise HTTPException(429, detail, {"Retry-After": str(math.ceil(wait_s))})

    return demand


def _invalid(error: RequestPemError) -> InvalidFieldError:
    return InvalidFieldError(f"body.{error.field_name}", error.message)


def _out(welcome: Welcome) -> WelcomeOut:
    return WelcomeOut.model_validate(welcome)
