"""A company signs up, accepts, pays, reads and finds faults by itself; what humans are asked is counted."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import select

from cloud.app import Cloud, create_app
from cloud.core.audit import SYSTEM
from cloud.core.tables import EventRow
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.entitlements.service import assign_tier
from cloud.identity.passwords import Passwords
from cloud.identity.tables import TenantRow
from cloud.self_service import billing, repository
from cloud.self_service.tables import AcceptanceRow
from cloud.settings import CloudSettings
from deploy.local.processes import free_port
from kit.clock import ManualClock
from tests.integration.identity_world import HERE, World, csrf

pytestmark = pytest.mark.anyio
DAY_S = 24 * 3600
PASSWORD = "four calm grey presses"
PACKS = [
    {"name": "free", "label_zh": "免费", "label_en": "Free"},
    {"name": "paid", "label_zh": "标准", "label_en": "Paid", "price_minor": 123_456, "currency": "EUR"},
]


@asynccontextmanager
async def world(folder: Path, **signup: object) -> AsyncIterator[World]:
    """The application without its jobs."""
    raw = {
        "storage": {"dir": str(folder / "cloud")},
        "telemetry": {"store": "memory"},
        "broker": {"port": free_port()},
        "gateways": {"broker_host": "broker.example"},
        "signup": {"enabled": True, "confirm": "link", "packs": PACKS},
        **signup,
    }
    clock = ManualClock()
    app = create_app(CloudSettings.model_validate(raw), clock, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    cloud: Cloud = app.state.cloud
    try:
        await cloud._prepare()
        yield World(app, cloud, clock, folder / "cloud")
    finally:
        cloud.store.close()
        await cloud.database.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


def filled(house: World, **change: str) -> dict[str, str]:
    """The form as somebody fills it in."""
    terms = house.cloud.self_service.terms_version
    form = {"company": "Müller 注塑 GmbH", "name": "Anna", "email": "Anna@Plant.example", "pack": "paid"}
    return {**form, "terms": terms, **change}


async def signed_up(house: World, **change: str) -> httpx.AsyncClient:
    """The browser of a new company's administrator."""
    browser = house.browser()
    asked = await browser.post("/signup", data=filled(house, **change))
    assert asked.status_code == 200, asked.text
    link = re.search(r'href="http://cloud(/signup/confirm\?token=[^"]+)"', asked.text)
    assert link is not None
    assert (await browser.get(link[1])).status_code == 200
    form = {"token": link[1].partition("token=")[2], "password": PASSWORD, "again": PASSWORD}
    made = await browser.post("/signup/confirm", data=form)
    assert (made.status_code, made.headers["location"]) == (303, "/start")
    return browser


async def tenant_of(house: World) -> TenantId:
    async with house.cloud.database.reading() as session:
        rows = (await session.scalars(select(TenantRow).where(TenantRow.tenant_id != "default"))).all()
    return TenantId(rows[-1].tenant_id)


async def test_a_company_signs_up_and_has_its_tier_its_terms_and_its_invoice(house: World) -> None:
    browser = await signed_up(house)
    tenant_id = await tenant_of(house)
    assert re.fullmatch(r"muller-gmbh-[0-9a-f]{8}", tenant_id)
    for path in ("/start", "/plan", "/help", "/help/diagnosis", "/support", "/invoices", "/terms", "/gateways"):
        assert (await browser.get(path)).status_code == 200, path
    plan = (await browser.get("/api/v1/plan")).json()
    assert (plan["tier"], plan["entitlements"]["presses_max"], plan["pending"]) == ("long_tail", 20, [])
    async with house.cloud.database.reading() as session:
        [accepted] = (await session.scalars(select(AcceptanceRow))).all()
        [invoice] = await repository.invoices(session, tenant_id, limit=9)
        told = set(await session.scalars(select(EventRow.kind).where(EventRow.tenant_id == tenant_id)))
    terms = house.cloud.self_service.terms[house.cloud.self_service.terms_version, "zh-CN"]
    assert (accepted.version, accepted.sha256, accepted.login) == (terms.name, terms.sha256, "anna@plant.example")
    assert (accepted.tenant_id, accepted.accepted_ms) == (tenant_id, house.clock.utc_ms())
    assert (invoice.amount_minor, invoice.currency, invoice.number[4:]) == (123_456, "EUR", "-000001")
    assert {"self_service.company_joined", "self_service.invoice_issued", "entitlements.tier_changed"} <= told
    page = (await browser.get(f"/invoices/{invoice.invoice_id}?lang=en")).text
    assert "€1,234.56" in page
    assert "Müller 注塑 GmbH" in page


