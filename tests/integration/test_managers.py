"""Managers of strategic customers: proposed first, applied as shown, never above capacity, the reason told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from cloud.core.access import Role
from tests.access import session_headers
from tests.integration.tiering_world import Desk, tiering_desk

pytestmark = pytest.mark.anyio
SHANGHAI, NINGBO, SHENZHEN = (31.2, 121.5), (29.9, 121.6), (22.5, 114.1)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Three strategic customers, of whom two are in the east, and one that is not strategic."""
    async with tiering_desk(tmp_path) as made:
        await made.file("customers", "customer,name,sector\nC1,One,medical\nC2,Two,\nC3,Three,\nC4,Four,\n")
        for code, at in (("C1", SHANGHAI), ("C2", NINGBO), ("C3", SHENZHEN)):
            told = {"tier": "strategic", "reason": "x", "owner": "x", "expires_ms": made.world.clock.utc_ms() + 10**9}
            one = await customer(made, code)
            await made.send("POST", f"/customers/{one}/override", 201, **told)
            await made.send("PUT", f"/customers/{one}/place", 200, latitude=at[0], longitude=at[1])
        yield made


async def customer(desk: Desk, code: str) -> str:
    items = (await desk.get("/customers"))["items"]
    return next(str(each["customer_id"]) for each in items if each["code"] == code)


async def manager(desk: Desk, name: str, at: tuple[float, float], **more: object) -> str:
    body = {"name": name, "capacity": 2, "latitude": at[0], "longitude": at[1]} | more
    return str((await desk.send("POST", "/managers", 201, **body))["manager_id"])


def moves(proposal: Any) -> list[dict[str, Any]]:
    return [{name: each[name] for name in ("customer_id", "manager_id", "before")} for each in proposal["assigned"]]


async def test_a_proposal_is_shown_then_applied_and_kept_afterwards(desk: Desk) -> None:
    east, south = await manager(desk, "East", SHANGHAI, capacity=4), await manager(desk, "South", SHENZHEN)
    shown = await desk.send("POST", "/assignments/propose", 200)
    assert (shown["is_feasible"], shown["why"], shown["is_best"]) == (True, "", True)
    given = {each["customer_id"]: each["manager_id"] for each in shown["assigned"]}
    assert [given[await customer(desk, code)] for code in ("C1", "C2", "C3")] == [east, east, south]
    one = await customer(desk, "C1")
    assert (await desk.get(f"/customers/{one}/care"))["manager_id"] is None
    assert (await desk.send("POST", "/assignments/apply", 200, moves=moves(shown)))["changed"] == 3
    assert (await desk.get(f"/customers/{one}/care"))["manager"] == "East"
    staff = await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(desk.world.app), base_url="http://cloud") as reader:
        page = await reader.get(f"/tiering/customers/{one}?lang=en", headers=staff)
    assert "looked after by East" in page.text
    assert (
        "given to somebody meanwhile"
        in (await desk.send("POST", "/assignments/apply", 409, moves=moves(shown)))["detail"]
    )
    await manager(desk, "Nearer", NINGBO)
    again = await desk.send("POST", "/assignments/propose", 200)
    assert [each["moved"] for each in again["assigned"]] == [0, 0, 0]


async def test_what_cannot_be_is_told_with_the_reason_and_nothing_of_it_is_applied(desk: Desk) -> None:
    east = await manager(desk, "East", SHANGHAI, capacity=1, reach_km=500)
    shown = await desk.send("POST", "/assignments/propose", 200)
    assert not shown["is_feasible"]
    assert shown["why"] == "1 customers are in nobody's reach; for 1 customers all managers in reach are full"
    one, two, four = [await customer(desk, code) for code in ("C1", "C2", "C4")]
    both = [{"customer_id": each, "manager_id": east} for each in (one, two)]
    refused = await desk.send("POST", "/assignments/apply", 409, moves=both)
    assert refused["detail"] == "East would have 2 customers, 1 at most."
    assert (await desk.get(f"/customers/{one}/care"))["manager_id"] is None
    await desk.send("POST", "/assignments/apply", 409, moves=[{"customer_id": four, "manager_id": east}])
    await desk.send("POST", "/assignments/apply", 422, moves=both[:1] * 2)
    nobody = [{"customer_id": one, "manager_id": str(UUID(int=7))}]
    await desk.send("POST", "/assignments/apply", 404, moves=nobody)
    await desk.send("PUT", f"/customers/{one}/place", 422, latitude=1.0)
    await desk.send("PUT", f"/managers/{east}", 200, name="East", capacity=1, is_active=False)
    assert await desk.get("/managers") == []
