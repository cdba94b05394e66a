"""The page "Our plan": what one's company has, how much of it is used, what will change, and how to get more."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements import repository, service
from cloud.entitlements.domain import NAMES, Effective
from cloud.entitlements.gates import PLAN
from cloud.plan_api import UsageOut, usage
from cloud.tiering import message_repository
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue
from cloud.web.wording import plan_value
from kit.clock import Clock

HISTORY_SHOWN: Final = 20
USED_OF: Final = {"presses_max": "presses", "webhook_endpoints_max": "webhook_endpoints", "people_max": "people"}
NEAR_SHARE: Final = 0.8
"""From here on a limit is near: there is time to ask for more."""
Reader = Annotated[Principal, requires(Right.READ)]
Answerer = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
"""Who may say for the company that a message was read."""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One entitlement as the page tells it."""

    entitlement: str
    value: str
    used: int | None
    limit: int | None
    source: str
    until_ms: int | None
    then: str
    then_ms: int | None

    @property
    def is_near(self) -> bool:
        """Whether most of it is used."""
        return self.used is not None and self.limit is not None and self.used >= NEAR_SHARE * self.limit


def include(app: FastAPI, shell: Shell, database: Database, clock: Clock) -> None:
    """Add the page."""
    page = PlanPage(shell, database, clock)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PLAN, page.show, methods=["GET"])
    routes.add_api_route(f"{PLAN}/messages/{{message_id}}/read", page.read, methods=["POST"])
    app.include_router(routes)


class PlanPage:
    """The handlers."""

    def __init__(self, shell: Shell, database: Database, clock: Clock) -> None:
        self._shell = shell
        self._database = database
        self._clock = clock

    async def show(self, request: Request, principal: Reader) -> Response:
        """Everything on one page."""
        t, tenant_id = self._shell.catalogue(request), TenantId(principal.tenant_id)
        async with self._database.reading() as session:
            found = await service.in_force(session, tenant_id, self._clock.utc_ms())
            used = await usage(session, tenant_id, found.entitlements.presses_max)
            tiers = await repository.assignments(session, tenant_id, before=None, limit=HISTORY_SHOWN)
            messages = await message_repository.of_company(session, tenant_id, limit=HISTORY_SHOWN)
        return self._shell.page(
            request,
            "plan.html",
            page_name="plan",
            tier=found.tier,
            lines=plan_lines(t, found, used),
            locked=used.presses_locked,
            tiers=tiers,
            messages=messages,
            csrf_token=principal.form_token(),
        )

    async def read(self, request: Request, principal: Answerer, message_id: UUID) -> Response:
        """Somebody of the company has read a message; who was first stays."""
        async with self._database.transaction() as session:
            row = await message_repository.message(session, TenantId(principal.tenant_id), message_id)
            if row is None:
                raise NotFoundError("message", str(message_id))
            if row.read_ms is None:
                row.read_ms, row.read_by = self._clock.utc_ms(), actor_of(request).name
        return RedirectResponse(f"{PLAN}#messages", status_code=303)


def plan_lines(t: Catalogue, found: Effective, used: UsageOut) -> list[PlanLine]:
    """Every entitlement in its order."""
    pending = {one.entitlement: one for one in found.pending}
    lines = []
    for name in NAMES:
        value, source, later = getattr(found.entitlements, name), found.sources[name], pending.get(name)
        counted = USED_OF.get(name)
        lines.append(
            PlanLine(
                entitlement=name,
                value=plan_value(t, name, value),
                used=getattr(used, counted) if counted else None,
                limit=value if counted else None,
                source=source.kind,
                until_ms=source.until_ms,
                then=plan_value(t, name, later.then) if later else "",
                then_ms=later.at_ms if later else None,
            )
        )
    return lines
