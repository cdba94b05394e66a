"""What a rule may say agrees with what is trained, and the rules as delivered are the settings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.rules.definition import HORIZONS_H, Rule, StaleData
from cloud.alarms.rules.evaluation import compiled
from cloud.alarms.rules.silence import silence_ms_max
from cloud.alarms.rules.standard import FAILURES, TROUBLES, delivered
from cloud.alarms.rules.stored import KINDS
from cloud.alarms.trouble import CONSEQUENCES, priority_of_trouble
from cloud.web.rules_form import blank, faults_of, fields_of, rule_of
from cloud.web.translation import load_catalogues
from contract.alarming import AlarmRules
from models.training import survival

LIMITS = st.builds(
    AlarmRules,
    threshold=st.floats(0.01, 1),
    deadband=st.just(0.001),
    on_delay_shots=st.integers(1, 100),
    on_delay_s=st.floats(0, 1000),
    off_delay_shots=st.integers(1, 100),
    off_delay_s=st.floats(0, 1000),
)
DEFAULTS = st.builds(
    AlarmDefaults, LIMITS, st.sampled_from(("low", "medium", "high", "critical")), st.floats(0, 10_000)
)


def test_the_horizons_of_rules_are_those_that_are_trained() -> None:
    assert HORIZONS_H == survival.HORIZONS_H


@given(DEFAULTS, st.none() | st.floats(0.01, 1))
def test_the_failure_rule_as_delivered_is_the_settings(defaults: AlarmDefaults, threshold: float | None) -> None:
    made = compiled(FAILURES, 0, delivered(defaults)[FAILURES], defaults)
    assert made.limits.at(threshold) == defaults.limits.at(threshold)
    assert made.history_s_max == defaults.history_s_max
    assert made.rule.priority_at("check_ring_wear") == defaults.priority


def test_the_trouble_rule_as_delivered_has_every_kind_at_its_own_priority() -> None:
    rule = delivered(AlarmDefaults())[TROUBLES]
    for trouble in CONSEQUENCES:
        assert rule.has_subject(trouble)
        assert rule.priority_at(trouble) == priority_of_trouble(trouble)


def test_a_priority_may_come_from_consequence_and_time() -> None:
    told = {"name": "r", "condition": {"kind": "novelty"}, "consequence": "major", "respond_minutes": 5}
    assert Rule.model_validate(told).priority_at("T2") == "critical"
    with pytest.raises(ValidationError, match="go together"):
        Rule.model_validate({**told, "respond_minutes": None})


@pytest.mark.parametrize(
    ("told", "cycle_ms", "expected"),
    [
        ({"seconds": 60}, None, 60_000),
        ({"cycles": 3}, 20_000.0, 60_000),
        ({"cycles": 3}, None, None),
        ({"cycles": 3, "seconds": 90}, 20_000.0, 90_000),
        ({"cycles": 10, "seconds": 90}, 20_000.0, 200_000),
        ({"cycles": 10, "seconds": 90}, None, 90_000),
    ],
)
def test_silence_is_the_longer_of_what_is_told(
    told: dict[str, float], cycle_ms: float | None, expected: int | None
) -> None:
    assert silence_ms_max(StaleData.model_validate(told), cycle_ms) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_gives_back_the_rule_that_it_shows(kind: str) -> None:
    known = next(each for each in KINDS if each == kind)
    own = {"name": ["r"], "feature": ["CycleTime"], "above": ["5"], "features": ["CycleTime", "HoldTime"]}
    rule = rule_of(known, {**blank(known), **own, "presses": ["a, b"], "note": ["n"]})
    assert rule.scope.presses == ("a", "b")
    assert rule_of(known, fields_of(rule)) == rule


WRONG = [
    ("limit", {"name": [""], "above": ["5"]}),
    ("limit", {"name": ["n" * 81], "above": ["five"]}),
    ("limit", {"name": ["n"], "feature": ["Humidity"], "above": ["5"]}),
    ("limit", {"name": ["n"]}),
    ("limit", {"name": ["n"], "above": ["1"], "below": ["2"]}),
    ("limit", {"name": ["n"], "above": ["1"], "on_delay_shots": ["0"], "realarm_hours": ["1000"]}),
    ("limit", {"name": ["n"], "above": ["1"], "on_delay_shots": ["1.5"], "respond_minutes": ["1e9"]}),
    ("limit", {"name": ["n"], "above": ["1"], "priority": ["urgent"]}),
    ("limit", {"name": ["n"], "above": ["inf"], "plants": ["a, a"]}),
    ("limit", {"name": ["n"], "above": ["1"], "consequence": ["major"]}),
    ("limit", {"name": ["n"], "above": ["1"], "priority": [""]}),
    ("failure_probability", {"name": ["n"], "deadband": ["0.9"], "modes": ["rust"], "horizon_h": ["7"]}),
    ("failure_probability", {"name": ["n"], "deadband": ["0.9"], "threshold": ["2"]}),
    ("failure_probability", {"name": ["n"], "deadband": ["0.9"]}),
    ("novelty", {"name": ["n"], "statistics": [], "deadband": ["9"]}),
    ("novelty", {"name": ["n"], "deadband": ["9"]}),
    ("spc", {"name": ["n"], "features": [], "nelson": ["9"]}),
    ("stale_data", {"name": ["n"], "cycles": [""], "seconds": [""]}),
    ("gateway_trouble", {"name": ["n"], "troubles": ["rust"]}),
]


@pytest.mark.parametrize(("kind", "fields"), WRONG)
def test_what_is_wrong_with_a_form_is_told_in_each_language(kind: str, fields: dict[str, list[str]]) -> None:
    known = next(each for each in KINDS if each == kind)
    with pytest.raises(ValidationError) as caught:
        rule_of(known, {**blank(known), "feature": ["CycleTime"], "features": ["CycleTime"], **fields})
    texts = load_catalogues()
    for each in caught.value.errors():
        assert texts["en"].find(f"rules.fault.{each['type']}"), each["type"]
    told = {language: faults_of(caught.value, t) for language, t in texts.items()}
    assert [field for field, _ in told["en"]] == [field for field, _ in told["zh-CN"]]
    for _, reason in told["zh-CN"]:
        assert re.search(r"[\u4e00-\u9fff]", reason), reason
