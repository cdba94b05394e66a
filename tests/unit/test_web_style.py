"""The style sheet keeps WCAG 2.2 AA contrast in light and dark, and no template asks what the page's policy forbids."""

import re

import pytest

from cloud.web.shell import HERE

TOKEN = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6});")
TEXT_RATIO_MIN = 4.5
SHAPE_RATIO_MIN = 3.0
GROUNDS = ("ground", "surface")


def tokens(scheme: str) -> dict[str, str]:
    css = (HERE / "assets" / "app.css").read_text(encoding="utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)", 1)
    both = dict(TOKEN.findall(light))
    return both if scheme == "light" else {**both, **dict(TOKEN.findall(dark.split("\n}\n", 1)[0]))}


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2, definitions)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_ground_it_is_written_on(scheme):
    have = tokens(scheme)
    pairs = [(ink, ground) for ink in ("ink", "ink-soft", "alarm", "watch", "doubt") for ground in GROUNDS]
    pairs += [("ink", "sunken"), ("ink", "alarm-ground"), ("alarm", "alarm-ground"), ("ink-soft", "alarm-ground")]
    poor = {pair: round(ratio(have[pair[0]], have[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in poor.items() if value < TEXT_RATIO_MIN} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_bars_and_focus_stand_out(scheme):
    have = tokens(scheme)
    pairs = [(line, "surface") for line in ("series-1", "series-2", "series-3", "series-4", "bar", "focus")]
    pairs += [("focus", "ground"), ("bar", "sunken")]
    poor = {pair: round(ratio(have[pair[0]], have[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in poor.items() if value < SHAPE_RATIO_MIN} == {}


def test_no_template_carries_inline_script_style_or_handler():
    for template in HERE.glob("templates/*.html"):
        text = template.read_text(encoding="utf-8")
        markup = re.sub(r"{[{%].*?[%}]}", "", text, flags=re.DOTALL)  # `online=count` of a text is no handler
        assert not re.search(r"\sstyle\s*=|<style|\son\w+\s*=|javascript:|hx-on", markup), template.name
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), template.name
        assert "http://" not in text.replace("http://www.w3.org", ""), template.name
        assert "https://" not in text, template.name
