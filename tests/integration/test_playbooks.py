"""Playbooks: tasks are opened after a run and once a day, within their limits, told as events, and closed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.core.access import Role
from cloud.core.tables import EventRow
from cloud.identity.tables import TenantRow
from tests.access import session_headers
from tests.integration.tiering_world import API, HEADER, Desk, tiering_desk

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A value customer whose contract ends soon, one with an old unpaid invoice, and one with neither."""
    async with tiering_desk(tmp_path) as made:
        await made.file("customers", "customer,name\nC1,One\nC2,Two\nC3,Three\n")
        facts = (
            f"C1,contract,{day(made, 300)},9000,CNY,12,erp\n"
            f"C2,invoice,{day(made, 100)},500,CNY,1,erp\nC2,payment,{day(made, 90)},200,CNY,0,erp\n"
            f"C2,invoice,{day(made, 10)},1,CNY,1,erp\nC3,invoice,{day(made, 10)},1,CNY,1,erp\n"
        )
        await made.file("evidence", HEADER + facts)
        for code in ("C1", "C2", "C3"):
            told = {"tier": "value", "reason": "a try", "owner": "Anna", "expires_ms": now(made) + 300 * DAY_MS}
            await made.send("POST", f"/customers/{await customer(made, code)}/override", 201, **told)
        yield made


def now(desk: Desk) -> int:
    return desk.world.clock.utc_ms()


def day(desk: Desk, ago: int) -> str:
    return (datetime.fromtimestamp(now(desk) / 1000, UTC) - timedelta(days=ago)).date().isoformat()


async def customer(desk: Desk, code: str) -> str:
    items = (await desk.get("/customers"))["items"]
    return next(str(each["customer_id"]) for each in items if each["code"] == code)


async def open_tasks(desk: Desk, query: str = "") -> list[Any]:
    return list((await desk.get(f"/tasks{query}"))["items"])


async def test_tasks_are_opened_once_after_a_run_and_again_only_after_their_time(desk: Desk) -> None:
    await desk.score()
    found = await open_tasks(desk)
    assert {(each["playbook"], each["title"], each["owner_role"]) for each in found} == {
        ("renewal", "prepare_renewal", "sales"),
        ("unpaid", "ask_for_payment", "finance"),
    }
    assert {each["playbook"]: each["figure"] for each in found} == {"renewal": 65, "unpaid": 100}
    assert [each["playbook"] for each in await open_tasks(desk, "?owner_role=finance")] == ["unpaid"]
    first = (await desk.get("/tasks?limit=1"))["next_cursor"]
    assert len(await open_tasks(desk, f"?limit=1&cursor={first}")) == 1
    assert await desk.get(f"/customers/{await customer(desk, 'C3')}/tasks") == []
    await desk.score()
    await desk.wait_days(1.1)
    await desk.cloud.tiering_job.work()
    assert await open_tasks(desk) == found
    async with desk.cloud.database.reading() as session:
        told = (await session.scalars(select(EventRow).where(EventRow.kind == "tiering.task_opened"))).all()
    assert {each.payload["task_id"] for each in told} == {each["task_id"] for each in found}
    await desk.wait_days(60)
    await desk.cloud.tiering_job.work()
    assert sorted(each["playbook"] for each in await open_tasks(desk)) == ["renewal", "unpaid", "unpaid"]


async def test_a_task_is_closed_once_and_dismissed_only_with_a_reason(desk: Desk) -> None:
    await desk.score()
    one, two = (each["task_id"] for each in await open_tasks(desk))
    await desk.send("POST", f"/tasks/{one}/close", 422, state="dismissed")
    closed = await desk.send("POST", f"/tasks/{one}/close", 200, state="dismissed", reason="paid by now")
    assert (closed["state"], closed["reason"]) == ("dismissed", "paid by now")
    await desk.send("POST", f"/tasks/{one}/close", 409, state="done")
    assert [each["task_id"] for each in await open_tasks(desk)] == [two]
    answer = await desk.client.get(f"{API}/tasks?cursor=WzEsIngiXQ")
    assert answer.status_code == 422


