"""Maintenance through API and page: work, windows, what was done and undone, moulds; all or nothing each time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import select

from cloud.app import Cloud, create_app
from cloud.core.access import Role
from cloud.core.audit import AuditRow
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import SeenShot
from cloud.maintenance.domain import HOUR_MS, UNDO_MS
from cloud.rollouts import repository as rollouts
from cloud.telemetry.store import GatewayKey, IncomingShot
from kit.clock import ManualClock
from tests.access import key_headers, session_headers
from tests.integration.test_cloud_api import scored, settings

pytestmark = pytest.mark.anyio
PLACE = {"plant_id": "p", "press_id": "m1", "mode": "check_ring_wear"}
FOUND = {"outcome": "repaired", "found": "ring worn", "work": "new ring", "resets_baseline": True}
API = "/api/v1/maintenance"


@dataclass(frozen=True, slots=True)
class World:
    cloud: Cloud
    clock: ManualClock
    client: httpx.AsyncClient

    async def get(self, path: str) -> list[dict[str, Any]]:
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def send(self, method: str, path: str, status: int, **body: object) -> Any:
        answer = await self.client.request(method, API + path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def kinds(self) -> list[str]:
        """The events and audit lines of maintenance, in the order in which they were written."""
        async with self.cloud.database.reading() as session:
            told = (await session.scalars(select(EventRow).order_by(EventRow.event_id))).all()
            written = (await session.scalars(select(AuditRow).order_by(AuditRow.audit_id))).all()
        kinds = [row.kind for row in told if row.kind.startswith(("maintenance.", "mould."))]
        assert kinds == [
            row.action.replace("_", ".", 1)
            for row in written
            if row.action.startswith("maintenance_") or row.action == "mould_serviced"
        ]
        return kinds


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Press m1 has run mould M-1 and nears a failure, which has alarmed; m2 runs the same mould and is well."""
    clock = ManualClock()
    app = create_app(settings(tmp_path), clock, environ={})
    async with app.router.lifespan_context(app):
        cloud: Cloud = app.state.cloud
        headers = await key_headers(cloud)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            world = World(cloud, clock, client)
            await _run_presses(world)
            yield world


async def _run_presses(world: World) -> None:
    cloud, now_ms = world.cloud, world.clock.utc_ms()
    gateway = GatewayKey("p", "g")
    async with cloud.database.transaction() as session:
        for press_id in ("m1", "m2"):
            await cloud.fleet.device_born(session, "p", "g", press_id, now_ms=now_ms)
            await cloud.fleet.shots_seen(session, [SeenShot("p", "g", press_id, now_ms, now_ms)])
    shots = [_shot(n, now_ms - 8, press_id) for n in range(1, 6) for press_id in ("m1", "m2")]
    cloud.store.write([IncomingShot(gateway, "e", n, now_ms, False, shot) for n, shot in enumerate(shots, 1)])
    cloud.live.shots.publish()
    with anyio.fail_after(20):
        while not (await world.get("/api/v1/alarms") and await world.get(f"{API}/moulds")):
            await anyio.sleep(0.05)


def _shot(number: int, now_ms: int, press_id: str) -> Any:
    row = scored(number, now_ms)
    values = {
        "FailureProbability/check_ring_wear@8h": 0.1,
        "FailureProbability/check_ring_wear@72h": 0.9,
        "RemainingLife/low": 30.0,
    }
    scores = replace(row.scores, values=values if press_id == "m1" else {})
    return replace(row, shot=replace(row.shot, press_id=press_id, mould_id="M-1"), scores=scores)


async def test_work_is_planned_done_and_taken_back(world: World) -> None:
    (item,) = await world.get(f"{API}/work")
    told_ms = item["told_ms"]
    assert {name: item[name] for name in PLACE} == PLACE
    assert (item["latest_ms"], item["probability"], item["mould_id"]) == (told_ms + 30 * HOUR_MS, 0.9, "M-1")
    assert len(item["alarm_ids"]) == 1

    window = {"start_ms": told_ms + HOUR_MS, "end_ms": told_ms + 2 * HOUR_MS, "who": "Li", "note": "ring"}
    job_id = (await world.send("POST", "/jobs", 201, **PLACE, **window))["job_id"]
    downtimes = await world.get("/api/v1/planned-downtimes")
    assert [(each["press_id"], each["start_ms"], each["end_ms"]) for each in downtimes] == [
        ("m1", window["start_ms"], window["end_ms"])
    ]
    later = {**window, "end_ms": told_ms + 3 * HOUR_MS}
    await world.send("PUT", f"/jobs/{job_id}", 200, **later)
    assert [each["end_ms"] for each in await world.get("/api/v1/planned-downtimes")] == [later["end_ms"]]

    done = await world.send("POST", f"/jobs/{job_id}/done", 200, **FOUND)
    assert (done["state"], done["outcome"], done["found"]) == ("done", "repaired", "ring worn")
    assert await world.get(f"{API}/work") == []
    (label,) = await world.get("/api/v1/models/labels")
    assert (label["alarm_id"], label["verdict"], label["comment"], label["bundle_id"]) == (
        item["alarm_ids"][0],
        "maintenance_done",
        "ring worn",
        "b",
    )
    async with world.cloud.database.reading() as session:
        assert await rollouts.repairs(session, DEFAULT_TENANT) == {("p", "m1"): done["done_ms"]}
    await world.send("POST", f"/jobs/{job_id}/done", 409, **FOUND)

    reopened = await world.send("POST", f"/jobs/{job_id}/reopen", 200)
    assert (reopened["state"], reopened["outcome"], reopened["done_ms"]) == ("planned", None, None)
    assert await world.get(f"{API}/work") == [item]
    assert await world.get("/api/v1/models/labels") == []
    async with world.cloud.database.reading() as session:
        assert await rollouts.repairs(session, DEFAULT_TENANT) == {}
    await world.send("POST", f"/jobs/{job_id}/reopen", 409)

    await world.send("POST", f"/jobs/{job_id}/cancel", 200)
    assert await world.get("/api/v1/planned-downtimes") == []
    await world.send("PUT", f"/jobs/{job_id}", 409, **later)
    names = ("planned", "changed", "done", "reopened", "cancelled")
    assert await world.kinds() == [f"maintenance.{name}" for name in names]


