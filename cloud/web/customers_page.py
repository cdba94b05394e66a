"""The page of all customers: found by name, code and tier, in the order that is asked for."""

from typing import Annotated, Final, Literal, get_args

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import Response

from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import list_repository, repository, runs
from cloud.tiering.api import Staff
from cloud.tiering.desk import TieringDesk
from cloud.tiering.list_repository import PAGE_ROWS, Order, Wanted
from cloud.web.lists import link_to
from cloud.web.tiering_page import PAGE, TieringPages

PATH: Final = f"{PAGE}/customers"
SEARCH_CHARACTERS_MAX: Final = 100
PAGES_MAX: Final = repository.CUSTOMERS_MAX // PAGE_ROWS


def include(app: FastAPI, pages: TieringPages, desk: TieringDesk) -> None:
    """Add the page."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PATH, CustomersPage(pages, desk).customers, methods=["GET"])
    app.include_router(routes)


class CustomersPage:
    """The handler."""

    def __init__(self, pages: TieringPages, desk: TieringDesk) -> None:
        self._pages = pages
        self._desk = desk

    async def customers(
        self,
        request: Request,
        principal: Staff,
        search: Annotated[str, Query(max_length=SEARCH_CHARACTERS_MAX)] = "",
        tier: Tier | Literal[""] = "",
        order: Order = "rank",
        page: Annotated[int, Query(ge=1, le=PAGES_MAX)] = 1,
    ) -> Response:
        """Those that match, with their scores of the last run."""
        tenant_id = TenantId(principal.tenant_id)
        wanted = Wanted(search.strip(), tier, order, page)
        async with self._desk.database.reading() as session:
            run = await repository.newest_run(session, tenant_id, "done")
            rows = await list_repository.listed(session, tenant_id, run.run_id if run else None, wanted)
            count = await list_repository.count(session, tenant_id, wanted)
            _, policy = await runs.policy_of(session, tenant_id)
        query = {"search": wanted.search, "tier": tier, "order": order if order != "rank" else ""}
        return self._pages.shell.page(
            request,
            "tiering_customers.html",
            page_name="tiering",
            tab="customers",
            rows=rows,
            count=count,
            first=(page - 1) * PAGE_ROWS + 1,
            page=page,
            has_more=page * PAGE_ROWS < count,
            wanted=wanted,
            orders=get_args(Order),
            tiers=tuple(Tier),
            link=link_to(PATH, query),
            currency=policy.currency,
        )