async def test_playbooks_are_data_and_what_cannot_hold_is_named(desk: Desk) -> None:
    held = await desk.get("/playbooks")
    assert held["version"] == 0
    twice = held | {"playbooks": held["playbooks"][:1] * 2}
    refused = await desk.send("PUT", "/playbooks", 422, **twice)
    assert refused["errors"][0] == {"field": "body.playbooks", "message": "a code is there twice"}
    many = held | {"open_tasks_max": 1}
    refused = await desk.send("PUT", "/playbooks", 422, **many)
    assert refused["errors"][0]["field"] == "body.playbooks.health.steps"
    only = held | {"playbooks": [each for each in held["playbooks"] if each["code"] == "renewal"]}
    assert (await desk.send("PUT", "/playbooks", 200, **only))["version"] == 1
    await desk.send("PUT", "/playbooks", 422, **only)
    await desk.score()
    assert [each["playbook"] for each in await open_tasks(desk)] == ["renewal"]


async def test_a_message_reaches_the_company_that_is_on_the_platform_and_nobody_else(desk: Desk) -> None:
    async with desk.cloud.database.transaction() as session:
        session.add_all([TenantRow(tenant_id=each, name=each, created_ms=0) for each in ("acme", "rival")])
    await desk.file("customers", "customer,name,tenant\nC2,Two,acme\n")
    held = await desk.get("/playbooks")
    only = {
        "code": "pay",
        "trigger": "unpaid_invoice",
        "threshold": 45,
        "tiers": ["value"],
        "again_days": 1,
        "steps": [],
        "message": {"zh": "请付款", "en": "Please pay"},
    }
    refused = await desk.send("PUT", "/playbooks", 422, **held | {"playbooks": [only | {"message": None}]})
    assert refused["errors"][0]["field"] == "body.playbooks.pay.steps"
    nearly = only | {"code": "near", "trigger": "renewal_near", "threshold": 90}
    saved = await desk.send("PUT", "/playbooks", 200, **held | {"playbooks": [only, nearly]})
    assert [each["message"] for each in saved["playbooks"]] == [only["message"]] * 2
    await desk.score()
    for _ in range(5):
        await desk.wait_days(2)
        await desk.cloud.tiering_job.work()

    async with desk.cloud.database.reading() as session:
        told = (await session.scalars(select(EventRow).where(EventRow.kind == "provider.message"))).all()
    assert [(each.tenant_id, each.payload["text_en"]) for each in told] == [("acme", "Please pay")] * 3, "no nagging"
    assert all(each.payload.keys() == {"message_id", "text_zh", "text_en"} for each in told)
    assert await open_tasks(desk) == []

    own = {"Authorization": ""}
    theirs = own | await session_headers(desk.cloud, "worker", Role.OPERATOR, tenant_id="acme")
    rivals = own | await session_headers(desk.cloud, "spy", Role.OPERATOR, tenant_id="rival")
    plan = (await desk.client.get("/plan?lang=zh-CN", headers=theirs)).text
    assert plan.count("请付款") == plan.count("标为已读") == 3
    assert "Please pay" not in (await desk.client.get("/plan?lang=en", headers=rivals)).text
    read = f"/plan/messages/{told[0].payload['message_id']}/read"
    assert (await desk.client.post(read, headers=rivals)).status_code == 404
    assert (await desk.client.post(read, headers=theirs)).status_code == 303
    plan = (await desk.client.get("/plan?lang=en", headers=theirs)).text
    assert (plan.count("Mark as read"), plan.count("read by worker")) == (2, 1)
    await desk.wait_days(2)
    await desk.cloud.tiering_job.work()
    table = await desk.get("/export/tables/messages.json")
    assert len(table["rows"] if isinstance(table, dict) else table) == 4, "one was read, so there is room for one"


