"""The JSON API of the whole application: pages, filters, problem documents, and nothing that it should not say."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy import func, select

from cloud.alarms.life import ACTIVE_STATES
from cloud.app import HOST_CONTESTED, Cloud, create_app
from cloud.core.headers import DEFAULTS
from cloud.core.tables import EventRow
from cloud.fleet.domain import SeenShot
from cloud.ingest.contest import Contest
from cloud.settings import CloudSettings
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract.shot import ProductionDataset, Reason, ScoredShot, Scores, Shot
from contract.sparkplug.host import HostRival
from contract.sparkplug.state import State
from deploy.local.processes import free_port
from kit.clock import SystemClock
from tests.access import key_headers

pytestmark = pytest.mark.anyio
PATIENCE_S = 10.0
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
PRESS = "/api/v1/plants/p/presses/m1"


def settings(folder: Path) -> CloudSettings:
    return CloudSettings.model_validate(
        {
            "storage": {"dir": str(folder / "cloud")},
            "telemetry": {"store": "memory"},
            "broker": {"port": free_port()},
            "webhooks": {"endpoints": [{"name": "ops", "url": "http://127.0.0.1:9/", "secret": SECRET}]},
        }
    )


@pytest.fixture(scope="module")  # stopping waits up to a second for paho's thread
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    app = create_app(settings(tmp_path_factory.mktemp("api")), environ={})
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = await key_headers(app.state.cloud)
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
async def fleet(app: FastAPI) -> Cloud:
    """Three presses; m1 has 25 shots and an alarm that has called its endpoint's outbox."""
    cloud: Cloud = app.state.cloud
    gateway, now_ms = GatewayKey("p", "g"), SystemClock().utc_ms()
    shots = [IncomingShot(gateway, "e", n, now_ms, False, scored(n, now_ms)) for n in range(1, 26)]
    gap = IncomingGap(gateway, "e", 26, now_ms, "m1", now_ms, "thinned")
    cloud.store.write([*shots, gap])
    async with cloud.database.transaction() as session:
        for plant_id, press_id in (("p", "m1"), ("p", "m2"), ("q", "m1")):
            await cloud.fleet.device_born(session, plant_id, "g", press_id, now_ms=now_ms)
        await cloud.fleet.shots_seen(session, [SeenShot("p", "g", "m1", now_ms, now_ms)])
        await cloud.fleet.device_died(session, "p", "g", "m2", now_ms=now_ms)
    deliveries, version = cloud.live.deliveries, cloud.live.deliveries.version
    cloud.live.shots.publish()
    await deliveries.wait_beyond(version)
    return cloud


def scored(number: int, now_ms: int) -> ScoredShot:
    shot = Shot(
        "m1",
        now_ms + number,
        {"CycleTime": 10.5, "CushionStroke": math.nan},
        curves={"InjectionPressure": np.array([0.1, math.nan, 3], np.float32)},
        sample_interval_s=0.004,
        cycle_counter=number,
        job_name="作业",
        material="聚丙烯",
        cavities=4,
        dataset=ProductionDataset("数据集", set_points=(("CycleTime", 10.0),)),
    )
    reasons = (Reason("CushionStroke", 2.0, math.inf), Reason("FlowIndex", 3.0, 4.0))
    scores = Scores("b", {"FailureProbability/check_ring_wear": 0.9, "Novelty/T2": math.nan}, reasons=reasons)
    return ScoredShot(shot, np.array([1, math.nan], np.float32), "h", scores)


async def pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        response = await client.get(path, params={**query, **({"cursor": cursor} if cursor else {})})
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


async def test_lists_come_in_pages_that_join_without_loss_or_repeat(client: httpx.AsyncClient, fleet: Cloud) -> None:
    whole = await pages(client, f"{PRESS}/shots", limit=200)
    assert [shot["row_id"] for shot in whole] == list(range(25, 0, -1))
    for limit in (1, 7, 25):
        assert await pages(client, f"{PRESS}/shots", limit=limit) == whole
    for path, count in (("presses", 3), ("gateways", 2), ("plants", 2)):
        assert await pages(client, f"/api/v1/{path}", limit=1) == await pages(client, f"/api/v1/{path}", limit=200)
        assert len(await pages(client, f"/api/v1/{path}")) == count


