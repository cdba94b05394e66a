"""The page Gateways: who sees what, the one-time token with its command, revocation with a reason."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from cloud.core.access import Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.gateways.domain import GatewayRules
from cloud.web import claim_page, gateways_page
from cloud.web.claim_page import ClaimKey
from cloud.web.live import Feeds
from cloud.web.shell import Shell
from tests.integration.gateway_identity_world import World, csr_of, new_key, principal, world

pytestmark = pytest.mark.anyio
CSRF = {"csrf_token": principal().form_token()}
ENGLISH, CHINESE = {"Accept-Language": "en"}, {"Accept-Language": "zh-CN"}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, GatewayRules(broker_host="broker.example")) as made:
        include(made)
        yield made


def include(made: World) -> Feeds[ClaimKey]:
    parts = (Shell(made.clock), made.database, made.parts.identities)
    page = gateways_page.include(made.app, *parts, made.clock)
    return claim_page.include(made.app, page, *parts, made.clock, made.live.pages)


async def test_the_token_is_shown_once_with_a_command_that_spends_it(made: World) -> None:
    form = {"plant": "north", "gateway": "gw-1", **CSRF}
    answer = await made.client.post("/gateways/claims", data=form, headers=ENGLISH)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'id="claim-token">([^<]+)<', answer.text)
    assert found is not None
    token = found.group(1)
    shown = html.unescape(re.findall(r'id="claim-command">([^<]+)<', answer.text)[0])
    assert shown.startswith(
        f"ZHISAN_CLAIM_TOKEN={token} zhisan gateway claim --cloud http://cloud --config gateway.toml"
    )
    assert token not in (await made.client.get("/gateways", headers=ENGLISH)).text
    spent = await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(new_key())})
    assert spent.status_code == 200


async def test_a_claim_cannot_be_taken_back_on_an_open_page_once_its_token_is_spent(made: World) -> None:
    answer = await made.client.post("/gateways/claims", data={"plant": "north", "gateway": "gw-1", **CSRF})
    token = re.findall(r'id="claim-token">([^<]+)<', answer.text)[0]
    [path] = re.findall(r'formaction="(/gateways/claims/[0-9a-f-]+)/take-back"', answer.text)
    key = ClaimKey(DEFAULT_TENANT, "en", UUID(path.rpartition("/")[2]), may_manage=True)
    async with aclosing(include(made).open(key)) as events:
        assert b"retry" in await anext(events)
        assert b"/take-back" in await anext(events)
        await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(new_key())})
        made.live.pages.publish()
        with anyio.fail_after(5):
            assert b'#claim-ways"></div>' in (await anext(events)).replace(b"\ndata: ", b"")
    assert "/take-back" not in (await made.client.get(path, headers=ENGLISH)).text


async def test_a_gateway_is_revoked_with_a_reason_that_the_page_then_shows(made: World) -> None:
    await made.claimed("north", "gw-1")
    nothing = await made.client.post("/gateways/north/gw-1/revoke", data={"reason": " ", **CSRF}, headers=ENGLISH)
    assert (nothing.status_code, "Say why" in nothing.text) == (422, True)
    answer = await made.client.post("/gateways/north/gw-1/revoke", data={"reason": "<stolen>", **CSRF})
    assert (answer.status_code, answer.headers["location"]) == (303, "/gateways")
    for headers, word in ((ENGLISH, "Revoked"), (CHINESE, "已吊销")):
        page = (await made.client.get("/gateways", headers=headers)).text
        assert word in page
        assert "Li Na: &lt;stolen&gt;" in page
        assert "/gateways/north/gw-1/revoke" not in page
    unknown = await made.client.post("/gateways/north/gw-9/revoke", data={"reason": "x", **CSRF})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("form", "headers"), [({}, {}), ({"csrf_token": "x"}, {}), (CSRF, {"Sec-Fetch-Site": "cross-site"})]
)
async def test_a_form_of_another_site_changes_nothing(
    made: World, form: dict[str, str], headers: dict[str, str]
) -> None:
    await made.claimed("north", "gw-1")
    for path, fields in (("claims", {"plant": "p", "gateway": "g"}), ("north/gw-1/revoke", {"reason": "x"})):
        answer = await made.client.post(f"/gateways/{path}", data={**fields, **form}, headers=headers)
        assert answer.status_code == 403
    await made.parts.follower.load()
    assert not made.parts.registry.is_refused("north", "gw-1")


async def test_a_viewer_sees_the_list_and_no_forms(made: World) -> None:
    await made.claimed("north", "gw-1")
    made.who.who = principal(Role.VIEWER)
    page = await made.client.get("/gateways", headers=ENGLISH)
    assert page.status_code == 200
    assert "gw-1" in page.text
    assert 'action="/gateways' not in page.text
    made.who.who = principal(tenant_id="other")
    assert "gw-1" not in (await made.client.get("/gateways", headers=ENGLISH)).text


async def test_names_that_cannot_be_claimed_are_explained(made: World) -> None:
    for headers, word in ((ENGLISH, "These names cannot be used"), (CHINESE, "名称不可用")):
        form = {"plant": "a b", "gateway": "g", **CSRF}
        answer = await made.client.post("/gateways/claims", data=form, headers=headers)
        assert (answer.status_code, word in answer.text) == (422, True)
    made.who.who = principal(tenant_id="other")
    await made.claimed("south", "gw-1")
    made.who.who = principal()
    form = {"plant": "south", "gateway": "g", **CSRF}
    answer = await made.client.post("/gateways/claims", data=form, headers=ENGLISH)
    assert (answer.status_code, "cannot be used" in answer.text) == (409, True)


async def test_without_a_broker_the_page_says_so(tmp_path: Path) -> None:
    async with world(tmp_path, GatewayRules()) as made:
        include(made)
        page = await made.client.get("/gateways", headers=ENGLISH)
        assert "broker_host" in page.text
        assert 'action="/gateways' not in page.text
