"""The rules of webhooks: circuits, retries, filters, answers, what is masked, and what an endpoint may be."""

import base64
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.problems import InvalidFieldError
from cloud.webhooks import circuit, domain
from cloud.webhooks.answers import verdict_of
from cloud.webhooks.circuit import CLOSED, Circuit, after_failure, calls_allowed
from cloud.webhooks.domain import Answer, Target
from cloud.webhooks.filters import EventFilter
from cloud.webhooks.masking import masked, masked_headers, secrets_of, shown_url
from cloud.webhooks.rules import Draft, checked
from cloud.webhooks.sealing import Private, Sealer, SealError, sealer_in

NOW_MS = 1_767_225_600_000
CHANCE = st.floats(0, 1)


def test_a_circuit_opens_after_five_failures_in_a_row_and_lets_single_probes_through() -> None:
    state = CLOSED
    for failures in range(1, circuit.FAILURES_MAX):
        state = after_failure(state, NOW_MS, 0.5)
        assert (state.state(NOW_MS), state.failures) == ("closed", failures)
        assert calls_allowed(state, NOW_MS, under_way=0, calls_max=4) == 1, "one at a time once a call has failed"
    state = after_failure(state, NOW_MS, 0.5)
    assert state.state(NOW_MS) == "open"
    assert state.probe_at_ms == NOW_MS + 30_000
    assert calls_allowed(state, NOW_MS, under_way=0, calls_max=4) == 0
    assert calls_allowed(state, NOW_MS + 30_000, under_way=0, calls_max=4) == 1
    assert calls_allowed(state, NOW_MS + 30_000, under_way=1, calls_max=4) == 0, "one probe at a time"
    late = after_failure(state, NOW_MS + 1, 0.5)
    assert late.probe_at_ms == state.probe_at_ms, "a call from before says nothing new"


@given(st.lists(CHANCE, min_size=20, max_size=40))
def test_the_pauses_of_an_open_circuit_double_and_are_bounded(chances: list[float]) -> None:
    state, now_ms, pauses = replace(CLOSED, failures=circuit.FAILURES_MAX - 1), NOW_MS, []
    for chance in chances:
        state = after_failure(state, now_ms, chance)
        assert state.probe_at_ms is not None
        pauses.append(state.probe_at_ms - now_ms)
        now_ms = state.probe_at_ms
    for pause, expected_s in zip(pauses, (30, 60, 120, 240, 480, *[900] * len(pauses)), strict=False):
        assert 0.79 * expected_s <= pause / 1000 <= 1.21 * expected_s


@given(CHANCE, st.integers(1, 100))
def test_retries_grow_threefold_up_to_an_hour_and_end_after_a_day(chance: float, attempts: int) -> None:
    pause_s = domain.retry_pause_s(attempts, first_retry_s=5.0, chance=chance)
    middle_s = min(5.0 * 3 ** (attempts - 1), 3_600.0)
    assert 0.79 * middle_s <= pause_s <= 1.21 * middle_s
    give_up_ms = NOW_MS + domain.GIVE_UP_AFTER_MS
    late = domain.next_attempt_ms(attempts, give_up_ms, give_up_ms, first_retry_s=5.0, chance=chance)
    assert late is None


EVENT = {"plant_id": "p", "press_id": "m1", "mode": "wear", "priority": "medium"}


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [
        (EventFilter(), True),
        (EventFilter(kinds=()), True),
        (EventFilter(kinds=("alarm.cleared",)), False),
        (EventFilter(kinds=("alarm.*",)), True),
        (EventFilter(priority_min="medium"), True),
        (EventFilter(priority_min="high"), False),
        (EventFilter(plants=("q",)), False),
        (EventFilter(presses=("m1",)), True),
        (EventFilter(presses=("p/m1",)), True),
        (EventFilter(presses=("q/m1",)), False),
        (EventFilter(modes=("wear", "drool")), True),
        (EventFilter(modes=("drool",)), False),
    ],
)
def test_filters(wanted: EventFilter, *, is_told: bool) -> None:
    assert wanted.lets_through("alarm.raised", EVENT) == is_told


