"""The page of the gap ledger: what was given up, of which press, from when to when, why, how many."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from cloud.core.paging import encode_cursor, slice_of
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import Tenant
from cloud.gaps_api import GapLedger, PlantFilter, PressFilter, ReasonFilter, position, position_of
from cloud.web.lists import link_to
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue

PAGE = "/gaps"
LINES_SHOWN = 50
REASONS = ("thinned", "full", "damaged", "refused", "missed_cycles", "unreadable", "lost_at_host")
"""The reasons that the catalogues know; a gateway of another version may send others."""


def include(app: FastAPI, shell: Shell, ledger: GapLedger) -> None:
    """Add the page to `app`."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, GapsPage(shell, ledger).show, methods=["GET"])
    app.include_router(routes)


class GapsPage:
    """The handler."""

    def __init__(self, shell: Shell, ledger: GapLedger) -> None:
        self._shell = shell
        self._ledger = ledger

    async def show(
        self,
        request: Request,
        tenant: Tenant,
        plant: PlantFilter = "",
        press: PressFilter = "",
        reason: ReasonFilter = "",
        before: str = "",
    ) -> Response:
        """One page of lines; a `before` that is none begins at the newest."""
        plant, press, reason = plant.strip(), press.strip(), reason.strip()
        start = _position(before)
        found = await self._ledger.lines(
            tenant, plant=plant, press=press, reason=reason, before=start, limit=LINES_SHOWN + 1
        )
        part = slice_of(found, LINES_SHOWN)
        link = link_to(PAGE, {"plant": plant, "press": press, "reason": reason})
        t = self._shell.catalogue(request)
        return self._shell.page(
            request,
            "gaps.html",
            page_name="gaps",
            lines=[(line, reason_text(t, line.reason)) for line in part.items],
            plant=plant,
            press=press,
            reason=reason,
            reasons=[(name, reason_text(t, name)) for name in _choices(reason)],
            is_filtered=bool(plant or press or reason),
            newest_url=link() if start else None,
            older_url=link(before=encode_cursor(position(part.items[-1]))) if part.has_more else None,
        )


def reason_text(t: Catalogue, reason: str) -> str:
    """A reason in plain words; one that the catalogue does not know as it is."""
    return t.find(f"gaps.reasons.{reason}") or reason


def _choices(reason: str) -> tuple[str, ...]:
    return REASONS if not reason or reason in REASONS else (*REASONS, reason)


def _position(before: str) -> tuple[int, int] | None:
    try:
        return position_of(before)
    except InvalidFieldError:
        return None
