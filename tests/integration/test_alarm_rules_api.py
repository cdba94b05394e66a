"""Rules over the API: who may what, what is wrong is named, and a dry run that says what would have been."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from cloud.alarms.rules.stale_watch import StaleWatch
from cloud.alarms.rules.tables import RuleRow
from cloud.app import Cloud, create_app
from cloud.core.access import Right
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.tables import PlantRow
from cloud.telemetry.store import GatewayKey, IncomingShot
from contract.shot import ScoredShot, Scores, Shot
from kit.clock import ManualClock
from tests.access import key_headers
from tests.integration.test_cloud_api import pages, settings

pytestmark = pytest.mark.anyio
RULES = "/api/v1/alarms/rules"
MINUTE_MS, DAY_MS = 60_000, 86_400_000
CUSHION = {"kind": "limit", "feature": "CushionStroke", "below": 2.0}


@pytest.fixture(scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    app = create_app(settings(tmp_path_factory.mktemp("rules")), ManualClock(), environ={})
    async with app.router.lifespan_context(app):
        now_ms = app.state.cloud.clock.utc_ms()
        async with app.state.cloud.database.transaction() as session:
            session.add(PlantRow(plant_id="hall", tenant_id=DEFAULT_TENANT, registered_ms=now_ms))
            session.add(PlantRow(plant_id="foreign", tenant_id="other", registered_ms=now_ms))
        yield app.state.cloud, app


@pytest.fixture(scope="module")
async def client(cloud: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cloud[1], raise_app_exceptions=False)
    headers = await key_headers(cloud[0])
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield client


def rule(condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "cushion", "priority": "low", "condition": condition or CUSHION, **more}


async def test_a_rule_that_cannot_be_read_stands_in_the_list_with_its_reason(
    cloud: Any, client: httpx.AsyncClient
) -> None:
    made = (await client.post(RULES, json={"rule": rule()})).json()
    path = f"{RULES}/{made['rule_id']}"
    async with cloud[0].database.transaction() as session:
        row = await session.get(RuleRow, (DEFAULT_TENANT, made["rule_id"]))
        row.definition = {**row.definition, "colour": "red"}
    listed = await client.get(RULES)
    assert listed.status_code == 200
    told = next(each for each in listed.json()["items"] if each["rule_id"] == made["rule_id"])
    assert (told["kind"], told["rule"], told["stored"]["colour"]) == ("limit", None, "red")
    assert told["unreadable"] == "colour: Extra inputs are not permitted"
    assert (await client.put(path, json={"rule": rule(), "version": 1})).json()["rule"]["name"] == "cushion"
    assert (await client.get(path)).json()["unreadable"] is None
    assert (await client.delete(path, params={"version": 2})).status_code == 204


async def test_the_life_of_a_rule(cloud: Any, client: httpx.AsyncClient) -> None:
    delivered = (await client.get(RULES)).json()["items"]
    assert [(each["rule_id"], each["version"], each["is_standard"]) for each in delivered] == [
        ("standard.failure_probability", 0, True),
        ("standard.gateway_trouble", 0, True),
    ]
    made = await client.post(RULES, json={"rule": rule(), "why": "scrap of last week"})
    assert made.status_code == 201, made.text
    path = f"{RULES}/{made.json()['rule_id']}"
    changed = await client.put(path, json={"rule": rule(is_enabled=False), "version": 1, "why": "too loud"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = await client.put(path, json={"rule": rule(), "version": 1})
    assert (stale.status_code, "is at version 2" in stale.json()["detail"]) == (409, True)
    back = await client.post(f"{path}/revert", json={"to": 1, "version": 2})
    assert (back.json()["version"], back.json()["rule"]["is_enabled"]) == (3, True)
    assert (await client.get(path)).json() == back.json()
    assert (await client.delete(path, params={"version": 2})).status_code == 409
    assert (await client.delete(path, params={"version": 3, "why": "enough"})).status_code == 204
    assert (await client.get(path)).status_code == 404
    versions = await pages(client, f"{path}/versions", limit=3)
    assert [(each["version"], each["what"], each["why"]) for each in versions] == [
        (4, "deleted", "enough"),
        (3, "reverted", ""),
        (2, "changed", "too loud"),
        (1, "created", "scrap of last week"),
    ]
    standard = await pages(client, f"{RULES}/standard.gateway_trouble/versions")
    assert [(each["version"], each["what"], each["at_ms"]) for each in standard] == [(0, "delivered", None)]
    assert (await client.delete(f"{RULES}/standard.gateway_trouble", params={"version": 0})).status_code == 409


async def test_an_engineer_writes_rules_a_viewer_reads_them_and_another_tenant_sees_none(
    cloud: Any, client: httpx.AsyncClient
) -> None:
    made = (await client.post(RULES, json={"rule": rule()})).json()
    operator = await key_headers(cloud[0], rights={Right.READ, Right.ACKNOWLEDGE})
    other = await key_headers(cloud[0], tenant_id="other")
    path, body = f"{RULES}/{made['rule_id']}", {"rule": rule(), "version": 1}
    assert (await client.get(path, headers=operator)).status_code == 200
    for refused in (
        await client.post(RULES, json={"rule": rule()}, headers=operator),
        await client.post(f"{RULES}/dry-run", json={"rule": rule()}, headers=operator),
        await client.put(path, json=body, headers=operator),
        await client.post(f"{path}/revert", json={"to": 1, "version": 1}, headers=operator),
        await client.delete(path, params={"version": 1}, headers=operator),
    ):
        assert refused.status_code == 403
    assert (await client.get(path, headers=other)).status_code == 404
    assert (await client.put(path, json=body, headers=other)).status_code == 404
    assert len((await client.get(RULES, headers=other)).json()["items"]) == 2
    await client.delete(path, params={"version": 1})


@pytest.mark.parametrize(
    ("wrong", "field", "word"),
    [
        (rule({"kind": "limit", "feature": "Cushion", "below": 1}), "limit.feature", "no feature"),
        (rule({"kind": "limit", "feature": "CushionStroke"}), "limit", "needs `above`"),
        (rule({**CUSHION, "above": 1}), "limit", "less than"),
        (rule({**CUSHION, "unit": "bar"}), "limit", "'mm'"),
        (rule({"kind": "failure_probability", "modes": ["rust"]}), "failure_probability.modes.0", "no failure mode"),
        (rule({"kind": "failure_probability", "horizon_h": 12}), "failure_probability.horizon_h", "no horizon"),
        (rule({"kind": "failure_probability", "threshold": 0.5}, deadband=0.5), "body.rule", "deadband"),
        (rule({"kind": "spc", "features": ["CushionStroke"], "nelson": [9]}), "spc.nelson.0", "less than"),
        (rule({"kind": "spc", "features": ["CushionStroke"] * 2}), "spc.features", "twice"),
        (rule({"kind": "gateway_trouble", "troubles": ["rain"]}), "gateway_trouble.troubles.0", "no trouble"),
        (rule({"kind": "stale_data"}), "stale_data", "needs `cycles`"),
        (rule({"kind": "weather"}), "body.rule.condition", "does not match"),
        (rule(consequence="minor", respond_minutes=5), "body.rule", "either"),
        ({"name": "x", "condition": CUSHION}, "body.rule", "either"),
        (rule(colour="red"), "body.rule.colour", "not permitted"),
    ],
)
async def test_what_is_wrong_is_named(client: httpx.AsyncClient, wrong: dict[str, Any], field: str, word: str) -> None:
    for path in (RULES, f"{RULES}/dry-run"):
        answer = await client.post(path, json={"rule": wrong})
        assert answer.status_code == 422, answer.text
        error = answer.json()["errors"][0]
        assert field in error["field"]
        assert word in error["message"]


def shoot(cloud: Cloud, press: str, minutes_ago: list[float], cushion: float, *, plant: str = "hall") -> None:
    for ago in minutes_ago:
        at_ms = round(cloud.clock.utc_ms() - ago * MINUTE_MS)
        shot = Shot(press, at_ms, {"CushionStroke": cushion}, mould_id="m1")
        scored = ScoredShot(shot, np.zeros(1, np.float32), "hash", Scores("bundle"))
        number = cloud.store.total() + 1
        cloud.store.write([IncomingShot(GatewayKey(plant, "gw"), "epoch", number, at_ms, False, scored)])


async def test_a_dry_run_says_what_would_have_been_and_writes_nothing(cloud: Any, client: httpx.AsyncClient) -> None:
    day = DAY_MS / MINUTE_MS
    shoot(cloud[0], "d-1", [8 * day], 1.0)
    for cushion in (1.0, 3.0, 1.5, 3.0, 1.0):
        shoot(cloud[0], "d-1", [1 * day], cushion)
        shoot(cloud[0], "d-9", [1 * day], 1.0, plant="foreign")
    shoot(cloud[0], "d-2", [30.0], 1.0)
    shoot(cloud[0], "d-3", [29.0, 28.0, 27.0, 20.0, 19.0], 3.0)
    before = (await client.get("/api/v1/audit")).json()
    answer = await client.post(f"{RULES}/dry-run", json={"rule": rule(scope={"plants": ["hall"]}, is_enabled=False)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["alarms"], found["active"], found["shots"], found["cut"]) == (4, 2, 11, None)
    assert [(each["press_id"], each["alarms"]) for each in found["by_press"]] == [("d-1", 3), ("d-2", 1)]
    newest = found["examples"][0]
    assert (newest["press_id"], newest["value"], newest["threshold"], newest["cleared_ms"]) == ("d-2", 1.0, 2.0, None)
    assert len([each for each in found["examples"] if each["cleared_ms"] is not None]) == 2
    two = rule(scope={"presses": ["d-1"]}, on_delay_shots=2)
    assert (await client.post(f"{RULES}/dry-run", json={"rule": two})).json()["alarms"] == 0
    silent = rule({"kind": "stale_data", "seconds": 300}, scope={"presses": ["d-3"]})
    found = (await client.post(f"{RULES}/dry-run", json={"rule": silent})).json()
    assert [each["raised_ms"] for each in reversed(found["examples"])] == [
        cloud[0].clock.utc_ms() - (27 - 5) * MINUTE_MS,
        cloud[0].clock.utc_ms() - (19 - 5) * MINUTE_MS,
    ]
    trouble = await client.post(f"{RULES}/dry-run", json={"rule": rule({"kind": "gateway_trouble"})})
    assert trouble.json()["errors"][0]["field"] == "body.rule.condition.kind"
    assert (await client.get("/api/v1/audit")).json() == before
    assert (await client.get("/api/v1/alarms", params={"plant": "hall"})).json()["items"] == []


async def test_a_silent_press_raises_on_a_clock_and_the_next_shot_clears_it(
    cloud: Any, client: httpx.AsyncClient
) -> None:
    shoot(cloud[0], "s-1", [3.0], 3.0)
    watch = StaleWatch(cloud[0].database, cloud[0].store, cloud[0].alarms, cloud[0].clock)
    body = {"rule": rule({"kind": "stale_data", "seconds": 200}, scope={"presses": ["s-1"]})}
    made = (await client.post(RULES, json=body)).json()

    async def states() -> list[str]:
        await watch.look()
        return [alarm["state"] for alarm in await pages(client, "/api/v1/alarms", press="s-1")]

    assert await states() == []
    cloud[0].clock.advance(20)
    assert await states() == await states() == ["active_unacknowledged"]
    shoot(cloud[0], "s-1", [0.0], 3.0)
    assert await states() == ["cleared_unacknowledged"]
    await client.delete(f"{RULES}/{made['rule_id']}", params={"version": 1})
