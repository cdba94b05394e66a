"""Options sold through the API: bounded, at the price of their quote, with evidence, invoice lines and a margin."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.core import events
from cloud.core.access import Role
from cloud.core.tables import EventRow
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.identity.tables import TenantRow
from cloud.self_service import billing, repository
from cloud.self_service.domain import Tax
from cloud.self_service.tables import SubscriptionRow
from tests.access import session_headers
from tests.integration.tiering_world import HEADER, Desk, tiering_desk

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
OPTION: dict[str, Any] = {
    "names": {"zh-CN": "班组看板", "en": "Shift board"},
    "descriptions": {"zh-CN": "按班次的看板。", "en": "A board by shift."},
    "billing": "one_off",
    "price_minor": 100_000,
    "currency": "CNY",
    "effort_h": 4,
    "tiers": ["value", "strategic"],
}
MONTHLY = OPTION | {"billing": "monthly", "price_minor": 10_000, "effort_h": 1}
CUSTOM = OPTION | {"price_minor": 0, "effort_h": 0, "tiers": ["strategic"], "is_custom": True}
ESTIMATE = {"scope": "An interface to their MES", "price_minor": 900_000, "effort_h": 60}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """C1 is a value customer with a year's contract, C2 strategic, C3 a value customer with a tenant of its own."""
    async with tiering_desk(tmp_path) as made:
        async with made.cloud.database.transaction() as session:
            session.add(TenantRow(tenant_id="acme", name="Acme", created_ms=made.world.clock.utc_ms()))
        await made.file("customers", "customer,name,tenant\nC1,One,\nC2,Two,\nC3,Three,acme\n")
        for code, tier in (("C1", "value"), ("C2", "strategic"), ("C3", "value")):
            told = {"tier": tier, "reason": "a try", "owner": "Anna", "expires_ms": now(made) + 300 * DAY_MS}
            await made.send("POST", f"/customers/{await customer(made, code)}/override", 201, **told)
        yield made


def now(desk: Desk) -> int:
    return desk.world.clock.utc_ms()


async def customer(desk: Desk, code: str) -> str:
    items = (await desk.get("/customers"))["items"]
    return next(str(each["customer_id"]) for each in items if each["code"] == code)


