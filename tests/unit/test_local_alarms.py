"""The gateway's own alarms: told only while the cloud is out of reach, each once, and that they are over."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.alarming import AlarmRules
from contract.shot import Reason, ScoredShot, Scores, Shot
from edge_agent.alarms import local, modbus, opcua
from edge_agent.alarms.local import GATEWAY, HISTORY_S_MAX, Announcement, LocalAlarms, told

RULES = AlarmRules(on_delay_shots=3, off_delay_shots=2)
CUT_OFF_AFTER_S = 60.0
BEGIN_MS = 1_800_000_000_000


class Plant:
    """Shots of presses at one second each, and a cloud that hears or does not."""

    def __init__(self) -> None:
        self.alarms = LocalAlarms(RULES, cut_off_after_s=CUT_OFF_AFTER_S)
        self.now_s = 1_000.0
        self.said: list[tuple[str, str, str]] = []

    @property
    def now_ms(self) -> int:
        return BEGIN_MS + round(self.now_s * 1000)

    def shot(self, probability: float, press_id: str = "p", *, age_s: float = 0.0) -> None:
        scores = Scores(
            "b",
            {"FailureProbability/wear@24h": probability, "FailureThreshold/wear": 0.6},
            None,
            (Reason("f", 1.0, 4.0),),
        )
        shot = Shot(press_id, self.now_ms - round(age_s * 1000), {})
        self.alarms.take([ScoredShot(shot, np.zeros(1, np.float32), "h", scores)], self.now_s, self.now_ms)
        self.wait(1)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.said += [(a.kind, a.alarm.press_id, a.alarm.mode) for a in self.alarms.due(self.now_s)]


def test_nothing_is_told_while_the_cloud_gives_its_word() -> None:
    plant = Plant()
    for _ in range(100):
        plant.shot(0.9)
        plant.alarms.heard(plant.now_s)
    assert [alarm.mode for alarm in plant.alarms.active("p")] == ["wear"]
    assert plant.said == []


def test_an_alarm_that_the_cloud_cannot_know_of_is_told_once_and_that_it_is_over() -> None:
    plant = Plant()
    for _ in range(3):
        plant.shot(0.9)
    assert plant.said == [], "the cloud may only be slow"
    plant.wait(CUT_OFF_AFTER_S)
    for _ in range(10):
        plant.shot(0.9)
    assert plant.said == [("alarm.raised", "p", "wear")]
    plant.alarms.heard(plant.now_s)
    plant.shot(0.1)
    plant.shot(0.1)
    assert plant.said[1:] == [("alarm.cleared", "p", "wear")], "who was told is told of the end, by then with the cloud"
    assert plant.alarms.active() == []


def test_what_the_cloud_has_heard_of_is_not_told_again_when_it_goes() -> None:
    plant = Plant()
    for _ in range(5):
        plant.shot(0.9)
    plant.alarms.heard(plant.now_s)
    for _ in range(100):
        plant.shot(0.9)
    assert plant.alarms.is_cut_off(plant.now_s)
    assert plant.said == []


def test_a_quiet_plant_is_not_cut_off_and_a_replayed_file_raises_nothing() -> None:
    plant = Plant()
    plant.wait(10 * CUT_OFF_AFTER_S)
    assert not plant.alarms.is_cut_off(plant.now_s)
    for _ in range(200):
        plant.shot(0.9, age_s=HISTORY_S_MAX + 60)
    assert plant.alarms.active() == []


def test_a_bundle_s_own_threshold_counts_and_a_head_that_abstains_says_nothing() -> None:
    plant = Plant()
    for _ in range(10):
        plant.shot(0.59)
        plant.shot(float("nan"))
    assert plant.alarms.active() == []
    for _ in range(3):
        plant.shot(0.61)
    [alarm] = plant.alarms.active()
    assert (alarm.threshold, alarm.probability) == (0.6, 0.61)


def test_trouble_of_the_gateway_itself_is_told_until_its_counter_rests() -> None:
    plant = Plant()
    health = {"RecordsThinned": 7.0, "ShotsRefused": 0.0}
    plant.alarms.count(health, plant.now_s, plant.now_ms)
    assert plant.alarms.active() == [], "what was counted before this program began is not new"
    plant.shot(0.0)
    plant.wait(CUT_OFF_AFTER_S)
    plant.alarms.count({**health, "RecordsThinned": 9.0}, plant.now_s, plant.now_ms)
    plant.wait(1)
    assert plant.said == [("alarm.raised", GATEWAY, "journal_records_thinned")]
    [alarm] = plant.alarms.active(GATEWAY)
    assert alarm.count == 9
    plant.wait(3600)
    plant.alarms.count({**health, "RecordsThinned": 9.0}, plant.now_s, plant.now_ms)
    plant.wait(1)
    assert plant.said[1:] == [("alarm.cleared", GATEWAY, "journal_records_thinned")]


def test_presses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PRESSES_MAX", 3)
    plant = Plant()
    for press in ("a", "b", "c", "d"):
        for _ in range(3):
            plant.shot(0.9, press)
    assert [alarm.press_id for alarm in plant.alarms.active()] == ["b", "c", "d"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("shot"), st.sampled_from([0.0, 0.5, 0.9, float("nan")])),
            st.tuples(st.just("heard"), st.just(0.0)),
            st.tuples(st.just("wait"), st.floats(0, 100)),
        ),
        max_size=120,
    )
)
def test_whatever_happens_raised_and_cleared_take_turns(steps: list[tuple[str, float]]) -> None:
    plant = Plant()
    for what, value in steps:
        if what == "shot":
            plant.shot(value)
        elif what == "heard":
            plant.alarms.heard(plant.now_s)
        else:
            plant.wait(value)
    kinds = [kind for kind, _, _ in plant.said]
    assert kinds == (["alarm.raised", "alarm.cleared"] * len(kinds))[: len(kinds)]
    is_told = len(kinds) % 2 == 1
    assert not is_told or plant.alarms.active("p")


def test_a_call_says_it_in_the_words_of_the_cloud_s_webhooks() -> None:
    plant = Plant()
    for _ in range(3):
        plant.shot(0.9)
    [alarm] = plant.alarms.active()
    data = dict(told(Announcement("alarm.raised", alarm, alarm.raised_ms), "north", "gw-1"))
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "plant_id": "north",
        "gateway_id": "gw-1",
        "press_id": "p",
        "kind": "failure_probability",
        "mode": "wear",
        "raised_ms": alarm.raised_ms,
        "at_ms": alarm.raised_ms,
        "probability": 0.9,
        "threshold": 0.6,
        "count": None,
        "reasons": [{"feature": "f", "value": 1.0, "sigma": 4.0}],
        "source": "gateway",
    }


def test_registers_and_variables_show_the_same() -> None:
    plant = Plant()
    for _ in range(3):
        plant.shot(0.9, "p2")
    presses = ["p1", "p2"]
    registers = modbus.image(plant.alarms, presses, plant.now_s)
    assert registers[modbus.ACTIVE] == 1
    assert registers[modbus.PRESS_ALARMS : modbus.PRESS_ALARMS + 2] == [0, 1]
    assert registers[modbus.PRESS_PROBABILITY : modbus.PRESS_PROBABILITY + 2] == [modbus.UNKNOWN, 900]
    assert registers[modbus.CUT_OFF] == 0
    values = opcua.values_of(plant.alarms, presses, plant.now_s)
    assert values[""]["ActiveAlarms"].Value == 1
    assert (values["p2"]["IsInAlarm"].Value, values["p2"]["ActiveModes"].Value) == (True, ["wear"])
    assert values["p1"]["IsInAlarm"].Value is False
