"""Customers and their evidence are imported in a browser, looked at first, and scored."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from simulators.business.files import business, write
from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401 - skips where there is no browser
from tests.e2e.whole_plant import House, open_house

CUSTOMERS = 40
MONTHS = 3


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def page(house: House) -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = chromium.new_context(locale="en")
        context.add_cookies(house.cookies())
        yield context.new_page()
        chromium.close()


def files(folder: Path) -> tuple[Path, Path]:
    """Customers, and one file of their evidence that ends last month."""
    now = datetime.now(UTC).date()
    months = now.year * 12 + now.month - 1 - MONTHS
    write(
        business(CUSTOMERS, MONTHS, seed=1), folder, first=now.replace(year=months // 12, month=months % 12 + 1, day=1)
    )
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("evidence-*.csv"))]
    whole = folder / "evidence.csv"
    whole.write_text(texts[0] + "".join(text.partition("\n")[2] for text in texts[1:]), encoding="utf-8")
    return folder / "customers.csv", whole


def hand_in(page: Page, house: House, what: str, path: Path, button: str) -> None:
    page.goto(f"{house.url}/tiering")
    page.get_by_label("Rows are").select_option(what)
    page.get_by_label("File").set_input_files(path)
    page.get_by_role("button", name=button).click()


def test_files_are_looked_at_taken_and_scored(page: Page, house: House, tmp_path: Path) -> None:
    customers, evidence = files(tmp_path)
    bad = tmp_path / "bad.csv"
    bad.write_text("customer,kind,day,amount,currency,quantity,source\nnobody,invoice,2999-01-01,-5,CNY,1,x\n")
    with evidence.open(encoding="utf-8") as file:
        rows = len(list(csv.DictReader(file)))

    hand_in(page, house, "customers", customers, "Take it")
    expect(page.get_by_role("main")).to_contain_text(f"{CUSTOMERS} rows")
    hand_in(page, house, "evidence", bad, "Take it")
    expect(page.get_by_role("main")).to_contain_text("nobody")
    hand_in(page, house, "evidence", evidence, "Look at it")
    expect(page.get_by_role("main")).to_contain_text(str(rows))
    hand_in(page, house, "evidence", evidence, "Take it")
    expect(page.get_by_role("main")).to_contain_text(str(rows))

    page.get_by_role("button", name="Score now").click()
    ranked = page.get_by_role("link", name=re.compile(r"^Customer \d"))
    for _ in range(80):
        if ranked.count():
            break
        page.wait_for_timeout(250)
        page.reload()
    assert ranked.count() > CUSTOMERS / 2
