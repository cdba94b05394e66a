"""The forms of maintenance in a real browser: planned, done, taken back, in both languages."""

import pytest
from playwright.sync_api import expect

from tests.e2e.test_rules_pages import served  # noqa: F401 - an engineer's plant
from tests.e2e.test_web_pages import browser, open_page, pytestmark, scrolls_sideways  # noqa: F401 - fixtures


@pytest.mark.parametrize(("language", "width"), [("en", 1440), ("zh-CN", 390)])
def test_work_is_planned_done_and_taken_back(served, open_page, root, language, width):  # noqa: F811
    served.plant.run(shots=6, wear=0.95)
    page = open_page(language=language, width=width)
    page.goto(f"{served.url}/maintenance")
    work = page.locator("section[aria-labelledby=work-title]")
    work.locator("summary").first.focus()
    page.keyboard.press("Enter")
    form = work.locator("form[action='/maintenance/jobs']").first
    form.locator("[name=start]").fill("2030-01-01T08:00")
    form.locator("[name=end]").fill("2030-01-01T07:00")
    form.locator("[name=who]").fill("<b>Wang</b>")
    form.locator("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert [complaint for complaint in open_page.complaints if "422" not in complaint] == []
    open_page.complaints.clear()
    work.locator("summary").first.click()
    form.locator("[name=start]").fill("2030-01-01T08:00")
    form.locator("[name=end]").fill("2030-01-01T09:00")
    form.locator("[name=who]").fill("<b>Wang</b>")
    form.locator("button").click()
    planned = page.locator("section[aria-labelledby=planned-title]")
    expect(planned.locator("tbody tr")).to_have_count(1)
    expect(planned).to_contain_text("<b>Wang</b>")
    assert not scrolls_sideways(page)
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"maintenance-{language}-{width}.png", full_page=True)
    planned.locator("summary").first.click()
    done = planned.locator("form[action$='/done']")
    done.locator("[value=repaired]").check()
    done.locator("[name=work]").fill("new ring")
    done.locator("button").click()
    expect(planned.locator("tbody tr")).to_have_count(0)
    page.locator("form[action$='/reopen'] button").click()
    expect(planned.locator("tbody tr")).to_have_count(1)
