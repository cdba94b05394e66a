"""A press's page in a real browser: comparing shots, following values, zooming, exports, both languages."""

import csv
import io
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.test_web_pages import browser, is_drawn, open_page, pytestmark, scrolls_sideways, served
from tests.e2e.web_plant import PLANT

__all__ = ["browser", "open_page", "pytestmark", "served"]
PRESS = f"/plants/{PLANT}/presses"


@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-CN", "light", 1600), ("en", "dark", 390)])
def test_shots_are_compared_and_values_followed_in_both_languages(served, open_page, root, language, scheme, width):
    served.plant.run(shots=60, wear=0.0)
    page = open_page(language=language, scheme=scheme, width=width)
    page.goto(f"{served.url}{PRESS}/IMM-01")
    for _ in range(2):
        page.locator("#press-shots a.compare", has_text="+").last.click()
    expect(page.locator("#press-shots a.compare b")).to_have_text(["B", "A"])
    expect(page).to_have_url(re.compile(r"compare=\d+&compare=\d+"))
    expect(page.locator("#curves[data-state=drawn] canvas")).to_have_count(4)
    assert is_drawn(page, "#curves")
    legend = page.locator("#curves .panel").first.locator(".u-label")
    expect(legend.nth(5)).to_contain_text("A ")
    expect(legend.nth(6)).to_contain_text("B ")
    expect(page.locator("#curves .chart-note")).to_contain_text("50")
    expect(page.locator("#features .panel-note").first).to_contain_text("59")
    expect(page.locator("#features .chart-marks li")).to_contain_text(["JOB-7731"])
    assert not scrolls_sideways(page)
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"press-compare-{language}-{scheme}-{width}.png", full_page=True)


def test_choices_zoom_and_reset_by_keyboard_and_survive_a_new_shot(served, open_page):
    served.plant.run(shots=30, wear=0.0)
    page = open_page()
    page.goto(f"{served.url}{PRESS}/IMM-01?feature=CushionStroke&span=100")
    features = page.locator("#features")
    expect(features.locator("canvas")).to_have_count(1)
    expect(page.locator(".chips a[aria-current=true]")).to_have_text(["100 shots"])
    page.locator("#curves canvas").first.wait_for()
    page.locator(".chooser summary", has_text="signals").click()
    page.get_by_role("checkbox", name="Injection pressure").uncheck()
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator("#curves canvas")).to_have_count(3)
    expect(page).to_have_url(re.compile("feature=CushionStroke.*span=100|span=100.*feature=CushionStroke"))
    plot, reset = features.locator(".plot"), features.get_by_role("button", name="Whole range")
    expect(reset).to_be_hidden()
    plot.focus()
    page.keyboard.press("End")
    expect(plot.locator(".u-value").nth(1)).to_contain_text("mm")
    page.keyboard.press("+")
    expect(reset).to_be_visible()
    with page.expect_response(lambda answer: "features.json" in answer.url):
        served.plant.shoot("IMM-01")
    expect(page.locator("#press-shots tbody tr").nth(30)).to_have_count(0)
    expect(reset).to_be_visible()
    plot.focus()
    page.keyboard.press("Escape")
    expect(reset).to_be_hidden()
    with page.expect_download() as download:
        features.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "IMM-01-features.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_shots_of_a_span_are_saved_as_csv(served, open_page):
    served.plant.run(shots=7, wear=0.0)
    page = open_page()
    page.goto(f"{served.url}{PRESS}/IMM-02?span=24h")
    with page.expect_download() as download:
        page.get_by_role("link", name="Shots as CSV").click()
    assert download.value.suggested_filename == "suzhou-IMM-02-shots.csv"
    head, *lines = csv.reader(io.StringIO(download.value.path().read_text("utf-8-sig")))
    assert "CushionStroke [mm]" in head
    assert len(lines) == 7
    assert page.request.get(f"{served.url}{PRESS}/nobody/shots.csv").status == 404


def test_the_log_tells_states_alarms_and_jobs_newest_first(served, open_page, root):
    served.plant.run(shots=8, wear=0.95)
    served.plant.go_dark()
    page = open_page(width=390)
    page.goto(f"{served.url}{PRESS}/IMM-02")
    page.get_by_role("link", name="Event log").click()
    texts = page.locator("tbody td").all_inner_texts()
    assert "Offline" in texts[0]
    assert any("Alarm raised: Check-ring wear" in text for text in texts)
    assert any("Job JOB-7731, before JOB-7730" in text for text in texts)
    assert "Seen for the first time" in " ".join(texts)
    assert not scrolls_sideways(page)
    page.screenshot(path=root / "build" / "screenshots" / "press-log-en-390.png", full_page=True)
    page.goto(f"{served.url}{PRESS}/IMM-02/log?before=1")
    expect(page.get_by_text("Nothing has happened yet.")).to_be_visible()
    assert page.request.get(f"{served.url}{PRESS}/nobody/log").status == 404
    assert page.request.get(f"{served.url}{PRESS}/IMM-02/curves.json?shot={10**30}").status == 422
    assert page.request.get(f"{served.url}{PRESS}/IMM-02/curves.json?shot={10**15}&compare={10**18}").status == 200


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_trend_shows_the_predicted_quality_and_what_happened(served, open_page, root, language):
    served.plant.run(shots=30, wear=0.0)
    page = open_page(language=language)
    page.goto(f"{served.url}/plants/{PLANT}/presses/IMM-04")
    figure = page.locator("#trend")
    figure.scroll_into_view_if_needed()
    expect(figure).to_contain_text({"en": "Predicted quality of the part", "zh-CN": "预测的制品质量"}[language])
    expect(figure.locator(".chart-marks")).to_contain_text("JOB-7731")
    folder = root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    figure.screenshot(path=folder / f"trend-quality-{language}.png")
