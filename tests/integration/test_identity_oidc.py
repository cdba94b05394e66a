"""Single sign-on against a real provider and against one that lies: in with an account, or out with a clear page."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from joserfc import jwk
from sqlalchemy import select
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from structlog.testing import capture_logs

from cloud.app import Cloud, create_app
from cloud.core.audit import AuditRow
from cloud.identity import repository
from cloud.identity.oidc import SignOnError
from cloud.identity.oidc_calls import BODY_BYTES_MAX, KEYS_AGAIN_S, PAUSE_S, ProviderCalls
from cloud.identity.oidc_service import ATTEMPT_MS, TRIES_BURST
from cloud.identity.oidc_settings import OidcSettings
from cloud.identity.passwords import Passwords
from cloud.migrations.upgrade import upgrade
from cloud.web.translation import load_catalogues
from deploy.local.processes import free_port
from kit.clock import ManualClock
from tests.integration.identity_world import PASSWORD, csrf
from tests.integration.oidc_world import LyingProvider, lying_provider, real_provider
from tests.integration.test_cloud_api import settings

pytestmark = pytest.mark.anyio
SITE = "http://127.0.0.1:8000"
TEXTS = load_catalogues()["en"]
PEOPLE = (
    {"sub": "anna", "name": "Anna", "email": "Anna@Plant.example", "email_verified": True},
    {"sub": "bob", "email": "bob@plant.example", "email_verified": False},
    {"sub": "carl", "email": "carl@elsewhere.example", "email_verified": True},
    {"sub": "boss", "email": "boss@plant.example", "email_verified": True},
)


@dataclass(frozen=True, slots=True)
class World:
    cloud: Cloud
    clock: ManualClock
    app: Any

    def browser(self, address: str = "10.0.0.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
        headers = {"Accept-Language": "en", "Origin": SITE}
        return httpx.AsyncClient(transport=transport, base_url=SITE, headers=headers)

    async def set_up(self) -> None:
        """The first admin, whose login is an address that the provider knows."""
        async with self.cloud.database.transaction() as session:
            token = await self.cloud.identity.people.offer_setup(session, self.clock.utc_ms())
        form = {"token": token or "", "login": "boss@plant.example", "name": "Boss", "password": PASSWORD}
        async with self.browser() as browser:
            assert (await browser.post("/setup", data={**form, "again": PASSWORD})).status_code == 303

    async def users(self) -> dict[str, str]:
        """Login and role of everybody in the default tenant."""
        async with self.cloud.database.reading() as session:
            people = await self.cloud.identity.people.people(session, "default", limit=50)
        return {person.login: ",".join(person.roles) for person in people}

    async def audit(self) -> list[str]:
        async with self.cloud.database.reading() as session:
            return list(await session.scalars(select(AuditRow.action).order_by(AuditRow.audit_id)))


@asynccontextmanager
async def world(folder: Path, issuer: str, *, is_set_up: bool = True, **changes: Any) -> AsyncIterator[World]:
    provider = {
        "name": "plant",
        "label_zh": "工厂",
        "label_en": "Plant",
        "issuer": issuer,
        "client_id": "zhisan",
        "client_secret_variable": "PLANT_SECRET",
        "allowed_domains": ["plant.example"],
        "role": "engineer",
        "create_users": True,
        **changes,
    }
    oidc = OidcSettings.model_validate({"public_url": SITE, "providers": [provider]})
    clock = ManualClock(time.time_ns() // 1_000_000)
    given = settings(folder).model_copy(update={"oidc": oidc})
    app = create_app(given, clock, environ={"PLANT_SECRET": "s3cret"}, hasher=Passwords(memory_kib=64, passes=1))
    cloud: Cloud = app.state.cloud
    await upgrade(cloud.database)  # all routes are served; the jobs, which wait for a broker, are not started
    try:
        found = World(cloud, clock, app)
        if is_set_up:
            await found.set_up()
        yield found
    finally:
        await cloud.database.close()
        cloud.store.close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with real_provider(*PEOPLE) as found:
        yield found


@pytest.fixture
def liar() -> Iterator[LyingProvider]:
    with lying_provider() as found:
        yield found


async def out(browser: httpx.AsyncClient, query: str = "") -> str:
    """The address at the provider that the sign-in button leads to."""
    sent = await browser.get(f"/login/oidc/plant{query}")
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


async def at_provider(url: str, person: str) -> str:
    """What the provider sends the browser back with, once `person` has signed in there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, data={"sub": person})
    assert answer.status_code == 302, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{SITE}/login/oidc/plant/callback?")
    return location


