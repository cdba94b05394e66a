"""The page of a plant's own data in figures, as deep as the plan goes, to read, to print, and as a CSV file."""

from collections.abc import Iterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.csv_text import csv_line, guarded
from cloud.core.tenants import TenantId
from cloud.serving.report import DAYS, DAYS_MAX, PlantReport, Totals
from cloud.serving.report_reading import ReportDesk
from cloud.tiering import book
from cloud.tiering.api import Staff
from cloud.web.numbers import iso
from cloud.web.shell import Shell
from cloud.web.shots_csv import BYTE_ORDER_MARK
from cloud.web.tiering_page import PAGE as TIERING

PAGE: Final = "/report"
FACTORS: Final = ("availability", "effectiveness", "quality", "oee", "whole")
Days = Annotated[int, Query(ge=1, le=DAYS_MAX)]
Reader = Annotated[Principal, requires(Right.READ)]
Administrator = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]


def include(app: FastAPI, shell: Shell, desk: ReportDesk) -> None:
    """Add the pages."""
    pages = ReportPages(shell, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, pages.show, methods=["GET"])
    routes.add_api_route(f"{PAGE}.csv", pages.csv, methods=["GET"])
    routes.add_api_route(f"{PAGE}/consent", pages.consent, methods=["POST"])
    routes.add_api_route(f"{TIERING}/customers/{{customer_id}}/report", pages.of_customer, methods=["GET"])
    app.include_router(routes)


class ReportPages:
    """The handlers."""

    def __init__(self, shell: Shell, desk: ReportDesk) -> None:
        self._shell = shell
        self._desk = desk

    async def show(self, request: Request, reader: Reader, days: Days = 30) -> Response:
        """One's own company's report."""
        tenant = TenantId(reader.tenant_id)
        found = await self._desk.report(tenant, days=days)
        consent = await self._desk.consent(tenant)
        return self._page(
            request,
            found,
            "report",
            path=PAGE,
            consent=consent,
            may_consent=Right.MANAGE_PEOPLE in reader.rights,
            customer=None,
            csrf_token=reader.form_token(),
        )

    async def csv(self, _request: Request, reader: Reader, days: Days = 30) -> Response:
        """The same as a file, a figure a line."""
        found = await self._desk.report(TenantId(reader.tenant_id), days=days)
        headers = {"Content-Disposition": f'attachment; filename="report-{days}-days.csv"', "Cache-Control": "no-store"}
        return Response(BYTE_ORDER_MARK + "".join(csv_lines(found)), media_type="text/csv", headers=headers)

    async def consent(self, request: Request, administrator: Administrator) -> Response:
        """Let the platform's people read it, or no longer."""
        form = await request.form(max_files=0, max_fields=3)
        tenant = TenantId(administrator.tenant_id)
        await self._desk.set_consent(tenant, actor_of(request), is_given=form.get("consent") == "given")
        return RedirectResponse(PAGE, status_code=303)

    async def of_customer(self, request: Request, principal: Staff, customer_id: UUID, days: Days = 30) -> Response:
        """A customer's report, where it has let the platform's people read it."""
        async with self._desk.database.reading() as session:
            customer = await book.customer(session, TenantId(principal.tenant_id), customer_id)
        tenant = TenantId(customer.linked_tenant_id) if customer.linked_tenant_id else None
        consent = await self._desk.consent(tenant) if tenant is not None else None
        found = await self._desk.report(tenant, days=days) if tenant is not None and consent is not None else None
        path = f"{TIERING}/customers/{customer_id}/report"
        return self._page(
            request,
            found,
            "tiering",
            path=path,
            consent=consent,
            may_consent=False,
            customer=customer,
            csrf_token="",
        )

    def _page(self, request: Request, found: PlantReport | None, page_name: str, **values: Any) -> Response:
        days = found.days if found is not None else DAYS[0]
        return self._shell.page(
            request, "report.html", page_name=page_name, report=found, days=days, choices=DAYS, **values
        )


def csv_lines(report: PlantReport) -> Iterator[str]:
    """Every figure of a report as section, plant, press, name, value and value of the time before."""
    yield csv_line(("section", "plant", "press", "name", "value", "value_before"))
    yield csv_line(("period", "", "", "from_utc", iso(report.from_ms), ""))
    yield csv_line(("period", "", "", "until_utc", iso(report.until_ms), ""))
    yield csv_line(("period", "", "", "depth", report.depth, ""))
    for name in Totals.__dataclass_fields__:
        before = getattr(report.before, name) if report.before is not None else None
        yield csv_line(("totals", "", "", name, _cell(getattr(report.now, name)), _cell(before)))
    for press in report.presses:
        place = (guarded(press.plant_id), guarded(press.press_id))
        for name in ("shots", "alarms", *FACTORS):
            before = getattr(press, f"{name}_before", None)
            yield csv_line(("press", *place, name, _cell(getattr(press, name)), _cell(before)))
    for mode in report.modes:
        yield csv_line(("foreseen", "", "", guarded(mode.mode), _cell(mode.count), _cell(mode.count_before)))
    for each in report.missing:
        place = (guarded(each.press.plant_id), guarded(each.press.press_id))
        yield csv_line((f"missing_{each.kind}", *place, guarded(each.reason), _cell(each.count), ""))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"
