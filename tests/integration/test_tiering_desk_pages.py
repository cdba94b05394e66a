"""The pages on which tiering is run: managers and their assignment, the policy, duplicates, weights from judgements."""

import re
from collections.abc import AsyncIterator

import pytest

from cloud.core.access import Role
from tests.access import session_headers
from tests.integration.tiering_world import Desk, take_business, tiering_desk

pytestmark = pytest.mark.anyio
PAGES = ("/tiering/managers", "/tiering/policy", "/tiering/duplicates")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("tiering")
    async with tiering_desk(folder) as made:
        await take_business(made, folder / "business", customers=60)
        await made.file("customers", "customer,name\nD1,Müller GmbH\nD2,MULLER\n")
        await made.score()
        made.client.headers.pop("Authorization")
        made.client.headers["Accept-Language"] = "en"
        made.client.headers.update(await session_headers(made.cloud, "lead", Role.CUSTOMER_SUCCESS))
        yield made


async def page(desk: Desk, path: str, status: int = 200) -> str:
    answer = await desk.client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def post(desk: Desk, path: str, form: object, status: int = 303) -> str:
    answer = await desk.client.post(path, data=form)
    assert answer.status_code == status, answer.text
    return answer.text


def fields(html: str) -> dict[str, str]:
    """What the policy's form would bring back as it stands."""
    body = html.partition('<form method="post" action="/tiering/policy">')[2].partition("</form>")[0]
    told = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', body))
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', body, re.DOTALL):
        told[name] = re.findall(r'value="([^"]+)" selected', options)[0]
    told.pop("csrf_token")
    return told | {"rates": re.findall(r"<textarea[^>]*>([^<]*)<", body)[0]}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_every_page_speaks_both_languages(desk: Desk, language: str) -> None:
    words = {
        "en": ("No manager yet", "Minimum stay", "May be one"),
        "zh-CN": ("还没有客户经理", "最短停留", "可能是同一客户"),
    }
    for path, word in zip(PAGES, words[language], strict=True):
        assert word in await page(desk, f"{path}?lang={language}")
    await page(desk, "/tiering?lang=en")


async def test_an_assignment_is_proposed_looked_at_and_taken_in_part(desk: Desk) -> None:
    refused = await post(desk, PAGES[0], {"name": "Ada", "capacity": "many"}, 422)
    assert "whole number from 1 to 1,000" in refused
    for name in ("Ada", "Ben"):
        told = {"name": name, "capacity": "9", "sectors": "", "latitude": "31.2", "longitude": "121.5", "reach_km": ""}
        await post(desk, PAGES[0], told)
    before = await page(desk, PAGES[0])
    assert "0 of 9 customers" in before
    assert before.count("no manager yet") > 1
    proposed = await post(desk, f"{PAGES[0]}/proposal", {}, 200)
    assert await page(desk, PAGES[0]) == before or "0 of 9" in await page(desk, PAGES[0])
    moves = re.findall(r'name="move" checked [^>]*value="([^"]+)"', proposed)
    assert len(moves) > 1
    assert "Tick at least one" in await post(desk, f"{PAGES[0]}/moves", {}, 422)
    await post(desk, f"{PAGES[0]}/moves", {"move": moves[:1]})
    assert "1 of 9 customers" in await page(desk, PAGES[0])
    assert "Nothing was changed" in await post(desk, f"{PAGES[0]}/moves", {"move": moves}, 409)


async def test_a_customer_is_given_to_somebody_by_hand_and_has_its_place(desk: Desk) -> None:
    html = await page(desk, PAGES[0])
    manager = re.findall(r'name="manager_id" value="([^"]+)"', html)[-1]
    customer, before = re.findall(
        r'name="customer_id" value="([^"]+)"><input type="hidden" name="before" value="([^"]*)"', html
    )[-1]
    told = {"customer_id": customer, "before": before, "manager_id": manager, "latitude": "30", "longitude": "120"}
    assert "belong together" in await post(desk, f"{PAGES[0]}/care", told | {"longitude": ""}, 422)
    await post(desk, f"{PAGES[0]}/care", told)
    after = await page(desk, PAGES[0])
    assert "The place of 1 of" in after
    assert "Nothing was changed" in await post(desk, f"{PAGES[0]}/care", told | {"before": customer}, 409)