async def ask(desk: Desk, method: str, path: str, status: int, /, **body: object) -> Any:
    answer = await desk.client.request(method, f"/api/v1/serving{path}", json=body or None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def sell(desk: Desk, code: str, option: str, *steps: str) -> Any:
    sold = await ask(desk, "POST", f"/customers/{await customer(desk, code)}/options", 201, code=option)
    for step in steps:
        sold = await ask(desk, "POST", f"/sold/{sold['sold_id']}/steps", 200, step=step)
    return sold


async def evidence(desk: Desk, code: str) -> set[tuple[str, int | None, float | None]]:
    items = (await desk.get(f"/customers/{await customer(desk, code)}/evidence"))["items"]
    return {(each["kind"], each["amount_minor"], each["quantity"]) for each in items}


async def told(desk: Desk, kind: str) -> list[dict[str, Any]]:
    async with desk.cloud.database.reading() as session:
        rows = await session.scalars(select(EventRow).where(EventRow.kind == kind).order_by(EventRow.event_id))
        return [dict(row.payload) for row in rows]


async def test_an_option_is_sold_at_the_price_of_its_version_and_its_hours_cost(desk: Desk) -> None:
    assert (await ask(desk, "PUT", "/options/board", 200, **OPTION, version=0))["version"] == 1
    await ask(desk, "PUT", "/options/board", 422, **OPTION, version=0)
    sold = await sell(desk, "C1", "board")
    dearer = OPTION | {"price_minor": 120_000, "per_customer_max": 1, "version": 1}
    assert (await ask(desk, "PUT", "/options/board", 200, **dearer))["version"] == 2
    one = await customer(desk, "C1")
    refused = await ask(desk, "POST", f"/customers/{one}/options", 422, code="board")
    assert refused["errors"][0]["message"] == "a customer has this option 1 times at most"
    path = f"/sold/{sold['sold_id']}"
    await ask(desk, "POST", f"{path}/hours", 422, hours=1, day=now(desk) // DAY_MS)
    await ask(desk, "POST", f"{path}/steps", 422, step="deliver")
    for step in ("accept", "begin"):
        await ask(desk, "POST", f"{path}/steps", 200, step=step)
    for hours, over in ((4, False), (0.5, True), (1, True)):
        booked = await ask(desk, "POST", f"{path}/hours", 201, hours=hours, day=now(desk) // DAY_MS, note="built")
        assert booked["is_over"] is over
    assert [each["booked_h"] for each in await told(desk, "serving.hours_over")] == [4.5], "told once"
    done = await ask(desk, "POST", f"{path}/steps", 200, step="deliver")
    assert (done["price_minor"], done["version"], done["booked_h"], done["next_steps"]) == (100_000, 1, 5.5, ["end"])
    assert [each["state"] for each in done["steps"]] == ["quoted", "accepted", "doing", "delivered"]
    assert all(each["by"] and each["at_ms"] for each in done["steps"])
    cost = 30_000
    assert await evidence(desk, "C1") == {
        ("invoice", 100_000, 1.0),
        ("cost.hours", 4 * cost, 4.0),
        ("cost.hours", cost // 2, 0.5),
        ("cost.hours", cost, 1.0),
    }
    await ask(desk, "POST", f"{path}/steps", 422, step="end")
    await ask(desk, "POST", f"{path}/steps", 200, step="end", note="no longer used")
    assert (await ask(desk, "GET", "/sold", 200))["items"] == []
    assert [each["sold_id"] for each in (await ask(desk, "GET", "/sold?state=ended", 200))["items"]] == [
        sold["sold_id"]
    ]


async def test_a_tier_buys_what_is_for_it_and_open_ones_are_bounded(desk: Desk) -> None:
    await ask(desk, "PUT", "/options/mes", 200, **CUSTOM, version=0)
    await ask(desk, "PUT", "/options/deep", 200, **OPTION, version=0, per_customer_max=9)
    rules = await ask(desk, "GET", "/rules", 200)
    assert (await ask(desk, "PUT", "/rules", 200, **rules | {"open_options_max": 1}))["version"] == 1
    await ask(desk, "PUT", "/rules", 422, **rules)
    await sell(desk, "C1", "deep")
    one, two = await customer(desk, "C1"), await customer(desk, "C2")
    for code, why in (("deep", "1 open options are the most"), ("mes", "not for the tier value")):
        refused = await ask(desk, "POST", f"/customers/{one}/options", 422, code=code)
        assert why in refused["errors"][0]["message"]
    await ask(desk, "POST", f"/customers/{one}/options", 404, code="none")
    missing = await ask(desk, "POST", f"/customers/{two}/options", 422, code="mes")
    assert missing["errors"][0]["field"] == "body.estimate"
    quoted = await ask(desk, "POST", f"/customers/{two}/options", 201, code="mes", estimate=ESTIMATE)
    assert (quoted["scope"], quoted["price_minor"], quoted["effort_h"]) == ("An interface to their MES", 900_000, 60)
    path = f"/sold/{quoted['sold_id']}/steps"
    assert "waits for approval" in (await ask(desk, "POST", path, 422, step="accept"))["errors"][0]["message"]
    own = await ask(desk, "POST", path, 422, step="approve")
    assert own["errors"][0]["message"] == "who has quoted it cannot approve it: ask somebody else"
    del desk.client.headers["Authorization"]
    desk.client.headers.update(await session_headers(desk.cloud, "bert", Role.CUSTOMER_SUCCESS))
    assert (await ask(desk, "POST", path, 200, step="approve"))["state"] == "approved"
    assert (await ask(desk, "POST", path, 200, step="accept"))["state"] == "accepted"


async def test_who_is_invoiced_here_pays_by_invoice_lines_and_nothing_counts_twice(desk: Desk) -> None:
    tenant = TenantId("acme")
    start_ms = now(desk)
    async with desk.cloud.database.transaction() as session:
        session.add(
            SubscriptionRow(
                tenant_id=tenant,
                pack_id="starter",
                price_minor=5_000,
                currency="CNY",
                began_ms=start_ms,
                next_invoice_ms=start_ms,
                next_pack_id="",
            )
        )
        await session.flush()
        await billing.issue_due(session, start_ms)
    await ask(desk, "PUT", "/options/care", 200, **MONTHLY, version=0)
    await ask(desk, "PUT", "/options/abroad", 200, **OPTION | {"currency": "EUR"}, version=0)
    three = await customer(desk, "C3")
    refused = await ask(desk, "POST", f"/customers/{three}/options", 422, code="abroad")
    assert "invoiced in CNY" in refused["errors"][0]["message"]
    await sell(desk, "C3", "care", "accept", "begin", "deliver")
    await desk.wait_days(32)
    async with desk.cloud.database.transaction() as session:
        await billing.issue_due(session, now(desk), tax=Tax({"zh-CN": "增值税", "en": "VAT"}, 1_300))
        invoices = await repository.invoices(session, tenant, limit=9)
        lines = await repository.lines(session, tenant, invoices[0].invoice_id)
    assert [(each.net_minor, each.tax_minor, each.amount_minor) for each in invoices] == [
        (15_000, 1_950, 16_950),
        (5_000, 0, 5_000),
    ]
    assert [(each.names["en"], each.amount_minor) for each in lines] == [("Shift board", 10_000)]
    for _ in range(2):
        await desk.cloud.serving.job.work()
    assert await evidence(desk, "C3") == {
        ("contract", 120_000, 12.0),
        ("invoice", 15_000, 1.0),
        ("invoice", 5_000, 1.0),
    }
    async with desk.cloud.database.reading() as session:
        waiting = await repository.waiting_charges(session, tenant, "CNY")
    assert [each.amount_minor for each in waiting] == [10_000], "the second month waits for the next invoice"
    async with desk.cloud.database.reading() as session:
        assert len(await repository.invoices(session, TenantId("default"), limit=9)) == 0


async def test_a_margin_that_falls_is_told_once_and_stands_on_top_of_the_list(desk: Desk) -> None:
    signed = "2026-01-01"
    facts = f"C1,contract,{signed},1000,CNY,24,erp\nC2,contract,{signed},1000,CNY,24,erp\n"
    await desk.file("evidence", HEADER + facts)
    await desk.cloud.serving.job.work()
    assert await told(desk, "serving.margin_low") == []
    await ask(desk, "PUT", "/options/board", 200, **OPTION | {"price_minor": 0}, version=0)
    endpoint = {"name": "crm", "template": "json", "url": "https://receiver.invalid/", "kinds": ["serving.margin_low"]}
    made = await desk.client.post("/api/v1/endpoints", json=endpoint)
    assert made.status_code == 201, made.text
    sold = await sell(desk, "C1", "board", "accept", "begin")
    for hours in (3, 0.1):
        await ask(desk, "POST", f"/sold/{sold['sold_id']}/hours", 201, hours=hours, day=now(desk) // DAY_MS)
        await desk.wait_days(1)
        await desk.cloud.serving.job.work()
    [low] = await told(desk, "serving.margin_low")
    assert (low["code"], low["tier"], low["share"]) == ("C1", Tier.VALUE, 0.1)
    dispatcher = events.Dispatcher(desk.cloud.database, desk.cloud.live, desk.cloud.webhooks.service.subscriber())
    await dispatcher.deliver_batch()
    owed = (await desk.client.get("/api/v1/deliveries")).json()["items"]
    assert [each["kind"] for each in owed] == ["serving.margin_low"], "the endpoint asked for nothing else"
    found = await ask(desk, "GET", "/margins", 200)
    assert [(each["code"], each["is_low"]) for each in found["items"]] == [("C1", True), ("C2", False)]
    assert found["items"][0]["low_since_ms"] is not None
    assert (await ask(desk, "GET", "/margins?tier=strategic", 200))["items"][0]["code"] == "C2"
    rules = await ask(desk, "GET", "/rules", 200)
    await ask(desk, "PUT", "/rules", 200, **rules | {"margin_floor": 0.01, "margin_back": 0})
    await desk.wait_days(1)
    await desk.cloud.serving.job.work()
    assert [each["code"] for each in await told(desk, "serving.margin_recovered")] == ["C1"]
