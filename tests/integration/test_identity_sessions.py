"""Setting up, signing in and out, what ends a session, and what a foreign page cannot do."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request, Response

from cloud.identity import domain, repository, setup_file
from cloud.identity.cookies import COOKIE, HOST_COOKIE, set_session_cookie
from cloud.settings import AccountSettings
from tests.integration.identity_world import FIRST, HERE, PASSWORD, World, csrf, me, world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(tmp_path: Path, postgresql: str) -> AsyncIterator[World]:
    async with world(tmp_path, postgresql) as made:
        yield made


async def sign_in(browser: httpx.AsyncClient, password: str = PASSWORD, login: str = FIRST["login"]) -> httpx.Response:
    return await browser.post("/login", data={"login": login, "password": password})


async def test_the_setup_link_is_private_works_once_and_is_gone_afterwards(made: World) -> None:
    path = made.folder / setup_file.FILE
    assert path.stat().st_mode & 0o077 == 0
    token = made.setup_token()
    for wrong in ("", "x", token[:-1]):
        assert (await made.browser().get("/setup", params={"token": wrong})).status_code == 403
    differs = await made.browser().post("/setup", data={**FIRST, "again": "another", "token": token})
    assert (differs.status_code, "differ" in differs.text or "不一致" in differs.text) == (422, True)
    browser = await made.set_up()
    assert await me(browser) == 200
    assert not path.exists()
    assert (await made.browser().post("/setup", data={**FIRST, "token": token})).status_code == 403


async def test_the_setup_link_expires_and_the_next_start_makes_a_new_one(tmp_path: Path) -> None:
    async with world(tmp_path) as first:
        token = first.setup_token()
        first.clock.advance(domain.SETUP_LINK_MS / 1000)
        assert (await first.browser().get("/setup", params={"token": token})).status_code == 403
    async with world(tmp_path) as second:
        assert second.setup_token() not in ("", token)
        assert (await second.browser().get("/setup", params={"token": token})).status_code == 403
        await second.set_up()
    async with world(tmp_path) as third:
        assert third.setup_token() == "", "somebody has an account"


async def test_a_password_that_is_guessed_first_is_not_taken(made: World) -> None:
    for password in ("short", "password1234", "aaaaaaaaaaaaaaaa", "x" * 129, "my name is anna1"):
        data = {**FIRST, "login": "anna1@plant", "password": password, "again": password, "token": made.setup_token()}
        assert (await made.browser().post("/setup", data=data)).status_code == 422, password
    assert made.setup_token(), "the link is still good"


async def test_signing_in_gives_a_new_cookie_that_scripts_cannot_read(made: World) -> None:
    await made.set_up()
    browser = made.browser()
    browser.cookies.set(COOKIE, "planted-by-somebody-else")
    answer = await sign_in(browser)
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "planted" not in cookie
    token = cookie.partition("=")[2].partition(";")[0]
    assert len(token) >= 43
    over_tls = await httpx.AsyncClient(transport=httpx.ASGITransport(made.app), base_url="https://cloud").post(
        "/login", data={"login": FIRST["login"], "password": PASSWORD}
    )
    assert "Secure" in over_tls.headers["set-cookie"]


async def test_a_wrong_password_and_an_unknown_login_are_told_the_same(made: World) -> None:
    await made.set_up()
    wrong, unknown = await sign_in(made.browser(), "wrong"), await sign_in(made.browser(), "wrong", "nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(FIRST["login"], "") == unknown.text.replace("nobody", "")
    assert "set-cookie" not in wrong.headers


async def test_an_account_is_locked_for_a_while_that_grows_and_ends(made: World) -> None:
    await made.set_up()
    for number in range(domain.FREE_FAILURES + 1):
        assert (await sign_in(made.browser(f"10.0.1.{number}"), "wrong")).status_code == 401
    assert (await sign_in(made.browser("10.0.2.1"))).status_code == 401, "locked: even the right one"
    made.clock.advance(domain.LOCK_MS_MIN / 1000)
    assert (await sign_in(made.browser("10.0.2.2"), "wrong")).status_code == 401
    made.clock.advance(domain.LOCK_MS_MIN / 1000)
    assert (await sign_in(made.browser("10.0.2.3"))).status_code == 401, "twice as long now"
    made.clock.advance(domain.LOCK_MS_MIN / 1000)
    assert (await sign_in(made.browser("10.0.2.4"))).status_code == 303
    audit = (await (await signed(made)).get("/api/v1/audit", params={"action": "sign_in_locked"})).json()["items"]
    assert len(audit) == 2


async def signed(made: World) -> httpx.AsyncClient:
    browser = made.browser("10.0.9.9")
    assert (await sign_in(browser)).status_code == 303
    return browser


async def test_one_address_that_tries_too_often_has_to_wait(made: World) -> None:
    await made.set_up()
    browser = made.browser("10.0.3.1")
    statuses = [(await sign_in(browser, "wrong", f"nobody-{n}")).status_code for n in range(25)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert (await sign_in(made.browser("10.0.3.2"))).status_code == 303, "others are not held up"


async def test_a_session_ends_by_idleness_and_by_age(made: World) -> None:
    browser = await made.set_up()
    rules = made.cloud.identity.rules
    made.clock.advance(rules.idle_ms / 1000 - 1)
    assert await me(browser) == 200
    made.clock.advance(rules.idle_ms / 1000 - 1)
    assert await me(browser) == 200, "each request keeps it"
    made.clock.advance(rules.idle_ms / 1000)
    assert await me(browser) == 401
    await sign_in(browser)
    for _ in range(int(rules.lasts_ms / rules.idle_ms) * 2 + 1):
        made.clock.advance(rules.idle_ms / 2000)
        await me(browser)
    assert await me(browser) == 401, "no use keeps it beyond its age"


async def test_signing_out_ends_this_session_and_elsewhere_the_others(made: World) -> None:
    here, there = await made.set_up(), made.browser()
    await sign_in(there)
    headers = await csrf(here)
    assert (await here.post("/account/sessions/end", headers=headers)).status_code == 303
    assert (await me(here), await me(there)) == (200, 401)
    cookie = here.cookies[COOKIE]
    assert (await here.post("/logout", headers=headers)).headers["location"] == "/login"
    here.cookies.set(COOKIE, cookie)
    assert await me(here) == 401, "the cookie itself is worth nothing any more"


async def test_a_new_password_needs_the_old_one_and_ends_every_other_session(made: World) -> None:
    here, there = await made.set_up(), made.browser()
    await sign_in(there)
    new, token = "another calm press", {"csrf_token": (await csrf(here))["X-CSRF-Token"]}
    wrong = await here.post("/account/password", data={"old": "wrong", "password": new, "again": new, **token})
    assert wrong.status_code == 422
    changed = await here.post("/account/password", data={"old": PASSWORD, "password": new, "again": new, **token})
    assert changed.status_code == 303
    assert (await me(here), await me(there)) == (200, 401)
    assert (await sign_in(made.browser())).status_code == 401
    assert (await sign_in(made.browser(), new)).status_code == 303


async def test_roles_and_removal_take_effect_with_the_next_request(made: World) -> None:
    admin = await made.set_up()
    headers = await csrf(admin)
    li = await made.member(admin, "li", "engineer")
    assert "configure" in (await li.get("/api/v1/me")).json()["rights"]
    [person] = [p for p in (await admin.get("/api/v1/people")).json()["items"] if p["login"] == "li"]
    path = f"/api/v1/people/{person['user_id']}"
    assert (await admin.put(f"{path}/roles", json={"roles": ["viewer"]}, headers=headers)).status_code == 200
    assert (await li.get("/api/v1/me")).json()["rights"] == ["read"]
    assert (await li.get("/people", headers={"Accept": "text/html"})).status_code == 403
    assert (await admin.delete(path, headers=headers)).status_code == 204
    assert await me(li) == 401
    assert (await sign_in(made.browser(), PASSWORD, "li")).status_code == 401


async def test_the_last_admin_stays_and_nobody_gives_more_than_he_has(made: World) -> None:
    admin = await made.set_up()
    headers = await csrf(admin)
    own_id = (await admin.get("/api/v1/me")).json()["id"]
    for answer in (
        await admin.delete(f"/api/v1/people/{own_id}", headers=headers),
        await admin.put(f"/api/v1/people/{own_id}/roles", json={"roles": ["viewer"]}, headers=headers),
    ):
        assert (answer.status_code, "last_admin" in answer.text) == (409, True)
    second = await made.member(admin, "wang", "tenant_admin")
    theirs = await csrf(second)
    beyond = {"login": "x", "name": "x", "roles": ["platform_admin"]}
    assert (await second.post("/api/v1/people", json=beyond, headers=theirs)).status_code == 409
    assert (await second.delete(f"/api/v1/people/{own_id}", headers=theirs)).status_code == 409, "he has more rights"
    key = {"name": "k", "rights": ["tiering"]}
    assert (await second.post("/api/v1/keys", json=key, headers=theirs)).status_code == 422
    taken = {"login": "WANG", "name": "x", "roles": ["viewer"]}
    assert (await admin.post("/api/v1/people", json=taken, headers=headers)).status_code == 409


FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
)


async def test_a_foreign_page_changes_nothing_even_with_the_token(made: World) -> None:
    browser = await made.set_up()
    token = await csrf(browser)
    form = {"login": "li", "name": "Li", "roles": "viewer"}
    for headers in FOREIGN:
        assert (await browser.post("/people", data=form, headers={**headers, **token})).status_code == 403
        assert (await browser.post("/logout", headers={**headers, **token})).status_code == 403
        stranger = await made.browser().post("/login", data={"login": "a", "password": "b"}, headers=headers)
        assert stranger.status_code == 403, "nobody is signed in to somebody else's account either"
    assert len((await browser.get("/api/v1/people")).json()["items"]) == 1


async def test_nothing_is_changed_without_the_session_s_own_token_wherever_it_comes_from(made: World) -> None:
    browser, other = await made.set_up(), made.browser()
    await sign_in(other)
    token, others = (await csrf(browser))["X-CSRF-Token"], (await csrf(other))["X-CSRF-Token"]
    form = {"login": "li", "name": "Li", "roles": "viewer"}
    for said in ({"Origin": "http://cloud"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        browser.headers.pop("Origin", None)
        for bad in ({}, {"csrf_token": ""}, {"csrf_token": token[:-1] + "!"}, {"csrf_token": others}):
            assert (await browser.post("/people", data={**form, **bad}, headers=said)).status_code == 403
        assert (await browser.post("/api/v1/people", json={}, headers=said)).status_code == 403
        with_it = {**said, "X-CSRF-Token": token}
        assert (await browser.post("/api/v1/people", json={}, headers=with_it)).status_code == 422
    assert len((await browser.get("/api/v1/people")).json()["items"]) == 1
    assert (await browser.post("/people", data={**form, "csrf_token": token})).status_code == 201


async def test_a_form_with_a_file_brings_the_token_as_its_first_field(made: World) -> None:
    browser, other = await made.set_up(), made.browser()
    await sign_in(other)
    token, others = (await csrf(browser))["X-CSRF-Token"], (await csrf(other))["X-CSRF-Token"]
    long = {"file": ("rows.csv", b"customer,name\r\n" + b"c,n\r\n" * 40_000)}
    for bad in ({}, {"csrf_token": ""}, {"csrf_token": others}, {"what": "customers", "csrf_token": token}):
        refused = await browser.post("/tiering/files", data=bad, files=long)
        assert refused.status_code == 403
    told = await browser.post("/tiering/files", data={"csrf_token": token, "what": "customers"}, files=long)
    assert told.status_code in {200, 422}, "it was read, to its end"


async def test_no_two_pages_have_the_same_token_and_all_are_good_for_their_session(made: World) -> None:
    browser = await made.set_up()
    pages = [(await browser.get(path)).text for path in ("/people", "/people", "/account")]
    tokens = [found for page in pages for found in re.findall(r'name="csrf_token" value="([^"]+)"', page)]
    heads = [re.findall(r'"X-CSRF-Token": "([^"]+)"', page)[0] for page in pages]
    every = [*tokens, *heads]
    assert len(set(every)) == len(every) > 6
    for token in every:
        assert (await browser.post("/api/v1/people", json={}, headers={"X-CSRF-Token": token})).status_code == 422
    tampered = ("B" if tokens[0][0] == "A" else "A") + tokens[0][1:]
    assert (await browser.post("/api/v1/people", json={}, headers={"X-CSRF-Token": tampered})).status_code == 403


async def test_a_second_tab_can_sign_in_where_one_is_signed_in_already(made: World) -> None:
    browser = await made.set_up()
    assert (await sign_in(browser)).status_code == 303


async def test_after_signing_in_one_is_led_only_to_pages_of_ours(made: World) -> None:
    await made.set_up()
    for asked, led in {
        "/alarms?state=x": "/alarms?state=x",
        "//evil.example/x": "/",
        "https://evil.example": "/",
        "/\\evil.example": "/",
        "javascript:alert(1)": "/",
        "": "/",
    }.items():
        form = {"login": FIRST["login"], "password": PASSWORD, "next": asked}
        assert (await made.browser().post("/login", data=form)).headers["location"] == led, asked


async def test_a_key_is_scoped_expires_and_can_be_revoked(made: World) -> None:
    admin = await made.set_up()
    headers = await csrf(admin)
    new = (
        await admin.post("/api/v1/keys", json={"name": "line", "rights": ["read"], "days": 2}, headers=headers)
    ).json()
    program, with_key = made.browser(), {"Authorization": f"Bearer {new['text']}"}
    assert (await program.get("/api/v1/me", headers=with_key)).json()["rights"] == ["read"]
    assert (await program.get("/api/v1/people", headers=with_key)).status_code == 403
    id_and_secret = new["text"].removeprefix("zsk_")
    for wrong in ("", "zsk_", new["text"][:-1], f"zsk_{id_and_secret[::-1]}", new["text"] + "x", "Bearer"):
        assert (await program.get("/api/v1/me", headers={"Authorization": f"Bearer {wrong}"})).status_code == 401
    assert (await admin.get("/api/v1/keys")).json()["items"][0]["used_ms"] == made.clock.utc_ms()
    other = (await admin.post("/api/v1/keys", json={"name": "b", "rights": ["read"]}, headers=headers)).json()
    assert (await admin.delete(f"/api/v1/keys/{other['key']['key_id']}", headers=headers)).status_code == 200
    assert (await program.get("/api/v1/me", headers={"Authorization": f"Bearer {other['text']}"})).status_code == 401
    made.clock.advance(2 * 24 * 3600)
    assert (await program.get("/api/v1/me", headers=with_key)).status_code == 401


async def test_an_api_key_needs_no_token_since_no_browser_sends_it_by_itself(made: World) -> None:
    admin = await made.set_up()
    body = {"name": "k", "rights": ["manage_people"]}
    key = (await admin.post("/api/v1/keys", json=body, headers=await csrf(admin))).json()["text"]
    program = made.browser()
    del program.headers["Origin"]
    invited = await program.post(
        "/api/v1/people",
        json={"login": "li", "name": "Li", "roles": ["viewer"]},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert invited.status_code == 409, "a key that may only manage people has no right to read, so it cannot give it"
    assert HERE["Origin"] == "http://cloud"


async def test_a_password_that_was_changed_while_it_was_checked_lets_nobody_in(made: World) -> None:
    await made.set_up()
    people, database = made.cloud.identity.people, made.cloud.database
    async with database.reading() as session:
        user = await repository.user_by_login(session, domain.tidy_login(FIRST["login"]))
    assert user is not None
    for right_for, is_let_in in ((user.password_hash, True), ("a hash of before", False), (None, False)):
        async with database.transaction() as session:
            now_ms = made.clock.utc_ms()
            token = await people.sign_in(session, user.user_id, right_for=right_for, address="", now_ms=now_ms)
        assert (token is not None) == is_let_in


async def test_a_cookie_is_for_https_where_the_settings_say_so() -> None:
    for is_https_only in (True, False):
        request = Request({"type": "http", "scheme": "http", "path": "/", "headers": [], "server": ("cloud", 80)})
        response = Response()
        set_session_cookie(response, "token", request, AccountSettings(https_only=is_https_only).rules())
        assert ("Secure" in response.headers["set-cookie"]) == is_https_only
        assert response.headers["set-cookie"].startswith(f"{HOST_COOKIE if is_https_only else COOKIE}=")


async def test_by_https_the_cookie_is_this_host_s_alone_and_no_other_counts(made: World) -> None:
    browser = await made.set_up()
    assert set(browser.cookies) == {COOKIE}, "plain http on loopback works as well"
    browser = made.browser()
    browser.base_url, browser.headers = httpx.URL("https://cloud"), httpx.Headers({"Origin": "https://cloud"})
    given = (await sign_in(browser)).headers["set-cookie"]
    assert given.startswith(f"{HOST_COOKIE}=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(given.split("; "))
    assert "domain" not in given.lower(), "else a browser refuses the name"
    assert await me(browser) == 200
    assert '<td data-label="Action">this browser</td>' in (await browser.get("/account?lang=en")).text
    plain = made.browser()
    plain.base_url = httpx.URL("https://cloud")
    plain.cookies.set(COOKIE, browser.cookies[HOST_COOKIE])
    assert await me(plain) == 401, "a name that a neighbour can plant"
    gone = await browser.post("/logout", headers=await csrf(browser))
    assert gone.headers["set-cookie"].startswith(f'{HOST_COOKIE}=""')
    assert {"Max-Age=0", "Secure", "Path=/"} <= set(gone.headers["set-cookie"].split("; "))
    assert (await me(browser), HOST_COOKIE in browser.cookies) == (401, False)
