"""The pages of serving: an option is written, quoted, taken to its end and its hours booked, in both languages."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.core.access import Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.tiering import repository
from tests.access import session_headers
from tests.integration.tiering_world import HEADER, Desk, tiering_desk

pytestmark = pytest.mark.anyio
OPTION = {
    "version": "0",
    "code": "board",
    "name_zh": "班组看板",
    "name_en": "Shift board",
    "billing": "one_off",
    "price": "1,200.50",
    "currency": "CNY",
    "effort_h": "4",
    "tiers": "value",
    "per_customer_max": "1",
    "need": "",
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with tiering_desk(tmp_path) as made:
        await made.file("customers", "customer,name\nC1,One\n")
        await made.file("evidence", HEADER + "C1,contract,2025-12-01,1000,CNY,24,erp\n")
        [one] = (await made.get("/customers"))["items"]
        told = {"reason": "a try", "owner": "Anna", "expires_ms": made.world.clock.utc_ms() + 86_400_000}
        await made.send("POST", f"/customers/{one['customer_id']}/override", 201, tier="value", **told)
        del made.client.headers["Authorization"]
        made.client.headers["Accept-Language"] = "en"
        made.client.headers.update(await session_headers(made.cloud, "lead", Role.CUSTOMER_SUCCESS))
        yield made


async def page(desk: Desk, path: str, language: str = "en") -> str:
    answer = await desk.client.get(f"{path}{'&' if '?' in path else '?'}lang={language}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def post(desk: Desk, path: str, status: int = 303, /, **form: str) -> str:
    answer = await desk.client.post(path, data=form, params={"lang": "en"})
    assert answer.status_code == status, answer.text
    return answer.text


async def test_an_option_goes_its_way_on_the_pages(desk: Desk) -> None:
    assert "The catalogue is empty" in await page(desk, "/tiering/options")
    for bad, told in (
        ({"price": "a lot"}, "Price: &#39;a lot&#39; is no number"),
        ({"effort_h": "nan"}, "Effort (h): must be at most"),
        ({"tiers": "provisional"}, "For the tiers: must be some of"),
        ({"retired_from": "soon"}, "Retired from: must be a day"),
        ({"need": "people_max", "need_least": "1.5"}, "must be a whole number"),
    ):
        shown = await post(desk, "/tiering/options", 422, **OPTION | bad)
        assert told in shown
        assert 'value="Shift board"' in shown, "what was filled in is not lost"
    await post(desk, "/tiering/options", **OPTION)
    assert "is the newest" in await post(desk, "/tiering/options", 422, **OPTION)
    for language, words in (("en", ("Shift board", "CN¥1,200.50")), ("zh-CN", ("班组看板", "¥1,200.50"))):
        shown = await page(desk, "/tiering/options?code=board", language)
        assert all(word in shown for word in words)
    [customer] = await _customers(desk)
    shop = f"/tiering/customers/{customer}/options"
    assert "of 4 h booked" not in await page(desk, shop)
    await post(desk, shop, code="board")
    shown = await page(desk, shop)
    sold = re.search(r'id="sold-([0-9a-f-]+)"', shown)
    assert sold is not None
    act = f"/tiering/sold/{sold[1]}"
    assert "must have 1 to 500 characters" in await post(desk, act, 422, step="decline")
    assert "Step: is none" in await post(desk, act, 422, step="forget")
    for step in ("accept", "begin"):
        await post(desk, act, step=step)
    today = datetime.fromtimestamp(desk.world.clock.utc_ms() / 1000, UTC).date().isoformat()
    assert "Day: must be a day" in await post(desk, f"{act}/hours", 422, hours="5", day="today")
    await post(desk, f"{act}/hours", hours="5", day=today)
    for path in (shop, "/tiering/sold", "/tiering/sold?state=doing"):
        assert "over the estimate" in await page(desk, path)
    assert "超出预计" in await page(desk, "/tiering/sold", "zh-CN")
    assert "There is no option" not in await page(desk, "/tiering/sold")
    assert "over the estimate" not in await page(desk, "/tiering/sold?state=ended")


async def test_margins_and_rules_are_shown_and_saved(desk: Desk) -> None:
    rules = {"version": "0", "hour_cost": "250", "open_options_max": "3", "margin_floor": "99", "margin_back": "0"}
    assert "Margin floor (%): must be" in await post(desk, "/tiering/options/rules", 422, **rules)
    await post(desk, "/tiering/options/rules", **rules | {"margin_floor": "40"}, watched="value")
    shown = await page(desk, "/tiering/margins")
    assert "One" in shown
    assert "40" in shown
    assert "尚无金额" in await page(desk, "/tiering/margins?tier=strategic", "zh-CN")
    assert 'value="250.00"' in await page(desk, "/tiering/options")


async def _customers(desk: Desk) -> list[str]:
    async with desk.cloud.database.reading() as session:
        return [str(row.customer_id) for row in await repository.customers(session, DEFAULT_TENANT, limit=9)]
