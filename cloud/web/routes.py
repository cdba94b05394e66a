"""The pages' URLs: overview, press, alarms, their live streams and chart data."""

from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from markupsafe import Markup
from starlette.types import Scope

from cloud.core.live import Live
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet.names import PlantNames
from cloud.production.windows import WINDOWS
from cloud.telemetry.store import PressKey
from cloud.web import press_routes
from cloud.web.alarms_page import AlarmPages
from cloud.web.curve_charts import signals_of
from cloud.web.facts import PageFacts
from cloud.web.feature_charts import features_of
from cloud.web.fleet_page import FleetPage, link_to
from cloud.web.fleet_view import DENSITIES, SORTS, FleetFilter, filter_of, moulds_of
from cloud.web.lists import Lists
from cloud.web.live import Feeds, Snapshot, digest_of
from cloud.web.press_choices import Place, choices_of
from cloud.web.press_page import moving, press_snapshot, press_url, values_html
from cloud.web.press_query import SPAN_DEFAULT, PressQuery, address, query_of
from cloud.web.press_routes import RowId
from cloud.web.press_view import SHOTS_SHOWN
from cloud.web.shell import STATIC, Shell
from cloud.web.streams import stream
from cloud.web.translation import Catalogue
from kit.clock import Clock

COMPRESSED_FROM_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class FleetKey:
    """What a reader of the live overview looks at."""

    tenant: TenantId
    language: str
    wanted: FleetFilter


@dataclass(frozen=True, slots=True)
class LivePressKey:
    """What a reader of a live press page looks at."""

    tenant: TenantId
    language: str
    press: PressKey
    is_latest: bool
    query: PressQuery


class VersionedFiles(StaticFiles):
    """Static files; what is asked with its hash (`?v=`) may be kept for a year."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long a browser may keep it."""
        response = await super().get_response(path, scope)
        is_versioned = scope.get("query_string", b"").startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_versioned else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def include(app: FastAPI, facts: PageFacts, *, live: Live, clock: Clock, names: PlantNames | None = None) -> "Pages":
    """Add the pages and their static files to `app`; call `close` of what is returned when the server is to stop."""
    pages = Pages(Shell(clock, names), facts, live, clock)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES)  # event streams pass it untouched
    app.mount("/static", VersionedFiles(directory=STATIC), name="static")
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", pages.fleet, methods=["GET"])
    router.add_api_route("/live/fleet", pages.live_fleet, methods=["GET"])
    router.add_api_route("/plants/{plant_id}/presses/{press_id}", pages.press, methods=["GET"])
    press_routes.include(router, pages.shell, facts)
    router.add_api_route("/live/plants/{plant_id}/presses/{press_id}", pages.live_press, methods=["GET"])
    lists = Lists(pages.shell, facts)
    router.add_api_route("/alarms/{alarm_id}/acknowledge", lists.acknowledge, methods=["POST"])
    app.include_router(router)
    pages.alarms.include(app)
    return pages


