"""Success plans through API and page: for strategic customers, with goals, reviews and their calendar."""

import re
from collections.abc import AsyncIterator

import pytest
from icalendar import Calendar

from cloud.core.access import Role
from tests.access import session_headers
from tests.integration.tiering_world import API, Desk, tiering_desk

pytestmark = pytest.mark.anyio
GOAL = {"title": "Labels", "measure": "labels a month", "target": 200, "due_day": 20_600}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Desk]:
    async with tiering_desk(tmp_path_factory.mktemp("plans")) as made:
        await made.file("customers", "customer,name\nC1,One\nC2,Two\n")
        one = await _customer(made, "C1")
        told = {"tier": "strategic", "reason": "a try", "owner": "Anna", "expires_ms": _now(made) + 86_400_000}
        await made.send("POST", f"/customers/{one}/override", 201, **told)
        yield made


def _now(desk: Desk) -> int:
    return desk.world.clock.utc_ms()


async def _customer(desk: Desk, code: str) -> str:
    items = (await desk.get("/customers"))["items"]
    return next(str(each["customer_id"]) for each in items if each["code"] == code)


async def test_a_plan_is_begun_for_a_strategic_customer_alone_and_has_goals_and_reviews(desk: Desk) -> None:
    one, two = await _customer(desk, "C1"), await _customer(desk, "C2")
    today = _now(desk) // 86_400_000
    plan = {"summary": "Half the scrap", "owner": "Anna", "start_day": today - 100, "version": 0}
    refused = await desk.send("PUT", f"/customers/{two}/plan", 422, **plan)
    assert refused["errors"][0]["message"] == "only a strategic customer begins a success plan"
    await desk.send("POST", f"/customers/{one}/plan/goals", 404, **GOAL, version=0)
    refused = await desk.send("PUT", f"/customers/{one}/plan", 422, **plan | {"start_day": today - 5_000})
    assert refused["errors"][0]["field"] == "body.start_day"
    begun = await desk.send("PUT", f"/customers/{one}/plan", 200, **plan)
    assert [each["state"] for each in begun["reviews"]] == ["overdue", *["planned"] * 4]
    added = await desk.send("POST", f"/customers/{one}/plan/goals", 201, **GOAL, version=1)
    goal_id = added["goals"][0]["goal_id"]
    reached = GOAL | {"actual": 210, "state": "reached", "version": 2}
    late = await desk.send("PUT", f"/customers/{one}/plan/goals/{goal_id}", 409, **reached | {"version": 1})
    assert late["detail"] == "Version 2 was saved meanwhile: look at it, then change again."
    await desk.send("PUT", f"/customers/{one}/plan", 409, **plan)
    changed = await desk.send("PUT", f"/customers/{one}/plan/goals/{goal_id}", 200, **reached)
    assert [(each["actual"], each["state"]) for each in changed["goals"]] == [(210, "reached")]
    await desk.send("PUT", f"/customers/{one}/plan/reviews/9", 404, note="too early", version=3)
    held = await desk.send("PUT", f"/customers/{one}/plan/reviews/1", 200, note="Scrap is down a third", version=3)
    assert (held["reviews"][0]["state"], held["reviews"][0]["note"]) == ("held", "Scrap is down a third")
    for path in (f"/customers/{one}/plan/reviews.ics", "/plans/reviews.ics"):
        answer = await desk.client.get(API + path)
        events = Calendar.from_ical(answer.content).walk("VEVENT")
        assert answer.headers["content-type"].startswith("text/calendar")
        assert [str(each["SUMMARY"]) for each in events] == [f"Quarterly review {n}: One" for n in range(1, 6)]
        assert "Scrap is down a third" in str(events[0]["DESCRIPTION"])
    assert (await desk.client.get(f"{API}/customers/{two}/plan/reviews.ics")).status_code == 404


async def test_a_plan_is_begun_and_kept_on_the_customer_s_page(desk: Desk) -> None:
    one = await _customer(desk, "C1")
    headers = await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS)
    key = desk.client.headers.pop("Authorization")
    desk.client.headers.update(headers)
    page = f"/tiering/customers/{one}"
    form = {"summary": "Fewer stops", "owner": "Bert", "start_day": "2025-11-03", "version": "4"}
    assert (await desk.client.post(f"{page}/plan", data=form)).status_code == 303
    goal = {"title": "Stops", "measure": "stops a week", "target": "3", "due_day": "2026-05-01", "version": "5"}
    assert (await desk.client.post(f"{page}/goals", data=goal)).status_code == 303
    assert (
        await desk.client.post(f"{page}/reviews", data={"number": "1", "note": "Held early", "version": "6"})
    ).status_code == 303
    for language, words in (("en", ("Success plan", "due 2026-05-01")), ("zh-CN", ("成功计划", "2026-05-01 到期"))):
        shown = (await desk.client.get(f"{page}?lang={language}")).text
        assert all(word in shown for word in (*words, "Fewer stops", "stops a week", "Held early"))
    for bad in ({"due_day": "soon"}, {"target": "nan"}, {"title": " "}, {"goal_id": "x"}, {"state": "lost"}):
        assert (await desk.client.post(f"{page}/goals", data=goal | bad)).status_code == 422
    refused = await desk.client.post(f"{page}/goals?lang=zh-CN", data=goal | {"due_day": "soon"})
    assert "截止日期须在今天前后十年之内。" in refused.text
    late = await desk.client.post(f"{page}/goals?lang=zh-CN", data=goal)
    assert late.status_code == 409
    assert "期间他人已保存该计划" in late.text
    calendar = await desk.client.get(f"{page}/reviews.ics?lang=zh-CN")
    assert "第 1 次季度回顾：One" in calendar.text.replace("\r\n ", "")
    desk.client.headers["Authorization"] = key


async def test_a_secret_address_is_read_without_a_session_until_it_is_revoked_and_not_too_often(desk: Desk) -> None:
    one, today = await _customer(desk, "C1"), _now(desk) // 86_400_000
    if (await desk.client.get(f"{API}/customers/{one}/plan")).status_code == 404:
        plan = {"summary": "Half the scrap", "owner": "Anna", "start_day": today - 100, "version": 0}
        await desk.send("PUT", f"/customers/{one}/plan", 200, **plan)
    headers = await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS)
    key = desk.client.headers.pop("Authorization")
    assert (await desk.client.post("/tiering/calendars", data={"label": " "}, headers=headers)).status_code == 422
    made = await desk.client.post("/tiering/calendars?lang=en", data={"label": "Anna"}, headers=headers)
    address = re.findall(r"<code>http://cloud(/calendars/[^<]+)</code>", made.text)[0]
    read = await desk.client.get(address, headers={"Cookie": ""})
    assert read.status_code == 200
    assert Calendar.from_ical(read.content).walk("VEVENT")
    assert (await desk.client.get("/calendars/guessed.ics", headers={"Cookie": ""})).status_code == 404
    shown = (await desk.client.get("/tiering/calendars?lang=zh-CN", headers=headers)).text
    assert address.split("/")[2].split(".")[0] not in shown
    assert "最近读取" in shown
    revoke = re.findall(r'action="(/tiering/calendars/[^"]+/revoke)"', shown)[0]
    assert (await desk.client.post(revoke, headers=headers)).status_code == 303
    assert (await desk.client.get(address, headers={"Cookie": ""})).status_code == 404
    answers = [(await desk.client.get(address, headers={"Cookie": ""})).status_code for _ in range(12)]
    assert answers[-1] == 429
    desk.client.headers["Authorization"] = key
