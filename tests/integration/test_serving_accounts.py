"""Invoices are paid, reminded of and taken back, requests are answered within their promise; all of it is evidence."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cloud.core.access import Principal, Role
from cloud.core.audit import SYSTEM
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements.domain import Tier
from cloud.entitlements.service import assign_tier
from cloud.fleet.tables import PlantRow
from cloud.identity.tables import TenantRow
from cloud.production.tables import HourRow
from cloud.self_service import billing, repository, support
from cloud.self_service.domain import Tax
from cloud.self_service.tables import SubscriptionRow
from cloud.serving.facts import platform_facts, unused_features
from cloud.tiering.playbooks import Trigger
from tests.access import session_headers
from tests.integration.tiering_world import Desk, tiering_desk

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VAT = Tax({"zh-CN": "增值税", "en": "VAT"}, 1_300)
TENANTS = ("acme", "bolt")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Two companies with a pack of 100.00 a month and its first invoice; Acme is value, Bolt long tail."""
    async with tiering_desk(tmp_path) as made:
        async with made.cloud.database.transaction() as session:
            for name, tier in zip(TENANTS, (Tier.VALUE, Tier.LONG_TAIL), strict=True):
                session.add(TenantRow(tenant_id=name, name=name.title(), created_ms=0))
                await session.flush()
                await assign_tier(session, TenantId(name), tier, reason="a try", by=SYSTEM, now_ms=now(made))
                terms = {
                    "price_minor": 10_000,
                    "currency": "CNY",
                    "began_ms": now(made),
                    "next_invoice_ms": now(made),
                    "next_pack_id": "",
                }
                session.add(SubscriptionRow(tenant_id=name, pack_id="starter", **terms))
            await session.flush()
            await billing.issue_due(session, now(made), tax=VAT)
        await made.file("customers", "customer,name,tenant\nC1,Acme,acme\nC2,Bolt,bolt\n")
        yield made


def now(desk: Desk) -> int:
    return desk.world.clock.utc_ms()