async def test_what_is_done_without_a_plan_keeps_an_earlier_word_when_it_is_taken_back(world: World) -> None:
    (item,) = await world.get(f"{API}/work")
    label = {"alarm_id": item["alarm_ids"][0], "verdict": "true", "comment": "seen"}
    assert (await world.client.post("/api/v1/models/labels", json=label)).status_code == 200
    job = await world.send("POST", "/done", 201, **PLACE, outcome="nothing", found="ring is new")
    assert [each["verdict"] for each in await world.get("/api/v1/models/labels")] == ["false"]
    async with world.cloud.database.reading() as session:
        assert await rollouts.repairs(session, DEFAULT_TENANT) == {}, "nothing was repaired"
    reopened = await world.send("POST", f"/jobs/{job['job_id']}/reopen", 200)
    assert reopened["state"] == "cancelled", "there was no plan to go back to"
    assert [(each["verdict"], each["comment"]) for each in await world.get("/api/v1/models/labels")] == [
        ("true", "seen")
    ]


async def test_after_a_while_nothing_is_taken_back_any_more(world: World) -> None:
    job = await world.send("POST", "/done", 201, **PLACE, **FOUND)
    await world.send("POST", "/moulds/serviced", 204, mould_id="M-1")
    world.clock.advance(UNDO_MS / 1000 + 1)
    await world.send("POST", f"/jobs/{job['job_id']}/reopen", 409)
    await world.send("POST", "/moulds/take-service-back", 409, mould_id="M-1")
    assert len(await world.get("/api/v1/models/labels")) == 1


async def test_a_bad_window_an_unknown_press_and_a_half_done_job_change_nothing(world: World) -> None:
    backwards = {**PLACE, "start_ms": 2_000, "end_ms": 1_000}
    assert (await world.send("POST", "/jobs", 422, **backwards))["errors"][0]["field"] == "body.end_ms"
    await world.send("POST", "/jobs", 404, **{**PLACE, "press_id": "none"}, start_ms=1, end_ms=2)
    await world.send("POST", "/done", 404, **{**PLACE, "press_id": "none"}, **FOUND)
    await world.send("POST", "/done", 422, **PLACE, outcome="perhaps")
    assert await world.get(f"{API}/jobs") == []
    assert await world.get("/api/v1/planned-downtimes") == []
    assert await world.kinds() == []


async def test_a_mould_counts_over_all_presses_until_it_is_serviced(world: World) -> None:
    (mould,) = await world.get(f"{API}/moulds")
    assert (mould["mould_id"], mould["shots"], mould["since_service"], mould["left"]) == ("M-1", 10, 10, None)
    await world.send("PUT", "/moulds", 204, mould_id="M-1", interval_shots=8)
    (mould,) = await world.get(f"{API}/moulds")
    assert (mould["left"], mould["due_ms"]) == (-2, world.clock.utc_ms())
    await world.send("POST", "/moulds/serviced", 204, mould_id="M-1")
    (mould,) = await world.get(f"{API}/moulds")
    assert (mould["shots"], mould["since_service"], mould["left"]) == (10, 0, 8)
    await world.send("POST", "/moulds/take-service-back", 204, mould_id="M-1")
    (mould,) = await world.get(f"{API}/moulds")
    assert (mould["since_service"], mould["serviced_ms"]) == (10, None)
    await world.send("PUT", "/moulds", 404, mould_id="M-2", interval_shots=8)
    assert await world.kinds() == ["mould.serviced"]


@pytest.mark.parametrize(("language", "title"), [("en", "Work to be done"), ("zh-CN", "待办工作")])
async def test_the_page_s_forms_do_it_and_offer_to_undo_it(world: World, language: str, title: str) -> None:
    headers = await session_headers(world.cloud, "engineer", Role.ENGINEER)
    token = headers.pop("X-CSRF-Token")
    headers |= {"Authorization": "", "Accept-Language": language, "Accept": "text/html"}

    async def page() -> str:
        answer = await world.client.get("/maintenance", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def post(path: str, status: int = 303, **fields: str) -> str:
        form = {"csrf_token": token, "plant": "p", "press": "m1", "mode": "check_ring_wear", **fields}
        answer = await world.client.post(f"/maintenance{path}", data=form, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.text

    shown = await page()
    assert title in shown
    assert 'action="/maintenance/done"' in shown
    assert "M-1" in shown
    await post("/jobs", start="2026-05-01T08:00", end="2026-05-01T10:00", who="王工")
    assert "王工" in await page()
    refused = await post("/jobs", 422, start="2026-05-01T08:00", end="2026-05-01T07:00")
    assert 'role="alert"' in refused
    await post("/jobs", 422, start="soon", end="")
    await post("/done", outcome="repaired", found="<b>ring</b>")
    shown = await page()
    assert 'action="/maintenance/done"' not in shown
    assert "&lt;b&gt;ring&lt;/b&gt;" in shown
    assert "/reopen" in shown
    world.clock.advance(UNDO_MS / 1000 + 1)
    assert "/reopen" not in await page()
    foreign = await world.client.post("/maintenance/done", data={"outcome": "nothing"}, headers=headers)
    assert foreign.status_code == 403