class Pages:
    """The handlers; each reads facts, decides what to show, and renders."""

    def __init__(self, shell: Shell, facts: PageFacts, live: Live, clock: Clock) -> None:
        self.shell = shell
        self._facts = facts
        self._fleet_page = FleetPage(shell)
        self._fleet_feeds: Feeds[FleetKey] = Feeds(self._fleet_snapshot, live.pages, clock)
        self.alarms = AlarmPages(shell, facts, live.alarms, clock)
        self._press_feeds: Feeds[LivePressKey] = Feeds(self._press_snapshot, live.pages, clock)
        self._feeds: dict[str, Feeds[Any]] = {
            "fleet": self._fleet_feeds,
            "press": self._press_feeds,
            "alarms": self.alarms.feeds,
        }
        self.start_url = ""
        """Where who has no press yet is led to; empty: nowhere."""

    def count(self, name: str, feeds: Feeds[Any]) -> None:
        """Count and close the streams of another page with these."""
        self._feeds[name] = feeds

    def readers(self) -> dict[str, int]:
        """How many look at live pages, by kind."""
        return {name: feeds.readers for name, feeds in self._feeds.items()}

    def close(self) -> None:
        """End all live streams: an HTTP server that stops gracefully waits for them."""
        for feeds in self._feeds.values():
            feeds.close()

    async def fleet(self, request: Request, tenant: Tenant) -> Response:
        """The fleet overview."""
        t, wanted = self.shell.catalogue(request), filter_of(request.query_params)
        if self.start_url and not request.query_params and not (await self._facts.fleet(tenant)).presses:
            return RedirectResponse(self.start_url, status_code=303)
        snapshot = await self._fleet_snapshot(FleetKey(tenant, t.language, wanted))
        query = {"lang": t.language, **wanted.query(), "have": digest_of(snapshot)}
        return self.shell.page(
            request,
            "fleet.html",
            page_name="fleet",
            wanted=wanted,
            link=link_to("/", wanted),
            sorts=SORTS,
            windows=WINDOWS,
            densities=DENSITIES,
            moulds=moulds_of((await self._facts.fleet(tenant, wanted.window)).presses),
            plant_ids=await self._facts.plant_ids(tenant),
            board_html=Markup(snapshot.full),  # noqa: S704 - our own template's output
            live_url=f"/live/fleet?{urlencode(query)}",
        )

    async def live_fleet(self, request: Request, tenant: Tenant) -> Response:
        """The overview's stream of events."""
        key = FleetKey(tenant, self.shell.catalogue(request).language, filter_of(request.query_params))
        return stream(self._fleet_feeds, key, request)

    async def _fleet_snapshot(self, key: FleetKey) -> Snapshot:
        facts = await self._facts.fleet(key.tenant, key.wanted.window)
        t = self.shell.catalogues[key.language]
        return await anyio.to_thread.run_sync(self._fleet_page.snapshot, t, facts, key.wanted, key.tenant)

    async def press(
        self,
        request: Request,
        tenant: Tenant,
        plant_id: str,
        press_id: str,
        shot: RowId = None,
        before: RowId = None,
    ) -> Response:
        """A press's page; `shot` pins the curves to a row, `before` turns the table to older rows."""
        key, t = PressKey(plant_id, press_id), self.shell.catalogue(request)
        facts = await self._facts.press(tenant, key, before=before, pinned_id=shot)
        shown = await self._facts.shot(tenant, key, shot) if facts else None
        if facts is None or (shot is not None and shown is None):
            return self._unknown_press(request, t, key)
        query = query_of(request.query_params)
        others = await self._facts.history.with_curves(tenant, key, [i for i in query.compare if i != shot])
        snapshot = await anyio.to_thread.run_sync(press_snapshot, self.shell, t, facts, query)
        place, is_latest = Place(press_url(plant_id, press_id), shot, before), shot is None and before is None
        lang = ("lang", t.language)
        live = [lang, *query.query(), ("have", digest_of(moving(snapshot, is_latest=is_latest)))]
        curves = [lang, *replace(query, features=(), span=SPAN_DEFAULT).query()]
        return self.shell.page(
            request,
            "press.html",
            page_name="press",
            press=key,
            pinned=shown if shot is not None else None,
            pinned_values=values_html(self.shell, t, shown) if shot is not None else "",
            pieces={name: Markup(html) for name, html in snapshot.pieces.items()},  # noqa: S704
            choices=choices_of(
                t,
                place,
                query,
                signals=signals_of([row.scored.shot for row in (shown, *others) if row is not None]),
                features=features_of(shown),
                others=others,
            ),
            page_url=place.path,
            latest_url=address(place.path, query.query()),
            shots_shown=SHOTS_SHOWN,
            live_url=address(f"/live{place.path}", live if is_latest else [*live, ("still", "1")]),
            curves_url=address(f"{place.path}/curves.json", [*curves, *([("shot", str(shot))] if shot else [])]),
            csv_url=address(f"{place.path}/shots.csv", PressQuery(span=query.span).query()),
            trend_url=address(f"{place.path}/trend.json", [lang, *PressQuery(span=query.span).query()]),
            features_url=address(
                f"{place.path}/features.json", [lang, *replace(query, compare=(), signals=()).query()]
            ),
        )

    async def live_press(
        self, request: Request, tenant: Tenant, plant_id: str, press_id: str, still: Literal["", "1"] = ""
    ) -> Response:
        """A press page's stream of events."""
        t, press = self.shell.catalogue(request), PressKey(plant_id, press_id)
        if not await self._facts.knows(tenant, press):
            return self._unknown_press(request, t, press)
        key = LivePressKey(tenant, t.language, press, not still, query_of(request.query_params))
        return stream(self._press_feeds, key, request)

    async def _press_snapshot(self, key: LivePressKey) -> Snapshot:
        facts = await self._facts.press(key.tenant, key.press)
        assert facts is not None, "a press that was born stays known"
        t = self.shell.catalogues[key.language]
        snapshot = await anyio.to_thread.run_sync(press_snapshot, self.shell, t, facts, key.query)
        return moving(snapshot, is_latest=key.is_latest)

    def _unknown_press(self, request: Request, t: Catalogue, press: PressKey) -> Response:
        detail = t("press.unknown", plant=press.plant_id, press=press.press_id)
        return self.shell.problem(request, status=404, title=t("press.unknown_title"), detail=detail)