async def sign_on(browser: httpx.AsyncClient, person: str) -> httpx.Response:
    return await browser.get(await at_provider(await out(browser), person))


async def answer_of(browser: httpx.AsyncClient, liar: LyingProvider, more: str = "") -> httpx.Response:
    """Out and back, the liar standing between."""
    liar.was_asked(await out(browser))
    return await browser.get(f"/login/oidc/plant/callback?code=c&state={liar.question['state']}{more}")


async def assert_refused(browser: httpx.AsyncClient, response: httpx.Response, reason: str) -> None:
    """A page in words, and no session."""
    assert response.status_code >= 400
    assert TEXTS(f"sign_on.fault.{reason}") in response.text.replace("&#39;", "'")
    assert 'href="/login"' in response.text
    assert "zhisan_session" not in response.headers.get("set-cookie", "")
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_the_first_sign_in_makes_an_account_and_the_second_finds_it(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer) as site, site.browser() as browser, site.browser("10.0.0.2") as other:
        assert "Sign in with Plant" in (await browser.get("/login")).text
        url = await out(browser, "?next=/alarms?state=active")
        assert "code_challenge_method=S256" in url
        back = await browser.get(await at_provider(url, "anna"))
        assert (back.status_code, back.headers["location"]) == (303, "/alarms?state=active")
        me = (await browser.get("/api/v1/me")).json()
        assert me["name"] == "anna@plant.example"
        assert "configure" in me["rights"]
        assert await site.users() == {
            "anna@plant.example": "engineer",
            "boss@plant.example": "platform_admin,tenant_admin",
        }
        assert (await sign_on(other, "anna")).status_code == 303
        assert (await other.get("/api/v1/me")).json()["name"] == "anna@plant.example"
        assert len(await site.users()) == 2
        assert (await site.audit())[-4:] == ["person_admitted", "identity_linked", "signed_in", "signed_in"]
        assert (await browser.post("/logout", headers=await csrf(browser))).status_code == 303
        assert (await browser.get("/api/v1/me")).status_code == 401


async def test_a_verified_address_links_an_account_that_is_there(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer, create_users=False) as site, site.browser() as browser:
        assert (await sign_on(browser, "boss")).status_code == 303
        assert "manage_people" in (await browser.get("/api/v1/me")).json()["rights"]
        async with site.browser() as stranger:
            await assert_refused(stranger, await sign_on(stranger, "anna"), "no_account")
        assert "sign_in_refused" in await site.audit()


async def test_who_is_not_to_be_let_in_is_not(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer) as site, site.browser() as browser:
        for person, reason in (("bob", "unverified"), ("carl", "domain")):
            await assert_refused(browser, await sign_on(browser, person), reason)
        assert list(await site.users()) == ["boss@plant.example"]


