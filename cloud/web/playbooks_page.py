"""The page of playbooks: what they do, changing them, trying them on the last month, and what they have done."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS, Tier
from cloud.tiering import message_repository, packs, playbook_repository, repository
from cloud.tiering.api import Staff
from cloud.tiering.playbooks import (
    DAYS_MAX,
    MESSAGE_CHARACTERS_MAX,
    OPEN_TASKS_MAX,
    PLAYBOOKS_MAX,
    STEPS_MAX,
    Message,
    OwnerRole,
    Playbook,
    PlaybookError,
    Shelf,
    Step,
    Trigger,
)
from cloud.tiering.rehearsal import DAYS, Rehearsed, rehearse
from cloud.tiering.tasks import PlaybookDesk, shelf_of
from cloud.web.forms import figure, text, whole
from cloud.web.tiering_page import PAGE, SERVED, TieringPages, form_token

PLAYBOOKS: Final = f"{PAGE}/playbooks"
FIELDS_MAX: Final = 1_000
LOG_DAYS: Final = 90
THRESHOLD_MAX: Final = 10_000


def include(app: FastAPI, pages: TieringPages, desk: PlaybookDesk) -> None:
    """Add the page."""
    page = PlaybooksPage(pages, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PLAYBOOKS, page.overview, methods=["GET"])
    routes.add_api_route(PLAYBOOKS, page.take, methods=["POST"])
    app.include_router(routes)


class PlaybooksPage:
    """The handlers; a form has all playbooks, one without a code is none."""

    def __init__(self, pages: TieringPages, desk: PlaybookDesk) -> None:
        self._pages = pages
        self._desk = desk
        self._limiter = CapacityLimiter(1)

    async def overview(self, request: Request, principal: Staff) -> Response:
        """The playbooks that hold."""
        tenant_id = TenantId(principal.tenant_id)
        async with self._desk.database.reading() as session:
            version, shelf = await shelf_of(session, tenant_id)
        return await self._show(request, tenant_id, shelf, version)

    async def take(self, request: Request, principal: Staff) -> Response:
        """Try the playbooks of the form on the last days, or save them."""
        tenant_id, form = TenantId(principal.tenant_id), await request.form(max_files=0, max_fields=FIELDS_MAX)
        async with self._desk.database.reading() as session:
            newest, shelf = await shelf_of(session, tenant_id)
        t = self._pages.shell.catalogue(request)
        try:
            version = whole(form, "version", 0, 10**9)
            shelf = _shelf(form)
            shelf.check()
            if form.get("do") == "keep":
                await self._desk.save(tenant_id, shelf, actor_of(request), version=version)
                return RedirectResponse(PLAYBOOKS, status_code=303)
            found = await self._rehearsed(tenant_id, shelf)
            return await self._show(request, tenant_id, shelf, version, found=found)
        except (PlaybookError, InvalidFieldError) as error:
            field = error.field.rpartition(".")[2]
            fault = t.find(f"tiering.fault_{field}") or t("tiering.fault_playbooks", what=str(error))
            status = 409 if field == "version" else 422
            return await self._show(request, tenant_id, shelf, newest, fault=fault, status=status)

    async def _rehearsed(self, tenant_id: TenantId, shelf: Shelf) -> dict[str, Rehearsed]:
        async with self._desk.database.reading() as session:
            customers = await playbook_repository.served(session, tenant_id)
            table = await packs.table_of(session, tenant_id, [row.customer_id for row in customers])
            changes = await repository.tier_changes(session, tenant_id)
            scores = await playbook_repository.last_scores(session, tenant_id)
        today = self._today()
        return await to_thread.run_sync(
            rehearse, shelf, customers, table, changes, scores, today, limiter=self._limiter
        )

    def _today(self) -> int:
        return self._pages.shell.clock.utc_ms() // DAY_MS

    async def _show(
        self,
        request: Request,
        tenant_id: TenantId,
        shelf: Shelf,
        version: int,
        *,
        found: Mapping[str, Rehearsed] | None = None,
        fault: str = "",
        status: int = 200,
    ) -> Response:
        async with self._desk.database.reading() as session:
            done = await playbook_repository.task_counts(session, tenant_id, self._today() - LOG_DAYS)
            sent = await message_repository.sent_counts(session, tenant_id, self._today() - LOG_DAYS)
        blank = Playbook("", Trigger.RENEWAL_NEAR, 90, (Tier.STRATEGIC, Tier.VALUE), 180, ())
        rows: Sequence[Playbook] = [*shelf.playbooks, *([blank] if len(shelf.playbooks) < PLAYBOOKS_MAX else [])]
        return self._pages.shell.page(
            request,
            "tiering_playbooks.html",
            status=status,
            page_name="tiering",
            tab="playbooks",
            shelf=shelf,
            rows=rows,
            version=version,
            triggers=tuple(Trigger),
            roles=tuple(OwnerRole),
            tiers=SERVED,
            steps_max=STEPS_MAX,
            days_max=DAYS_MAX,
            open_max=OPEN_TASKS_MAX,
            threshold_max=THRESHOLD_MAX,
            found=found,
            days=DAYS,
            done={code: done.get(code, {}) for code in (*done, *(each for each in sent if each not in done))},
            sent=sent,
            message_max=MESSAGE_CHARACTERS_MAX,
            log_days=LOG_DAYS,
            fault=fault,
            csrf_token=form_token(request),
        )


def _shelf(form: FormData) -> Shelf:
    told = [_playbook(form, at) for at in range(PLAYBOOKS_MAX) if text(form, f"p{at}_code")]
    return Shelf(whole(form, "open_tasks_max", 1, OPEN_TASKS_MAX), tuple(told))


def _playbook(form: FormData, at: int) -> Playbook:
    start = f"p{at}"
    trigger = text(form, f"{start}_trigger")
    if trigger not in set(Trigger):
        raise InvalidFieldError("body.trigger", "must be one of them")
    tiers = {str(each) for each in form.getlist(f"{start}_tiers")}
    return Playbook(
        code=text(form, f"{start}_code"),
        trigger=Trigger(trigger),
        threshold=figure(form, f"{start}_threshold", 0, THRESHOLD_MAX),
        tiers=tuple(tier for tier in SERVED if tier in tiers),
        again_days=whole(form, f"{start}_again_days", 1, DAYS_MAX),
        steps=tuple(
            _step(form, f"{start}_s{step}") for step in range(STEPS_MAX) if text(form, f"{start}_s{step}_title")
        ),
        is_on=text(form, f"{start}_is_on") == "on",
        message=_message(text(form, f"{start}_message_zh"), text(form, f"{start}_message_en")),
    )


def _message(zh: str, en: str) -> Message | None:
    return Message(zh, en) if zh or en else None


def _step(form: FormData, start: str) -> Step:
    role: Any = text(form, f"{start}_role")
    if role not in set(OwnerRole):
        raise InvalidFieldError("body.role", "must be one of them")
    return Step(text(form, f"{start}_title"), OwnerRole(role), whole(form, f"{start}_due_days", 0, DAYS_MAX))
