"""From sign-up to the first live shot in Chromium: real cloud, broker and gateway, a simulated press, no human asked.

The token that the page shows is spent by the real command; the broker of this test asks for no certificate.
"""

import sqlite3
import subprocess
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, sync_playwright

from deploy.local.configs import GATEWAY_ID, PLANT_ID
from tests.e2e.fault_plant import ZHISAN, Plant, running, wait_until
from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401 - skips where there is no browser

PASSWORD = "four calm grey presses"
FIRST_SHOT_S = 60.0
MORE = """
[signup]
enabled = true
confirm = "link"

[gateways]
broker_host = "broker.example"
"""


@pytest.mark.timeout(240)
def test_a_company_comes_from_sign_up_to_its_first_shot_and_asks_nobody(tmp_path: Path) -> None:
    with running(tmp_path, "nats", parts=("broker",)) as plant, sync_playwright() as playwright:
        plant.cloud_config.write_text(plant.cloud_config.read_text(encoding="utf-8") + MORE, encoding="utf-8")
        web = tomllib.loads(plant.cloud_config.read_text(encoding="utf-8"))["web"]
        plant.start("cloud")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(locale="en").new_page()
        url = f"http://127.0.0.1:{web['port']}"
        wait_until(plant, lambda: _answers(page, f"{url}/healthz"), 60.0, "the cloud's pages")
        _sign_up(page, url)
        _claim(page, url, tmp_path)
        plant.start_presses(1, speed=20.0)
        plant.start("gateway")
        press = _first_shot(page, url, plant)
        page.goto(f"{url}/plants/{PLANT_ID}/presses/{press}")
        assert press in page.locator("h1").inner_text()
        page.goto(f"{url}/help/diagnosis")
        assert page.locator("ol li").count() == 10
        page.goto(f"{url}/support")
        browser.close()
        plant.stop("presses", "gateway", "cloud", "broker")
    with sqlite3.connect(tmp_path / "cloud" / "cloud.sqlite") as kept:
        assert kept.execute("SELECT count(*) FROM support_requests").fetchone() == (0,), "a human was asked"
        assert kept.execute("SELECT tier FROM tier_assignments").fetchall() == [("long_tail",)]
        [owner] = {row[0] for row in kept.execute("SELECT tenant_id FROM presses")}
    assert owner.startswith("north-plastics-")


def _answers(page: Page, url: str) -> bool:
    try:
        return page.request.get(url).ok
    except Error as error:
        if "ECONNREFUSED" in str(error):
            return False
        raise


def _sign_up(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.get_by_role("link", name="Sign your company up").click()
    page.get_by_label("Company").fill("North Plastics")
    page.get_by_label("Name", exact=True).fill("Anna")
    page.get_by_label("E-mail address").fill("anna@north.example")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Sign up").click()
    page.locator("#confirm-link").click()
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=again]").fill(PASSWORD)
    page.get_by_role("button", name="Create the account").click()
    page.wait_for_url(f"{url}/start")


def _claim(page: Page, url: str, folder: Path) -> None:
    page.goto(f"{url}/gateways")
    page.locator("input[name=plant]").fill(PLANT_ID)
    page.locator("input[name=gateway]").fill(GATEWAY_ID)
    page.locator("form[action='/gateways/claims'] button[type=submit]").click()
    token = (page.locator("#claim-token").text_content() or "").strip()
    config, state = folder / "claimed.toml", folder / "claimed"
    command = [*ZHISAN, "gateway", "claim", "--cloud", url, "--config", str(config), "--state-dir", str(state)]
    done = subprocess.run([*command, "--token", token], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (state / "identity" / "gateway.pem").exists()


def _first_shot(page: Page, url: str, plant: Plant) -> str:
    """The press whose shot has come."""
    found: list[str] = []

    def has_come() -> bool:
        listed = page.request.get(f"{url}/api/v1/presses").json()["items"]
        found[:] = [one["press_id"] for one in listed if one["last_shot_ms"] is not None]
        return bool(found)

    wait_until(plant, has_come, FIRST_SHOT_S, "the first shot")
    return found[0]
