"""Where a role without presses begins: at the own account, which says what there is; no link leads to a 403."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.core.access import RIGHTS, Right, Role
from tests.access import key_headers
from tests.integration.identity_world import World, world

pytestmark = pytest.mark.anyio
LANGUAGES = {"en": "No presses to see", "zh-CN": "没有可查看的注塑机"}
BLIND = [role for role in Role if Right.READ not in RIGHTS[role]]
"""The roles that see no presses."""


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def test_every_role_begins_on_a_page_from_which_each_link_leads_on(made: World) -> None:
    admin = await made.set_up()
    assert BLIND
    for role in Role:
        browser = await made.member(admin, f"of-{role}", role)
        for language, words in LANGUAGES.items():
            headers = {"Accept": "text/html", "Accept-Language": language}
            start = await browser.get("/", headers=headers, follow_redirects=True)
            assert start.status_code == 200, role
            assert (words in start.text, start.url.path) == (
                (True, "/account") if role in BLIND else (False, "/start")
            ), role
            for path in set(re.findall(r'<a [^>]*href="(/[^"?]*)"', start.text)):
                assert (await browser.get(path, headers=headers, follow_redirects=True)).status_code == 200, path


async def test_the_empty_account_names_the_rights_that_there_are(made: World) -> None:
    browser = await made.member(await made.set_up(), "chen", Role.CUSTOMER_SUCCESS)
    for language, rights in (("en", ("Customer tiers", "Insight")), ("zh-CN", ("客户分层", "洞察"))):
        page = (await browser.get("/account", headers={"Accept-Language": language})).text
        assert all(f"<li>{right}</li>" in page for right in rights)


async def test_a_refused_page_leads_back_to_where_one_may_be(made: World) -> None:
    browser = await made.member(await made.set_up(), "chen", Role.ANALYST)
    refused = await browser.get("/alarms", headers={"Accept": "text/html"})
    assert refused.status_code == 403
    assert '<a class="button" href="/account">' in refused.text


async def test_a_program_without_the_right_is_refused_as_ever(made: World) -> None:
    key = await key_headers(made.cloud, rights={Right.INSIGHT})
    assert (await made.browser().get("/", headers={**key, "Accept": "text/html"})).status_code == 403
