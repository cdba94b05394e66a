"""Every language has the same texts with the same placeholders, and every text that a template asks for exists."""

import re
import string
from typing import get_args

import pytest
from babel.messages.pofile import PoFileError, read_po
from hypothesis import given
from hypothesis import strategies as st

from cloud.alarms.life import STATES
from cloud.alarms.naming import feature_name, mode_name, quality_name, score_name, spaced
from cloud.web.alarms_view import STATES_WANTED as ALARM_STATES
from cloud.web.fleet_view import CONDITIONS
from cloud.web.shell import HERE
from cloud.web.translation import CATALOGUES as TEXTS
from cloud.web.translation import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    UnknownTextError,
    choose_language,
    load_catalogue,
    load_catalogues,
)
from cloud.web.wording import mode_advice, quantity_name
from cloud.webhooks.domain import STATES as DELIVERY_STATES
from cloud.webhooks.domain import TEMPLATES, Health
from cloud.webhooks.filters import KNOWN_KINDS, PLATFORM_KINDS, PRIORITIES
from cloud.webhooks.shapes import EndpointIn
from contract.vocabulary import FAILURE_MODES, PARAMETERS, SIGNALS
from models.features.schema import VALUES

CATALOGUES = load_catalogues()
LITERAL = re.compile(r"""\b(?:t|t\.count|words\.html)\(\s*['"]([\w.]+)['"]\s*[,)]""")
COUNTED = re.compile(r"""\bt\.count\(\s*['"]([\w.]+)['"]""")
CJK = re.compile(r"[\u4e00-\u9fff]")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_keys_and_placeholders():
    first, *others = CATALOGUES.values()
    for other in others:
        assert first.texts.keys() == other.texts.keys()
        assert first.counted.keys() == other.counted.keys()
        for key, text in first.texts.items():
            assert placeholders(text) == placeholders(other.texts[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_of_a_counted_text_names_nothing_else_than_its_number(language):
    for key, forms in CATALOGUES[language].counted.items():
        assert placeholders(forms[-1]) == {"count"}, key
        assert all(placeholders(form) <= {"count"} for form in forms), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_stands_twice_and_babel_finds_no_fault(language):
    with (TEXTS / f"{language}.po").open("rb") as file:
        catalog = read_po(file, abort_invalid=True)
    assert [(message.id, faults) for message, faults in catalog.check()] == []
    written = re.findall(r'^msgid "(.+)"$', (TEXTS / f"{language}.po").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(written) == len(set(written)) == len(catalog)


def test_every_text_is_there_and_in_its_language():
    for key, text in CATALOGUES["en"].texts.items():
        assert text.strip(), key
        assert not CJK.search(text), key
    brands = {f"webhooks.templates.{name}" for name in ("cloudevents", "slack", "pagerduty")}
    for key, text in CATALOGUES["zh-CN"].texts.items():
        has_words = any(char.islower() for char in re.sub(r"\{[^}]*\}", "", text))
        assert CJK.search(text) or not has_words or key in brands, key


def test_every_text_that_templates_and_code_name_exists():
    sources = [*HERE.glob("templates/*.html"), *HERE.glob("*.py")]
    assert len(sources) > 15
    for source in sources:
        text = source.read_text(encoding="utf-8")
        counted = set(COUNTED.findall(text))
        missing = set(LITERAL.findall(text)) - counted - CATALOGUES["en"].texts.keys()
        assert not missing, f"{source.name}: {missing}"
        assert not counted - CATALOGUES["en"].counted.keys(), source.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_whose_key_is_made_from_data_exist(language):
    t = CATALOGUES[language]
    wanted = [
        *(f"condition.{condition}" for condition in CONDITIONS),
        *(f"connection.{connection}" for connection in ("online", "stale", "offline")),
        *(f"health.{gauge}.{level}" for gauge in ("failure", "novelty") for level in ("normal", "watch", "alarm")),
        *(f"alarm.state.{state}" for state in STATES),
        *(f"alarms.filter.{state or 'all'}" for state in ALARM_STATES),
        *(f"deliveries.filter.{state}" for state in ("all", *DELIVERY_STATES)),
        *(f"webhooks.templates.{name}" for name in TEMPLATES),
        *(f"webhooks.templates_help.{name}" for name in TEMPLATES),
        *(f"webhooks.health.{name}" for name in get_args(Health)),
        *(f"webhooks.fault.{name}" for name in EndpointIn.model_fields if name != "is_enabled"),
        *(
            f"message.kinds.{kind.partition('.')[2]}"
            for kind in (*KNOWN_KINDS, *PLATFORM_KINDS)
            if not kind.startswith("entitlements.")
        ),
        *(f"message.kinds_of.{kind}" for kind in KNOWN_KINDS if kind.startswith("entitlements.")),
        *(f"message.priority.{priority}" for priority in PRIORITIES),
        *(f"chart.panel.{panel}" for panel in ("pressure", "screw", "heat", "other", "failure", "novelty")),
        *(f"nav.{page}" for page in ("fleet", "alarms", "webhooks")),
        *(f"quantity.{name}" for name in {*PARAMETERS, *SIGNALS}),
        *(f"mode.{mode}.{part}" for mode in FAILURE_MODES for part in ("name", "advice")),
    ]
    assert [key for key in wanted if t.find(key) is None] == []


def test_an_unknown_text_is_an_error_that_names_it():
    with pytest.raises(UnknownTextError, match=r"en\.po.*no\.such"):
        CATALOGUES["en"]("no.such")
    with pytest.raises(UnknownTextError, match=r"en\.po.*app\.name"):
        CATALOGUES["en"].count("app.name", 2)


def test_counts_choose_their_form():
    english, chinese = CATALOGUES["en"], CATALOGUES["zh-CN"]
    counts = (0, 1, 2, 12_345)
    assert [english.count("fleet.presses", n) for n in counts] == [
        "0 presses",
        "1 press",
        "2 presses",
        "12,345 presses",
    ]
    assert [chinese.count("fleet.presses", n) for n in counts] == ["0 台", "1 台", "2 台", "12,345 台"]


def test_a_text_that_a_translator_marked_as_fuzzy_is_missing(tmp_path):
    path = tmp_path / "en.po"
    path.write_text('msgid "sure"\nmsgstr "yes"\n\n#, fuzzy\nmsgid "unsure"\nmsgstr "perhaps"\n', encoding="utf-8")
    t = load_catalogue(path, "en")
    assert t("sure") == "yes"
    with pytest.raises(UnknownTextError, match="unsure"):
        t("unsure")


def test_a_broken_catalogue_is_refused_at_start_and_the_line_named(tmp_path):
    path = tmp_path / "en.po"
    path.write_text('msgid "a"\nnonsense\n', encoding="utf-8")
    with pytest.raises(PoFileError, match="on 1"):
        load_catalogue(path, "en")


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "chosen"),
    [
        ("en", "zh-CN", "zh-CN", "en"),
        (None, "en", "zh-CN", "en"),
        (None, None, "de, en-GB;q=0.7, zh;q=0.3", "en"),
        (None, None, "en;q=0.2, zh-TW;q=0.9", "zh-CN"),
        ("xx", None, "en", "en"),
        (None, None, "", DEFAULT_LANGUAGE),
        (None, None, "en;q=broken", DEFAULT_LANGUAGE),
    ],
)
def test_language_is_what_was_asked_then_remembered_then_accepted(asked, remembered, accepted, chosen):
    assert choose_language(asked, remembered, accepted) == chosen


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()), st.text())
def test_any_headers_give_a_language_that_exists(asked, remembered, accepted):
    assert choose_language(asked, remembered, accepted) in LANGUAGES


