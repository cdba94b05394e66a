"""Tiering through the API: files taken whole or not at all, runs, tiers, merges with undo, exports; for staff alone."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openpyxl import Workbook

from cloud.core.access import Right
from cloud.core.tables import Base, EventRow
from cloud.entitlements import repository as entitlements
from cloud.fleet.tables import PlantRow
from cloud.identity.tables import TenantRow
from cloud.production.tables import HourRow
from cloud.telemetry.store import GatewayKey, IncomingGap
from cloud.tiering.table_export import TABLES
from tests.access import key_headers
from tests.integration.tiering_world import API, BINARY, HEADER, Desk, take_business, tiering_desk

pytestmark = pytest.mark.anyio
CUSTOMERS = "customer,name,sector,tenant\nC1,One,medical,\nC2,Two,,\n"
GOOD = HEADER + "C1,invoice,2025-11-05,1200.50,CNY,3,erp\nC1,usage.shots,2025-11-28,,,25000,mes\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with tiering_desk(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
async def scored(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Desk]:
    """120 customers, scored once; tests only read."""
    folder = tmp_path_factory.mktemp("tiering")
    async with tiering_desk(folder) as made:
        await take_business(made, folder / "business")
        await made.score()
        yield made


async def test_a_file_with_one_bad_row_is_named_row_by_row_and_nothing_of_it_is_taken(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    bad = (
        "C9,invoice,2025-11-05,1,CNY,,erp\n"
        "C1,bill,2025-11-05,1,CNY,,erp\n"
        "C1,invoice,2026-11-05,1,CNY,,erp\n"
        "C1,invoice,2025-11-05,-1,CNY,,erp\n"
        "C1,invoice,2025-11-05,1,EUR,,erp\n"
        "C1,invoice,2025-11-05,1.005,CNY,,erp\n"
        "C1,labels,2025-11-05,,,many,erp\n"
        "C1,invoice,05.11.2025,1,CNY,,erp\n"
        "C1,invoice,2025-11-05,1200.5,CNY,3,erp\n"
        "C1,labels,2025-11-05,,,1,platform\n"
    )
    looked = await desk.file("evidence", GOOD + bad, keep=False)
    assert [(each["row"], each["field"]) for each in looked["faults"]] == [
        (4, "customer"),
        (5, "kind"),
        (6, "day"),
        (7, "amount"),
        (8, "currency"),
        (9, "amount"),
        (10, "quantity"),
        (11, "day"),
        (12, "row"),
        (13, "source"),
    ]
    refused = await desk.file("evidence", GOOD + bad, status=422)
    assert refused["errors"][2] == {"field": "row 6: day", "message": "2026-11-05 lies in the future"}
    assert await desk.get("/export/evidence.csv") == HEADER.replace("\n", "\r\n")
    assert len((await desk.get("/imports"))["items"]) == 1


async def test_the_same_file_twice_changes_nothing_and_an_export_can_be_taken_again(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    first, again = await desk.file("evidence", GOOD), await desk.file("evidence", GOOD)
    assert (first["rows"], first["known"]) == (2, 0)
    assert (again["rows"], again["known"], again["kept"]["known"]) == (2, 2, 2)
    exported = await desk.get("/export/evidence.csv")
    assert len(exported.splitlines()) == 3
    assert (await desk.file("evidence", exported))["known"] == 2
    assert (await desk.file("customers", await desk.get("/export/customers.csv")))["known"] == 2


async def test_an_xlsx_file_is_as_good_as_a_csv_file(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    book, packed = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in csv.reader(io.StringIO(GOOD)):
        sheet.append(row)
    sheet["D2"], sheet["F3"] = 1200.5, 25_000
    book.save(packed)
    assert (await desk.file("evidence", packed.getvalue()))["kept"]["rows"] == 2
    assert (await desk.file("evidence", GOOD))["known"] == 2


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"customer,kind\n", "column 'day' is missing"),
        (HEADER.replace("source", "origin").encode(), "unknown column 'origin'"),
        (b"PK\x03\x04 no zip", "not an XLSX file"),
        (b"\xff\xfe\x00", "neither XLSX nor text"),
        (HEADER.encode() + b'C1,"invoice', "not a CSV file"),
        (HEADER.encode() + b"a,b,c,d,e,f,g,h\n", "more cells"),
    ],
)
async def test_what_is_no_table_is_refused_with_the_reason(scored: Desk, content: bytes, word: str) -> None:
    refused = await scored.file("evidence", content, keep=False, status=422)
    assert word in refused["errors"][0]["message"]


async def test_money_in_another_currency_is_converted_by_the_table_of_rates(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    policy = await desk.get("/policy")
    body = {name: value for name, value in policy.items() if name not in ("weights", "consistency_ratio")}
    saved = await desk.send("PUT", "/policy", 200, **body | {"rates": {"EUR": "7.85", "JPY": "0.047"}})
    assert saved["version"] == 1
    await desk.file("evidence", HEADER + "C1,invoice,2025-11-05,10.01,EUR,1,a\nC1,invoice,2025-11-06,1000,JPY,1,a\n")
    customer = (await desk.get("/customers"))["items"][0]["customer_id"]
    rows = (await desk.get(f"/customers/{customer}/evidence"))["items"]
    assert [(row["amount_minor"], row["told_minor"], row["told_currency"]) for row in rows] == [
        (4_700, 1_000, "JPY"),
        (7_858, 1_001, "EUR"),
    ]
    late = await desk.send("PUT", "/policy", 422, **body)
    assert late["errors"][0]["field"] == "body.version"
    other = await desk.send("PUT", "/policy", 422, **body | {"version": 1, "currency": "EUR"})
    assert "evidence is in CNY" in other["errors"][0]["message"]


async def test_a_policy_that_contradicts_itself_is_refused_with_its_field(scored: Desk) -> None:
    policy = await scored.get("/policy")
    body = {name: value for name, value in policy.items() if name not in ("weights", "consistency_ratio")}
    matrix = [[1.0] * 5 for _ in range(5)]
    matrix[0][1], matrix[1][0], matrix[1][2], matrix[2][1] = 9, 1 / 9, 9, 1 / 9
    matrix[2][0], matrix[0][2] = 9, 1 / 9
    refused = await scored.send("PUT", "/policy", 422, **body | {"pairwise": matrix})
    assert refused["errors"][0]["field"] == "body.pairwise"
    assert "consistency ratio" in refused["errors"][0]["message"]
    rules = body["rules"] | {"strategic": {"quota": 0.05, "enter": 0.06, "leave": 0.07}}
    refused = await scored.send("PUT", "/policy", 422, **body | {"rules": rules})
    assert refused["errors"][0]["field"] == "body.strategic"


async def test_every_score_opens_into_parts_that_add_up_and_tiers_keep_their_quotas(scored: Desk) -> None:
    run = (await scored.get("/runs"))["items"][0]
    items = (await scored.get(f"/runs/{run['run_id']}/scores?limit=200"))["items"]
    assert [each["rank"] for each in items] == list(range(1, run["customers"] + 1))
    for each in items:
        assert sum(each["opened"]["parts"].values()) == pytest.approx(each["weighted"], abs=1e-4)
        assert sum(each["opened"]["topsis_parts"].values()) + 0.5 == pytest.approx(each["topsis"], abs=1e-4)
    placed = [each["tier"] for each in items if each["tier"] != "provisional"]
    assert placed == sorted(placed, key=["strategic", "value", "long_tail"].index)
    assert placed.count("strategic") == round(0.05 * len(placed))
    assert placed.count("value") == pytest.approx(0.25 * len(placed), abs=1)
    assert run["figures"]["left"] + run["customers"] == 120
    assert len(run["figures"]["sensitivity"]) == 10
    lines = list(csv.DictReader(io.StringIO(await scored.get("/export/scores.csv"))))
    assert [int(line["rank"]) for line in lines] == [each["rank"] for each in items]


async def test_what_if_tells_moves_without_making_any(scored: Desk) -> None:
    same = (await scored.get("/policy"))["weights"].values()
    nothing = await scored.send("POST", "/what-if", 200, hand=list(same))
    assert (nothing["moves"], nothing["correlation"]) == (0, 1)
    other = await scored.send("POST", "/what-if", 200, hand=[0, 0, 0, 0, 1], strategic_quota=0.1, value_quota=0.4)
    assert other["moves"] > 10
    assert other["counts_then"]["strategic"] == round(0.1 * other["customers"])
    assert len(other["movers"]) == min(20, other["moves"])
    refused = await scored.send("POST", "/what-if", 422, hand=[1, 2])
    assert refused["errors"][0]["field"] == "body.weights"
    refused = await scored.send("POST", "/what-if", 422, hand=[1, 1, 1, 1, 1], strategic_quota=0.5, value_quota=0.4)
    assert refused["errors"][0]["field"] == "body.value_quota"


async def test_economics_add_up_to_the_evidence(scored: Desk) -> None:
    found = await scored.get("/economics?months=3")
    assert found["currency"] == "CNY"
    assert {each["month"] for each in found["items"]} == {"2025-10", "2025-11", "2025-12"}
    december = [each for each in found["items"] if each["month"] == "2025-12" and each["tier"] != "all"]
    everybody = next(each for each in found["items"] if each["month"] == "2025-12" and each["tier"] == "all")
    lines = csv.DictReader(io.StringIO(await scored.get("/export/evidence.csv")))
    billed = [line for line in lines if line["kind"] == "invoice" and line["day"].startswith("2025-12")]
    assert sum(each["revenue_minor"] for each in december) == sum(round(float(line["amount"]) * 100) for line in billed)
    assert sum(each["customers"] for each in december) == len(billed)
    assert {each["kept"] for each in december} == {None}
    assert everybody["revenue_minor"] == sum(each["revenue_minor"] for each in december)
    assert 0 < everybody["kept"] <= everybody["kept_net"]
    strategic = next(each for each in december if each["tier"] == "strategic")
    tail = next(each for each in december if each["tier"] == "long_tail")
    assert strategic["margin_minor"] / strategic["customers"] > 3 * tail["margin_minor"] / tail["customers"]


async def test_an_override_holds_until_its_day_and_the_history_says_so(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    one = (await desk.get("/customers"))["items"][0]["customer_id"]
    now_ms = desk.world.clock.utc_ms()
    body = {"tier": "strategic", "reason": "opens the medical market", "owner": "Anna"}
    late = await desk.send("POST", f"/customers/{one}/override", 422, **body, expires_ms=now_ms - 1)
    assert late["errors"][0]["field"] == "body.expires_ms"
    made = await desk.send("POST", f"/customers/{one}/override", 201, **body, expires_ms=now_ms + 5_000_000)
    await desk.score()
    held = await desk.get(f"/customers/{one}")
    assert (held["served_as"], held["tier"]) == ("strategic", "provisional")
    desk.world.clock.advance(6_000)
    await desk.cloud.tiering_job.work()
    assert (await desk.get(f"/customers/{one}"))["served_as"] == "provisional"
    history = await desk.get(f"/customers/{one}/tiers")
    assert [(each["tier"], each["why"]) for each in history] == [
        ("provisional", "override_ended"),
        ("strategic", "override"),
    ]
    assert "C1,One,strategic" in await desk.get(f"/export/tiers.csv?at_ms={now_ms + 1}")
    assert "C1,One,provisional" in await desk.get("/export/tiers.csv")
    assert (await desk.send("POST", f"/overrides/{made['override_id']}/end", 200))["ended_ms"] is not None


async def test_duplicates_are_merged_and_taken_apart_again_with_their_own_evidence(desk: Desk) -> None:
    await desk.file("customers", CUSTOMERS)
    await desk.file("evidence", GOOD + "C2,invoice,2025-10-05,7,CNY,1,erp\n")
    before = await desk.get("/export/evidence.csv")
    one, two = (each["customer_id"] for each in (await desk.get("/customers"))["items"])
    merged = await desk.send("POST", "/merges", 201, kept_id=one, gone_id=two)
    assert merged["moved"] == 1
    assert [each["code"] for each in (await desk.get("/customers"))["items"]] == ["C1"]
    await desk.file("evidence", HEADER + "C2,invoice,2025-12-05,9,CNY,1,erp\n")
    assert len((await desk.get(f"/customers/{one}/evidence"))["items"]) == 4, "a merged code leads to the kept one"
    await desk.send("POST", "/merges", 409, kept_id=one, gone_id=two)
    await desk.send("POST", "/merges", 409, kept_id=one, gone_id=one)
    await desk.send("POST", f"/merges/{merged['merge_id']}/undo", 200)
    after = await desk.get("/export/evidence.csv")
    assert set(before.splitlines()) == {line for line in after.splitlines() if "2025-12-05" not in line}
    await desk.send("POST", f"/merges/{merged['merge_id']}/undo", 409)


async def test_a_linked_customer_s_use_is_taken_from_the_platform_itself(desk: Desk) -> None:
    now_ms = desk.world.clock.utc_ms()
    async with desk.cloud.database.transaction() as session:
        session.add(TenantRow(tenant_id="plastics", name="Plastics", created_ms=0))
        for hours, shots in ((30, 400), (3_000, 50)):
            place = {
                "plant_id": "p",
                "press_id": "m",
                "mould_id": "M",
                "timed": 0,
                "timed_ms": 0,
                "graded": 0,
                "good": 0,
            }
            session.add(HourRow(tenant_id="plastics", hour_ms=now_ms - hours * 3_600_000, shots=shots, **place))
        session.add(PlantRow(plant_id="p", tenant_id="plastics", registered_ms=0))
    gone_ms = now_ms - 30 * 3_600_000
    desk.cloud.store.write(
        [IncomingGap(GatewayKey("p", "g"), "e", 1, gone_ms, "m", gone_ms, "full", last_record_id=100)]
    )
    refused = await desk.file("customers", "customer,name,tenant\nC1,One,nobody\n", status=422)
    assert refused["errors"][0]["field"] == "row 2: tenant"
    await desk.file("customers", "customer,name,tenant\nC1,One,plastics\n")
    one = (await desk.get("/customers"))["items"][0]["customer_id"]
    for _ in range(2):
        await desk.score()
    rows = (await desk.get(f"/customers/{one}/evidence"))["items"]
    shots = [row["quantity"] for row in rows if row["kind"] == "usage.shots"]
    assert [row["quantity"] for row in rows if row["kind"] == "usage.quality"] == [0.8], "100 of 500 shots were lost"
    assert (sum(shots), {row["source"] for row in rows}) == (400, {"platform"}), "3,000 hours ago is before it began"
    await desk.wait_days(2)
    await desk.score()
    assert len((await desk.get(f"/customers/{one}/evidence"))["items"]) == len(rows) + 5
    until_ms = desk.world.clock.utc_ms() + 1_000
    body = {"tier": "value", "reason": "grows", "owner": "Anna", "expires_ms": until_ms}
    await desk.send("POST", f"/customers/{one}/override", 201, **body)
    async with desk.cloud.database.reading() as session:
        assert await entitlements.tiers_now(session, ["plastics"]) == {"plastics": "value"}
    desk.world.clock.advance(2)
    await desk.cloud.tiering_job.work()
    async with desk.cloud.database.reading() as session:
        assert await entitlements.tiers_now(session, ["plastics"]) == {"plastics": "provisional"}


async def test_a_run_is_due_by_the_policy_s_rhythm_and_tells_what_it_did(desk: Desk) -> None:
    await desk.cloud.tiering_job.work()
    assert (await desk.get("/runs"))["items"] == []
    await desk.file("customers", CUSTOMERS)
    await desk.cloud.tiering_job.work()
    await desk.cloud.tiering_job.work()
    assert len((await desk.get("/runs"))["items"]) == 1
    await desk.wait_days(30)
    await desk.cloud.tiering_job.work()
    runs = (await desk.get("/runs"))["items"]
    assert [(each["state"], each["asked_by"]) for each in runs] == [("done", "system")] * 2
    async with desk.cloud.database.reading() as session:
        found = await session.get(EventRow, 1)
        assert found is not None


async def test_only_the_platform_s_own_people_with_the_right_come_in(scored: Desk) -> None:
    customer = (await scored.get("/customers"))["items"][0]["customer_id"]
    for tenant, rights, status in (("hall-9", set(Right), 404), ("default", set(Right) - {Right.TIERING}, 403)):
        headers = await key_headers(scored.cloud, tenant_id=tenant, rights=rights)
        for path in ("/policy", "/customers", f"/customers/{customer}", "/export/evidence.csv", "/economics", "/runs"):
            refused = await scored.client.get(API + path, headers=headers)
            assert refused.status_code == status, (path, refused.text)
        query = f"{API}/imports?what=customers&name=f&keep=true"
        refused = await scored.client.post(query, content=CUSTOMERS.encode(), headers=headers | BINARY)
        assert refused.status_code == status


@pytest.mark.parametrize("name", sorted(TABLES))
async def test_every_table_can_be_taken_away_as_csv_and_json(scored: Desk, name: str) -> None:
    lines = list(csv.reader(io.StringIO(await scored.get(f"/export/tables/{name}.csv"))))
    told = await scored.get(f"/export/tables/{name}.json")
    assert len(lines) == len(told) + 1
    assert all(set(row) == set(lines[0]) for row in told)
    assert "tenant_id" not in lines[0]
    if name in ("customers", "evidence", "scores", "tiers", "runs", "imports"):
        assert told


def test_no_table_of_tiering_is_left_out_of_the_exports() -> None:
    kept = {"tiering_packs", "tiering_evaluations", "tiering_feeds"}
    exported = {table.__tablename__ for table in TABLES.values()}
    ours = {name for name in Base.metadata.tables if name.startswith("tiering_")}
    assert ours - exported - kept == set()