async def test_months_are_invoiced_once_each_and_another_company_sees_none_of_it(house: World) -> None:
    await signed_up(house)
    tenant_id = await tenant_of(house)
    await signed_up(house, email="b@other.example", company="Other", pack="free")
    for _ in range(2):
        house.clock.advance(31 * DAY_S)
        async with house.cloud.database.transaction() as session:
            assert await billing.issue_due(session, house.clock.utc_ms()) == 2
            assert await billing.issue_due(session, house.clock.utc_ms()) == 0
    async with house.cloud.database.reading() as session:
        invoices = list(reversed(await repository.invoices(session, tenant_id, limit=9)))
    theirs = await signed_up(house, email="c@third.example", company="Third", pack="free")
    assert [one.number[4:] for one in invoices] == ["-000001", "-000002", "-000003"]
    assert [one.from_ms for one in invoices[1:]] == [one.until_ms for one in invoices[:-1]], "no gap, no overlap"
    assert (await theirs.get(f"/invoices/{invoices[0].invoice_id}")).status_code == 404


async def test_a_form_that_cannot_be_is_refused_in_words_and_makes_nothing(house: World) -> None:
    for change in (
        {"company": "x"},
        {"name": " "},
        {"email": "nobody"},
        {"pack": "gold"},
        {"terms": ""},
        {"terms": "1999-01"},
    ):
        answer = await house.browser().post("/signup", data=filled(house, **change))
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
    async with house.cloud.database.reading() as session:
        assert await repository.signups_count(session) == 0


async def test_a_link_works_once_in_its_time_and_an_address_has_one_account(house: World) -> None:
    browser = house.browser()
    asked = await browser.post("/signup", data=filled(house))
    token = re.search(r"token=([^\"]+)\"", asked.text)[1]  # type: ignore[index]
    house.clock.advance(DAY_S)
    assert (await browser.get(f"/signup/confirm?token={token}")).status_code == 403
    await signed_up(house)
    known = await house.browser("10.0.0.2").post("/signup", data=filled(house, company="Thief"))
    assert known.status_code == 422
    form = {"token": token, "password": PASSWORD, "again": PASSWORD}
    assert (await browser.post("/signup/confirm", data=form)).status_code == 403
    forged = await browser.post("/signup", data=filled(house), headers={"Origin": "http://elsewhere"})
    assert forged.status_code == 403


async def test_one_address_cannot_flood_the_sign_up(house: World) -> None:
    browser = house.browser()
    statuses = [(await browser.post("/signup", data=filled(house, pack="none"))).status_code for _ in range(12)]
    assert statuses == [422] * 10 + [429] * 2