async def test_filters_narrow_a_list(client: httpx.AsyncClient, fleet: Cloud) -> None:
    async def names(**query: str) -> list[tuple[str, str]]:
        return [(press["plant_id"], press["press_id"]) for press in await pages(client, "/api/v1/presses", **query)]

    assert await names(plant="p") == [("p", "m1"), ("p", "m2")]
    assert await names(state="offline") == [("p", "m2")]
    assert await names(plant="q", state="offline") == []
    assert len(await pages(client, "/api/v1/alarms", plant="p", press="m1", state=ACTIVE_STATES)) == 1
    assert await pages(client, "/api/v1/alarms", state="normal") == []
    assert len(await pages(client, "/api/v1/deliveries", endpoint="ops", kind="alarm.raised")) == 1
    assert await pages(client, "/api/v1/deliveries", kind="alarm.cleared") == []


async def test_a_press_says_how_many_shots_are_stored(client: httpx.AsyncClient, fleet: Cloud) -> None:
    press = (await client.get(PRESS)).json()
    assert (press["shots_total"], press["state"], press["last_shot"]["row_id"]) == (25, "online", 25)
    other = (await client.get("/api/v1/plants/q/presses/m1")).json()
    assert (other["shots_total"], other["last_shot"]) == (0, None)


async def test_a_number_that_was_not_measured_is_null(client: httpx.AsyncClient, fleet: Cloud) -> None:
    response = await client.get(f"{PRESS}/shots/25")
    shot = json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert shot["parameters"] == {"CycleTime": 10.5, "CushionStroke": None}
    assert shot["curves"] == {"InjectionPressure": [0.1, None, 3.0]}
    assert shot["features"] == [1.0, None]
    assert shot["scores"]["values"]["Novelty/T2"] is None
    assert shot["scores"]["reasons"][0]["sigma"] is None
    assert (shot["job_name"], shot["sample_interval_s"]) == ("作业", 0.004)
    assert (shot["material"], shot["product_name"], shot["cavities"]) == ("聚丙烯", "", 4)
    assert shot["dataset"] == {
        "name": "数据集",
        "description": "",
        "mould_description": "",
        "set_points": {"CycleTime": 10.0},
    }


async def test_an_alarm_can_be_acknowledged_with_who_and_why(client: httpx.AsyncClient, fleet: Cloud) -> None:
    [alarm] = await pages(client, "/api/v1/alarms")
    path = f"/api/v1/alarms/{alarm['alarm_id']}"
    assert (await client.get(path)).json() == alarm
    body = {"comment": "换止逆环"}
    acknowledged = (await client.post(f"{path}/acknowledge", json=body)).json()
    assert (acknowledged["state"], acknowledged["acknowledged_by"], acknowledged["comment"]) == (
        "active_acknowledged",
        "test",
        "换止逆环",
    )
    again = await client.post(f"{path}/acknowledge", json={"comment": "seen by another"})
    assert again.json() == acknowledged


async def test_gaps_are_told(client: httpx.AsyncClient, fleet: Cloud) -> None:
    [gap] = (await client.get("/api/v1/gaps")).json()["items"]
    assert (gap["press_id"], gap["reason"], gap["count"]) == ("m1", "thinned", 1)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/nowhere", 404, None),
        ("/api/v1/plants/p/presses/none", 404, None),
        ("/api/v1/plants/p/presses/none/shots", 404, None),
        (f"{PRESS}/shots/999", 404, None),
        ("/api/v1/plants/q/presses/m1/shots/1", 404, None),
        ("/api/v1/alarms/00000000-0000-7000-8000-000000000000", 404, None),
        (f"{PRESS}/shots/x", 422, "path.row_id"),
        (f"{PRESS}/shots/99999999999999999999", 422, "path.row_id"),
        ("/api/v1/presses?limit=201", 422, "query.limit"),
        ("/api/v1/presses?limit=0", 422, "query.limit"),
        ("/api/v1/presses?state=asleep", 422, "query.state"),
        ("/api/v1/alarms?state=asleep", 422, "query.state.0"),
        ("/api/v1/presses?cursor=%00", 422, "query.cursor"),
        ("/api/v1/presses?cursor=WzFd", 422, "query.cursor"),
        ("/api/v1/alarms?cursor=WyJ4Il0", 422, "query.cursor"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem_document(
    client: httpx.AsyncClient, fleet: Cloud, path: str, status: int, field: str | None
) -> None:
    response = await client.get(path)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])


