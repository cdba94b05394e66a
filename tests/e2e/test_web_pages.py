"""The pages in a real browser: languages, looks, live updates, charts, acknowledging, and a broken line."""

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.web_plant import PLANT, Plant

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FIRST_PAGE_BYTES_MAX = 150_000
WORST_FIRST = ("alarm", "offline", "stale", "watch", "waiting", "normal")
LOOKS = (("zh-CN", "light", 1440), ("en", "dark", 1440), ("en", "light", 390), ("zh-CN", "dark", 390))

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
    pytest.mark.skipif(
        not Path("cloud/web/static/dist/app.js").exists(), reason="the page's scripts are not built: make web"
    ),
]


class Served:
    """The app on a port of its own, stopped and started again as a test asks."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.port = 0
        self.start()

    def start(self) -> None:
        config = uvicorn.Config(
            self.plant.app(), host="127.0.0.1", port=self.port, log_level="error", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web under test")
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.02)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.plant.close_streams()
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(Plant(tmp_path))
    yield served
    served.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator:
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(
        *, language: str = "en", scheme: str = "light", width: int = 1440, height: int = 900, **options
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale=language,
            timezone_id="Asia/Shanghai",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    open_one.complaints = complaints
    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def scrolls_sideways(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def is_drawn(page: Page, figure: str) -> bool:
    """Whether every canvas of a figure holds ink."""
    return page.evaluate(
        """name => {
            const canvases = [...document.querySelectorAll(`${name} canvas`)];
            return canvases.length > 0 && canvases.every(canvas => canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height).data.some(value => value !== 0));
        }""",
        figure,
    )


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_each_page_speaks_the_language_fits_the_width_and_breaks_no_policy(
    served, open_page, root, language, scheme, width
):
    served.plant.run(shots=30, wear=0.95)
    page = open_page(language=language, scheme=scheme, width=width)
    titles = {
        "zh-CN": ["机群总览", "注塑机 IMM-02", "报警", "报警", "报警", "报警", "推送记录", "Webhook 推送"],
        "en": ["Fleet", "Press IMM-02", "Alarms", "Alarms", "Alarms", "Alarms", "Webhook deliveries", "Webhooks"],
    }
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    for name, path, title in zip(
        ("fleet", "press", "alarms", "alarms-withheld", "alarms-history", "alarms-analytics", "deliveries", "webhooks"),
        (
            "/",
            f"/plants/{PLANT}/presses/IMM-02",
            "/alarms",
            *(f"/alarms?tab={tab}" for tab in ("withheld", "history", "analytics")),
            "/deliveries",
            "/webhooks",
        ),
        titles[language],
        strict=True,
    ):
        page.goto(served.url + path)
        expect(page.locator("h1")).to_have_text(title)
        assert page.locator("html").get_attribute("lang") == language
        if name == "press":
            expect(page.locator("#trend[data-state=drawn] canvas").first).to_be_visible()
            expect(page.locator("#curves[data-state=drawn] canvas")).to_have_count(4)
            expect(page.locator("#features[data-state=drawn] canvas")).to_have_count(3)
            assert is_drawn(page, "#curves")
            assert is_drawn(page, "#trend")
            dataset = page.locator("#press-production")
            since = "since" if language == "en" else "始于"
            expect(dataset.locator("dd", has_text="PP MFR 12")).to_contain_text(f"PP MFR 12 {since}")
            hold = dataset.get_by_role("row", name="Hold" if language == "en" else "保压").filter(has_text="380")
            expect(hold).to_contain_text(since)
            expect(hold).to_contain_text("−")
            expect(dataset.locator(".moved li")).to_have_count(3)
            expect(dataset.locator(".moved li").first).to_contain_text("380")
            expect(dataset).to_contain_text("Energy per part" if language == "en" else "单件能耗")
        assert not scrolls_sideways(page), path
        page.screenshot(path=folder / f"{name}-{language}-{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-CN", "light", 1600), ("en", "light", 390)])
def test_what_models_say_is_shown_with_why_and_since_when_and_an_alarm_is_judged(
    served, open_page, root, language, scheme, width
):
    """One plant for all: the outlook, baseline and drift of presses, the page of drift, gateways, and a verdict."""
    served.plant.run(shots=30, wear=0.95)
    page = open_page(language=language, scheme=scheme, width=width)
    is_english = language == "en"
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)

    def look(name: str, path: str) -> None:
        page.goto(served.url + path)
        assert not scrolls_sideways(page), path
        page.screenshot(path=folder / f"{name}-{language}-{scheme}-{width}.png", full_page=True)

    look("outlook", f"/plants/{PLANT}/presses/IMM-03")
    outlook, baseline = page.locator("#press-outlook"), page.locator("#press-baseline")
    worst = outlook.locator("tbody tr").first
    expect(worst).to_contain_text("Screw" if is_english else "螺杆")
    expect(worst.locator("td.number")).to_have_text(
        [re.compile(r"^4"), re.compile("^11"), re.compile("^34"), "40\u202f%"]
    )
    expect(outlook.locator("details tbody tr")).to_have_count(9)
    expect(outlook.locator(".figure")).to_have_text("61\u202fh")
    expect(outlook).to_contain_text("between 22 and 131 h" if is_english else "22 至 131 小时")
    expect(outlook).to_contain_text("1.7")
    expect(baseline).to_contain_text("In force" if is_english else "已生效")

    look("baseline", f"/plants/{PLANT}/presses/IMM-02")
    expect(baseline).to_contain_text("84 of 200" if is_english else "84 / 200")
    expect(baseline).to_contain_text("after maintenance" if is_english else "维修后")
    expect(baseline.locator(".moved li").first).to_contain_text("3.4")

    look("abstains", f"/plants/{PLANT}/presses/IMM-01")
    expect(outlook).to_contain_text("Not reliably predictable" if is_english else "当前无法可靠预测")

    look("drift", "/models/drift")
    expect(page.locator("tbody tr th")).to_contain_text(["IMM-02", "IMM-01", "IMM-03", "IMM-04"])
    expect(page.locator("tbody tr").first).to_contain_text("Oil temperature" if is_english else "油温")
    expect(page.locator("tbody tr").nth(2)).to_contain_text("88")
    expect(page.locator(".tone-watch")).to_have_count(1)

    look("gateways", "/gateways")
    line = page.locator("tbody tr").first
    expect(line.locator(".number .tone-watch")).to_have_text(re.compile("3"))
    expect(line).to_contain_text("0.8\u202f/s")
    expect(line.locator("ul.bundles").first).to_contain_text("0123456789ab")
    expect(line.locator("ul.bundles").first).to_contain_text("3 presses" if is_english else "3 台")
    line.locator("summary").click()
    drifting = line.locator("details li").filter(has_text="IMM-02")
    expect(drifting).to_contain_text("Drifted or missing" if is_english else "有漂移或缺失")
    line.locator("a[href='/models/drift']").click()
    expect(page.locator("h1")).to_have_text("Drift and missing channels" if is_english else re.compile("漂移"))

    page.goto(f"{served.url}/alarms")
    question = page.locator(".answer details summary").first
    question.click()
    page.get_by_role("button", name="Repaired" if is_english else "已维修").first.click()
    expect(question).to_contain_text("right, and repaired" if is_english else "维修")
    page.screenshot(path=folder / f"judged-{language}-{scheme}-{width}.png", full_page=True)


def test_a_new_shot_is_on_the_tile_without_a_reload(served, open_page):
    served.plant.run(shots=2, wear=0.0)
    page = open_page()
    page.goto(served.url)
    expect(page.locator("#live-word")).to_have_text("Live")
    tile = page.locator("article.tile", has=page.get_by_role("link", name="IMM-03"))
    before = tile.locator("time[data-age]").first.get_attribute("datetime")
    link = page.get_by_role("link", name="IMM-03")
    link.focus()
    served.plant.shoot("IMM-03", cycle_time_s=21.5)
    expect(tile.get_by_text("21.5")).to_be_visible()
    assert tile.locator("time[data-age]").first.get_attribute("datetime") != before
    expect(link).to_be_focused()


def test_a_gateway_that_leaves_takes_its_presses_offline_on_the_page(served, open_page):
    served.plant.run(shots=1, wear=0.0)
    page = open_page()
    page.goto(served.url)
    expect(page.locator("#gateways").get_by_text("Online")).to_be_visible()
    expect(page.locator("article.tile.is-offline")).to_have_count(0)
    served.plant.go_dark()
    expect(page.locator("article.tile.is-offline")).to_have_count(4)
    expect(page.locator("#chip-offline strong")).to_have_text("4")
    expect(page.locator("#gateways").get_by_text("Offline")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "scheme", "width", "query"),
    [
        ("en", "light", 1920, "density=compact"),
        ("zh-CN", "dark", 1920, "view=wall"),
        ("zh-CN", "light", 1920, "density=list"),
        ("en", "dark", 390, "density=compact"),
        ("zh-CN", "light", 390, "density=list"),
    ],
)
def test_two_hundred_presses_can_be_read_on_one_screen(served, open_page, root, language, scheme, width, query):
    served.plant.crowd(200)
    page = open_page(language=language, scheme=scheme, width=width, height=1080)
    page.goto(f"{served.url}/?{query}")
    expect(page.locator("article.tile")).to_have_count(200)
    assert not scrolls_sideways(page)
    assert page.locator("article.tile h3 a").evaluate_all(
        "links => links.every(a => a.scrollWidth <= a.clientWidth + 1)"
    )
    names = page.locator("article.tile h3").evaluate_all("names => names.map(name => name.offsetHeight)")
    assert max(names) < 45, "a name stands in one line"
    if width == 1920 and query != "density=list":
        screens = page.evaluate("document.documentElement.scrollHeight / innerHeight")
        assert screens <= (1.02 if "wall" in query else 1.3)
    shown = page.locator("article.tile").evaluate_all("tiles => tiles.map(tile => tile.className)")
    places = [next(at for at, name in enumerate(WORST_FIRST) if f"is-{name}" in tile) for tile in shown]
    assert places == sorted(places)
    for condition in ("alarm", "offline", "stale", "watch"):
        tile = page.locator(f"article.tile.is-{condition}").first
        expect(tile.locator(".state .icon")).to_be_visible()
        expect(tile.locator(".state .word")).to_be_visible()
    name = query.replace("=", "-")
    page.screenshot(path=root / "build" / "screenshots" / f"fleet-200-{name}-{language}-{scheme}-{width}.png")


def test_the_overview_s_choices_are_in_the_url_and_the_back_button_brings_them_back(served, open_page):
    served.plant.crowd(45)
    page = open_page(width=1920)
    page.goto(served.url)
    page.locator("#density-compact").click()
    page.locator("#window-week").click()
    page.locator("#chip-stale").click()
    expect(page).to_have_url(f"{served.url}/?state=stale&window=week&density=compact")
    expect(page.locator("article.tile")).to_have_count(2)
    page.locator("select[name=sort]").select_option("age")
    page.get_by_role("searchbox").fill("imm-0")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#density-compact")).to_have_attribute("aria-current", "true")
    expect(page.locator("article.tile")).to_have_count(2)
    page.go_back()
    expect(page).to_have_url(f"{served.url}/?state=stale&window=week&density=compact")
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.locator("article.tile")).to_have_count(45)
    expect(page.locator("#density-tiles")).to_have_attribute("aria-current", "true")


def test_a_wall_screen_has_nothing_but_presses_and_says_when_it_is_not_live(served, open_page):
    served.plant.crowd(10)
    page = open_page(width=1920)
    page.goto(served.url)
    page.locator("#wall").click()
    expect(page.locator("article.tile")).to_have_count(10)
    expect(page.locator("header.top")).to_be_hidden()
    expect(page.locator(".live-mark")).to_be_visible()
    served.stop()
    expect(page.locator("#live-lost")).to_be_visible(timeout=3_000)
    expect(page.locator(".live-mark")).to_be_hidden()
    served.start()
    expect(page.locator("#live-lost")).to_be_hidden(timeout=15_000)
    page.get_by_role("link", name="Leave wall screen").focus()
    page.keyboard.press("Enter")
    expect(page.locator("header.top")).to_be_visible()
    open_page.complaints[:] = [text for text in open_page.complaints if "ERR_" not in text and text != "[object Event]"]


def test_a_tile_tells_its_pace_and_its_oee_with_what_is_not_known(served, open_page):
    served.plant.crowd(12)
    page = open_page()
    page.goto(served.url)
    slow = page.locator("article.tile", has=page.get_by_role("link", name="IMM-012"))
    expect(slow.locator(".aim.tone-watch")).to_have_text(re.compile(r"\+2\d.% expected 18.1.s"))
    expect(slow.locator(".oee dd").first).to_have_text(re.compile(r"\d+.% without quality"))
    expect(page.locator(".plant-oee")).to_contain_text("Quality ratio not known")
    page.goto(f"{served.url}/?sort=pace")
    expect(page.locator("article.tile h3").first).to_have_text("IMM-012")


def test_a_new_press_appears_and_a_broken_line_says_so_at_once_and_heals(served, open_page):
    page = open_page()
    page.goto(served.url)
    expect(page.get_by_text("No plant yet")).to_be_visible()
    expect(page.locator("#live-word")).to_have_text("Live")
    served.plant.run(shots=1, wear=0.0)
    expect(page.get_by_role("link", name="IMM-01")).to_be_visible()
    assert page.locator("#live-lost").is_hidden()
    served.stop()
    expect(page.locator("#live-lost")).to_be_visible(timeout=3_000)
    expect(page.locator("#live-lost-since")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    expect(page.locator("#live-word")).to_have_text("Not live")
    served.start()
    expect(page.locator("#live-lost")).to_be_hidden(timeout=15_000)
    expect(page.locator("#live-word")).to_have_text("Live")
    open_page.complaints[:] = [text for text in open_page.complaints if "ERR_" not in text and text != "[object Event]"]


def test_a_press_without_curves_says_so_and_shows_its_quality(served, open_page):
    served.plant.run(shots=12, wear=0.0)
    page = open_page()
    page.goto(f"{served.url}/plants/{PLANT}/presses/IMM-04")
    expect(page.get_by_text("This shot has no curves")).to_be_visible()
    expect(page.get_by_role("heading", name="Predicted quality of the last 12 shots")).to_be_visible()
    expect(page.locator(".strip li")).to_have_count(12)
    expect(page.locator(".strip li.is-poor")).to_have_count(3)


def test_charts_can_be_read_by_keyboard_and_follow_new_shots(served, open_page):
    served.plant.run(shots=5, wear=0.0)
    page = open_page()
    page.goto(f"{served.url}/plants/{PLANT}/presses/IMM-01")
    plot = page.locator("#curves .plot").first
    expect(page.locator("#curves canvas").first).to_be_visible()
    plot.focus()
    page.keyboard.press("End")
    value = plot.locator(".u-value").nth(1)
    expect(value).to_contain_text("bar")
    at_end = value.text_content()
    page.keyboard.press("Home")
    expect(value).not_to_have_text(at_end or "")
    points = "document.querySelectorAll('#press-shots tbody tr').length"
    assert page.evaluate(points) == 5
    with page.expect_response(lambda answer: "trend.json" in answer.url):
        served.plant.shoot("IMM-01")
    expect(page.locator("#press-shots tbody tr")).to_have_count(6)


def test_an_older_shot_stays_on_the_page_while_new_ones_arrive(served, open_page):
    served.plant.run(shots=3, wear=0.0)
    page = open_page()
    page.goto(f"{served.url}/plants/{PLANT}/presses/IMM-01")
    page.locator("#press-shots tbody th a").last.click()
    expect(page.get_by_role("link", name="Back to the latest shot")).to_be_visible()
    expect(page.locator("tr.is-selected")).to_have_count(1)
    readings = page.locator("#press-readings")
    served.plant.shoot("IMM-01", cycle_time_s=33.25)
    expect(readings.get_by_text("33.25")).to_be_visible()
    expect(page.locator("#press-shots tbody tr")).to_have_count(3)
    expect(page.locator(".facts").get_by_text("33.25")).to_have_count(0)


@pytest.mark.parametrize("path", ["/alarms", f"/plants/{PLANT}/presses/IMM-02"])
def test_an_alarm_is_acknowledged_on_the_spot(served, open_page, path):
    served.plant.run(shots=6, wear=0.95)
    page = open_page()
    page.goto(served.url + path)
    expect(page.get_by_text("Check-ring wear").first).to_be_visible()
    expect(page.get_by_text("Active, new")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Active, acknowledged")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.goto(f"{served.url}/alarms?state=unacknowledged")
    expect(page.get_by_text("No alarm passes this filter.")).to_be_visible()


def test_without_script_an_alarm_is_acknowledged_by_a_plain_form(served, open_page):
    served.plant.run(shots=6, wear=0.95)
    page = open_page(java_script_enabled=False)
    page.goto(f"{served.url}/alarms")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page).to_have_url(f"{served.url}/alarms")
    expect(page.get_by_text("Active, acknowledged")).to_be_visible()


def test_selected_alarms_are_shelved_with_a_reason_and_stay_selected_while_others_arrive(served, open_page):
    served.plant.run(shots=6, wear=0.95)
    page = open_page()
    page.goto(f"{served.url}/alarms")
    expect(page.locator("#live-word")).to_have_text("Live")
    page.get_by_label("Select Check-ring wear").focus()
    page.keyboard.press("Space")
    served.plant.raise_at("IMM-03", "pump_leakage")
    expect(page.get_by_role("link", name="Hydraulic pump leakage")).to_be_visible()
    expect(page.locator("#selected-count")).to_have_text("1")
    expect(page.get_by_label("Select Check-ring wear")).to_be_checked()
    page.get_by_role("button", name="Shelve", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("Write a reason first.")).to_be_visible()
    page.get_by_label("Select Check-ring wear").check()
    page.get_by_label("Reason or comment").fill("ring is ordered")
    page.get_by_label("For").select_option("240")
    page.get_by_role("button", name="Shelve", exact=True).click()
    expect(page.get_by_text("Done for one alarm.")).to_be_visible()
    expect(page.get_by_role("link", name="Check-ring wear")).to_have_count(0)
    page.goto(f"{served.url}/alarms?tab=withheld")
    expect(page.get_by_text("ring is ordered")).to_be_visible()
    page.get_by_role("button", name="Off the shelf").click()
    page.get_by_role("link", name="Open", exact=True).click()
    page.get_by_role("link", name="Check-ring wear").click()
    expect(page.locator(".timeline li")).to_have_count(3)
    page.get_by_label("Reason or comment").fill("<b>looked</b>")
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator(".timeline .said").first).to_have_text("<b>looked</b>")
    page.goto(f"{served.url}/alarms?tab=history&q=imm-03")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Press", exact=True).fill("IMM-02")
    page.get_by_label("Source").select_option("failure_probability")
    page.get_by_label("From day").fill("2026-01-01")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("IMM-02")
    page.get_by_label("To day").fill("2026-01-02")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("No alarm passes this filter.")).to_be_visible()
    page.goto(f"{served.url}/alarms?tab=analytics")
    expect(page.get_by_role("heading", name="Bad actors")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_withheld_alarms_come_and_go_by_themselves_and_a_press_s_page_takes_a_verdict(
    served, open_page, root, language
):
    served.plant.run(shots=6, wear=0.95)
    folder = root / "build" / "screenshots"
    watching, page = open_page(language=language), open_page(language=language)
    watching.goto(f"{served.url}/alarms?tab=withheld")
    expect(watching.locator("#withheld-board .empty")).to_be_visible()
    page.goto(f"{served.url}/alarms")
    page.locator("input[name=alarm_id]").first.check()
    page.locator("textarea[name=text], input[name=text]").first.fill("ring is ordered")
    page.locator("button[value=shelve]").click()
    expect(watching.locator("#withheld-board")).to_contain_text("ring is ordered")
    watching.screenshot(path=folder / f"withheld-live-{language}.png", full_page=True)
    watching.locator("button[value=unshelve]").click()
    expect(watching.locator("#withheld-board .empty")).to_be_visible()
    page.goto(f"{served.url}/plants/suzhou/presses/IMM-02")
    card = page.locator("#press-alarms li.alarm").first
    card.locator("summary").click()
    page.screenshot(path=folder / f"press-verdict-{language}.png")
    card.locator("button[formaction*='verdict=false']").click()
    expect(page.locator("#press-alarms li.alarm summary b").first).to_be_visible()
    assert page.url.endswith("/presses/IMM-02")


def test_an_alarm_that_does_not_exist_cannot_be_acknowledged(served, open_page):
    page = open_page()
    for unknown in ("nonsense", "00000000-0000-7000-8000-000000000000"):
        assert page.request.post(f"{served.url}/alarms/{unknown}/acknowledge").status == 404


def test_an_alarm_s_webhook_call_is_on_the_list(served, open_page):
    page = open_page()
    page.goto(f"{served.url}/deliveries")
    expect(page.get_by_text("No delivery yet")).to_be_visible()
    served.plant.run(shots=6, wear=0.95)
    page.reload()
    expect(page.get_by_role("rowheader", name="operations")).to_be_visible()
    expect(page.get_by_role("cell", name="Alarm raised")).to_be_visible()
    page.get_by_role("link", name="Dead letter").click()
    expect(page.get_by_text("No delivery passes this filter.")).to_be_visible()


def test_names_from_outside_stay_text(served, open_page):
    page = open_page()
    answer = page.goto(f"{served.url}/plants/p/presses/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    assert page.locator("main img").count() == 0
    open_page.complaints[:] = [text for text in open_page.complaints if "404" not in text]


def test_filters_are_in_the_url_and_the_language_is_remembered(served, open_page):
    served.plant.run(shots=6, wear=0.95)
    page = open_page()
    page.goto(served.url)
    page.locator("#chip-alarm").click()
    expect(page).to_have_url(f"{served.url}/?state=alarm")
    expect(page.locator("article.tile")).to_have_count(1)
    page.get_by_role("link", name="中文").click()
    expect(page.locator("h1")).to_have_text("机群总览")
    expect(page.locator("article.tile")).to_have_count(1)
    page.goto(f"{served.url}/alarms")
    expect(page.locator("h1")).to_have_text("报警")
    page.goto(f"{served.url}/?q=nothing-has-this-name")
    expect(page.get_by_text("没有符合条件的注塑机")).to_be_visible()


def test_the_keyboard_reaches_the_content_first(served, open_page):
    served.plant.run(shots=1, wear=0.0)
    page = open_page()
    page.goto(served.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_first_page_is_small(served, open_page):
    served.plant.run(shots=2, wear=0.0)
    page = open_page()
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda r: sizes.update({r.url: r.sizes()["responseBodySize"]}))
    page.goto(served.url)
    expect(page.locator("#live-word")).to_have_text("Live")
    assert any(url.endswith("/") for url in sizes)
    assert any("app.js" in url for url in sizes)
    assert 0 < sum(sizes.values()) <= FIRST_PAGE_BYTES_MAX, sizes
