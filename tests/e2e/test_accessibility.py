"""Every page under axe-core, in both languages and both looks: nothing serious or critical is in a reader's way.

The pages come from the application's routes: one that is added is looked at without anybody thinking of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401 - skips where there is no browser
from tests.e2e.whole_plant import House, open_house

AXE = Path("node_modules/axe-core/axe.min.js")
LOOKS = (
    ("en", "light", 1440),
    ("zh-CN", "dark", 390),
    pytest.param("zh-CN", "light", 1440, marks=pytest.mark.slow),
    pytest.param("en", "dark", 390, marks=pytest.mark.slow),
)
ONLY_WITH_A_LINK = {
    "/setup",
    "/welcome",
    "/signup/confirm",
    "/login/oidc/{provider}",
    "/login/oidc/{provider}/callback",
}
"""Without the link that leads there they say so, which is a page too."""
BAD = ("serious", "critical")
RUN = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(found => ({
    rule: found.id,
    impact: found.impact,
    nodes: found.nodes.slice(0, 4).map(node => `${node.target} ${node.html.slice(0, 160)}`),
}))
"""


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


def in_the_way(page: Page) -> list[dict[str, Any]]:
    """What axe holds for serious or critical on the page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return [found for found in page.evaluate(RUN) if found["impact"] in BAD]


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make web")
@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_no_page_has_a_serious_violation(
    browser: Browser, house: House, language: str, scheme: Any, width: int
) -> None:
    context = browser.new_context(locale=language, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    setup = house.setup_link.partition("?")[2]
    found = [("/setup", bad) for bad in _looked_at(page, house, "/setup", f"/setup?{setup}", language)]
    context.add_cookies(house.cookies())
    for route, path in house.pages.items():
        found += [(route, bad) for bad in _looked_at(page, house, route, path, language)]
    context.close()
    assert len(house.pages) > 15
    assert not found, "\n".join(f"{route}: {bad}" for route, bad in found)


def test_axe_sees_what_is_wrong(browser: Browser) -> None:
    """The same eyes on a bad page: a picture without words, a field without a name, grey on grey."""
    page = browser.new_page()
    page.set_content(
        "<html lang='en'><title>x</title><main><h1>x</h1><img src='data:,'><input>"
        "<p style='color:#999;background:#aaa'>grey on grey</p></main></html>"
    )
    assert {bad["rule"] for bad in in_the_way(page)} >= {"image-alt", "label", "color-contrast"}
    page.close()


def _looked_at(page: Page, house: House, route: str, path: str, language: str) -> list[dict[str, Any]]:
    answer = page.goto(house.url + path)
    assert answer is not None
    assert answer.status == 200 or (route in ONLY_WITH_A_LINK and answer.status < 500), (path, answer.status)
    assert "text/html" in answer.headers["content-type"], f"{path} is no page: name it in NO_PAGE"
    if not answer.text().lstrip().lower().startswith("<!doctype html>"):
        return []  # a piece that a page swaps in: it is looked at where it stands
    assert page.locator("html").get_attribute("lang") == language, path
    return in_the_way(page)
