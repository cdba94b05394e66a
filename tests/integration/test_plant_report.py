"""Reports of a plant's own data: as deep as the plan goes, as page, CSV and JSON; read by others by consent alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.core.access import Role
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements.domain import Tier
from cloud.entitlements.service import assign_tier
from cloud.identity.tables import TenantRow
from cloud.production.tables import HourRow
from cloud.telemetry.store import GatewayKey, IncomingGap
from tests.access import key_headers, session_headers
from tests.integration.tiering_world import Desk, tiering_desk

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
ACME = TenantId("acme")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The first company has a press with shots of this week and the last, and gaps; Acme is a customer of it."""
    async with tiering_desk(tmp_path) as made:
        now_ms, cloud = made.world.clock.utc_ms(), made.cloud
        async with cloud.database.transaction() as session:
            session.add(TenantRow(tenant_id=ACME, name="Acme", created_ms=now_ms))
            await cloud.fleet.node_born(session, "hall", "gw", epoch="e", metrics={}, now_ms=now_ms)
            await cloud.fleet.device_born(session, "hall", "gw", "press-1", now_ms=now_ms)
            for days, shots in ((1, 300), (3, 100), (9, 50)):
                key = {"plant_id": "hall", "press_id": "press-1", "mould_id": "M", "shots": shots}
                hour_ms = now_ms - now_ms % HOUR_MS - days * 24 * HOUR_MS
                made_row = HourRow(
                    tenant_id=DEFAULT_TENANT, hour_ms=hour_ms, timed=0, timed_ms=0, graded=10, good=9, **key
                )
                session.add(made_row)
        gone_ms = now_ms - 48 * HOUR_MS
        gap = IncomingGap(GatewayKey("hall", "gw"), "e", 1, gone_ms, "press-1", gone_ms, "full", last_record_id=100)
        cloud.store.write([gap])
        await made.file("customers", "customer,name,tenant\nC1,Acme,acme\nC2,Other,\n")
        yield made


async def test_a_report_tells_what_there_is_beside_the_time_before(desk: Desk) -> None:
    told = (await desk.client.get("/api/v1/report?days=7")).json()
    assert (told["depth"], told["now"]["shots"], told["before"]["shots"]) == ("deep", 400, 50)
    assert (told["now"]["lost"], told["now"]["whole"], told["now"]["quality"]) == (100, 0.8, 0.9)
    [press] = told["presses"]
    assert (press["press_id"], press["shots"], press["shots_before"], press["whole"]) == ("press-1", 400, 50, 0.8)
    assert [(each["reason"], each["count"]) for each in told["missing"]] == [("full", 100)]
    assert (await desk.client.get("/api/v1/report?days=46")).status_code == 422
    month = (await desk.client.get("/api/v1/report?days=30")).json()
    assert (month["now"]["shots"], month["before"]["shots"]) == (450, 0)
    file = await desk.client.get("/report.csv?days=7")
    assert file.headers["content-type"].startswith("text/csv")
    assert "totals,,,shots,400,50" in file.text
    desk.client.headers.update(await session_headers(desk.cloud, "reader", Role.VIEWER))
    for language, words in (("en", ("Whole data", "journal was full")), ("zh-CN", ("数据完整率", "press-1"))):
        page = (await desk.client.get(f"/report?days=7&lang={language}")).text
        assert all(word in page for word in (*words, "press-1"))


async def test_a_plan_says_how_deep(desk: Desk) -> None:
    acme = await key_headers(desk.cloud, tenant_id=ACME)
    for tier, depth in ((Tier.LONG_TAIL, "summary"), (Tier.VALUE, "standard"), (Tier.STRATEGIC, "deep")):
        async with desk.cloud.database.transaction() as session:
            now_ms = desk.world.clock.utc_ms()
            await assign_tier(session, ACME, tier, reason="a try", by=SYSTEM, now_ms=now_ms)
        told = await desk.client.get("/api/v1/report", headers=acme)
        assert (told.json()["depth"], told.json()["now"]["shots"]) == (depth, 0), "nothing of another company"
        deeper = await desk.client.get("/api/v1/report?depth=deep", headers=acme)
        assert deeper.status_code == (200 if depth == "deep" else 403)
        if depth != "deep":
            assert deeper.json()["entitlement"]["name"] == "report_depth"
    assert (await desk.client.get("/api/v1/report?depth=summary", headers=acme)).json()["presses"] == []


async def test_the_platform_s_people_read_it_by_consent_alone(desk: Desk) -> None:
    ids = {each["code"]: each["customer_id"] for each in (await desk.get("/customers"))["items"]}
    for code in ids:
        found = (await desk.client.get(f"/api/v1/serving/customers/{ids[code]}/report")).json()
        assert found == {"is_allowed": False, "report": None}
    viewer = await session_headers(desk.cloud, "viewer", Role.VIEWER, tenant_id=ACME)
    admin = await session_headers(desk.cloud, "admin", Role.TENANT_ADMIN, tenant_id=ACME)
    lead = await session_headers(desk.cloud, "lead", Role.CUSTOMER_SUCCESS)
    del desk.client.headers["Authorization"]
    path, ask = f"/tiering/customers/{ids['C1']}/report?lang=en", "/report/consent"
    assert (await desk.client.post(ask, data={"consent": "given"}, headers=viewer)).status_code == 403
    assert "No report to read" in (await desk.client.get(path, headers=lead)).text
    assert (await desk.client.post(ask, data={"consent": "given"}, headers=admin)).status_code == 303
    assert "No report to read" not in (await desk.client.get(path, headers=lead)).text
    assert "admin has let the platform" in (await desk.client.get("/report?lang=en", headers=viewer)).text
    assert (await desk.client.post(ask, data={"consent": "withdrawn"}, headers=admin)).status_code == 303
    assert "No report to read" in (await desk.client.get(path, headers=lead)).text
