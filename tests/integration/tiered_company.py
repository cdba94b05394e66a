"""What the walk over all routes finds of tiering in the first company: customers, a tier by hand, a plan, a message."""

from datetime import UTC, datetime

import anyio
import httpx

from cloud.app import Cloud
from cloud.core.access import Principal
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.self_service.billing import issue_due
from cloud.self_service.repository import invoices
from cloud.self_service.support import ask_for_help
from cloud.self_service.tables import SubscriptionRow
from cloud.tiering.feeds import FeedDesk
from cloud.tiering.playbook_tables import MessageRow
from kit.ids import uuid7

GOAL = {"title": "theft", "measure": "theft", "target": 1, "due_day": 20_500}
OPTION: dict[str, object] = {
    "names": {"zh-CN": "theft", "en": "theft"},
    "descriptions": {"zh-CN": "", "en": ""},
    "billing": "one_off",
    "price_minor": 1,
    "currency": "CNY",
    "effort_h": 1,
    "tiers": ["strategic"],
    "version": 0,
}
RULES = {"hour_cost_minor": 1, "open_options_max": 1, "margin_floor": 0, "margin_back": 0, "watched": [], "version": 0}
SERVING_BODIES: dict[str, dict[str, object]] = {
    "PUT /api/v1/serving/options/{option_code}": OPTION,
    "POST /api/v1/serving/invoices/{invoice_id}/payments": {"day": 20_500, "amount_minor": 1, "reference": "theft"},
    "POST /api/v1/serving/invoices/{invoice_id}/cancel": {"reason": "theft"},
    "POST /api/v1/serving/support/{request_id}/answers": {"text": "theft", "minutes": 1},
    "PUT /api/v1/serving/rules": RULES,
    "POST /api/v1/serving/customers/{customer_id}/options": {"code": "option-of-hall-7"},
    "POST /api/v1/serving/sold/{sold_id}/steps": {"step": "decline", "note": "theft"},
    "POST /api/v1/serving/sold/{sold_id}/hours": {"hours": 1, "day": 20_500},
}
OVERRIDE = {"tier": "strategic", "reason": "theft", "owner": "x", "expires_ms": 1_793_145_600_000}


async def tiered(client: httpx.AsyncClient, admin: dict[str, str], now_ms: int) -> dict[str, str]:
    """Two customers of the first company, merged, scored, and one with a tier by hand."""
    api = "/api/v1/tiering"
    file = b"customer,name\nA,person-of-hall-7\nB,endpoint-of-hall-7\n"
    binary = {**admin, "Content-Type": "application/octet-stream"}
    await client.post(f"{api}/imports?what=customers&name=f&keep=true", content=file, headers=binary)
    signed = datetime.fromtimestamp(now_ms / 1000 - 300 * 86_400, UTC).date()
    facts = f"customer,kind,day,amount,currency,quantity,source\nA,contract,{signed},1,CNY,12,x\n".encode()
    await client.post(f"{api}/imports?what=evidence&name=f&keep=true", content=facts, headers=binary)
    one, two = (each["customer_id"] for each in (await client.get(f"{api}/customers", headers=admin)).json()["items"])
    merged = await client.post(f"{api}/merges", json={"kept_id": one, "gone_id": two}, headers=admin)
    body = OVERRIDE | {"reason": "reason-of-hall-7"}
    body["expires_ms"] = now_ms + 300 * 86_400_000
    held = await client.post(f"{api}/customers/{one}/override", json=body, headers=admin)
    assert (merged.status_code, held.status_code) == (201, 201), (merged.text, held.text)
    plan, bodies = (
        f"{api}/customers/{one}/plan",
        {"summary": "plan-of-hall-7", "owner": "x", "start_day": 20_500, "version": 0},
    )
    begun = await client.put(plan, json=bodies, headers=admin)
    aimed = await client.post(f"{plan}/goals", json=GOAL | {"title": "goal-of-hall-7", "version": 1}, headers=admin)
    assert (begun.status_code, aimed.status_code) == (200, 201), (begun.text, aimed.text)
    manager = {"name": "manager-of-hall-7", "capacity": 1}
    hired = await client.post(f"{api}/managers", json=manager, headers=admin)
    serving = "/api/v1/serving"
    named = {"names": {"zh-CN": "option-of-hall-7", "en": "option-of-hall-7"}}
    listed = await client.put(f"{serving}/options/option-of-hall-7", json=OPTION | named, headers=admin)
    sold = await client.post(f"{serving}/customers/{one}/options", json={"code": "option-of-hall-7"}, headers=admin)
    assert (listed.status_code, sold.status_code) == (200, 201), (listed.text, sold.text)
    run_id = (await client.post(f"{api}/runs", headers=admin)).json()["run_id"]
    with anyio.fail_after(20):
        while (await client.get(f"{api}/runs/{run_id}", headers=admin)).json()["state"] != "done":
            await anyio.sleep(0.05)
        while not (tasks := (await client.get(f"{api}/customers/{one}/tasks", headers=admin)).json()):
            await anyio.sleep(0.05)
    return {
        "customer_id": one,
        "task_id": tasks[0]["task_id"],
        "manager_id": hired.json()["manager_id"],
        "merge_id": merged.json()["merge_id"],
        "tier_override_id": held.json()["override_id"],
        "run_id": run_id,
        "option_code": "option-of-hall-7",
        "sold_id": sold.json()["sold_id"],
        "goal_id": aimed.json()["goals"][0]["goal_id"],
        "number": "1",
    }


async def request_for_help(cloud: Cloud, now_ms: int) -> str:
    """Somebody of the first company has asked for help."""
    asks = Principal("user", "x", "person-of-hall-7", DEFAULT_TENANT, frozenset())
    async with cloud.database.transaction() as session:
        row = await ask_for_help(session, asks, "reason-of-hall-7", diagnosis="", actor=SYSTEM, now_ms=now_ms)
    return str(row.request_id)


async def calendar_address(cloud: Cloud) -> str:
    """The first company has a calendar address."""
    desk = FeedDesk(cloud.database, cloud.clock, cloud.success)
    await desk.make(DEFAULT_TENANT, SYSTEM, label="person-of-hall-7")
    return str((await desk.feeds(DEFAULT_TENANT))[0].feed_id)


async def invoice(cloud: Cloud, now_ms: int) -> str:
    """An invoice of the first company."""
    row = SubscriptionRow(
        tenant_id=DEFAULT_TENANT,
        pack_id="reason-of-hall-7",
        price_minor=100,
        currency="EUR",
        began_ms=now_ms,
        next_invoice_ms=now_ms,
        next_pack_id="",
    )
    async with cloud.database.transaction() as session:
        session.add(row)
        await session.flush()
        await issue_due(session, now_ms)
        [made] = await invoices(session, DEFAULT_TENANT, limit=1)
    return str(made.invoice_id)


async def message(cloud: Cloud, now_ms: int) -> str:
    """What a playbook has told the first company."""
    row = MessageRow(
        message_id=uuid7(now_ms),
        tenant_id=DEFAULT_TENANT,
        customer_id=uuid7(now_ms),
        to_tenant_id=DEFAULT_TENANT,
        playbook="reason-of-hall-7",
        text_zh="reason-of-hall-7",
        text_en="reason-of-hall-7",
        sent_ms=now_ms,
        read_ms=None,
        read_by="",
    )
    async with cloud.database.transaction() as session:
        session.add(row)
    return str(row.message_id)
