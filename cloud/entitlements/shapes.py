"""Entitlements as JSON."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.entitlements.domain import NUMBER_MAX, Effective, ReportDepth, Tier
from cloud.entitlements.service import REASON_CHARACTERS_MAX
from cloud.entitlements.tables import OverrideRow

Amount = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)]
MS_MAX = 1 << 53


class EntitlementsShape(BaseModel):
    """What a tier has; null is no limit, and of `support_response_h` no promise."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    retention_days: Amount | None = Field(description="Days that measured data are shown; older ones are kept.")
    presses_max: Amount | None = Field(description="Presses that are shown; further ones are received and kept.")
    custom_models: bool = Field(description="Whether bundles of one's own may be uploaded.")
    api_requests_per_min: Amount | None = Field(description="Requests to the API a minute, of the whole company.")
    support_response_h: Amount | None = Field(description="Hours until support answers.")
    report_depth: ReportDepth = Field(description="How deep reports go.")
    webhook_endpoints_max: Amount | None = Field(description="Endpoints that may be made.")
    people_max: Amount | None = Field(description="People of the company.")


class CatalogueOut(BaseModel):
    """What every tier has."""

    version: int = Field(description="0 is the one that comes with the program.")
    made_ms: int
    tiers: dict[Tier, EntitlementsShape]


class CatalogueIn(BaseModel):
    """A new catalogue: every tier, whole."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=0, le=MS_MAX, description="The version that was changed.")
    why: Reason
    tiers: dict[Tier, EntitlementsShape]


class CatalogueVersionOut(BaseModel):
    """One version, and who saved it."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    made_ms: int
    made_by: str
    why: str
    tiers: dict[str, dict[str, Any]]


class SourceOut(BaseModel):
    """Where a value comes from."""

    model_config = ConfigDict(from_attributes=True)

    kind: Literal["default", "tier", "grace", "override"] = Field(
        description="`default`: there is no tier, and no limit. `grace`: what was there before, for a time."
    )
    override_id: str = Field(description="Empty for the other kinds.")
    until_ms: int | None = Field(description="When it ends by itself.")


class PendingOut(BaseModel):
    """A value that will be lower."""

    model_config = ConfigDict(from_attributes=True)

    entitlement: str
    now: int | bool | str | None
    then: int | bool | str | None
    at_ms: int


class EffectiveOut(BaseModel):
    """What is in force for a tenant."""

    tenant_id: str
    tier: Tier | None = Field(description="Null: none was given, and nothing is limited.")
    catalogue_version: int
    entitlements: EntitlementsShape
    sources: dict[str, SourceOut] = Field(description="By entitlement.")
    pending: list[PendingOut]


class TenantTierOut(BaseModel):
    """A tenant and its tier."""

    tenant_id: str
    name: str
    tier: Tier | None


class AssignmentOut(BaseModel):
    """A tier as it was given."""

    model_config = ConfigDict(from_attributes=True)

    tier: Tier
    reason: str
    by: str
    at_ms: int


class TierIn(BaseModel):
    """The tier to be given."""

    model_config = ConfigDict(extra="forbid")

    tier: Tier
    reason: Reason


class OverrideIn(BaseModel):
    """One entitlement that is to be another for a time."""

    model_config = ConfigDict(extra="forbid")

    entitlement: str = Field(max_length=64, description="Its name.")
    value: int | bool | str | None = Field(description="Of the kind that a tier has; null is no limit.")
    reason: Reason
    owner: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] = Field(
        description="Who answers for it."
    )
    expires_ms: int = Field(ge=0, le=MS_MAX, description="At most three years ahead.")


class OverrideOut(BaseModel):
    """An override, in force or not."""

    override_id: UUID
    entitlement: str
    value: int | bool | str | None
    reason: str
    owner: str
    made_by: str
    made_ms: int
    expires_ms: int
    ended_by: str | None
    ended_ms: int | None


def effective_out(tenant_id: str, found: Effective) -> EffectiveOut:
    """What is in force, as an answer."""
    return EffectiveOut(
        tenant_id=tenant_id,
        tier=found.tier,
        catalogue_version=found.catalogue_version,
        entitlements=EntitlementsShape.model_validate(found.entitlements),
        sources={name: SourceOut.model_validate(source) for name, source in found.sources.items()},
        pending=[PendingOut.model_validate(one) for one in found.pending],
    )


def override_out(row: OverrideRow) -> OverrideOut:
    """An override as an answer."""
    names = OverrideOut.model_fields.keys() - {"value"}
    return OverrideOut(value=row.value["value"], **{name: getattr(row, name) for name in names})
