"""What is sent to each kind of receiver, as its public documentation describes it; golden bodies and signatures."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from cloud.alarms.service import ALARM_EVENTS
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.web.translation import load_catalogues
from cloud.webhooks.domain import LANGUAGES, TEMPLATES
from cloud.webhooks.filters import KNOWN_KINDS, PLATFORM_KINDS, told_to
from cloud.webhooks.message import Message, effect_of, lines_of, title_of
from cloud.webhooks.rules import KIND_PATTERN
from cloud.webhooks.templates.rendering import Context, Rendering, cut_bytes
from cloud.webhooks.templates.services import SERVICES

TEXTS = load_catalogues()
NOW_MS = 1_767_225_660_000
SECRETS = tuple("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
ALARM = {
    "alarm_id": "019b7616-0000-7000-8000-000000000001",
    "plant_id": "suzhou",
    "press_id": "IMM-02",
    "gateway_id": "",
    "kind": "failure_probability",
    "mode": "check_ring_wear",
    "priority": "high",
    "state": "active_unacknowledged",
    "probability": 0.93,
    "threshold": 0.8,
    "reasons": [{"feature": "CushionStroke", "value": 2.1, "sigma": -4.2}],
    "comment": "a <b> & [c](https://evil.example) @all",
}
RENDERED = [name for name in TEMPLATES if SERVICES[name].render is not None]
CHAT_BYTES_MAX = {"feishu": 20_000, "dingtalk": 20_000, "wecom": 9_000, "slack": 40_000, "pagerduty": 512_000}


def message(kind: str = "alarm.raised", **more: Any) -> Message:
    return Message(kind, 7, 1_767_225_600_000, {**ALARM, **more})


def context(*secrets: str, language: str = "en", link: str = "https://zhisan.example/alarms") -> Context:
    zone = ZoneInfo("Asia/Shanghai") if language == "zh-CN" else UTC
    return Context("msg_1", NOW_MS, secrets, TEXTS[language], zone, link)


def rendered(template: str, what: Message, how: Context) -> Rendering:
    render = SERVICES[template].render  # type: ignore[index]
    assert render is not None
    return render(what, how)


def body(template: str, what: Message, how: Context) -> Any:
    return json.loads(rendered(template, what, how).body)


def test_json_is_type_time_and_data_signed_by_both_secrets() -> None:
    found = rendered("json", message(), context(*SECRETS))
    assert json.loads(found.body) == {"type": "alarm.raised", "timestamp": "2026-01-01T00:00:00.000Z", "data": ALARM}
    assert found.headers["webhook-id"] == "msg_1"
    assert found.headers["webhook-timestamp"] == "1767225660"
    signatures = found.headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    for secret, signature in zip(SECRETS, signatures, strict=True):
        signed = f"msg_1.1767225660.{found.body}".encode()
        raw = base64.b64decode(secret.removeprefix("whsec_"))
        assert signature == "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize("template", [name for name in RENDERED if name not in ("json", "cloudevents", "pagerduty")])
def test_people_read_the_plant_s_name_and_programs_its_id(template: str) -> None:
    named = message(plant_name="苏州一厂")
    text = json.dumps(body(template, named, context(SECRETS[0])), ensure_ascii=False)
    assert "苏州一厂 / IMM-02" in text
    assert "suzhou" not in text
    assert "苏州一厂 / IMM-02" in title_of(named, TEXTS["zh-CN"])
    assert dict(lines_of(named, TEXTS["en"], UTC))["Place"] == "苏州一厂 / IMM-02"
    event = body("cloudevents", named, context(SECRETS[0]))
    assert (event["source"], event["data"]["plant_id"], event["data"]["plant_name"]) == (
        "/zhisan/suzhou/IMM-02",
        "suzhou",
        "苏州一厂",
    )


@pytest.mark.parametrize("secret", SECRETS)
def test_a_receiver_with_either_secret_accepts_a_call_in_the_time_of_grace(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rendered("cloudevents", message(), context(*SECRETS))
    monkeypatch.setattr("standardwebhooks.webhooks.Webhook._Webhook__verify_timestamp", _any_time)
    assert Webhook(secret).verify(found.body, dict(found.headers))["id"] == "msg_1"


def _any_time(_webhook: Webhook, header: str) -> Any:
    return datetime.fromtimestamp(int(header), UTC)


def test_cloudevents_are_structured_and_have_the_attributes_of_1_0() -> None:
    found = rendered("cloudevents", message(), context(SECRETS[0]))
    assert found.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(found.body) == {
        "specversion": "1.0",
        "id": "msg_1",
        "source": "/zhisan/suzhou/IMM-02",
        "type": "zhisan.alarm.raised",
        "subject": ALARM["alarm_id"],
        "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": ALARM,
    }


def test_feishu_is_a_card_signed_with_seconds_and_secret_as_the_key() -> None:
    found = body("feishu", message(comment="看一下"), context("robot-secret", language="zh-CN"))
    key = b"1767225660\nrobot-secret"
    assert found["timestamp"] == "1767225660"
    assert found["sign"] == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    assert found["msg_type"] == "interactive"
    card = found["card"]
    assert card["header"] == {
        "title": {"tag": "plain_text", "content": "【高】止逆环磨损 · suzhou/IMM-02：报警触发"},
        "template": "red",
    }
    text = card["elements"][0]["text"]
    assert text["tag"] == "plain_text"
    assert "位置: suzhou/IMM-02\n内容: 止逆环磨损\n事件: 报警触发\n概率: 93%（限值 80%）" in text["content"]
    assert "备注: 看一下\n时间: 2026-01-01 08:00:00 CST" in text["content"]
    assert card["elements"][1]["actions"][0]["url"] == "https://zhisan.example/alarms"
    assert "sign" not in body("feishu", message(), context())


def test_dingtalk_is_markdown_signed_in_the_query_with_milliseconds() -> None:
    found = rendered("dingtalk", message(), context("SECabc"))
    signed = f"{NOW_MS}\nSECabc".encode()
    assert found.query == {
        "timestamp": str(NOW_MS),
        "sign": base64.b64encode(hmac.new(b"SECabc", signed, hashlib.sha256).digest()).decode(),
    }
    content = json.loads(found.body)
    assert content["msgtype"] == "markdown"
    assert content["markdown"]["title"] == "［High］ Check-ring wear · suzhou/IMM-02: Alarm raised"
    assert content["markdown"]["text"].startswith(f"### {content['markdown']['title']}\n\n**Place**: suzhou/IMM-02")
    assert "[c](" not in content["markdown"]["text"], "a comment makes no link"
    assert rendered("dingtalk", message(), context()).query == {}


def test_wecom_is_markdown_in_a_colour_it_knows() -> None:
    content = body("wecom", message("alarm.cleared"), context())
    assert content["msgtype"] == "markdown"
    lines = content["markdown"]["content"].splitlines()
    assert lines[0] == '<font color="info">［High］ Check-ring wear · suzhou/IMM-02: Alarm cleared</font>'
    assert lines[1] == "> Place: suzhou/IMM-02"
    assert lines[-1] == "> [Open the alarms](https://zhisan.example/alarms)"


def test_slack_is_blocks_with_its_three_signs_escaped() -> None:
    found = body("slack", message(), context())
    assert found["text"] == "[High] Check-ring wear · suzhou/IMM-02: Alarm raised"
    assert [block["type"] for block in found["blocks"]] == ["header", "section", "actions"]
    section = found["blocks"][1]["text"]
    assert section["type"] == "mrkdwn"
    assert "*Comment*: a &lt;b&gt; &amp; [c](https://evil.example) @all" in section["text"]
    assert found["blocks"][2]["elements"][0]["url"] == "https://zhisan.example/alarms"


@pytest.mark.parametrize(
    ("kind", "mode", "language", "what", "value"),
    [
        ("limit", "CushionStroke", "en", "Cushion outside its limits", "1.8 mm (limit 2 mm)"),
        ("limit", "CushionStroke", "zh-CN", "料垫超出限值", "1.8 mm"),
        ("spc", "CycleTime", "zh-CN", "周期时间", "1.8 s"),
        ("novelty", "T2", "en", "above its limit", "1.8 (limit 2)"),
        ("stale_data", "silent", "zh-CN", "注塑机没有模次", "1.8"),
    ],
)
def test_an_alarm_of_a_rule_names_feature_value_unit_and_limit(
    kind: str, mode: str, language: str, what: str, value: str
) -> None:
    more = {"kind": kind, "mode": mode, "probability": None, "value": 1.8, "threshold": 2.0}
    told = Message("alarm.raised", 7, NOW_MS, {**ALARM, **more})
    lines = dict(lines_of(told, TEXTS[language], UTC))
    assert what in title_of(told, TEXTS[language])
    assert value in lines[TEXTS[language]("message.value")]


def test_pagerduty_goes_by_the_alarm_s_id() -> None:
    found = body("pagerduty", message(), context("routing-key"))
    assert {name: found[name] for name in ("routing_key", "event_action", "dedup_key", "client", "client_url")} == {
        "routing_key": "routing-key",
        "event_action": "trigger",
        "dedup_key": ALARM["alarm_id"],
        "client": "Zhisan",
        "client_url": "https://zhisan.example/alarms",
    }
    payload = found["payload"]
    assert payload.pop("custom_details")["Probability"] == "93% (limit 80%)"
    assert payload == {
        "summary": "[High] Check-ring wear · suzhou/IMM-02: Alarm raised",
        "source": "suzhou/IMM-02",
        "severity": "error",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "component": "IMM-02",
        "group": "suzhou",
        "class": "check_ring_wear",
    }


@pytest.mark.parametrize(
    ("kind", "state", "effect"),
    [
        ("alarm.raised", "active_unacknowledged", "trigger"),
        ("alarm.escalated", "active_unacknowledged", "trigger"),
        ("alarm.acknowledged", "active_acknowledged", "acknowledge"),
        ("alarm.acknowledged", "normal", "resolve"),
        ("alarm.cleared", "cleared_unacknowledged", "resolve"),
        ("alarm.shelved", "active_unacknowledged", "acknowledge"),
        ("alarm.commented", "active_unacknowledged", "trigger"),
        ("alarm.commented", "cleared_unacknowledged", "resolve"),
        ("alarm.something_new", "active_acknowledged", "acknowledge"),
        ("endpoint.test", "", "trigger"),
    ],
)
def test_what_an_event_does_to_an_incident(kind: str, state: str, effect: str) -> None:
    assert effect_of(message(kind, state=state)) == effect


def test_events_of_maintenance_name_job_window_and_work_and_go_by_one_name() -> None:
    job = {"job_id": "j-1", "plant_id": "suzhou", "press_id": "IMM-02", "mode": "", "by": "Li Na"}
    planned = Message("maintenance.planned", 1, NOW_MS, {**job, "start_ms": NOW_MS, "end_ms": NOW_MS, "who": "Wang"})
    done = Message("maintenance.done", 2, NOW_MS, {**job, "outcome": "repaired", "work": "new ring"})
    sent = [body("pagerduty", each, context("routing-key")) for each in (planned, done)]
    assert [each["event_action"] for each in sent] == ["trigger", "resolve"]
    assert {each["dedup_key"] for each in sent} == {"maintenance-j-1"}
    assert title_of(planned, TEXTS["zh-CN"]) == "【通知】维护 · suzhou/IMM-02\uff1a维护已计划"
    lines = dict(lines_of(planned, TEXTS["en"], UTC))
    assert (lines["Maintenance window"][:10], lines["Done by"]) == ("2026-01-01", "Wang")
    assert dict(lines_of(done, TEXTS["en"], UTC))["Comment"] == "new ring"


def test_both_events_of_a_flood_go_by_one_name() -> None:
    flood = {"began_ms": 5, "ended_ms": None, "raised": 40, "held_back": 30, "rate": 12.0}
    began = body("pagerduty", Message("alarm.flood_began", 1, NOW_MS, flood), context("routing-key"))
    ended = body("pagerduty", Message("alarm.flood_ended", 2, NOW_MS, flood), context("routing-key"))
    assert (began["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert began["dedup_key"] == ended["dedup_key"] == "flood-5"
    assert began["payload"]["custom_details"]["Count"] == "40"


def test_a_margin_that_recovers_resolves_the_incident_of_its_fall() -> None:
    told = {"customer_id": "c-1", "code": "C1", "share": 0.1}
    low = body("pagerduty", Message("serving.margin_low", 1, NOW_MS, told), context("routing-key"))
    back = body("pagerduty", Message("serving.margin_recovered", 2, NOW_MS, told), context("routing-key"))
    assert (low["event_action"], back["event_action"]) == ("trigger", "resolve")
    assert low["dedup_key"] == back["dedup_key"] == "margin-c-1"
    assert "C1" in low["payload"]["summary"]


def test_every_kind_that_alarms_tell_is_offered_in_words() -> None:
    assert set(KNOWN_KINDS) >= ALARM_EVENTS
    assert all(re.fullmatch(KIND_PATTERN, kind) for kind in (*KNOWN_KINDS, *PLATFORM_KINDS)), "what is offered is taken"


def test_a_customer_is_not_told_who_has_decided_on_its_plan_and_why() -> None:
    payload = {"tier": "value", "before": None, "reason": "ranks 31st", "by": "Anna", "owner": "Anna", "lowered": {}}
    told = told_to(TenantId("hall-9"), "entitlements.tier_changed", payload)
    assert told == {"tier": "value", "before": None, "lowered": {}}
    assert told_to(DEFAULT_TENANT, "entitlements.tier_changed", payload) == payload
    assert told_to(TenantId("hall-9"), "alarm.commented", {"by": "Bert"}) == {"by": "Bert"}


WORDS = st.text(max_size=2_000)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("feature", "sigma")), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("template", RENDERED)
@settings(max_examples=30)
@given(
    data=st.dictionaries(st.sampled_from((*ALARM, "by", "why", "count")), ANYTHING),
    kind=st.sampled_from((*KNOWN_KINDS, *PLATFORM_KINDS, "alarm.of_the_future", "endpoint.test")),
    language=st.sampled_from(LANGUAGES),
)
def test_any_event_can_be_told_within_the_service_s_bounds(
    template: str, data: dict[str, Any], kind: str, language: str
) -> None:
    secrets = (SECRETS[0],) if SERVICES[template].secret != "none" else ()  # type: ignore[index]
    found = rendered(template, Message(kind, 1, NOW_MS, data), context(*secrets, language=language))
    content = json.loads(found.body)
    if template in CHAT_BYTES_MAX:
        assert len(found.body.encode()) <= CHAT_BYTES_MAX[template]
    if template == "wecom":
        assert len(content["markdown"]["content"].encode()) <= 4_096
    if template == "slack":
        assert len(content["blocks"][0]["text"]["text"]) <= 150
        assert len(content["blocks"][1]["text"]["text"]) <= 3_000
    if template == "pagerduty":
        assert len(content["payload"]["summary"]) <= 1_024


@given(WORDS, st.integers(3, 100))
def test_a_text_is_cut_between_characters(text: str, bytes_max: int) -> None:
    found = cut_bytes(text, bytes_max)
    assert len(found.encode()) <= bytes_max
    assert found == text or text.startswith(found.removesuffix("…"))
