"""Reasons why a call did not arrive are told in the reader's language; what a receiver says stays as it is."""

import re

import pytest

from cloud.web.call_errors import KNOWN, call_error
from cloud.web.translation import load_catalogues
from cloud.webhooks.answers import verdict_of
from cloud.webhooks.destinations import DestinationRefusedError
from cloud.webhooks.domain import Answer
from cloud.webhooks.sealing import SealError

TEXTS = load_catalogues()
TOLD = [
    "no answer within 10 s",
    str(DestinationRefusedError("hooks.example", "its name was not resolved within 5 s")),
    str(DestinationRefusedError("hooks.example", "its name has no address")),
    str(DestinationRefusedError("hooks.example", "10.0.0.8 is not a public address")),
    "ConnectTimeout",
    "ConnectError: All connection attempts failed",
    "ReadError",
    "ReadTimeout: slow",
    "RemoteProtocolError: illegal status line",
    "the cloud's settings name no mail relay any more: [webhooks.mail]",
    "the mail relay mail.example did not take the mail within 10 s",
    "the mail relay mail.example: connection refused",
    "no recipient was taken: a@b.example: 550 unknown",
    str(SealError()),
    verdict_of(Answer(200, "hello"), "feishu", 0).error,
]


@pytest.mark.parametrize("told", TOLD)
def test_a_reason_is_told_in_chinese_with_its_facts(told: str) -> None:
    text = call_error(TEXTS["zh-CN"], told)
    assert re.search(r"[\u4e00-\u9fff]", text)
    assert call_error(TEXTS["en"], told)
    for fact in re.findall(r"[\w.]+\.example|\d+\.\d+\.\d+\.\d+|\b550\b", told):
        assert fact in text


def test_each_known_reason_has_an_example_and_a_stranger_s_word_stays() -> None:
    for pattern, key in KNOWN:
        assert any(pattern.fullmatch(told) for told in TOLD), key
    assert call_error(TEXTS["zh-CN"], "code 19001: param invalid") == "code 19001: param invalid"
