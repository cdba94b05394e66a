"""From nothing to the first press in a real browser: the start page, the wizard of a claim, and the menu of a phone."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from cloud.core.access import Role
from cloud.core.tenants import TenantId
from cloud.fleet.domain import SeenShot
from cloud.identity.cookies import COOKIE
from tests.access import session_headers
from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark, scrolls_sideways  # noqa: F401
from tests.e2e.whole_plant import House, open_house
from tests.integration.gateway_identity_world import csr_of, new_key

WORDS = {
    "en": {
        "next": "Next",
        "claim": "Claim a new gateway",
        "waits": "Waiting for the token",
        "connection": "Waiting for the gateway's connection",
        "press": "Waiting for its first press",
        "running": "The first press delivers.",
        "ask": "Ask admin of",
        "menu": "Menu",
        "gateways": "Gateways",
        "back": "Take the token back",
        "ended": "This token opens nothing",
    },
    "zh-CN": {
        "next": "下一步",
        "claim": "认领新网关",
        "waits": "等待令牌被使用",
        "connection": "等待网关连接",
        "press": "等待第一台注塑机",
        "running": "第一台注塑机已在传送数据。",
        "ask": "请联系 admin of",
        "menu": "菜单",
        "gateways": "网关",
        "back": "收回令牌",
        "ended": "该令牌已失效",
    },
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def signed_in(browser: Browser, house: House, tenant: str, role: Role, **look: Any) -> BrowserContext:
    login = f"{role.value} of {tenant}".replace("tenant_admin", "admin")
    headers = house.plant.ask(session_headers(house.plant.cloud, login, role, tenant_id=tenant))
    context = browser.new_context(timezone_id="Asia/Shanghai", **look)
    context.set_default_timeout(10_000)
    cookie = headers["Cookie"].partition("=")[2]
    context.add_cookies([{"name": COOKIE, "value": cookie, "url": house.url}])
    return context


@pytest.mark.parametrize(("language", "width"), [("en", 1440), ("zh-CN", 390)])
def test_a_new_company_is_led_to_its_first_press(browser: Browser, house: House, language: str, width: int) -> None:
    words, tenant = WORDS[language], TenantId(f"new-{width}")
    plant, gateway = f"hall-{width}", "gw-1"
    context = signed_in(
        browser, house, tenant, Role.TENANT_ADMIN, locale=language, viewport={"width": width, "height": 900}
    )
    start = context.new_page()
    start.goto(house.url + "/")
    assert start.url.endswith("/start"), "who has no press is led to the start"
    expect(start.locator("[aria-current=step]")).to_contain_text(words["next"])
    assert start.locator("[aria-current=step]").get_attribute("id") == "step-claim"
    assert not scrolls_sideways(start)
    page = context.new_page()
    page.goto(house.url + "/start")
    page.locator("#step-claim").get_by_role("link", name=words["claim"]).click()
    page.locator("main input[name=plant]").fill(plant)
    page.locator("main input[name=gateway]").fill(gateway)
    page.locator("main").get_by_role("button", name=words["claim"]).click()
    step = page.locator("[aria-current=step] h2")
    expect(step).to_have_text(words["waits"])
    command = page.locator("#claim-command").inner_text()
    token = re.search(r"ZHISAN_CLAIM_TOKEN=(\S+) zhisan gateway claim --cloud " + house.url, command)
    assert token is not None
    assert not scrolls_sideways(page)
    spent = httpx.post(f"{house.url}/api/v1/gateways/claim", json={"token": token.group(1), "csr": csr_of(new_key())})
    assert spent.status_code == 200
    expect(step).to_have_text(words["connection"])
    house.plant.ask(come(house, plant, gateway, None))
    expect(step).to_have_text(words["press"])
    expect(start.locator("[aria-current=step]")).to_have_attribute("id", "step-source")
    house.plant.ask(come(house, plant, gateway, "press-01"))
    expect(step).to_have_count(0)
    expect(start.locator("#start-steps .notice")).to_contain_text(words["running"])
    expect(start.locator("#step-shot")).to_contain_text("press-01")
    assert_viewer_is_told_whom_to_ask(browser, house, tenant, language, words)
    context.close()


def assert_viewer_is_told_whom_to_ask(
    browser: Browser, house: House, tenant: str, language: str, words: dict[str, str]
) -> None:
    context = signed_in(browser, house, tenant, Role.VIEWER, locale=language)
    page = context.new_page()
    page.goto(house.url + "/start")
    expect(page.locator("#step-tell")).to_contain_text(words["ask"])
    expect(page.locator("#step-tell a.button")).to_have_count(0)
    context.close()


async def come(house: House, plant: str, gateway: str, press: str | None) -> None:
    """The gateway introduces itself, and with a press what that press made."""
    cloud, now_ms = house.plant.cloud, house.plant.cloud.clock.utc_ms()
    async with cloud.database.transaction() as session:
        await cloud.fleet.node_born(session, plant, gateway, epoch="e", metrics={}, now_ms=now_ms)
        if press is not None:
            await cloud.fleet.device_born(session, plant, gateway, press, now_ms=now_ms)
            await cloud.fleet.shots_seen(session, [SeenShot(plant, gateway, press, now_ms, now_ms)])
    cloud.live.fleet.publish()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_menu_of_a_phone_is_reached_by_keyboard_and_needs_no_script(
    browser: Browser, house: House, language: str
) -> None:
    words = WORDS[language]
    look = {"locale": language, "viewport": {"width": 390, "height": 800}}
    context = signed_in(browser, house, "default", Role.TENANT_ADMIN, java_script_enabled=False, **look)
    page = context.new_page()
    page.goto(house.url + "/alarms")
    assert page.locator("header.top").bounding_box()["height"] < 64, "one row"
    links = page.locator("header.top nav a:visible")
    expect(links).to_have_count(0)
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.locator("summary:focus").count():
            break
    expect(page.locator("summary:focus")).to_have_text(words["menu"])
    page.keyboard.press("Enter")
    assert links.count() >= 11
    page.locator("header.top").get_by_role("link", name=words["gateways"], exact=True).click()
    expect(page.locator("h1")).to_contain_text(words["gateways"] if language == "zh-CN" else "Gateways")
    context.close()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_token_is_taken_back_on_the_page(browser: Browser, house: House, language: str) -> None:
    words = WORDS[language]
    context = signed_in(browser, house, f"back-{language}", Role.TENANT_ADMIN, locale=language)
    page = context.new_page()
    page.goto(house.url + "/gateways")
    page.locator("main input[name=plant]").fill(f"back-{language}")
    page.locator("main input[name=gateway]").fill("gw-1")
    page.locator("main").get_by_role("button", name=words["claim"]).click()
    page.get_by_role("button", name=words["back"]).click()
    expect(page.locator("#claim-steps")).to_contain_text(words["ended"])
    context.close()


@pytest.mark.parametrize(
    ("language", "width", "role"), [("en", 390, Role.TENANT_ADMIN), ("zh-CN", 1440, Role.PLATFORM_ADMIN)]
)
def test_settings_are_changed_by_their_forms(
    browser: Browser, house: House, language: str, width: int, role: Role
) -> None:
    """By two people, since looks are kept with the account."""
    is_english = language == "en"
    size = {"width": width, "height": 900}
    context = signed_in(browser, house, "default", role, locale=language, viewport=size, color_scheme="light")
    page = context.new_page()
    page.goto(house.url + "/settings")
    assert not scrolls_sideways(page)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Dark" if is_english else "深色").check()
    page.get_by_role("button", name="Save" if is_english else "保存").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.goto(house.url + "/settings/production")
    assert not scrolls_sideways(page)
    plan = page.locator("details").filter(has=page.locator("select[name=place] option[value='suzhou/']")).first
    plan.locator("summary").click()
    plan.locator("select").select_option("suzhou/IMM-01")
    plan.locator("[name=start]").fill("2026-03-01T08:00")
    plan.locator("[name=end]").fill("2026-03-01T12:00")
    plan.locator("[name=reason]").fill(f"for {language}")
    plan.get_by_role("button").click()
    row = page.locator("tbody tr").filter(has_text=f"for {language}")
    row.get_by_role("button", name="Take back" if is_english else "取消").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo" if is_english else "撤销").first.click()
    expect(row).to_have_count(1)
    context.close()
