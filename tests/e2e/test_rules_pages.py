"""The pages of rules in a real browser: written, tried on the last days, saved, taken back, in both languages."""

import re

import pytest
from playwright.sync_api import expect

from cloud.core.access import RIGHTS, Principal, Role
from cloud.core.tenants import DEFAULT_TENANT
from tests.e2e.test_web_pages import (  # noqa: F401 - fixtures
    LOOKS,
    Served,
    browser,
    open_page,
    pytestmark,
    scrolls_sideways,
)
from tests.e2e.web_plant import Plant

ENGINEER = Principal("user", "u-2", "Wang Wei", DEFAULT_TENANT, RIGHTS[Role.ENGINEER], "token-of-the-session")
TRY = {"en": "Try on the last 7 days", "zh-CN": "用最近 7 天试运行"}
FAULT = {"en": "colour: this version knows no such field", "zh-CN": "colour: 此版本没有这一项"}
SAVE = {"en": "Save", "zh-CN": "保存"}
UNREADABLE = {"en": "Rule cannot be read", "zh-CN": "规则无法读取"}
ITS_RULE = {"en": "Its rule", "zh-CN": "所属规则"}
WOULD = {"en": r"Would have fired \d+ times?", "zh-CN": r"本应触发 \d+ 次"}


@pytest.fixture
def served(tmp_path):
    served = Served(Plant(tmp_path, ENGINEER))
    yield served
    served.stop()


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_a_rule_is_tried_in_both_languages_on_any_width(served, open_page, root, language, scheme, width):  # noqa: F811
    served.plant.run(shots=30, wear=0.95)
    page = open_page(language=language, scheme=scheme, width=width)
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.goto(f"{served.url}/rules")
    assert page.locator("html").get_attribute("lang") == language
    assert not scrolls_sideways(page)
    page.screenshot(path=folder / f"rules-{language}-{scheme}-{width}.png", full_page=True)
    page.goto(f"{served.url}/rules/standard.failure_probability")
    page.get_by_role("button", name=TRY[language]).click()
    expect(page.locator("#tried-title")).to_have_text(re.compile(WOULD[language]))
    expect(page.locator("#tried")).to_contain_text("IMM-02")
    assert not scrolls_sideways(page)
    page.screenshot(path=folder / f"rule-{language}-{scheme}-{width}.png", full_page=True)


def test_a_rule_is_written_tried_changed_taken_back_and_deleted(served, open_page):  # noqa: F811
    served.plant.run(shots=30, wear=0.95)
    page = open_page()
    page.goto(f"{served.url}/rules")
    page.get_by_role("link", name="New rule Limits").click()
    page.get_by_label("Name").fill("<b>slow</b>")
    page.get_by_label("Value").select_option("CycleTime")
    page.get_by_label("Above").fill("1")
    page.get_by_label("Below").fill("5")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("alert")).to_contain_text("The lower limit must be less than the upper limit.")
    assert [complaint for complaint in open_page.complaints if "422" not in complaint] == []
    open_page.complaints.clear()
    page.get_by_label("Below").fill("")
    page.get_by_label("Presses").fill("IMM-01, IMM-02, IMM-03")
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#tried-title")).to_have_text("Would have fired 3 times")
    expect(page.locator("#tried > ul > li")).to_have_count(3)
    page.get_by_label("Why this change").fill("scrap")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("<b>slow</b>")
    expect(page.locator(".timeline li")).to_have_count(1)
    page.get_by_label("Enabled", exact=True).uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".timeline li")).to_have_count(2)
    page.get_by_role("button", name="Take this version back Version 1").click()
    expect(page.locator(".timeline li")).to_have_count(3)
    expect(page.get_by_label("Enabled", exact=True)).to_be_checked()
    page.goto(f"{served.url}/rules")
    expect(page.get_by_role("row").filter(has_text="<b>slow</b>")).to_contain_text("Enabled")
    page.get_by_role("link", name="<b>slow</b>").click()
    page.get_by_role("button", name="Delete rule").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rules")
    expect(page.get_by_text("<b>slow</b>")).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_rule_that_cannot_be_read_says_why_and_is_saved_anew(served, open_page, root, language):  # noqa: F811
    served.plant.run(shots=2, wear=0.0)
    page = open_page(language=language)
    page.goto(f"{served.url}/rules/standard.failure_probability")
    page.get_by_role("button", name=SAVE[language]).click()
    served.plant.spoil_rules()
    page.goto(f"{served.url}/rules")
    expect(page.locator("section[aria-labelledby=unreadable]")).to_contain_text(FAULT[language])
    assert not scrolls_sideways(page)
    page.screenshot(path=root / "build" / "screenshots" / f"rules-unreadable-{language}.png", full_page=True)
    page.goto(f"{served.url}/alarms")
    page.get_by_role("link", name=UNREADABLE[language]).click()
    page.get_by_role("link", name=ITS_RULE[language]).click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.screenshot(path=root / "build" / "screenshots" / f"rule-unreadable-{language}.png", full_page=True)
    page.get_by_role("button", name=SAVE[language]).click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.goto(f"{served.url}/rules")
    expect(page.locator("#unreadable")).to_have_count(0)