async def ask(desk: Desk, method: str, path: str, status: int, /, **body: object) -> Any:
    answer = await desk.client.request(method, f"/api/v1/serving{path}", json=body or None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def evidence(desk: Desk, code: str) -> set[tuple[str, int | None, float | None]]:
    items = (await desk.get("/customers"))["items"]
    customer = next(str(each["customer_id"]) for each in items if each["code"] == code)
    rows = (await desk.get(f"/customers/{customer}/evidence"))["items"]
    return {(each["kind"], each["amount_minor"], each["quantity"]) for each in rows}


async def of(desk: Desk, company: str) -> Any:
    return next(each for each in (await ask(desk, "GET", "/invoices", 200))["items"] if each["company"] == company)


async def help_of(desk: Desk, tenant: str, text: str) -> str:
    asks = Principal("user", "x", f"anna@{tenant}", tenant, frozenset())
    async with desk.cloud.database.transaction() as session:
        row = await support.ask_for_help(session, asks, text, diagnosis="online", actor=SYSTEM, now_ms=now(desk))
    return str(row.request_id)


async def test_an_invoice_is_paid_in_parts_and_no_more_than_is_owed(desk: Desk) -> None:
    invoice = await of(desk, "Acme")
    assert (invoice["net_minor"], invoice["tax_minor"], invoice["amount_minor"]) == (10_000, 1_300, 11_300)
    await desk.wait_days(20)
    path, today = f"/invoices/{invoice['invoice_id']}/payments", now(desk) // DAY_MS
    part = {"day": today, "amount_minor": 5_650, "reference": "bank 1"}
    for bad, field in (
        ({"amount_minor": 11_301}, "body.amount_minor"),
        ({"day": today + 1}, "body.day"),
        ({"day": today - 30}, "body.day"),
        ({"reference": " "}, "body.reference"),
    ):
        refused = await ask(desk, "POST", path, 422, **part | bad)
        assert refused["errors"][0]["field"] == field
    assert (await ask(desk, "POST", path, 201, **part))["state"] == "overdue", "a part is not all"
    assert (await ask(desk, "POST", path, 422, **part))["errors"][0]["field"] == "body.reference"
    paid = await ask(desk, "POST", path, 201, **part | {"reference": "bank 2"})
    assert (paid["state"], paid["open_minor"], len(paid["payments"])) == ("paid", 0, 2)
    await ask(desk, "POST", path, 409, **part | {"amount_minor": 1, "reference": "bank 3"})
    await ask(desk, "POST", f"/invoices/{invoice['invoice_id']}/cancel", 409, reason="too late")
    assert await evidence(desk, "C1") == {("invoice", 10_000, 1.0), ("payment", 5_000, 6.0)}


async def test_an_invoice_is_taken_back_by_a_credit_note_and_counts_nothing(desk: Desk) -> None:
    await desk.cloud.serving.job.work()
    invoice = await of(desk, "Bolt")
    note = await ask(desk, "POST", f"/invoices/{invoice['invoice_id']}/cancel", 201, reason="wrong pack")
    assert (note["state"], note["amount_minor"], note["credits_id"]) == (
        "credit_note",
        -11_300,
        invoice["invoice_id"],
    )
    assert note["number"].startswith("C2026-")
    gone = await ask(desk, "GET", f"/invoices/{invoice['invoice_id']}", 200)
    assert (gone["state"], gone["open_minor"], gone["reason"]) == ("cancelled", 0, "wrong pack")
    for one in (invoice, note):
        await ask(desk, "POST", f"/invoices/{one['invoice_id']}/cancel", 409, reason="again")
    assert await evidence(desk, "C2") == {("invoice", 0, 1.0)}
    async with desk.cloud.database.transaction() as session:
        assert await billing.remind_due(session, now(desk) + 90 * DAY_MS) == 1, "Acme alone still owes"
        await billing.issue_due(session, now(desk) + 40 * DAY_MS, tax=VAT)
        rows = await repository.all_invoices(session, is_owed=False, before=None, limit=9)
        numbers = {each.number[4:] for each in rows}
    assert numbers == {"-000001", "-000002", "-000003", "-000004", "6-000001"}, "numbers stay without a gap"


async def test_reminders_come_once_each_and_then_people_are_asked(desk: Desk) -> None:
    sent = []
    for days in range(60):
        async with desk.cloud.database.transaction() as session:
            sent += [days] * await billing.remind_due(session, now(desk) + days * DAY_MS)
    assert sent == [15, 15, 28, 28, 44, 44], "14 days to pay, then 1, 14 and 30 days"
    async with desk.cloud.database.reading() as session:
        kinds = await session.scalars(select(EventRow).where(EventRow.kind == billing.INVOICE_REMINDED))
        assert [row.payload["reminder"] for row in kinds] == [1, 1, 2, 2, 3, 3]
    await desk.wait_days(46)
    await desk.cloud.serving.job.work()
    for each in (await desk.get("/customers"))["items"]:
        told = {"tier": "long_tail", "reason": "a try", "owner": "Anna", "expires_ms": now(desk) + DAY_MS}
        await desk.send("POST", f"/customers/{each['customer_id']}/override", 201, **told)
    await desk.score()
    tasks = (await desk.get("/tasks?owner_role=finance"))["items"]
    assert {(each["playbook"], each["figure"]) for each in tasks} == {("unpaid", 46)}
    assert len(tasks) == 2


async def test_what_is_due_first_is_answered_first_and_its_time_is_cost(desk: Desk) -> None:
    slow = await help_of(desk, "bolt", "no shots")
    fast = await help_of(desk, "acme", "late shots")
    queue = await ask(desk, "GET", "/support", 200)
    assert [(each["request_id"], each["tier"], each["left_ms"]) for each in queue["items"]] == [
        (fast, "value", 24 * HOUR_MS),
        (slow, "long_tail", 72 * HOUR_MS),
    ]
    assert (queue["promise"]["answers"], queue["promise"]["kept_share"]) == (0, None)
    await desk.wait_days(30 / 24)
    for request, minutes in ((fast, 30), (slow, 12)):
        told = await ask(desk, "POST", f"/support/{request}/answers", 201, text="look at the cable", minutes=minutes)
        assert (told["state"], told["left_ms"]) == ("answered", None)
    await ask(desk, "POST", f"/support/{fast}/answers", 201, text="and at the plug", minutes=6)
    promise = (await ask(desk, "GET", "/support", 200))["promise"]
    assert (promise["answers"], promise["promised"], promise["kept"], promise["median_h"]) == (2, 2, 1, 30)
    assert await evidence(desk, "C2") == {
        ("invoice", 10_000, 1.0),
        ("support.tickets", None, 1.0),
        ("cost.hours", 6_000, 0.2),
    }
    page = (await desk.client.get("/tiering/economics?lang=en")).text
    assert "The last 90 days: 2 answers, 42 minutes" in page
    await ask(desk, "POST", f"/support/{fast}/reopen", 409)
    await ask(desk, "POST", f"/support/{fast}/close", 200)
    await ask(desk, "POST", f"/support/{fast}/answers", 409, text="x", minutes=1)
    again = await ask(desk, "POST", f"/support/{fast}/reopen", 200)
    assert (again["state"], again["left_ms"]) == ("open", 24 * HOUR_MS)
    assert [each["request_id"] for each in (await ask(desk, "GET", "/support?state=open", 200))["items"]] == [fast]


async def test_a_company_reads_and_goes_on_with_its_own_thread_alone(desk: Desk) -> None:
    request = await help_of(desk, "acme", "late shots")
    await ask(desk, "POST", f"/support/{request}/answers", 201, text="look at the cable", minutes=5)
    desk.client.headers.pop("Authorization")
    anna = await session_headers(desk.cloud, "anna", Role.OPERATOR, tenant_id="acme")
    bert = await session_headers(desk.cloud, "bert", Role.OPERATOR, tenant_id="bolt")
    reply = f"/support/{request}/reply"
    assert "look at the cable" in (await desk.client.get("/support?lang=en", headers=anna)).text
    assert "look at the cable" not in (await desk.client.get("/support?lang=en", headers=bert)).text
    assert (await desk.client.post(reply, data={"text": "it is in"}, headers=bert)).status_code == 404
    assert (await desk.client.post(reply, data={"text": " "}, headers=anna)).status_code == 422
    assert (await desk.client.post(reply, data={"text": "it is in"}, headers=anna)).status_code == 303
    assert "it is in" in (await desk.client.get("/support?lang=zh-CN", headers=anna)).text
    assert (await desk.client.post(f"/support/{request}/close", headers=anna)).status_code == 303
    async with desk.cloud.database.reading() as session:
        [row] = await repository.support_requests(session, TenantId("acme"), limit=9)
        touches = await repository.touches(session, DEFAULT_TENANT, from_ms=0, until_ms=now(desk) + 1)
    assert (row.state, row.closed_by, touches) == ("closed", "anna", 0)


async def test_what_is_not_used_is_known_from_the_platform_itself(desk: Desk) -> None:
    """Acme makes shots and uses nothing else; Bolt makes none, so nothing is said of it."""
    then_ms = now(desk)
    async with desk.cloud.database.transaction() as session:
        session.add(PlantRow(plant_id="hall", tenant_id="acme", registered_ms=then_ms))
        await session.flush()
        await desk.cloud.fleet.node_born(session, "hall", "gw", epoch="e", metrics={}, now_ms=then_ms)
        await desk.cloud.fleet.device_born(session, "hall", "gw", "press-1", now_ms=then_ms)
    await desk.wait_days(40)
    async with desk.cloud.database.transaction() as session:
        place = {"plant_id": "hall", "press_id": "press-1", "mould_id": "M", "shots": 9}
        counts = dict.fromkeys(("timed", "timed_ms", "graded", "good"), 0)
        session.add(HourRow(tenant_id="acme", hour_ms=now(desk) - HOUR_MS, **place, **counts))
    ids = {each["code"]: UUID(each["customer_id"]) for each in (await desk.get("/customers"))["items"]}
    async with desk.cloud.database.reading() as session:
        found = await unused_features(session, DEFAULT_TENANT, now(desk))
        assert dict(found[ids["C1"]]) == {"people": 40, "webhooks": 40}, "a value plan has no models of one's own"
        assert ids["C2"] not in found
        facts = await platform_facts(session, DEFAULT_TENANT, now(desk))
    assert facts[ids["C1"]] == {Trigger.UNPAID_INVOICE: 40.0, Trigger.UNUSED_FEATURE: 40.0}
    await session_headers(desk.cloud, "anna", Role.OPERATOR, tenant_id="acme")
    desk.client.headers.pop("Authorization")
    desk.client.headers.update(await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS))
    shop = (await desk.client.get(f"/tiering/customers/{ids['C1']}/options?lang=en")).text
    assert "no webhook is on: 40 days" in shop
