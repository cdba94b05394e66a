"""The wizard of a claim, from the token to the gateway that delivers, and the token that is taken back."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from cloud.core.access import Role
from cloud.gateways.domain import GatewayRules
from tests.integration.gateway_identity_world import World, csr_of, new_key, principal, world
from tests.integration.test_gateway_identity_page import CHINESE, CSRF, ENGLISH, include

pytestmark = pytest.mark.anyio
CLAIM = {"plant": "north", "gateway": "gw-1", **CSRF}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, GatewayRules(broker_host="broker.example")) as made:
        include(made)
        yield made


async def begun(made: World) -> tuple[str, str]:
    """A claim made on the page: where it is watched, and its token."""
    answer = await made.client.post("/gateways/claims", data=CLAIM, headers=ENGLISH)
    assert answer.status_code == 201
    found = re.search(r'sse-connect="/live(/gateways/claims/[^?"]+)', answer.text)
    token = re.search(r'id="claim-token">([^<]+)<', answer.text)
    assert found is not None
    assert token is not None
    return found.group(1), html.unescape(token.group(1))


async def test_a_claim_is_followed_from_its_token_to_the_first_press(made: World) -> None:
    path, token = await begun(made)

    async def shown(headers: dict[str, str] = ENGLISH) -> str:
        page = await made.client.get(path, headers=headers)
        assert page.status_code == 200
        assert token not in page.text
        current = page.text.partition('aria-current="step"')[2].partition("</li>")[0]
        return html.unescape(current.partition("<h2>")[2].partition("</h2>")[0])

    assert await shown() == "Waiting for the token"
    assert await shown(CHINESE) == "等待令牌被使用"
    spent = await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(new_key())})
    assert spent.status_code == 200
    assert await shown() == "Waiting for the gateway's connection"
    now_ms = made.clock.utc_ms()
    async with made.database.transaction() as session:
        await made.fleet.node_born(session, "north", "gw-1", epoch="e", metrics={}, now_ms=now_ms)
    assert await shown() == "Waiting for its first press"
    async with made.database.transaction() as session:
        await made.fleet.device_born(session, "north", "gw-1", "press-01", now_ms=now_ms)
    page = (await made.client.get(path, headers=ENGLISH)).text
    assert "1 press has introduced itself" in page
    assert 'aria-current="step"' not in page
    assert 'href="/?plant=north"' in page
    late = await made.client.post(f"{path}/take-back", data=CSRF, headers=ENGLISH)
    assert (late.status_code, "revoke it on the page" in late.text) == (409, True)


async def test_a_token_that_is_taken_back_opens_nothing_and_the_log_says_who(made: World) -> None:
    path, token = await begun(made)
    assert path in (await made.client.get("/gateways", headers=ENGLISH)).text
    answer = await made.client.post(f"{path}/take-back", data=CSRF)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    for headers, word in ((ENGLISH, "This token opens nothing"), (CHINESE, "该令牌已失效")):
        assert word in (await made.client.get(path, headers=headers)).text
    spent = await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(new_key())})
    assert spent.status_code == 403
    assert path not in (await made.client.get("/gateways", headers=ENGLISH)).text


async def test_a_second_token_for_the_same_gateway_ends_the_first(made: World) -> None:
    path, token = await begun(made)
    again, other = await begun(made)
    assert "This token opens nothing" in (await made.client.get(path, headers=ENGLISH)).text
    first = await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(new_key())})
    second = await made.client.post("/api/v1/gateways/claim", json={"token": other, "csr": csr_of(new_key())})
    assert (first.status_code, second.status_code) == (403, 200)
    assert "Waiting for the gateway" in (await made.client.get(again, headers=ENGLISH)).text


async def test_claims_by_the_api(made: World) -> None:
    await made.token()
    [claim] = (await made.client.get("/api/v1/gateways/claims")).json()
    assert (claim["plant_id"], claim["gateway_id"], claim["created_by"]) == ("north", "gw-1", "Li Na")
    assert "token" not in claim
    path = f"/api/v1/gateways/claims/{claim['claim_id']}"
    assert (await made.client.delete(path)).status_code == 204
    assert (await made.client.delete(path)).status_code == 409
    assert (await made.client.get("/api/v1/gateways/claims")).json() == []
    assert (await made.client.delete(f"/api/v1/gateways/claims/{uuid4()}")).status_code == 404


async def test_others_see_nothing_and_a_viewer_only_looks(made: World) -> None:
    path, _ = await begun(made)
    made.who.who = principal(Role.VIEWER)
    page = await made.client.get(path, headers=ENGLISH)
    assert (page.status_code, "take-back" in page.text) == (200, False)
    assert (await made.client.post(f"{path}/take-back", data=CSRF)).status_code == 403
    made.who.who = principal(tenant_id="other")
    for method, where in (("GET", path), ("POST", f"{path}/take-back"), ("GET", f"/live{path}")):
        assert (await made.client.request(method, where, data=CSRF)).status_code == 404


async def test_what_was_typed_stays_in_the_form_when_it_cannot_be_used(made: World) -> None:
    answer = await made.client.post("/gateways/claims", data={**CLAIM, "plant": "a b"}, headers=ENGLISH)
    assert answer.status_code == 422
    assert 'value="a b"' in answer.text
