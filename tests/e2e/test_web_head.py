"""The head of every page in a real browser: one row at a desk, the company's name, a menu of one's own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cloud.core.access import RIGHTS, Role
from tests.e2e.test_web_pages import Served, browser, open_page, pytestmark, scrolls_sideways
from tests.e2e.web_plant import READER, Plant

__all__ = ["browser", "open_page", "pytestmark"]
COMPANY = "Suzhou Precision Injection Moulding (Kunshan) Co., Ltd."


@pytest.fixture
def served_fullest(tmp_path: Path) -> Iterator[Served]:
    """For who has every right, and so the fullest menu, in a company with a long name."""
    reader = replace(READER, name="wang.xiaoming", rights=RIGHTS[Role.PLATFORM_ADMIN], company=COMPANY)
    served = Served(Plant(tmp_path, reader))
    yield served
    served.stop()


@pytest.mark.parametrize(("language", "width"), [("en", 1440), ("zh-CN", 1440), ("en", 390), ("zh-CN", 390)])
def test_the_head_stands_in_one_row_and_names_the_company(served_fullest, open_page, root, language, width):
    """With the fullest menu there is, the word that the page is live, and a long name."""
    served_fullest.plant.run(shots=3, wear=0.0)
    page = open_page(language=language, width=width)
    page.goto(served_fullest.url)
    expect(page.locator("#live-word")).to_have_text("Live" if language == "en" else "实时")
    expect(page.locator("header .company")).to_have_text(COMPANY)
    (root / "build" / "screenshots").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=root / "build" / "screenshots" / f"head-{language}-{width}.png")
    parts = [box for part in page.locator("header.top > *").all() if (box := part.bounding_box()) is not None]
    middles = [box["y"] + box["height"] / 2 for box in parts]
    assert max(middles) - min(middles) < 4, "all stand on one line"
    assert max(box["height"] for box in parts) < 50, "none is of two lines itself"
    assert not scrolls_sideways(page)


def test_the_own_menu_leads_to_the_account_and_out(served_fullest, open_page):
    page = open_page()
    page.goto(served_fullest.url)
    own = page.locator("header .own")
    expect(own.get_by_role("link", name="My account")).to_be_hidden()
    own.locator("summary").click()
    expect(own.get_by_role("link", name="My account")).to_have_attribute("href", "/account")
    expect(own.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(own.get_by_role("button", name="Sign out")).to_be_hidden()
    page.locator("header .languages").get_by_role("link", name="中文").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