class Inbox:
    """Takes every mail."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.texts.append(envelope.content.decode())
        return "250 OK"


async def test_the_address_is_confirmed_by_mail_and_who_has_an_account_is_told_there_alone(tmp_path: Path) -> None:
    inbox, port = Inbox(), free_port()
    relay = Controller(inbox, hostname="127.0.0.1", port=port)
    relay.start()
    mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "Zhisan <a@cloud.example>"}
    try:
        async with world(tmp_path, webhooks={"mail": mail}, signup={"enabled": True}) as house:
            form = filled(house, pack="starter")
            first = await house.browser().post("/signup?lang=en", data=form)
            assert "token=" not in first.text
            text = inbox.texts[0].replace("=\r\n", "").replace("=3D", "=")
            token = re.search(r"token=([\w-]+)", text)[1]  # type: ignore[index]
            done = {"token": token, "password": PASSWORD, "again": PASSWORD}
            assert (await house.browser().post("/signup/confirm", data=done)).status_code == 303
            again = await house.browser().post("/signup?lang=en", data=form)
            assert again.text == first.text or again.status_code == first.status_code == 200
            assert "You have an account already" in inbox.texts[1]
            assert "token=" not in inbox.texts[1]
    finally:
        relay.stop()


async def test_sign_up_is_off_unless_somebody_switches_it_on(tmp_path: Path) -> None:
    async with world(tmp_path, signup={}) as house:
        assert (await house.browser().get("/signup")).status_code == 404
        assert "/signup" not in (await house.browser().get("/login")).text
    with pytest.raises(ValueError, match=r"signup\.confirm"):
        async with world(tmp_path, signup={"enabled": True}):
            pass


async def test_each_request_to_a_human_is_counted_with_what_diagnosis_had_found(house: World) -> None:
    browser = await signed_up(house)
    tenant_id = await tenant_of(house)
    page = (await browser.get("/help/diagnosis?lang=en")).text
    assert 'id="diagnosis-first"' in page
    assert "A gateway is claimed" in page
    now_ms, headers = house.clock.utc_ms(), {**HERE, **await csrf(browser)}
    assert (await browser.post("/support", data={"text": " "}, headers=headers)).status_code == 422
    assert (await browser.post("/support", data={"text": "no shots"}, headers=headers)).status_code == 303
    async with house.cloud.database.reading() as session:
        assert await repository.touches(session, tenant_id, from_ms=now_ms, until_ms=now_ms + 1) == 1
        [request] = await repository.support_requests(session, tenant_id, limit=9)
    assert (request.diagnosis, request.due_ms) == ("claimed", now_ms + 72 * 3_600_000)
    assert "no shots" in (await browser.get("/support")).text


async def test_articles_are_there_in_both_languages_and_found_by_their_words(house: World) -> None:
    browser, desk = await signed_up(house), house.cloud.self_service
    assert {language for _, language in desk.articles} == {"zh-CN", "en"}
    names = {name for name, language in desk.articles if language == "en"}
    assert names == {name for name, language in desk.articles if language == "zh-CN"}
    for (name, language), article in desk.articles.items():
        page = await browser.get(f"/help?article={name}&lang={language}")
        assert page.status_code == 200
        assert article.title in page.text
        for target in re.findall(r'href="(/[^"]*)"', article.html):
            assert (await browser.get(target, follow_redirects=True)).status_code == 200, (name, target)
    assert "Claim a gateway" in (await browser.get("/help?q=token+claim&lang=en")).text
    assert "认领网关" in (await browser.get("/help?q=令牌&lang=zh-CN")).text
    assert (await browser.get("/help?article=nothing")).status_code == 404


async def back(house: World) -> tuple[httpx.AsyncClient, dict[str, str]]:
    """The administrator signs in again: sessions do not last for weeks."""
    browser = house.browser()
    form = {"login": "anna@plant.example", "password": PASSWORD}
    assert (await browser.post("/login", data=form)).status_code == 303
    return browser, {**HERE, **await csrf(browser)}


async def test_a_company_changes_its_pack_itself_up_at_once_and_down_when_its_month_ends(tmp_path: Path) -> None:
    gold = {"name": "gold", "label_zh": "金", "label_en": "Gold", "price_minor": 223_456, "currency": "EUR"}
    offer = {"enabled": True, "confirm": "link", "packs": [*PACKS, gold | {"tier": "value"}]}
    async with world(tmp_path, signup=offer) as house:
        await signed_up(house)
        tenant_id = await tenant_of(house)
        house.clock.advance(15.5 * DAY_S)
        browser, headers = await back(house)
        shown = (await browser.get("/plan/packs?pack=gold&lang=en")).text
        assert "It begins at once." in shown
        assert "€500.00" in shown, "half of the month's difference"
        assert (await browser.post("/plan/packs", data={"pack": "none"}, headers=headers)).status_code == 422
        assert (await browser.post("/plan/packs", data={"pack": "gold"}, headers=headers)).status_code == 303
        assert (await browser.get("/api/v1/plan")).json()["tier"] == "value"
        lower = (await browser.get("/plan/packs?pack=paid&lang=en")).text
        assert "when the month ends" in lower
        assert (await browser.post("/plan/packs", data={"pack": "paid"}, headers=headers)).status_code == 303
        assert "Paid was chosen" in (await browser.get("/plan/packs?lang=en")).text
        assert (await browser.get("/api/v1/plan")).json()["tier"] == "value", "not before"
        house.clock.advance(15.5 * DAY_S)
        packs = house.cloud.self_service.packs
        async with house.cloud.database.transaction() as session:
            assert await billing.issue_due(session, house.clock.utc_ms(), packs=packs) == 1
            newest, first = await repository.invoices(session, tenant_id, limit=9)
        assert (first.net_minor, newest.net_minor) == (123_456, 123_456 + 50_000), "the lower price and the difference"
        browser, headers = await back(house)
        plan = (await browser.get("/api/v1/plan")).json()
        assert (plan["tier"], plan["entitlements"]["presses_max"]) == ("long_tail", 200), "with its time of grace"
        async with house.cloud.database.transaction() as session:
            by, now_ms = SYSTEM, house.clock.utc_ms()
            await assign_tier(session, tenant_id, Tier.STRATEGIC, reason="agreed", by=by, now_ms=now_ms)
        refused = await browser.post("/plan/packs?lang=en", data={"pack": "free"}, headers=headers)
        assert refused.status_code == 409
        assert "ask them for another pack" in refused.text
