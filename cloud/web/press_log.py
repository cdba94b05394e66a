"""What happened at a press, newest first: states, alarms, repairs, jobs, set points, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cloud.alarms.naming import mode_name, spaced
from cloud.alarms.service import ALARM_EVENTS
from cloud.core import events
from cloud.core.database import Database
from cloud.core.events import Event
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet.service import PRESS_MOVED, PRESS_REGISTERED, PRESS_STATE_CHANGED
from cloud.telemetry.store import PressKey
from cloud.web.happenings import Happening, happening_text
from cloud.web.press_history import PressHistory
from cloud.web.press_page import press_url
from cloud.web.press_query import address
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue

LINES_SHOWN: Final = 50
KINDS: Final = frozenset({PRESS_REGISTERED, PRESS_STATE_CHANGED, PRESS_MOVED, *ALARM_EVENTS})
MS_MAX: Final = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that happened: its kind as an icon's name, and what it was in words."""

    at_ms: int
    icon: str
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines, newest first; the next page begins before `older_ms`, None at the end."""

    lines: Sequence[LogLine]
    older_ms: int | None


class PressLog:
    """The handler of the page, and what it reads."""

    def __init__(self, shell: Shell, database: Database, history: PressHistory) -> None:
        self._shell = shell
        self._database = database
        self._history = history

    def include(self, router: APIRouter) -> None:
        """Add the page to `router`."""
        router.add_api_route("/plants/{plant_id}/presses/{press_id}/log", self.show, methods=["GET"])

    async def show(self, request: Request, tenant: Tenant, plant_id: str, press_id: str, before: str = "") -> Response:
        """One page; a `before` that is none begins at the newest."""
        t, press = self._shell.catalogue(request), PressKey(plant_id, press_id)
        if not await self._history.knows(tenant, press):
            detail = t("press.unknown", plant=plant_id, press=press_id)
            return self._shell.problem(request, status=404, title=t("press.unknown_title"), detail=detail)
        start_ms = int(before) if before.isascii() and before.isdigit() and len(before) < len(str(MS_MAX)) else None
        page = await self.read(t, tenant, press, until_ms=MS_MAX if start_ms is None else start_ms - 1)
        path = press_url(plant_id, press_id)
        return self._shell.page(
            request,
            "press_log.html",
            page_name="press",
            press=press,
            page_url=path,
            lines=page.lines,
            newest_url=f"{path}/log" if start_ms is not None else None,
            older_url=address(f"{path}/log", [("before", str(page.older_ms))]) if page.older_ms is not None else None,
        )

    async def read(self, t: Catalogue, tenant: TenantId, press: PressKey, *, until_ms: int) -> LogPage:
        """What happened until `until_ms`."""
        limit = LINES_SHOWN + 1
        about = {"plant_id": press.plant_id, "press_id": press.press_id}
        async with self._database.reading() as session:
            told = await events.about(session, tenant, about, KINDS, until_ms=until_ms, limit=limit)
        happened = await self._history.changes_and_repairs(tenant, press, 0, until_ms, limit=limit)
        lines = [event_line(t, event) for event in told] + [_line(t, each) for each in happened]
        return page_of_lines(lines)


def page_of_lines(lines: Sequence[LogLine], *, shown: int = LINES_SHOWN) -> LogPage:
    """The newest `shown` of these lines; those of one moment are never parted, unless they alone fill the page."""
    ordered = sorted(lines, key=lambda line: (-line.at_ms, line.icon, line.text))
    if len(ordered) <= shown:
        return LogPage(ordered, None)
    cut_ms = ordered[shown].at_ms
    kept = [line for line in ordered[:shown] if line.at_ms > cut_ms] or ordered[:shown]
    return LogPage(kept, kept[-1].at_ms)


def event_line(t: Catalogue, event: Event) -> LogLine:
    """An event in words; one of a kind that the catalogue does not know by its name."""
    payload = event.payload
    name = event.kind.replace(".", "_")
    if event.kind == PRESS_STATE_CHANGED:
        state = str(payload.get("state", ""))
        text = t.find(f"log.state_{state}") or spaced(state)
        return LogLine(event.created_ms, {"online": "done"}.get(state, state), text)
    if event.kind in (PRESS_MOVED, PRESS_REGISTERED):
        return LogLine(event.created_ms, "waiting", t(f"log.{name}", gateway=payload.get("gateway_id", "")))
    mode = mode_name(t, str(payload.get("mode", "")))
    what = t.find(f"log.{name}") or spaced(event.kind.rpartition(".")[2])
    is_raised = event.kind.endswith("raised")
    return LogLine(event.created_ms, "alarm" if is_raised else "done", f"{what}: {mode}")


def _line(t: Catalogue, happening: Happening) -> LogLine:
    return LogLine(happening.at_ms, "normal", happening_text(t, happening))
