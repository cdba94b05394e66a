"""The gap ledger as a page and as JSON: in plain words, filtered, in pages, and never another company's."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from cloud import gaps_api
from cloud.core import problems
from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.fleet.domain import FleetRules
from cloud.fleet.service import FleetService
from cloud.fleet.tables import PlantRow
from cloud.migrations.upgrade import upgrade
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingGap
from cloud.web import gaps_page
from cloud.web.shell import Shell
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_225_600_000  # 2026-01-01
OWN, FOREIGN = GatewayKey("suzhou", "gw-1"), GatewayKey("wuxi", "gw-1")


class Served:
    """The page and the API over a real database, asked as anybody."""

    def __init__(self, folder: Path) -> None:
        self.database, self.store = Database(sqlite_url(folder / "cloud.sqlite")), MemoryStore()
        ledger = gaps_api.GapLedger(self.database, self.store)
        self.app = FastAPI()
        problems.install(self.app)
        self.app.include_router(gaps_api.router(ledger), prefix="/api/v1")
        gaps_page.include(self.app, Shell(ManualClock(NOW_MS)), ledger)

    def as_(self, tenant: str | None, *, language: str = "en") -> AbstractAsyncContextManager[httpx.AsyncClient]:
        async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
            if tenant is not None:
                scope[SCOPE_KEY] = Principal("user", "u1", "Anna", tenant, RIGHTS[Role.VIEWER])
            await self.app(scope, receive, send)

        transport = httpx.ASGITransport(signed_in, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://cloud", headers={"Accept-Language": language})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    await upgrade(served.database)
    live = Live()
    fleet = FleetService(EventLog(live), live, FleetRules())
    async with served.database.transaction() as session:
        for gateway in (OWN, FOREIGN):
            await fleet.node_born(session, gateway.plant_id, gateway.gateway_id, epoch="e", metrics={}, now_ms=NOW_MS)
        plant = await session.get(PlantRow, FOREIGN.plant_id)
        assert plant is not None
        plant.tenant_id = "other"
    yield served
    await served.database.close()


def gap(record_id: int, press_id: str, reason: str, *, gateway: GatewayKey = OWN) -> IncomingGap:
    return IncomingGap(gateway, "e", record_id, NOW_MS, press_id, NOW_MS + record_id * 1000, reason)


def fill(store: MemoryStore) -> None:
    store.write([gap(1, "m1", "thinned"), gap(3, "m1", "thinned"), gap(4, "m2", "moonlight <b>")])
    store.write([IncomingGap(OWN, "e", 10, NOW_MS, "", NOW_MS, "lost_at_host", last_record_id=17)])
    store.write([gap(1, "m9", "damaged", gateway=FOREIGN)])


async def test_the_page_says_what_was_lost_of_what_when_and_why(served: Served) -> None:
    fill(served.store)
    async with served.as_("default") as client:
        page = html.unescape((await client.get("/gaps")).text)
        for text in (
            *("2 shots", "The gateway's journal was full: it gave up every second", "2026-01-01 00:00:01"),
            *("8 shots", "Press not known", "restored from an older state", "1 shot<", "moonlight <b>"),
        ):
            assert text in page
        assert "moonlight &lt;b&gt;" in (await client.get("/gaps")).text, "a reason of unknown make is text, not markup"
        assert "m9" not in page
        assert "wuxi" not in page
        one = (await client.get("/gaps?press=m2")).text
        assert "moonlight" in one
        assert "2 shots" not in one
        assert "No gap passes this filter" in (await client.get("/gaps?plant=wuxi")).text
        assert (await client.get("/gaps?before=nonsense")).status_code == 200
    async with served.as_("default", language="zh-CN") as client:
        assert "网关日志已满" in (await client.get("/gaps")).text
    async with served.as_(None) as client:
        assert (await client.get("/gaps")).status_code == 401


async def test_an_empty_ledger_says_what_that_means(served: Served) -> None:
    async with served.as_("default") as client:
        page = (await client.get("/gaps")).text
    assert "No gap" in page
    assert "every shot that a gateway accepted is stored here" in page


async def test_the_page_turns(served: Served) -> None:
    served.store.write([gap(n, f"m{n:03}", "thinned") for n in range(1, 121)])
    async with served.as_("default") as client:
        seen, url = [], "/gaps?plant=suzhou"
        while url:
            page = (await client.get(url)).text
            seen += re.findall(r"presses/(m\d+)", page)
            older = re.search(r'href="(/gaps\?[^"]*before=[^"]*)"', page)
            url = html.unescape(older.group(1)) if older else ""
    assert seen == [f"m{n:03}" for n in range(120, 0, -1)]


async def test_the_api_filters_and_pages(served: Served) -> None:
    fill(served.store)
    async with served.as_("default") as client:
        whole = (await client.get("/api/v1/gaps")).json()["items"]
        assert [(line["press_id"], line["count"]) for line in whole] == [("m2", 1), ("m1", 2), ("", 8)]
        first = (await client.get("/api/v1/gaps?limit=2")).json()
        rest = (await client.get("/api/v1/gaps", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert first["items"] + rest["items"] == whole
        assert rest["next_cursor"] is None
        filtered = (await client.get("/api/v1/gaps?press=m1&reason=thinned&plant=suzhou")).json()["items"]
        assert filtered == [whole[1]]
        assert (await client.get("/api/v1/gaps?plant=wuxi")).json()["items"] == []
        assert (await client.get("/api/v1/gaps?cursor=zzz")).status_code == 422
    async with served.as_("other") as client:
        assert [line["press_id"] for line in (await client.get("/api/v1/gaps")).json()["items"]] == ["m9"]