@pytest.mark.parametrize(
    "body", [{"comment": 1}, {"comment": "x" * 1001}, {"by": "somebody else"}, {"other": 1}, [], "x"]
)
async def test_an_acknowledgement_that_makes_no_sense_names_its_field(client: httpx.AsyncClient, body: object) -> None:
    path = "/api/v1/alarms/00000000-0000-7000-8000-000000000000/acknowledge"
    response = await client.post(path, json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith("body")


async def test_a_bug_tells_the_caller_nothing(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(app.state.cloud.store, "gaps", broken)
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/api/v1/gaps")
    assert [entry["event"] for entry in logs] == ["request_failed"]
    assert response.status_code == 500
    told = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    assert response.json() == {**told, "request_id": response.headers["x-request-id"]}


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("No such page", "search", "tell who runs")), ("zh-CN", ("没有这个页面", "search", "系统管理员"))],
)
async def test_who_opens_a_page_is_told_on_a_page_and_a_program_in_a_document(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, language: str, words: tuple[str, str, str]
) -> None:
    browser = {"Accept": "text/html,*/*", "Accept-Language": language}

    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the password is 1234")

    with monkeypatch.context() as patched:
        patched.setattr(app.state.cloud.store, "gaps", broken)
        answers = [
            await client.get(path, headers=browser)
            for path in ("/no/such/page", "/tiering/customers?search=" + "x" * 101, "/gaps")
        ]
    assert [answer.status_code for answer in answers] == [404, 422, 500]
    for answer, word in zip(answers, words, strict=True):
        assert answer.headers["content-type"].startswith("text/html")
        assert word in answer.text
        assert "1234" not in answer.text
        assert DEFAULTS["X-Content-Type-Options"] == answer.headers["X-Content-Type-Options"]
    assert answers[2].headers["x-request-id"] in answers[2].text
    for accepted in ({}, {"Accept": "text/html", "HX-Request": "true"}):
        assert (await client.get("/no/such/page", headers=accepted)).headers[
            "content-type"
        ] == "application/problem+json"
    api = await client.get("/api/v1/alarms/00000000-0000-7000-8000-000000000000", headers=browser)
    assert api.headers["content-type"] == "application/problem+json"


async def test_readiness_names_the_part_that_is_not_ready(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 503
    expected = {"database": "ready", "migrations": "ready", "ingest": "not connected to the broker"}
    assert response.json() == {"ready": False, "parts": {**expected, "host id": "ready"}}
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_an_ingest_without_its_subscriptions_and_a_second_host_are_shown(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = app.state.cloud
    monkeypatch.setattr(cloud.ingest, "is_connected", True)
    monkeypatch.setattr(cloud.presence, "_contest", Contest())
    cloud.presence._rival_seen(HostRival(State(True, 1)))
    parts = (await client.get("/readyz")).json()["parts"]
    assert parts["ingest"] == "the broker has not granted the subscriptions"
    assert parts["host id"].startswith("another host goes by our id")
    contested = select(func.count()).where(EventRow.kind == HOST_CONTESTED)
    with anyio.fail_after(PATIENCE_S):
        while True:
            async with cloud.database.reading() as session:
                if await session.scalar(contested) == 1:
                    return
            await anyio.sleep(0.01)


async def test_a_crashed_job_is_shown(app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.state.cloud.supervisor._faults, "alarms", "OperationalError")
    parts = (await client.get("/readyz")).json()["parts"]
    assert parts["job alarms"] == "crashed (OperationalError), starts again"


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/plants", "/nowhere", "/healthz"):
        headers = (await client.get(path)).headers
        assert {name: headers[name] for name in DEFAULTS} == DEFAULTS
    page = (await client.get("/")).headers
    assert "script-src 'self'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"]


async def test_no_answer_holds_the_secret_of_an_endpoint(client: httpx.AsyncClient, fleet: Cloud) -> None:
    for path in ("/api/v1/deliveries", "/api/v1/openapi.json", "/readyz", "/deliveries"):
        response = await client.get(path)
        assert response.status_code in (200, 503)
        assert SECRET[6:] not in response.text


async def test_the_description_names_every_operation_and_problem(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/api/v1/openapi.json")).json()
    assert {"Problem", "FieldProblem"} <= schema["components"]["schemas"].keys()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            for status in ("404", "422"):
                if status in operation["responses"]:
                    assert list(operation["responses"][status]["content"]) == ["application/problem+json"], path


async def test_the_reference_lists_every_operation(client: httpx.AsyncClient, root: Path) -> None:
    schema = (await client.get("/api/v1/openapi.json")).json()
    reference = (root / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    for path, operations in schema["paths"].items():
        for method in operations:
            assert f"| `{method.upper()} {path}` |" in reference
