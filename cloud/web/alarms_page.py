"""The alarm pages: the open ones live, the withheld, the past, the figures, and one alarm with its life."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from cloud.alarms.deeds import ACTIONS, BULK_MAX, Action, Deed, Outcome, right_for
from cloud.alarms.life import UNACKNOWLEDGED_STATES
from cloud.alarms.policy import HOUR_MS, MINUTE_MS, PRIORITIES
from cloud.core.access import ForbiddenError, Principal, Right, current_principal, requires
from cloud.core.audit import actor_of
from cloud.core.live import Topic
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import Tenant, TenantId
from cloud.web.alarm_facts import OpenAlarms
from cloud.web.alarms_view import DAYS, KINDS, MODES, STATES_WANTED, TABS, AlarmsWanted, board_of, wanted_of
from cloud.web.facts import PageFacts, uuid_of
from cloud.web.lists import back_to
from cloud.web.live import Feeds, Snapshot, digest_of
from cloud.web.shell import Shell
from cloud.web.streams import stream
from cloud.web.translation import Catalogue
from kit.clock import Clock

SHELF_MINUTES = (30, 60, 120, 240, 480, 720)
FAULTS = ("nothing_selected", "reason_missing", "comment_missing", "minutes_missing")
BARS_HIGH = 40
ENDING = frozenset({Right.ACKNOWLEDGE, Right.CONFIGURE})
"""Who has one of these may end what withholds an alarm."""

Acknowledger = Annotated[Principal, requires(Right.ACKNOWLEDGE)]


@dataclass(frozen=True, slots=True)
class AlarmsKey:
    """What a reader of the live alarms looks at."""

    tenant: TenantId
    language: str
    wanted: AlarmsWanted
    rights: frozenset[Right] = frozenset()
    """What the withheld ones offer: who may end what."""


class AlarmPages:
    """The handlers; each reads facts, decides what to show, and renders."""

    def __init__(self, shell: Shell, facts: PageFacts, changes: Topic, clock: Clock) -> None:
        self._shell = shell
        self._facts = facts
        self.feeds: Feeds[AlarmsKey] = Feeds(self._snapshot, changes, clock)

    def include(self, app: FastAPI) -> None:
        """Add the pages to `app`."""
        routes = APIRouter(include_in_schema=False)
        routes.add_api_route("/alarms", self.alarms, methods=["GET"])
        routes.add_api_route("/live/alarms", self.live, methods=["GET"])
        routes.add_api_route("/alarms/act", self.act, methods=["POST"])
        routes.add_api_route("/alarms/{alarm_id}", self.one, methods=["GET"])
        app.include_router(routes)

    async def alarms(self, request: Request, tenant: Tenant) -> Response:
        """The page with the tab that its URL names."""
        wanted = wanted_of(request.query_params)
        return self._shell.page(
            request,
            f"alarms_{wanted.tab}.html",
            page_name="alarms",
            wanted=wanted,
            tabs=TABS,
            link=_link(wanted),
            plant_ids=await self._facts.plant_ids(tenant),
            told=_told(request.query_params),
            **await self._of_tab(request, tenant, wanted),
        )

    async def live(self, request: Request, tenant: Tenant) -> Response:
        """The stream of events of the open alarms, or of the withheld ones."""
        key = self._key(request, tenant, wanted_of(request.query_params))
        return stream(self.feeds, key, request)

    async def one(self, request: Request, tenant: Tenant, alarm_id: str) -> Response:
        """One alarm: what it is, why, who did what."""
        t, known = self._shell.catalogue(request), uuid_of(alarm_id)
        life = await self._facts.alarm_life.life(tenant, known) if known else None
        if life is None:
            detail = t("alarms.unknown", alarm=alarm_id)
            return self._shell.problem(request, status=404, title=t("alarms.unknown_title"), detail=detail)
        return self._shell.page(
            request,
            "alarm.html",
            page_name="alarms",
            alarm=life.alarm,
            withheld=life.withheld,
            is_stuck=life.is_stuck,
            entries=life.entries,
            told=_told(request.query_params),
            **await self._for_acting(request, tenant),
        )

    async def act(self, request: Request, principal: Acknowledger) -> Response:
        """Do one thing to the selected alarms, and back to where it was asked."""
        form = await request.form()
        action: Action = next((name for name in ACTIONS if name == form.get("action")), "acknowledge")
        if right_for(action) not in principal.rights:
            raise ForbiddenError(right_for(action))
        told = [*form.getlist("alarm_id"), *request.query_params.getlist("alarm_id")]
        ids = [known for known in map(uuid_of, map(str, told[:BULK_MAX])) if known]
        deed = _deed(action, {name: str(form.get(name, "")).strip() for name in ("text", "minutes", "user_id")}, form)
        if not ids:
            return _back(request, fault="nothing_selected")
        try:
            outcomes = await self._facts.alarm_life.do(TenantId(principal.tenant_id), ids, deed, actor_of(request))
        except InvalidFieldError as error:
            return _back(request, fault=f"{error.field.removeprefix('body.')}_missing")
        return _back(request, done=_done(outcomes), refused=len(outcomes) - _done(outcomes))

    async def _of_tab(self, request: Request, tenant: TenantId, wanted: AlarmsWanted) -> dict[str, Any]:
        if wanted.tab == "withheld":
            return await self._live(request, tenant, wanted)
        if wanted.tab == "history":
            return await self._past(tenant, wanted)
        if wanted.tab == "analytics":
            return await self._analytics(tenant, wanted)
        return await self._open(request, tenant, wanted)

    async def _open(self, request: Request, tenant: TenantId, wanted: AlarmsWanted) -> dict[str, Any]:
        return {
            **await self._live(request, tenant, wanted),
            "states": list(STATES_WANTED),
            "priorities": list(reversed(PRIORITIES)),
            **await self._for_acting(request, tenant),
        }

    async def _live(self, request: Request, tenant: TenantId, wanted: AlarmsWanted) -> dict[str, Any]:
        """The board as it is now, and where its changes come from."""
        key = self._key(request, tenant, wanted)
        snapshot = await self._snapshot(key)
        query = {"lang": key.language, **wanted.query(), "have": digest_of(snapshot)}
        return {
            "board_html": Markup(snapshot.full),  # noqa: S704 - our own template's output
            "live_url": f"/live/alarms?{urlencode(query)}",
        }

    def _key(self, request: Request, tenant: TenantId, wanted: AlarmsWanted) -> AlarmsKey:
        rights = current_principal(request).rights & ENDING if wanted.tab == "withheld" else frozenset[Right]()
        return AlarmsKey(tenant, self._shell.catalogue(request).language, wanted, rights)

    async def _snapshot(self, key: AlarmsKey) -> Snapshot:
        if key.wanted.tab == "withheld":
            return await self._withheld(key)
        found = await self._facts.alarm_life.open(key.tenant)
        verdicts = await self._facts.verdicts(key.tenant, found.alarms[:BULK_MAX])
        t = self._shell.catalogues[key.language]
        return await anyio.to_thread.run_sync(self._render, t, found, key.wanted, verdicts)

    def _render(self, t: Catalogue, found: OpenAlarms, wanted: AlarmsWanted, verdicts: Mapping[UUID, str]) -> Snapshot:
        board = board_of(found.alarms, wanted)
        alarms = [alarm for group in board.groups for alarm in (group.first, *group.followers)]
        pieces = {"alarm-figures": self._shell.fragment("alarm_figures.html", t, found=found, board=board)}
        for alarm in alarms:
            name = f"alarm-{alarm.alarm_id}"
            pieces[name] = self._shell.fragment("alarm_line.html", t, alarm=alarm, verdicts=verdicts)
        full = self._shell.fragment(
            "alarm_board.html",
            t,
            board=board,
            pieces={name: Markup(html) for name, html in pieces.items()},  # noqa: S704 - our own templates' output
            has_alarms=bool(found.alarms),
        )
        structure = tuple(group.ids for group in board.groups), board.left_out, bool(found.alarms)
        return Snapshot(pieces, structure, full)

    async def _withheld(self, key: AlarmsKey) -> Snapshot:
        found, t = await self._facts.alarm_life.withheld(key.tenant), self._shell.catalogues[key.language]
        html = self._shell.fragment(
            "alarm_withheld.html", t, points=found.items, is_cut=found.has_more, rights=key.rights
        )
        return Snapshot({}, structure=html, full=html)

    async def _past(self, tenant: TenantId, wanted: AlarmsWanted) -> dict[str, Any]:
        found = await self._facts.alarm_life.past(tenant, wanted, uuid_of(wanted.before))
        older = str(found.items[-1].alarm_id) if found.has_more else None
        return {
            "alarms": found.items,
            "verdicts": await self._facts.verdicts(tenant, found.items),
            "older_url": _link(wanted)(before=older) if older else None,
            "states": list(STATES_WANTED),
            "priorities": list(reversed(PRIORITIES)),
            "kinds": KINDS,
            "modes": MODES if wanted.mode in ("", *MODES) else (*MODES, wanted.mode),
        }

    async def _analytics(self, tenant: TenantId, wanted: AlarmsWanted) -> dict[str, Any]:
        found = await self._facts.alarm_life.analysis(tenant, days=int(wanted.days), plant=wanted.plant)
        highest = max((bar.count for bar in found.over_time), default=0)
        bars = [
            (at, bar, bar.count / highest * BARS_HIGH if highest else 0.0) for at, bar in enumerate(found.over_time)
        ]
        return {"figures": found, "bars": bars, "highest": highest, "days": DAYS}

    async def _for_acting(self, request: Request, tenant: TenantId) -> dict[str, Any]:
        """What the form for deeds offers to who asks."""
        rights, most = current_principal(request).rights, self._facts.alarm_life.shelve_ms_max // MINUTE_MS
        return {
            "people": await self._facts.alarm_life.people(tenant) if Right.ACKNOWLEDGE in rights else [],
            "rights": rights,
            "shelf_minutes": [minutes for minutes in SHELF_MINUTES if minutes <= most] or [most],
            "hour_ms": HOUR_MS,
            "unacknowledged": UNACKNOWLEDGED_STATES,
        }


def _deed(action: Action, texts: Mapping[str, str], form: Mapping[str, object]) -> Deed:
    """One text field serves as comment or as reason: who writes it does not ask which."""
    minutes = texts["minutes"]
    return Deed(
        action,
        comment=texts["text"] or None,
        reason=texts["text"] or None,
        minutes=int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) <= 5 else None,
        is_one_shot=form.get("is_one_shot") == "1",
        user_id=texts["user_id"] or None,
    )


def _done(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.alarm is not None for outcome in outcomes)


def _link(wanted: AlarmsWanted) -> Callable[..., str]:
    def link(**changes: str) -> str:
        query = wanted.query(**changes)
        return f"/alarms?{urlencode(query)}" if query else "/alarms"

    return link


def _back(request: Request, **told: object) -> Response:
    """To the page that sent the form, with what became of it in the URL."""
    parts = urlsplit(back_to(request, "/alarms"))
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("done", "refused", "fault")]
    query = urlencode([*kept, *((name, str(value)) for name, value in told.items())])
    return RedirectResponse(f"{parts.path}?{query}", status_code=303)


def _told(query: Mapping[str, str]) -> dict[str, Any]:
    """What the last deed came to; a number or a fault that is none is not told."""
    counts = {name: query.get(name, "") for name in ("done", "refused")}
    fault = query.get("fault", "")
    told = {name: int(text) for name, text in counts.items() if text.isascii() and text.isdigit() and len(text) < 4}
    return {**told, "fault": fault if fault in FAULTS else ""}