async def test_the_pages_show_tasks_in_both_languages_and_close_them(desk: Desk) -> None:
    await desk.score()
    task = next(each for each in await open_tasks(desk) if each["playbook"] == "unpaid")
    del desk.client.headers["Authorization"]
    desk.client.headers.update(await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS))
    for language, words in (("en", ("Ask for the payment", "unpaid for 100")), ("zh-CN", ("催收款项", "欠款 100"))):
        shown = (await desk.client.get(f"/tiering/tasks?lang={language}")).text
        assert all(word in shown for word in words)
    assert "These are the first" not in (await desk.client.get("/tiering/tasks?lang=en")).text
    assert "unpaid for 100" not in (await desk.client.get("/tiering/tasks?lang=en&owner_role=sales")).text
    close = f"/tiering/tasks/{task['task_id']}/close"
    assert (await desk.client.post(close, data={"state": "dismissed"})).status_code == 422
    assert (await desk.client.post(close, data={"state": "done", "reason": "rang them"})).status_code == 303
    assert (await desk.client.post(close, data={"state": "done"})).status_code == 409
    page = (await desk.client.get(f"/tiering/customers/{task['customer_id']}?lang=en")).text
    assert "rang them" in page


async def test_a_task_is_its_customer_s_manager_s_and_follows_a_merge_and_its_undoing(desk: Desk) -> None:
    one, three = await customer(desk, "C1"), await customer(desk, "C3")
    manager = await desk.send("POST", "/managers", 201, name="Ada", capacity=5)
    told = {"tier": "strategic", "reason": "a try", "owner": "Anna", "expires_ms": now(desk) + 300 * DAY_MS}
    await desk.send("POST", f"/customers/{one}/override", 201, **told)
    moves = [{"customer_id": one, "manager_id": manager["manager_id"]}]
    await desk.send("POST", "/assignments/apply", 200, moves=moves)
    await desk.score()
    found = {each["playbook"]: each for each in await open_tasks(desk)}
    assert (found["renewal"]["manager_id"], found["unpaid"]["manager_id"]) == (manager["manager_id"], None)
    hers = {each["task_id"] for each in await open_tasks(desk, f"?manager_id={manager['manager_id']}")}
    assert hers == {each["task_id"] for each in await desk.get(f"/customers/{one}/tasks")} > set()
    merge = await desk.send("POST", "/merges", 201, kept_id=three, gone_id=one)
    assert hers <= {each["task_id"] for each in await desk.get(f"/customers/{three}/tasks")}
    assert await desk.get(f"/customers/{one}/tasks") == []
    await desk.send("POST", f"/merges/{merge['merge_id']}/undo", 200)
    assert hers == {each["task_id"] for each in await desk.get(f"/customers/{one}/tasks")}
    given = await desk.send("POST", f"/tasks/{found['renewal']['task_id']}/give", 200, manager_id=None)
    assert given["manager_id"] is None
    await desk.send("POST", f"/tasks/{found['renewal']['task_id']}/give", 404, manager_id=one)


async def test_playbooks_are_changed_tried_and_turned_off_on_their_page(desk: Desk) -> None:
    await desk.score()
    desk.client.headers.pop("Authorization")
    desk.client.headers["Accept-Language"] = "en"
    desk.client.headers.update(await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS))
    page = (await desk.client.get("/tiering/playbooks?lang=zh-CN")).text
    assert "用最近 30 天试算" in page
    page = (await desk.client.get("/tiering/playbooks?lang=en")).text
    assert "What they did in the last 90 days" in page
    form: dict[str, Any] = {
        "version": "0",
        "open_tasks_max": "4",
        "p0_code": "unpaid",
        "p0_trigger": "unpaid_invoice",
        "p0_threshold": "45",
        "p0_tiers": ["value", "long_tail"],
        "p0_again_days": "60",
        "p0_is_on": "on",
        "p0_s0_title": "ask_for_payment",
        "p0_s0_role": "finance",
        "p0_s0_due_days": "14",
    }
    tried = await desk.client.post("/tiering/playbooks", data=form | {"do": "look"})
    assert tried.status_code == 200
    assert "acted on 1 customers, with 1 tasks" in tried.text
    assert (await desk.client.post("/tiering/playbooks", data=form | {"p0_s0_title": ""})).status_code == 422
    off = {name: told for name, told in form.items() if name != "p0_is_on"}
    assert "No playbook is on." in (await desk.client.post("/tiering/playbooks", data=off | {"do": "look"})).text
    assert (await desk.client.post("/tiering/playbooks", data=off | {"do": "keep"})).status_code == 303
    assert "<b>off</b>" in (await desk.client.get("/tiering/playbooks")).text
    assert (await desk.client.post("/tiering/playbooks", data=off | {"do": "keep"})).status_code == 409