async def test_who_says_no_at_the_provider_is_not_signed_in(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        liar.was_asked(await out(browser))
        url = f"/login/oidc/plant/callback?error=access_denied&state={liar.question['state']}"
        await assert_refused(browser, await browser.get(url), "denied")
        assert "/token" not in liar.asked


async def test_an_answer_counts_once_and_in_the_browser_that_asked(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer) as site, site.browser() as browser, site.browser() as thief:
        back = await at_provider(await out(browser), "anna")
        await assert_refused(thief, await thief.get(back), "attempt")
        await out(thief)
        await assert_refused(thief, await thief.get(back), "attempt")
        cookies = dict(browser.cookies)
        assert (await browser.get(back)).status_code == 303
        async with site.browser() as again:
            again.cookies.set("zhisan_sign_on", cookies["zhisan_sign_on"])
            await assert_refused(again, await again.get(back), "attempt")
        code = re.search(r"code=([^&]+)", back)
        assert code
        async with site.browser() as replayer:
            state = re.search(r"state=([^&]+)", await out(replayer))
            assert state
            url = f"/login/oidc/plant/callback?code={code.group(1)}&state={state.group(1)}"
            await assert_refused(replayer, await replayer.get(url), "answer")


async def test_an_attempt_has_its_time(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer) as site, site.browser() as browser:
        back = await at_provider(await out(browser), "anna")
        site.clock.advance(ATTEMPT_MS / 1000)
        await assert_refused(browser, await browser.get(back), "attempt")


async def test_nobody_is_made_before_the_installation_is_set_up(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer, is_set_up=False) as site, site.browser() as browser:
        await assert_refused(browser, await sign_on(browser, "anna"), "not_set_up")
        await site.set_up()
        assert (await sign_on(browser, "anna")).status_code == 303


async def test_who_was_taken_out_stays_out_until_invited_again(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer) as site, site.browser() as admin, site.browser() as browser:
        await sign_on(admin, "boss")
        await sign_on(browser, "anna")
        me = (await browser.get("/api/v1/me")).json()
        gone = await admin.delete(f"/api/v1/people/{me['id']}", headers=await csrf(admin))
        assert gone.status_code == 204
        assert (await browser.get("/api/v1/me")).status_code == 401
        await assert_refused(browser, await sign_on(browser, "anna"), "no_account")
        person = {"login": "anna@plant.example", "name": "Anna", "roles": ["viewer"]}
        assert (await admin.post("/api/v1/people", json=person, headers=await csrf(admin))).status_code == 201
        assert (await sign_on(browser, "anna")).status_code == 303
        assert (await site.users())["anna@plant.example"] == "viewer"


async def test_a_company_s_provider_opens_no_account_of_another(issuer: str, tmp_path: Path) -> None:
    async with world(tmp_path, issuer, tenant="other") as site, site.browser() as browser:
        await assert_refused(browser, await sign_on(browser, "boss"), "no_account")
        assert (await sign_on(browser, "anna")).status_code == 303
        assert (await browser.get("/api/v1/me")).json()["tenant_id"] == "other"


async def test_a_provider_that_is_down_is_said_to_be_and_let_alone_for_a_while(tmp_path: Path) -> None:
    async with world(tmp_path, f"http://127.0.0.1:{free_port()}") as site, site.browser() as browser:
        for _ in range(2):
            refused = await browser.get("/login/oidc/plant")
            assert refused.status_code == 503
            await assert_refused(browser, refused, "down")


async def test_too_many_steps_from_one_address_are_refused(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        for _ in range(TRIES_BURST):
            await out(browser)
        refused = await browser.get("/login/oidc/plant")
        assert refused.status_code == 429
        await assert_refused(browser, refused, "too_many")
        assert liar.asked == {"/.well-known/openid-configuration": 1}
        await assert_refused(browser, await browser.get("/login/oidc/nobody"), "unknown")


def segment(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def unsigned(_liar: LyingProvider, claims: dict[str, Any]) -> str:
    return f"{segment({'alg': 'none', 'kid': 'first'})}.{segment(claims)}."


def by_public_key(liar: LyingProvider, claims: dict[str, Any]) -> str:
    """The old trick: HS256 with the RSA key that everybody knows."""
    signed = f"{segment({'alg': 'HS256', 'kid': 'first'})}.{segment(claims)}"
    mac = hmac.new(liar.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def by_shared_key(_liar: LyingProvider, claims: dict[str, Any]) -> str:
    signed = f"{segment({'alg': 'HS256', 'kid': 'shared'})}.{segment(claims)}"
    mac = hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def by_another_key(liar: LyingProvider, claims: dict[str, Any]) -> str:
    return LyingProvider(issuer=liar.issuer, key=jwk.RSAKey.generate_key(2048, {"kid": "first"})).token(claims)


def with_own_key(liar: LyingProvider, claims: dict[str, Any]) -> str:
    """A token that brings the key to check it with."""
    other = jwk.RSAKey.generate_key(2048, {"kid": "first"})
    return LyingProvider(key=other).token(claims, jwk=other.as_dict(private=False))  # type: ignore[arg-type]


NOW_S = int(time.time())
LIES: dict[str, tuple[dict[str, Any], Callable[[LyingProvider, dict[str, Any]], str] | None]] = {
    "wrong nonce": ({"nonce": "another"}, None),
    "no nonce": ({"nonce": None}, None),
    "wrong audience": ({"aud": "somebody"}, None),
    "two audiences and no party": ({"aud": ["zhisan", "somebody"]}, None),
    "another audience, and we the party": ({"aud": "somebody", "azp": "zhisan"}, None),
    "another party": ({"azp": "somebody"}, None),
    "wrong issuer": ({"iss": "https://evil.example"}, None),
    "expired": ({"exp": NOW_S - 61}, None),
    "no end": ({"exp": None}, None),
    "an end that is none": ({"exp": float("nan")}, None),
    "an end in words": ({"exp": "tomorrow"}, None),
    "from the future": ({"iat": NOW_S + 3_600}, None),
    "no subject": ({"sub": None}, None),
    "an empty subject": ({"sub": ""}, None),
    "a subject that is no text": ({"sub": 7}, None),
    "unsigned": ({}, unsigned),
    "signed with the public key": ({}, by_public_key),
    "signed with a shared key of the set": ({}, by_shared_key),
    "signed with another key": ({}, by_another_key),
    "signed with a key of its own": ({}, with_own_key),
    "no token": ({}, lambda _liar, _claims: "nonsense"),
    "too long a token": ({}, lambda _liar, _claims: "a." * 20_000),
    "deep": ({}, lambda _liar, _claims: f"{base64.urlsafe_b64encode(b'[' * 9_000).decode()}.e30.e30"),
}


async def test_no_lie_in_an_id_token_is_believed(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site:
        for number, (lie, (claims, sign)) in enumerate(LIES.items()):
            liar.claims, liar.sign = claims, sign
            async with site.browser(f"10.0.1.{number}") as browser:
                with capture_logs() as logs:
                    await assert_refused(browser, await answer_of(browser, liar), "token")
                assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["sign_on_refused"], lie
                assert "s3cret" not in str(logs)
                assert liar.question["nonce"] not in str(logs)
        liar.claims, liar.sign = {}, None
        async with site.browser() as browser:
            assert (await answer_of(browser, liar)).status_code == 303, "and the truth is"
        assert list(await site.users()) == ["boss@plant.example", "eve@plant.example"]


ADDRESSES = (
    ({"email_verified": "false"}, "unverified"),
    ({"email_verified": 1}, "unverified"),
    ({"email": ["boss@plant.example"]}, "unverified"),
    ({"email": "boß@plant.example"}, "address"),
    ({"email": "a b@plant.example"}, "address"),
    ({"email": "boss@evil.example@plant.example"}, "address"),
    ({"email": f"{'a' * 100}@plant.example"}, "address"),
    ({"email": "eve@plant.example.evil.example"}, "domain"),
)


async def test_no_strange_address_opens_an_account(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site:
        for number, (claims, reason) in enumerate(ADDRESSES):
            liar.claims = claims
            async with site.browser(f"10.0.2.{number}") as browser:
                await assert_refused(browser, await answer_of(browser, liar), reason)
        assert list(await site.users()) == ["boss@plant.example"]


async def test_an_address_with_a_new_owner_does_not_open_the_old_one_s_account(
    liar: LyingProvider, tmp_path: Path
) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser, site.browser() as heir:
        assert (await answer_of(browser, liar)).status_code == 303
        liar.claims = {"sub": "s-2"}
        await assert_refused(heir, await answer_of(heir, liar), "no_account")
        async with site.browser() as renamed:
            liar.claims = {"sub": "s-1", "email": "eve-new@plant.example"}
            assert (await answer_of(renamed, liar)).status_code == 303
            assert (await renamed.get("/api/v1/me")).json()["name"] == "eve@plant.example", "the subject counts"


async def test_an_address_that_only_userinfo_has_is_taken_from_there(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        liar.claims = {"email": None, "email_verified": None}
        liar.userinfo = {"sub": "s-9", "email": "boss@plant.example", "email_verified": True}
        await assert_refused(browser, await answer_of(browser, liar), "answer")
        liar.userinfo |= {"sub": "s-1", "email": "eve@plant.example"}
        assert (await answer_of(browser, liar)).status_code == 303
        assert (await browser.get("/api/v1/me")).json()["name"] == "eve@plant.example"


async def test_the_answer_names_the_right_issuer(liar: LyingProvider, tmp_path: Path) -> None:
    promised = {"authorization_response_iss_parameter_supported": True}
    liar.discovery = lambda metadata: JSONResponse({**metadata, **promised})
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        await assert_refused(browser, await answer_of(browser, liar), "answer")
        await assert_refused(browser, await answer_of(browser, liar, "&iss=https://evil.example"), "answer")
        assert liar.asked.get("/token") is None, "no code is shown to the wrong provider"
        assert (await answer_of(browser, liar, f"&iss={liar.issuer}")).status_code == 303


async def test_a_new_key_is_found_after_a_minute_and_not_asked_for_more_often(
    liar: LyingProvider, tmp_path: Path
) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser, site.browser() as other:
        assert (await answer_of(browser, liar)).status_code == 303
        liar.key = jwk.RSAKey.generate_key(2048, {"kid": "second"})
        for _ in range(3):
            await assert_refused(other, await answer_of(other, liar), "token")
        assert liar.asked["/jwks"] == 1
        site.clock.advance(KEYS_AGAIN_S)
        liar.claims = {"iat": site.clock.utc_ms() // 1000, "exp": site.clock.utc_ms() // 1000 + 300}
        assert (await answer_of(other, liar)).status_code == 303
        assert liar.asked["/jwks"] == 2


async def forever() -> AsyncIterator[bytes]:
    """A byte now and then, without end."""
    while True:
        yield b" "
        await anyio.sleep(0.05)


DISCOVERIES: dict[str, Callable[[dict[str, Any]], Response]] = {
    "a page": lambda _: HTMLResponse("<h1>Welcome</h1>"),
    "a list": lambda _: JSONResponse([1]),
    "half": lambda m: Response(json.dumps(m)[:-9]),
    "deep": lambda _: Response("[" * 100_000),
    "long": lambda m: JSONResponse({**m, "more": "x" * BODY_BYTES_MAX}),
    "another issuer": lambda m: JSONResponse({**m, "issuer": "https://evil.example"}),
    "no keys": lambda m: JSONResponse({**m, "jwks_uri": None}),
    "plain http elsewhere": lambda m: JSONResponse({**m, "token_endpoint": "http://169.254.169.254/token"}),
    "a file": lambda m: JSONResponse({**m, "jwks_uri": "file:///etc/passwd"}),
    "a login in the address": lambda m: JSONResponse({**m, "token_endpoint": "https://a:b@example.com/"}),
    "a line break in the address": lambda m: JSONResponse(
        {**m, "authorization_endpoint": "https://e.example/\r\nX: y"}
    ),
    "elsewhere": lambda _: RedirectResponse("http://169.254.169.254/"),
    "an error": lambda _: JSONResponse({}, status_code=404),
}


async def test_garbage_for_discovery_is_refused(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        for garbage in DISCOVERIES.values():
            liar.discovery = garbage
            refused = await browser.get("/login/oidc/plant")
            assert refused.status_code == 502
            await assert_refused(browser, refused, "answer")
            site.clock.advance(PAUSE_S)
        liar.discovery = None
        await out(browser)


async def test_a_slow_provider_is_given_up(liar: LyingProvider) -> None:
    liar.discovery = lambda _: StreamingResponse(forever(), media_type="application/json")
    clock = ManualClock()
    given = OidcSettings.model_validate(
        {
            "public_url": SITE,
            "providers": [{"name": "p", "label_zh": "P", "label_en": "P", "issuer": liar.issuer, "client_id": "z"}],
        }
    )
    calls, provider = ProviderCalls(clock, call_s_max=0.3), given.providers[0].provider({})
    with anyio.fail_after(5), pytest.raises(SignOnError) as refused:
        await calls.metadata(provider)
    assert refused.value.reason == "down"
    with pytest.raises(SignOnError, match="less than"):
        await calls.metadata(provider)
    assert liar.asked == {"/.well-known/openid-configuration": 1}


async def test_a_token_endpoint_that_fails_is_no_sign_in(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        liar.body = {"id_token": None}
        await assert_refused(browser, await answer_of(browser, liar), "answer")
        liar.was_asked(await out(browser))
        state = liar.question["state"]
        liar.question["code_challenge"] = "of somebody else"
        response = await browser.get(f"/login/oidc/plant/callback?code=c&state={state}")
        await assert_refused(browser, response, "answer")


async def test_nothing_secret_of_an_attempt_is_stored(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site, site.browser() as browser:
        liar.was_asked(await out(browser))
        stored = b"".join(path.read_bytes() for path in (tmp_path / "cloud").glob("cloud.sqlite*"))
        for secret in (browser.cookies["zhisan_sign_on"], liar.question["state"], liar.question["nonce"]):
            assert secret.encode() not in stored
        cookie = (await browser.get("/login/oidc/plant")).headers["set-cookie"]
        assert {"HttpOnly", "Path=/login/oidc", "SameSite=lax"} <= set(cookie.split("; "))


async def test_a_page_behind_is_one_of_ours(liar: LyingProvider, tmp_path: Path) -> None:
    async with world(tmp_path, liar.issuer) as site:
        for behind in ("https://evil.example/", "//evil.example", "/\\evil.example", "x" * 3_000):
            async with site.browser() as browser:
                liar.was_asked(await out(browser, f"?next={behind}"))
                back = await browser.get(f"/login/oidc/plant/callback?code=c&state={liar.question['state']}")
                assert back.status_code == 303
                assert urlsplit(back.headers["location"]) == urlsplit("/")
        async with site.cloud.database.reading() as session:
            assert await repository.users_count(session) == 2