def test_names_from_data_read_as_words_where_the_catalogue_has_none():
    t = CATALOGUES["en"]
    assert mode_name(t, "check_ring_wear") == "Check-ring wear"
    assert mode_name(t, "vent_blocked") == "Vent blocked"
    assert mode_advice(t, "vent_blocked") is None
    assert quantity_name(t, "CushionStroke") == "Cushion"
    assert feature_name(t, "InjectionPressure.HoldSlope") == "Injection pressure, slope of hold"
    assert quality_name(t, "Waste") == "Waste"
    assert quality_name(CATALOGUES["zh-CN"], "Waste") == "废品"
    assert spaced("VPChangeOverPosition") == "VP change over position"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_a_shot_that_is_watched_has_a_name(language):
    t = CATALOGUES[language]
    parts = {part for spec in VALUES for part in spec.name.split(".")}
    assert sorted(part for part in parts if not (t.find(f"quantity.{part}") or t.find(f"statistic.{part}"))) == []


def test_scores_are_named_with_their_horizon_or_class():
    t = CATALOGUES["en"]
    assert score_name(t, "FailureProbability/check_ring_wear@72h") == "Check-ring wear, within 72 h"
    assert score_name(t, "RemainingLife/low") == "Remaining life, lower end"
    assert score_name(t, "QualityProbability/waste") == "Quality: Waste"
    assert score_name(t, "Sound/odd") == "Sound odd"


@given(st.text())
def test_any_name_from_data_can_be_shown(name):
    for t in CATALOGUES.values():
        assert isinstance(feature_name(t, name), str)
        assert isinstance(mode_name(t, name), str)
        assert isinstance(score_name(t, name), str)
