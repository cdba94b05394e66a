"""Pictures of every page for people to look at: both languages, two widths, light and dark. `make screenshots`."""

import itertools
import re
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM
from tests.e2e.whole_plant import open_house

FOLDER = Path("build/screenshots")
UNDRAWN = "[data-chart]:not([data-state])"
LOOKS = tuple(itertools.product(("zh-CN", "en"), ("light", "dark"), (1600, 390)))


def main() -> None:
    """Serve the furnished application and write a PNG of each of its pages in each look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_house(Path(folder)) as house, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for language, scheme, width in LOOKS:
            context = chromium.new_context(
                locale=language,
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": 900},
            )
            context.add_cookies(house.cookies())
            page = context.new_page()
            for route, path in house.pages.items():
                page.goto(house.url + path)
                expect(page.locator(UNDRAWN)).to_have_count(0)
                name = re.sub(r"[^a-z]+", "-", route.lower()).strip("-") or "fleet"
                page.screenshot(path=FOLDER / f"{name}.{language}.{scheme}.{width}.png", full_page=True)
            context.close()
        chromium.close()
    print(f"{len(LOOKS) * len(house.pages)} pictures in {FOLDER}")


if __name__ == "__main__":
    main()
