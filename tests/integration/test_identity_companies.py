"""People of several companies: none gets into another's, and who works in two goes from one to the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cloud.core.access import RIGHTS, Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity.cookies import COOKIE
from tests.access import key_headers
from tests.integration.identity_world import PASSWORD, World, csrf, me, world

pytestmark = pytest.mark.anyio
ELSEWHERE = "elsewhere"


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def invited_by(made: World, tenant_id: str, login: str, *roles: Role) -> httpx.Response:
    """What the API tells an administrator of a company who invites somebody."""
    key = await key_headers(made.cloud, tenant_id=tenant_id, rights=RIGHTS[Role.TENANT_ADMIN])
    body = {"login": login, "name": login, "roles": list(roles)}
    return await made.browser().post("/api/v1/people", json=body, headers=key)


async def test_no_company_gets_a_link_to_an_account_of_another(made: World) -> None:
    """The account waits for its first password: its link is told once, to its own company."""
    await made.set_up()
    own = await invited_by(made, DEFAULT_TENANT, "boss", Role.TENANT_ADMIN)
    other = await invited_by(made, ELSEWHERE, "boss", Role.VIEWER)
    assert (own.status_code, other.status_code) == (201, 201)
    assert other.json()["link"] is None
    token = own.json()["link"].partition("token=")[2]
    boss = made.browser()
    form = {"token": token, "password": PASSWORD, "again": PASSWORD}
    assert (await boss.post("/welcome", data=form)).status_code == 303, "the own link is still good"
    assert await me(boss) == 200


async def test_who_is_taken_out_of_one_company_stays_in_the_other(made: World) -> None:
    admin = await made.set_up()
    li = await made.member(admin, "li", "engineer")
    assert (await invited_by(made, ELSEWHERE, "li", Role.VIEWER)).status_code == 201
    own_id = (await li.get("/api/v1/me")).json()["id"]
    taken_out = await admin.delete(f"/api/v1/people/{own_id}", headers=await csrf(admin))
    assert (taken_out.status_code, await me(li)) == (204, 401)
    form = {"login": "li", "password": PASSWORD}
    assert (await li.post("/login", data=form)).status_code == 303
    now = (await li.get("/api/v1/me")).json()
    assert (now["tenant_id"], now["rights"]) == (ELSEWHERE, ["read"])


async def test_who_works_in_two_companies_goes_from_one_to_the_other(made: World) -> None:
    admin = await made.set_up()
    li = await made.member(admin, "li", "engineer")
    assert 'name="tenant"' not in (await li.get("/account")).text, "one company: nothing to choose"
    assert (await li.post("/account/tenant", data={"tenant": ELSEWHERE}, headers=await csrf(li))).status_code == 404
    await invited_by(made, ELSEWHERE, "li", Role.VIEWER)
    made.clock.advance(3600)
    assert 'value="elsewhere"' in (await li.get("/account")).text
    before, [session] = li.cookies[COOKIE], (await li.get("/api/v1/sessions")).json()["items"]
    gone = await li.post("/account/tenant", data={"tenant": ELSEWHERE}, headers=await csrf(li))
    assert (gone.status_code, li.cookies[COOKIE] != before) == (303, True)
    now = (await li.get("/api/v1/me")).json()
    assert (now["tenant_id"], now["rights"]) == (ELSEWHERE, ["read"])
    with_old = made.browser()
    with_old.cookies.set(COOKIE, before)
    assert await me(with_old) == 401, "a session is of one company"
    rules = made.cloud.identity.rules
    ends_ms = session["created_ms"] + rules.lasts_ms
    while made.clock.utc_ms() < ends_ms - 1:
        made.clock.advance(min(rules.idle_ms // 2, ends_ms - 1 - made.clock.utc_ms()) / 1000)
        assert await me(li) == 200, "it is used, so it does not grow idle"
    made.clock.advance(0.001)
    assert await me(li) == 401, "going to and fro makes no session last longer"


async def test_one_sees_and_ends_one_s_own_sessions_only(made: World) -> None:
    admin = await made.set_up()
    li = await made.member(admin, "li", "viewer")
    second, third = made.browser("10.0.0.2"), made.browser("10.0.0.3")
    for browser in (second, third):
        assert (await browser.post("/login", data={"login": "li", "password": PASSWORD})).status_code == 303
    sessions = (await li.get("/api/v1/sessions")).json()["items"]
    assert [row["is_this"] for row in sessions].count(True) == 1
    [of_second] = [row["session_id"] for row in sessions if row["address"] == "10.0.0.2"]
    [of_third] = [row["session_id"] for row in sessions if row["address"] == "10.0.0.3"]
    [of_admin] = [row["session_id"] for row in (await admin.get("/api/v1/sessions")).json()["items"]]
    headers = await csrf(li)
    assert (await li.delete(f"/api/v1/sessions/{of_admin}", headers=headers)).status_code == 404
    assert (await li.post(f"/account/sessions/{of_admin}/end", headers=headers)).status_code == 404
    assert (await li.delete(f"/api/v1/sessions/{of_second}", headers=headers)).status_code == 204
    assert (await li.post(f"/account/sessions/{of_third}/end", headers=headers)).status_code == 303
    assert [await me(browser) for browser in (li, second, third, admin)] == [200, 401, 401, 200]
    assert (await li.delete("/api/v1/sessions", headers=headers)).status_code == 204
    assert (await me(li), await me(admin)) == (401, 200)
    key = await key_headers(made.cloud)
    assert (await admin.delete("/api/v1/sessions", headers=key)).status_code == 404, "a key has none"


async def test_a_page_tells_people_why_they_are_refused_and_programs_get_a_problem_document(made: World) -> None:
    admin = await made.set_up()
    li = await made.member(admin, "li", "viewer")
    page = {"Accept": "text/html", "Accept-Language": "zh-CN"}
    for answer in (await li.get("/people", headers=page), await li.post("/people", headers=page)):
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "管理员" in answer.text or "未作任何更改" in answer.text
    for answer in (await li.get("/api/v1/people"), await li.post("/api/v1/people", json={})):
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
