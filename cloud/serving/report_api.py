"""Reports of a plant's own data as JSON: for the tenant, and for the platform's people where they may read them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.core.numbers import Number
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.entitlements.domain import ReportDepth
from cloud.serving.report import DAYS_MAX, PlantReport
from cloud.serving.report_reading import ReportDesk
from cloud.tiering import book
from cloud.tiering.api import CustomerId, Staff

Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="Up to now, and so many before for comparison.")]
Depth = Annotated[ReportDepth | None, Query(description="Absent: as deep as the plan goes.")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TotalsOut(_Out):
    """All presses together; null is not known, or deeper than the report."""

    presses: int = Field(description="That made shots.")
    shots: int
    availability: Number
    effectiveness: Number
    quality: Number
    oee: Number
    alarms: int
    acted: int | None = Field(description="Of the alarms, those that were acknowledged.")
    acknowledge_s: Number = Field(description="Median time until somebody acknowledged.")
    acknowledge_s_90: Number
    foreseen: int | None = Field(description="Of the alarms, those of a failure that was foreseen.")
    lost: int | None = Field(description="Shots that never came.")
    bare: int | None = Field(description="Shots that came without their curves.")
    whole: Number = Field(description="Share of all shots made that came with all their signals.")


class PressLineOut(_Out):
    """One press."""

    plant_id: str
    press_id: str
    shots: int
    shots_before: int
    availability: Number
    effectiveness: Number
    quality: Number
    oee: Number
    oee_before: Number
    alarms: int
    alarms_before: int
    whole: Number


class ModeLineOut(_Out):
    """A failure mode that was foreseen."""

    mode: str
    count: int
    count_before: int
    acted: int


class MissingOut(BaseModel):
    """What is missing of a press for one reason."""

    plant_id: str
    press_id: str = Field(description="Empty where nobody knows whose shots they were.")
    kind: Literal["shot", "curves"]
    reason: str
    count: int


class ReportOut(BaseModel):
    """A report, as deep as `depth`; what is deeper is empty."""

    depth: ReportDepth
    days: int
    from_ms: int
    until_ms: int
    now: TotalsOut
    before: TotalsOut | None = Field(description="The same time before; null where it is not shown.")
    presses: list[PressLineOut]
    modes: list[ModeLineOut]
    missing: list[MissingOut]


class CustomerReportOut(BaseModel):
    """A customer's report, where it has let the platform's people read it."""

    is_allowed: bool
    report: ReportOut | None


def router(desk: ReportDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["report"])

    @routes.get(
        "/report", responses=responses(403, 422), summary="The plant's own data in figures, as deep as the plan goes"
    )
    async def own(tenant: Tenant, days: Days = 30, depth: Depth = None) -> ReportOut:
        return report_out(await desk.report(tenant, days=days, depth=depth))

    @routes.get(
        "/serving/customers/{customer_id}/report",
        responses=responses(404, 422),
        summary="A customer's report, where it may be read",
    )
    async def of_customer(principal: Staff, customer_id: CustomerId, days: Days = 30) -> CustomerReportOut:
        async with desk.database.reading() as session:
            customer = await book.customer(session, TenantId(principal.tenant_id), customer_id)
        tenant = customer.linked_tenant_id
        if tenant is None or await desk.consent(TenantId(tenant)) is None:
            return CustomerReportOut(is_allowed=False, report=None)
        return CustomerReportOut(is_allowed=True, report=report_out(await desk.report(TenantId(tenant), days=days)))

    return routes


def report_out(found: PlantReport) -> ReportOut:
    """A report as JSON."""
    return ReportOut(
        depth=found.depth,
        days=found.days,
        from_ms=found.from_ms,
        until_ms=found.until_ms,
        now=TotalsOut.model_validate(found.now),
        before=TotalsOut.model_validate(found.before) if found.before is not None else None,
        presses=[PressLineOut.model_validate(each) for each in found.presses],
        modes=[ModeLineOut.model_validate(each) for each in found.modes],
        missing=[
            MissingOut(
                plant_id=each.press.plant_id,
                press_id=each.press.press_id,
                kind=each.kind,
                reason=each.reason,
                count=each.count,
            )
            for each in found.missing
        ],
    )
