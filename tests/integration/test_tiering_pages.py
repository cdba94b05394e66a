"""The pages of tiering: portfolio, files, one customer, what-if, economics, in both languages."""

import re
from collections.abc import AsyncIterator

import pytest

from cloud.core.access import Role
from tests.access import session_headers
from tests.integration.tiering_world import Desk, take_business, tiering_desk

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("tiering")
    async with tiering_desk(folder) as made:
        await take_business(made, folder / "business")
        await made.score()
        made.client.headers.pop("Authorization")
        made.client.headers["Accept-Language"] = "en"
        made.client.headers.update(await session_headers(made.cloud, "lead", Role.CUSTOMER_SUCCESS))
        yield made


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_every_page_speaks_both_languages_and_shows_what_was_scored(desk: Desk, language: str) -> None:
    words = {"en": ("Customers and tiers", "Strategic", "GRR"), "zh-CN": ("客户与层级", "战略客户", "GRR")}[language]
    portfolio = (await desk.client.get(f"/tiering?lang={language}")).text
    assert words[0] in portfolio
    assert portfolio.count('class="tier-strategic"') > 5
    assert 'href="/tiering" aria-current="page"' in portfolio
    economics = await desk.client.get(f"/tiering/economics?lang={language}")
    assert economics.status_code == 200
    assert words[1] in economics.text
    assert words[2] in economics.text
    tried = await desk.client.get(f"/tiering/what-if?lang={language}&revenue=0&data=100")
    assert tried.status_code == 200
    assert tried.text.count("→") > 5


async def test_any_customer_is_found_by_name_code_and_tier_a_page_at_a_time(desk: Desk) -> None:
    async def listed(**query: str) -> list[str]:
        page = await desk.client.get("/tiering/customers", params={"lang": "en", **query})
        assert page.status_code == 200
        return re.findall(r'<a href="/tiering/customers/[^"]+">([^<]+)</a>', page.text)

    first, second, third = [await listed(page=page) for page in "123"]
    assert (len(first), len(second), len(third)) == (50, 50, 20)
    assert len({*first, *second, *third}) == 120, "those that left come last, and are there"
    assert await listed(search="customer-00007") == ["Customer 7"]
    assert "Customer 70" in await listed(search="CUSTOMER 7")
    assert await listed(search="%") == []
    strategic = await listed(tier="strategic")
    assert 0 < len(strategic) < 10
    assert set(strategic) <= set(first)
    for order in ("churn", "revenue", "margin", "name"):
        assert {*await listed(order=order)} != set(first)
    assert "No customer matches" in (await desk.client.get("/tiering/customers?search=nobody&lang=en")).text
    assert (await desk.client.get("/tiering/customers?order=wish")).status_code == 422


async def test_a_customer_s_page_opens_its_score_and_takes_a_tier_by_hand(desk: Desk) -> None:
    portfolio = (await desk.client.get("/tiering?lang=en")).text
    path = "/tiering/customers/" + portfolio.partition('<a href="/tiering/customers/')[2].partition('"')[0]
    page = (await desk.client.get(path)).text
    assert "Score opened (rank 1)" in page
    assert "Data contribution" in page
    form = {"tier": "long_tail", "reason": "asked for it", "owner": "Anna", "until": "2026-02-01"}
    refused = await desk.client.post(f"{path}/override", data=form | {"until": "2020-01-01"})
    assert refused.status_code == 422
    assert "The end must lie ahead" in refused.text
    assert (await desk.client.post(f"{path}/override", data=form)).status_code == 303
    assert "Tier by hand: asked for it (Anna)" in (await desk.client.get(path)).text


async def test_a_file_is_looked_at_before_it_is_taken(desk: Desk) -> None:
    bad = b"customer,kind,day,amount,currency,quantity,source\ncustomer-00001,invoice,2027-01-01,1,CNY,1,x\n"
    looked = await desk.client.post(
        "/tiering/files?lang=en", files={"file": ("e.csv", bad)}, data={"what": "evidence", "do": "keep"}
    )
    assert looked.status_code == 422
    assert "1 of 1 rows are bad. Nothing was taken." in looked.text
    assert "lies in the future" in looked.text
    good = {"file": ("e.csv", bad.replace(b"2027", b"2025"))}
    looked = await desk.client.post("/tiering/files?lang=en", files=good, data={"what": "evidence", "do": "look"})
    assert "Nothing was taken yet." in looked.text
    taken = await desk.client.post("/tiering/files?lang=en", files=good, data={"what": "evidence", "do": "keep"})
    assert "Taken: 1 rows, 0 of them were there already." in taken.text


async def test_weights_that_are_none_are_said_to_be_so(desk: Desk) -> None:
    query = "&".join(f"{name}=0" for name in ("revenue", "data", "demonstration", "stability", "potential"))
    tried = await desk.client.get(f"/tiering/what-if?lang=en&{query}")
    assert tried.status_code == 422
    assert "Weights must be from 0" in tried.text


async def test_somebody_of_a_customer_finds_no_such_page(desk: Desk) -> None:
    stranger = await session_headers(desk.cloud, "stranger", Role.PLATFORM_ADMIN, tenant_id="elsewhere")
    for path in ("/tiering", "/tiering/customers", "/tiering/what-if", "/tiering/economics"):
        assert (await desk.client.get(path, headers=stranger)).status_code == 404