def test_an_event_without_a_known_priority_is_not_held_back() -> None:
    assert EventFilter(priority_min="critical").lets_through("alarm.raised", {**EVENT, "priority": "p1"})
    assert EventFilter(kinds=("alarm.*",)).lets_through("alarm.of_the_future", {})


def body(**fields: Any) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("template", "answer", "outcome", "pause_s"),
    [
        ("json", Answer(204), "delivered", 0),
        ("json", Answer(302), "retry", 0),
        ("json", Answer(400), "refused", 0),
        ("json", Answer(410), "gone", 0),
        ("json", Answer(500), "retry", 0),
        ("json", Answer(error="no answer"), "retry", 0),
        ("json", Answer(429), "limited", 60),
        ("json", Answer(429, retry_after="7"), "limited", 7),
        ("json", Answer(429, retry_after="0"), "limited", 1),
        ("json", Answer(429, retry_after="99999999999999999999"), "limited", 3_600),
        ("json", Answer(429, retry_after="Thu, 01 Jan 2026 00:02:00 GMT"), "limited", 120),
        ("json", Answer(429, retry_after="soon"), "limited", 60),
        ("json", Answer(503), "retry", 0),
        ("json", Answer(503, retry_after="30"), "limited", 30),
        ("feishu", Answer(200, body(code=0, msg="success")), "delivered", 0),
        ("feishu", Answer(200, body(code=19021, msg="sign match fail")), "refused", 0),
        ("feishu", Answer(200, body(code=11232, msg="frequency limited")), "limited", 60),
        ("feishu", Answer(200, "<html>captive portal"), "retry", 0),
        ("dingtalk", Answer(200, body(errcode=0, errmsg="ok")), "delivered", 0),
        ("dingtalk", Answer(200, body(errcode=310000, errmsg="sign not match")), "refused", 0),
        ("dingtalk", Answer(200, body(errcode=130101, errmsg="send too fast")), "limited", 600),
        ("wecom", Answer(200, body(errcode=0, errmsg="ok")), "delivered", 0),
        ("wecom", Answer(200, body(errcode=93000, errmsg="invalid webhook url")), "refused", 0),
        ("wecom", Answer(200, body(errcode=45009, errmsg="api freq out of limit")), "limited", 60),
        ("wecom", Answer(200, "[]"), "retry", 0),
        ("slack", Answer(200, "ok"), "delivered", 0),
        ("slack", Answer(410, "channel_is_archived"), "gone", 0),
        ("pagerduty", Answer(202, body(status="success")), "delivered", 0),
        ("email", Answer(250, "2.0.0 OK"), "delivered", 0),
        ("email", Answer(451, "greylisted"), "retry", 0),
        ("email", Answer(503, "bad sequence"), "retry", 0),
    ],
)
def test_what_an_answer_means(template: Any, answer: Answer, outcome: str, pause_s: float) -> None:
    verdict = verdict_of(answer, template, NOW_MS)
    assert (verdict.outcome, verdict.pause_s) == (outcome, pause_s)


def test_a_refusal_in_the_body_says_code_and_reason() -> None:
    assert verdict_of(Answer(200, body(code=19021, msg="sign match fail")), "feishu", 0).error == (
        "code 19021: sign match fail"
    )


@given(st.text(max_size=40))
def test_no_retry_after_breaks_the_rules(text: str) -> None:
    pause_s = verdict_of(Answer(429, retry_after=text), "json", NOW_MS).pause_s
    assert 1 <= pause_s <= 3_600


def target(template: Any, url: str, *secrets: str) -> Target:
    return Target(UUID(int=1), template, url, secrets, (), "en", "UTC", may_call_private=False)


