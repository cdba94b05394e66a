"""Every page in a real browser under its own policy: nothing is refused, and what is foreign would be."""

import re
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser, sync_playwright
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.app import create_app
from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.tenants import DEFAULT_TENANT
from cloud.settings import CloudSettings
from cloud.web import audit_page
from cloud.web.shell import Shell
from deploy.local.processes import free_port
from kit.clock import SystemClock
from tests.e2e.test_web_pages import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401 - skips where there is no browser
from tests.e2e.web_plant import PLANT, WORN_PRESS, Plant

ADMIN = Principal("user", "u1", "Anna", DEFAULT_TENANT, RIGHTS[Role.TENANT_ADMIN], csrf_secret="secret")
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
    """Stands inside of what finds out who asks: every request is an administrator's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, SCOPE_KEY: ADMIN}, receive, send)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("csp")
    plant = Plant(folder)
    app = plant.app()
    verifier = AuditVerifier(plant.database, SystemClock())
    audit_page.include(app, Shell(SystemClock()), plant.database, verifier)
    app.user_middleware.append(Middleware(SignedIn))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
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
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The whole application, with nothing in it, and the path of every page that needs no more than its name."""
    raw = {
        "storage": {"dir": str(tmp_path_factory.mktemp("whole"))},
        "telemetry": {"store": "memory"},
        "broker": {"port": free_port()},
    }
    app = create_app(CloudSettings.model_validate(raw), environ={})
    app.user_middleware.append(Middleware(SignedIn))  # the last is the innermost
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", sorted(pages_of(app))
    app.state.pages.close()
    server.should_exit = True
    thread.join(20)


def pages_of(app: FastAPI) -> set[str]:
    """The paths of GET routes without parameters that are no API, no stream and no data."""
    paths = {route.path for route in iter_route_contexts(app.routes) if "GET" in (route.methods or ())}
    return {path for path in paths if not re.search(r"[{.]|^/(api|live|static|healthz|readyz)", path)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def look_at(browser: Browser, url: str) -> str:
    """Open a page, let its script run, and demand that nothing was refused; its content security policy."""
    page = browser.new_page()
    page.add_init_script(WATCH)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    answer = page.goto(url)
    page.wait_for_timeout(700)  # charts and live streams begin after the page is there
    assert answer is not None
    assert page.evaluate("window.refused") == [], url
    if answer.text().lstrip().lower().startswith("<!doctype html>"):  # else a piece of one, which names no icon
        assert [text for text in complaints if answer.status == 200] == [], url
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    page.close()
    return policy


@pytest.mark.parametrize(
    "path",
    ["/", f"/plants/{PLANT}/presses/{WORN_PRESS}", "/alarms", "/deliveries", "/audit", "/plants/none/presses/none"],
)
def test_no_page_asks_for_what_its_policy_refuses(browser: Browser, url: str, path: str) -> None:
    assert "unsafe" not in look_at(browser, url + path)


def test_no_page_of_the_whole_application_does_however_new_it_is(
    browser: Browser, whole: tuple[str, list[str]]
) -> None:
    url, paths = whole
    assert {"/", "/alarms", "/audit", "/deliveries"} <= set(paths)
    assert [path for path in paths if "unsafe" in look_at(browser, url + path)] == []


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