async def test_a_policy_is_looked_at_before_it_is_saved_and_saved_as_a_version(desk: Desk) -> None:
    told = fields(await page(desk, PAGES[1]))
    assert told["strategic_quota"] == "5.0"
    wide = told | {"strategic_quota": "10", "strategic_enter": "10", "strategic_leave": "20", "stay_days": "0"}
    looked = await post(desk, PAGES[1], wide | {"do": "look"}, 200)
    assert "What the next review would do" in looked
    assert "→" in looked
    assert fields(await page(desk, PAGES[1])) == told
    assert "consistency ratio is" in await post(desk, PAGES[1], told | {"pair_0_1": "9", "pair_0_2": "1/9"}, 422)
    assert "Strategic must be entered" in await post(desk, PAGES[1], told | {"strategic_enter": "60"}, 422)
    await post(desk, PAGES[1], fields(looked) | {"do": "keep"})
    saved = await page(desk, PAGES[1])
    assert fields(saved) == wide | {
        "version": "1",
        "strategic_quota": "10.0",
        "strategic_enter": "10.0",
        "strategic_leave": "20.0",
    }
    assert "quotas and times" in saved
    assert "Somebody has saved another" in await post(desk, PAGES[1], wide | {"do": "keep"}, 409)


async def test_duplicates_are_found_merged_and_taken_apart(desk: Desk) -> None:
    assert "Merge D2 into D1" in await page(desk, PAGES[2])
    assert "no customer with the code nobody" in await post(desk, PAGES[2], {"kept": "D1", "gone": "nobody"}, 422)
    await post(desk, PAGES[2], {"kept": "D1", "gone": "D2"})
    merged = await page(desk, PAGES[2])
    assert "Merge D2 into D1" not in merged
    undo = re.findall(r'action="(/tiering/duplicates/[^"]+/undo)"', merged)[0]
    await post(desk, undo, {})
    assert "taken back" in await page(desk, PAGES[2])
    assert "This merge was taken back already" in await post(desk, undo, {}, 409)


async def test_weights_from_judgements_show_their_consistency_or_are_refused(desk: Desk) -> None:
    pairs = {f"pair_{row}_{column}": "1" for row in range(5) for column in range(row + 1, 5)}
    query = "&".join(f"{name}={value}" for name, value in pairs.items())
    assert "Consistency ratio: 0" in await page(desk, f"/tiering/what-if?by=ahp&{query}")
    refused = await page(desk, f"/tiering/what-if?by=ahp&{query}&pair_0_1=9&pair_0_2=1/9", 422)
    assert "consistency ratio is" in refused
    await page(desk, "/tiering/what-if?by=ahp", 422)


async def test_a_tier_by_hand_is_ended_on_the_customer_s_page(desk: Desk) -> None:
    path = (
        "/tiering/customers/"
        + (await page(desk, "/tiering")).partition('<a href="/tiering/customers/')[2].partition('"')[0]
    )
    form = {"tier": "long_tail", "reason": "a try", "owner": "Anna", "until": "2026-03-01"}
    await post(desk, f"{path}/override", form)
    override = re.findall(r'name="override_id" value="([^"]+)"', await page(desk, path))[0]
    await post(desk, f"{path}/override/end", {"override_id": override})
    assert "override_id" not in await page(desk, path)


async def test_somebody_of_a_customer_finds_no_such_page(desk: Desk) -> None:
    theirs = await session_headers(desk.cloud, "stranger", Role.PLATFORM_ADMIN, tenant_id="elsewhere")
    for path in PAGES:
        assert (await desk.client.get(path, headers=theirs)).status_code == 404
