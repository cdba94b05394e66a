"""What people and programs may do to alarms over the API: filters, deeds one by one and in bulk, history, figures."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cloud.alarms.points import Point, Raising
from cloud.app import Cloud, create_app
from cloud.core.access import Right, Role
from cloud.core.tenants import DEFAULT_TENANT
from kit.clock import ManualClock
from tests.access import key_headers, session_headers
from tests.integration.test_cloud_api import pages, settings

pytestmark = pytest.mark.anyio
ALARMS = "/api/v1/alarms"


@pytest.fixture(scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    app = create_app(settings(tmp_path_factory.mktemp("alarms")), ManualClock(), environ={})
    async with app.router.lifespan_context(app):
        yield app.state.cloud, app


@pytest.fixture(scope="module")
async def client(cloud: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cloud[1], raise_app_exceptions=False)
    headers = await key_headers(cloud[0])
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield client


async def raised(
    cloud: Cloud, press: str, *, priority: str = "high", mode: str = "wear", latching: bool = False
) -> str:
    point = Point("hall", press, "", "rule", mode)
    async with cloud.database.transaction() as session:
        raising = Raising(DEFAULT_TENANT, point, priority, is_latching=latching)
        alarm = await cloud.alarms.raise_at(session, raising, cloud.clock.utc_ms())
    return str(alarm.alarm_id)


async def test_each_filter_narrows_the_list(cloud: Any, client: httpx.AsyncClient) -> None:
    low = await raised(cloud[0], "f-1", priority="low")
    high = await raised(cloud[0], "f-2", mode="leak")

    async def ids(**query: Any) -> set[str]:
        found = await pages(client, ALARMS, plant="hall", **query)
        return {alarm["alarm_id"] for alarm in found if alarm["press_id"].startswith("f-")}

    assert await ids() == {low, high}
    assert await ids(priority="low") == {low}
    assert await ids(priority=["low", "high"]) == {low, high}
    assert await ids(mode="leak") == {high}
    assert await ids(kind="rule") == {low, high}
    assert await ids(kind="gateway_trouble") == await ids(assignee="nobody") == await ids(state="normal") == set()
    assert await ids(press="f-1", state=["active_unacknowledged", "shelved"]) == {low}


async def test_the_life_of_an_alarm_over_the_api(cloud: Any, client: httpx.AsyncClient) -> None:
    alarm_id = await raised(cloud[0], "l-1", latching=True)
    me = (await client.get("/api/v1/people")).json()["items"]
    path = f"{ALARMS}/{alarm_id}"

    async def do(what: str, **body: Any) -> dict[str, Any]:
        answer = await client.post(f"{path}/{what}", json=body) if body else await client.post(f"{path}/{what}")
        assert answer.status_code == 200, (what, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    assert (await do("comment", comment="a noise"))["state"] == "active_unacknowledged"
    assert (await do("shelve", minutes=30, reason="known"))["state"] == "shelved"
    assert [held["shelf_reason"] for held in await pages(client, f"{ALARMS}/withheld", limit=1)] == ["known"]
    assert (await do("suppress", reason="press stands"))["state"] == "suppressed_by_design"
    assert (await do("out_of_service", reason="rebuilt"))["state"] == "out_of_service"
    assert (await do("in_service"))["state"] == "suppressed_by_design"
    assert (await do("unsuppress"))["state"] == "shelved"
    assert (await do("unshelve"))["state"] == "active_unacknowledged"
    assert (await do("unshelve"))["state"] == "active_unacknowledged"
    assert (await do("acknowledge", comment="on my way"))["state"] == "active_acknowledged"
    async with cloud[0].database.transaction() as session:
        await cloud[0].alarms.clear_at(session, Point("hall", "l-1", "", "rule", "wear"), cloud[0].clock.utc_ms())
    assert (await do("reset", comment="looked"))["state"] == "normal"
    assert me == []
    entries = await pages(client, f"{path}/history", limit=3)
    assert [entry["what"] for entry in reversed(entries)] == [
        "raised",
        "commented",
        "shelved",
        "suppressed",
        "out_of_service",
        "in_service",
        "unsuppressed",
        "unshelved",
        "acknowledged",
        "cleared",
        "reset",
    ]
    assert {entry["actor_name"] for entry in entries} == {"test", "system"}
    assert (await pages(client, f"{ALARMS}/history", limit=200))[: len(entries)] == entries
    audit = await pages(client, "/api/v1/audit", target=f"alarm:{alarm_id}")
    assert len(audit) == 9, "each of people's deeds that changed something"


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("shelve", {"minutes": 30}, "body.reason"),
        ("shelve", {"minutes": 721, "reason": "x"}, "body.minutes"),
        ("shelve", {"minutes": 0, "reason": "x"}, "body.minutes"),
        ("shelve", {"minutes": 1, "reason": ""}, "body.reason"),
        ("comment", {"comment": ""}, "body.comment"),
        ("comment", {"comment": "x" * 1001}, "body.comment"),
        ("assign", {"user_id": "nobody"}, "body.user_id"),
        ("assign", {}, "body.user_id"),
        ("out_of_service", {}, "body.reason"),
        ("reset", {"by": "me"}, "body.by"),
    ],
)
async def test_what_is_wrong_is_named(
    cloud: Any, client: httpx.AsyncClient, what: str, body: dict[str, Any], field: str
) -> None:
    alarm_id = await raised(cloud[0], "w-1")
    before = (await client.get(f"{ALARMS}/{alarm_id}")).json()
    answer = await client.post(f"{ALARMS}/{alarm_id}/{what}", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await client.get(f"{ALARMS}/{alarm_id}")).json() == before


async def test_many_at_once_are_done_or_refused_one_by_one(cloud: Any, client: httpx.AsyncClient) -> None:
    known = [await raised(cloud[0], f"b-{at}", latching=at == 2) for at in range(3)]
    unknown = str(uuid4())
    body = {"action": "acknowledge", "alarm_ids": [*known, unknown], "comment": "seen"}
    items = (await client.post(f"{ALARMS}/bulk", json=body)).json()["items"]
    assert [(item["alarm_id"], item["result"], item["state"]) for item in items] == [
        *((alarm_id, "done", "active_acknowledged") for alarm_id in known),
        (unknown, "refused", None),
    ]
    assert items[-1]["field"] == "body.alarm_ids"
    items = (await client.post(f"{ALARMS}/bulk", json={"action": "reset", "alarm_ids": known})).json()["items"]
    assert [item["result"] for item in items] == ["done", "done", "refused"]
    assert "only a latched alarm" in items[-1]["message"]
    for wrong, field in (
        ({"action": "shelve", "alarm_ids": known, "reason": "x"}, "body.minutes"),
        ({"action": "reset", "alarm_ids": []}, "body.alarm_ids"),
        ({"action": "reset", "alarm_ids": [unknown] * 201}, "body.alarm_ids"),
        ({"action": "delete", "alarm_ids": known}, "body.action"),
    ):
        answer = await client.post(f"{ALARMS}/bulk", json=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_an_operator_answers_alarms_and_an_engineer_decides_what_is_watched(
    cloud: Any, client: httpx.AsyncClient
) -> None:
    alarm_id = await raised(cloud[0], "r-1")
    keys = [await key_headers(cloud[0], rights={Right.READ, *more}) for more in ((), (Right.ACKNOWLEDGE,))]
    viewer, operator = keys

    async def status(headers: dict[str, str], path: str, body: dict[str, Any]) -> int:
        return (await client.post(f"{ALARMS}/{path}", json=body, headers=headers)).status_code

    shelf, why = {"minutes": 5, "reason": "x"}, {"reason": "x"}
    bulk = {"action": "out_of_service", "alarm_ids": [alarm_id], **why}
    assert await status(viewer, f"{alarm_id}/shelve", shelf) == 403
    assert await status(operator, f"{alarm_id}/shelve", shelf) == 200
    assert await status(operator, f"{alarm_id}/out_of_service", why) == 403
    assert await status(operator, "bulk", bulk) == 403
    assert await status(viewer, "bulk", {**bulk, "action": "acknowledge"}) == 403
    assert (await client.get(f"{ALARMS}/{alarm_id}", headers=viewer)).json()["state"] == "shelved"


async def test_the_figures_count_what_people_were_told(cloud: Any, client: httpx.AsyncClient) -> None:
    await session_headers(cloud[0], "operator-1", Role.OPERATOR)
    await session_headers(cloud[0], "operator-2", Role.ENGINEER)
    await session_headers(cloud[0], "viewer-1", Role.VIEWER)
    point = Point("mill", "a-1", "", "rule", "chatters")
    for at in range(4):
        async with cloud[0].database.transaction() as session:
            now_ms = cloud[0].clock.utc_ms() + at
            await cloud[0].alarms.raise_at(session, Raising(DEFAULT_TENANT, point, "low"), now_ms)
            await cloud[0].alarms.clear_at(session, point, now_ms)
    found = (await client.get(f"{ALARMS}/analytics", params={"plant": "mill", "days": 1})).json()
    assert found["total"] == 4
    assert [(actor["point"]["mode"], actor["count"], actor["share"]) for actor in found["bad_actors"]] == [
        ("chatters", 4, 1.0)
    ]
    assert [(chatter["most"], chatter["times"]) for chatter in found["chattering"]] == [(4, 2)]
    assert {share["priority"]: share["count"] for share in found["shares"]} == {
        "low": 4,
        "medium": 0,
        "high": 0,
        "critical": 0,
    }
    assert (found["rate"]["operators"], found["rate"]["peak"]) == (2, 2.0)
    assert sum(bar["count"] for bar in found["over_time"]) == 4
    for query, field in ((("days", "0"), "query.days"), (("days", "91"), "query.days")):
        answer = await client.get(f"{ALARMS}/analytics", params=[query])
        assert answer.json()["errors"][0]["field"] == field
