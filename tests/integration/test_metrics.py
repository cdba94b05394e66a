"""What Prometheus is told: every series of the dashboard and of the page is there, and strangers get none of it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from cloud.app import create_app
from cloud.core.access import RIGHTS, Right, Role
from cloud.core.request_metrics import METHODS, RequestMetrics, RequestWaits
from cloud.fleet.domain import SeenShot
from cloud.metrics import FIGURES, GATEWAYS_MAX
from cloud.telemetry.store import GatewayKey, IncomingShot
from kit.clock import ManualClock, SystemClock
from tests.access import key_headers
from tests.integration.test_cloud_api import scored, settings

pytestmark = pytest.mark.anyio
NAME = re.compile(r"\b(?:zhisan|process|python_gc)_[a-z_]+")
SUFFIXES = ("_bucket", "_count", "_sum", "_total")
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    app = create_app(settings(tmp_path_factory.mktemp("metrics")), environ={})
    async with app.router.lifespan_context(app):
        cloud = app.state.cloud
        now_ms = SystemClock().utc_ms()
        rows = [scored(n, now_ms) for n in range(1, 4)]
        cloud.store.write(
            [IncomingShot(GatewayKey("p", "g"), "e", n, now_ms, False, row) for n, row in enumerate(rows, 1)]
        )
        health = {"Health/JournalRecords": 7.0, "Health/LagSeconds": 0.5, "Health/Whatever": 1.0}
        async with cloud.database.transaction() as session:
            await cloud.fleet.node_born(session, "p", "g", epoch="e", metrics=health, now_ms=now_ms)
            await cloud.fleet.device_born(session, "p", "g", "m1", now_ms=now_ms)
            await cloud.fleet.shots_seen(session, [SeenShot("p", "g", "m1", now_ms, now_ms)])
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
        yield client


async def scraped(app: FastAPI, client: httpx.AsyncClient) -> tuple[set[str], Series]:
    answer = await client.get("/metrics", headers=await key_headers(app.state.cloud))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=1.0.0")
    families = list(text_string_to_metric_families(answer.text))
    series = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}
    return {family.name for family in families}, series


def without_suffix(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


async def test_every_series_that_the_dashboard_and_the_page_name_is_there(
    app: FastAPI, client: httpx.AsyncClient, root: Path
) -> None:
    await client.get("/healthz")
    names, _ = await scraped(app, client)
    dashboard = (root / "deploy" / "grafana" / "zhisan.json").read_text(encoding="utf-8")
    asked = set(NAME.findall(" ".join(_expressions(json.loads(dashboard)))))
    assert len(asked) > 15
    assert {name for name in asked if name not in names and without_suffix(name) not in names} == set()
    page = (root / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    told = {without_suffix(name) for name in re.findall(r"`(zhisan_[a-z_]+)`", page)}
    assert told == {name for name in names if name.startswith("zhisan_")}


def _expressions(board: dict[str, object]) -> list[str]:
    panels = board["panels"]
    assert isinstance(panels, list)
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


async def test_figures_are_those_of_the_program(app: FastAPI, client: httpx.AsyncClient) -> None:
    _, series = await scraped(app, client)
    assert series["zhisan_presses", (("state", "online"),)] == 1
    assert series["zhisan_store_shots", ()] == 3
    figure = ("figure", "journal_records"), ("gateway", "g"), ("plant", "p")
    assert series["zhisan_gateway_figure", figure] == 7
    assert sum(name == "zhisan_gateway_figure" for name, _ in series) == 2, "only those that the program knows"
    assert series["zhisan_ingest_listening", ()] == 0, "there is no broker here"
    app.state.cloud.live.shots.publish()
    with anyio.fail_after(20):
        while series["zhisan_shots_behind", (("reader", "production"),)]:
            await anyio.sleep(0.05)
            _, series = await scraped(app, client)


async def test_strangers_and_who_may_only_read_their_own_company_get_nothing(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/metrics")).status_code == 401
    holders = {role for role, rights in RIGHTS.items() if Right.READ_METRICS in rights}
    assert holders == {Role.PLATFORM_ADMIN}
    headers = await key_headers(app.state.cloud, tenant_id="other", rights=RIGHTS[Role.TENANT_ADMIN])
    assert (await client.get("/metrics", headers=headers)).status_code == 403


async def test_labels_are_the_program_s_own_words(app: FastAPI, client: httpx.AsyncClient) -> None:
    headers = await key_headers(app.state.cloud)
    for path in ("/api/v1/plants/p/presses/m1", "/api/v1/plants/x/presses/y", "/wp-login.php", "/a/b/c", "/static/no"):
        await client.get(path, headers=headers)
    await client.request("BREW", "/coffee", headers=headers)
    _, series = await scraped(app, client)
    counted = [dict(labels) for name, labels in series if name == "zhisan_request_seconds_count"]
    routes = {labels["route"] for labels in counted}
    assert "/api/v1/plants/{plant_id}/presses/{press_id}" in routes
    assert {"none", "/static"} <= routes
    assert not any(part in route for route in routes for part in ("wp-login", "m1", "coffee"))
    assert {labels["method"] for labels in counted} <= {*METHODS, "other"}
    assert {labels["status"] for labels in counted} <= {f"{n}xx" for n in range(1, 6)}


async def test_a_request_that_waits_is_measured_and_logged_by_its_route() -> None:
    clock = ManualClock()

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        clock.advance(1.5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.advance(60)  # a stream may last
        await send({"type": "http.response.body", "body": b""})

    async def nothing(_message: Message | None = None) -> Message:
        return {"type": "http.request"}

    registry = CollectorRegistry()
    served = RequestMetrics(slow, RequestWaits(registry), clock, list)
    with structlog.testing.capture_logs() as logs:
        await served({"type": "http", "method": "GET", "path": "/secret-token"}, nothing, nothing)
    assert registry.get_sample_value(
        "zhisan_request_seconds_sum", {"method": "GET", "route": "none", "status": "2xx"}
    ) == pytest.approx(1.5)
    assert [(entry["event"], entry["route"]) for entry in logs] == [("request_slow", "none")]


def test_gateways_are_bounded_and_their_figures_are_health_metrics(root: Path) -> None:
    page = (root / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FIGURES)
    assert GATEWAYS_MAX * len(FIGURES) <= 10_000