def test_secrets_are_starred_in_every_spelling() -> None:
    robot = target(
        "dingtalk", "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef", "SEC+slash/equals="
    )
    known = secrets_of(robot)
    for spelling in (
        "0123456789abcdef",
        "SEC+slash/equals=",
        "SEC%2Bslash%2Fequals%3D",
        base64.b64encode(b"SEC+slash/equals=").decode(),
    ):
        assert masked(f"you sent {spelling}!", known) == "you sent ***!"
    hook = target("slack", "https://hooks.slack.com/services/T0AB/B0AB/XXXXyyyyXXXXyyyyXXXXyyyy")
    assert "XXXXyyyy" not in masked(hook.url, secrets_of(hook))
    assert "0123456789abcdef" not in repr(robot)
    assert masked_headers({"webhook-signature": "v1,abcdefghijk v1,lmnopqrstuv"}, ()) == {
        "webhook-signature": "v1,abcdef*** v1,lmnopq***"
    }


def test_an_address_is_shown_without_what_is_secret_in_it() -> None:
    assert shown_url("https://a.example/x/y?key=1", is_secret=False) == "https://a.example/x/y?***"
    assert shown_url("https://hooks.slack.com/services/T/B/x", is_secret=True) == "https://hooks.slack.com/***"


def test_what_is_sealed_opens_with_the_same_key_only(tmp_path: Any) -> None:
    private = Private("https://a.example/", "whsec_x", "whsec_y")
    sealed = sealer_in(tmp_path).seal(private)
    assert "whsec" not in sealed
    assert sealer_in(tmp_path).open(sealed) == private
    assert (tmp_path / "webhooks.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SealError):
        Sealer(Fernet.generate_key()).open(sealed)


GOOD = Draft("ops", "json", "https://receiver.example/hook")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (replace(GOOD, url=""), "body.url"),
        (replace(GOOD, url="ftp://receiver.example/"), "body.url"),
        (replace(GOOD, url="http://receiver.example/"), "body.url"),
        (replace(GOOD, url="https://me:pass@receiver.example/"), "body.url"),
        (replace(GOOD, url="https://[::ffff:127.0.0.1]/"), "body.url"),
        (replace(GOOD, url="https://169.254.169.254/"), "body.url"),
        (replace(GOOD, url="https://10.0.0.1/"), "body.url"),
        (replace(GOOD, url="https://receiver.example:99999/"), "body.url"),
        (replace(GOOD, url="https://[::1"), "body.url"),
        (replace(GOOD, url="https://a b/"), "body.url"),
        (replace(GOOD, secret="mine"), "body.secret"),
        (replace(GOOD, template="pagerduty", url=""), "body.secret"),
        (replace(GOOD, template="slack", secret="mine"), "body.secret"),
        (replace(GOOD, time_zone="Mars/Olympus"), "body.time_zone"),
        (replace(GOOD, time_zone="../etc/passwd"), "body.time_zone"),
        (replace(GOOD, recipients=("a@b.example",)), "body.recipients"),
        (replace(GOOD, template="email", url=""), "body.recipients"),
        (replace(GOOD, template="email", url="", recipients=("a@b\r\nBcc: c@d",)), "body.recipients"),
        (replace(GOOD, template="email", recipients=("a@b.example",)), "body.url"),
    ],
)
def test_a_wrong_field_is_named(wrong: Draft, field: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        checked(wrong, may_call_private=False, has_mail=True)
    assert refused.value.field == field


def test_what_is_right_passes() -> None:
    assert checked(GOOD, may_call_private=False, has_mail=False) == GOOD
    local = replace(GOOD, url="http://127.0.0.1:9/")
    assert checked(local, may_call_private=True, has_mail=False) == local
    pager = checked(Draft("duty", "pagerduty", secret="key"), may_call_private=False, has_mail=False)
    assert pager.url == "https://events.pagerduty.com/v2/enqueue"
    with pytest.raises(InvalidFieldError, match="email needs"):
        checked(Draft("mail", "email", recipients=("a@b.example",)), may_call_private=False, has_mail=False)


def test_a_circuit_of_a_row_keeps_what_it_was() -> None:
    assert Circuit(3, 1, NOW_MS).state(NOW_MS - 1) == "open"
