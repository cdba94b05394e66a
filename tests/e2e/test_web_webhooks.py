"""The pages of webhooks in a real browser: an endpoint is made with a preview, tested, and given a new secret."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cloud.core.access import RIGHTS, Role
from tests.e2e.test_web_pages import Served, browser, open_page, pytestmark, scrolls_sideways
from tests.e2e.web_plant import READER, Plant

__all__ = ["browser", "open_page", "pytestmark"]
ENGINEER = replace(READER, rights=RIGHTS[Role.ENGINEER])
WORDS = {
    "en": {
        "json": "JSON, signed",
        "name": "Name",
        "url": "Address",
        "language": "Language of the texts",
        "make": "Make the endpoint",
        "test": "Send a test",
        "taken": "The receiver has taken the message.",
        "rotate": "New secret",
        "disable": "Disable",
        "disabled": "Somebody has disabled it.",
    },
    "zh-CN": {
        "json": "JSON（带签名）",
        "name": "名称",
        "url": "地址",
        "language": "文本语言",
        "make": "创建接收端",
        "test": "发送测试",
        "taken": "接收端已收到消息。",
        "rotate": "更换密钥",
        "disable": "停用",
        "disabled": "由人员停用。",
    },
}


@pytest.fixture
def receiver_url() -> Iterator[str]:
    """Takes every call."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"taken with thanks")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("language", "width"), [("en", 1440), ("zh-CN", 390)])
def test_an_endpoint_is_made_tested_rotated_and_disabled(
    tmp_path: Path, open_page, receiver_url: str, language: str, width: int
) -> None:
    words = WORDS[language]
    served = Served(Plant(tmp_path, ENGINEER))
    page = open_page(language=language, width=width)
    try:
        page.goto(f"{served.url}/webhooks/new?template=slack")
        other = "zh-CN" if language == "en" else "en"
        page.get_by_label(words["language"]).select_option(other)
        expect(page.locator("#preview")).to_contain_text("止逆环磨损" if other == "zh-CN" else "Check-ring wear")
        page.goto(f"{served.url}/webhooks")
        page.get_by_role("link", name=words["json"], exact=True).click()
        page.get_by_label(words["name"], exact=False).first.fill("line-mes")
        page.get_by_label(words["url"]).fill(receiver_url)
        assert not scrolls_sideways(page)
        page.get_by_role("button", name=words["make"]).click()
        first = page.locator("#secret-text").inner_text()
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/=]{44}", first)
        page.get_by_role("button", name=words["test"]).click()
        expect(page.get_by_text(words["taken"])).to_be_visible()
        expect(page.get_by_text("taken with thanks")).to_be_visible()
        assert first not in page.content()
        page.locator("summary", has_text=words["rotate"]).click()
        page.get_by_role("button", name=words["rotate"]).click()
        assert page.locator("#secret-text").inner_text() != first
        page.get_by_role("button", name=words["disable"]).click()
        expect(page.get_by_text(words["disabled"])).to_be_visible()
        assert not scrolls_sideways(page)
    finally:
        served.stop()
