"""Every page in a real browser under its own policy: nothing is refused, and what is foreign would be."""

import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright
from starlette.types import Receive, Scope, Send

from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.database import Database, sqlite_url
from cloud.core.tenants import DEFAULT_TENANT
from cloud.web import audit_page
from cloud.web.shell import Shell
from kit.clock import SystemClock
from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401 - skips where there is no browser
from tests.e2e.web_plant import PLANT, WORN_PRESS, Plant

ADMIN = Principal("user", "u1", "Anna", DEFAULT_TENANT, RIGHTS[Role.TENANT_ADMIN], csrf_token="token")
WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", event =>
    window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
ATTACK = """
() => new Promise(done => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:9/x.png";
    document.body.append(image);
    document.body.insertAdjacentHTML("beforeend", "<p style='color:red' onclick='window.ran = true'>x</p>");
    try { setTimeout("window.ran = true", 0); } catch {}
    setTimeout(() => done([window.ran === true, window.refused.map(line => line.split(" ")[0])]), 300);
})
"""


class SignedIn:
    """Stands where identity stands: every request is an administrator's."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, SCOPE_KEY: ADMIN}, receive, send)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("csp")
    plant = Plant(folder)
    app = plant.app()
    database = Database(sqlite_url(folder / "cloud.sqlite"))
    audit_page.include(app, Shell(SystemClock()), database, AuditVerifier(database, SystemClock()))
    server = uvicorn.Server(uvicorn.Config(SignedIn(app), port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    plant.run(shots=6, wear=0.95)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    plant.close_streams()
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/plants/{PLANT}/presses/{WORN_PRESS}",
        "/alarms",
        "/deliveries",
        "/audit",
        "/plants/none/presses/none",
    ],
)
def test_no_page_asks_for_what_its_policy_refuses(browser: Browser, url: str, path: str) -> None:
    page = browser.new_page()
    page.add_init_script(WATCH)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    answer = page.goto(url + path)
    page.wait_for_timeout(700)  # charts and live streams begin after the page is there
    assert answer is not None
    assert page.evaluate("window.refused") == []
    assert [text for text in complaints if answer.status == 200] == []
    headers = answer.headers
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    page.close()


def test_an_inline_script_a_handler_a_style_and_a_foreign_image_are_refused(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(f"{url}/alarms")
    ran, refused = page.evaluate(ATTACK)
    assert ran is False
    assert {"script-src-elem", "script-src-attr", "style-src-attr", "img-src", "script-src"} <= set(refused)
    page.close()


def test_a_foreign_page_cannot_frame_ours(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.set_content(f"<iframe src='{url}/alarms'></iframe>")
    page.wait_for_timeout(500)
    assert page.frames[1].url == "chrome-error://chromewebdata/"
    page.close()
