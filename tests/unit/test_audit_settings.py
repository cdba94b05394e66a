"""What the audit log says of the settings at a start: another hash for other settings, the same for other secrets."""

from typing import Any

import pytest

from cloud.core.limits import Limits
from cloud.settings import CloudSettings, LimitSettings

ENDPOINT = {"name": "ops", "url": "https://example.com/x"}


def fingerprint(**sections: Any) -> str:
    return CloudSettings.model_validate({"storage": {"dir": "cloud"}, **sections}).fingerprint()


def test_the_same_settings_have_the_same_fingerprint_whatever_the_secrets_are() -> None:
    def with_secrets(password: str, secret: str) -> str:
        return fingerprint(broker={"password": password}, webhooks={"endpoints": [{**ENDPOINT, "secret": secret}]})

    assert with_secrets("one", "whsec_one") == with_secrets("another", "whsec_another")
    assert fingerprint() == fingerprint()


@pytest.mark.parametrize(
    "sections",
    [{"web": {"port": 8001}}, {"alarms": {"threshold": 0.9}}, {"webhooks": {"endpoints": [ENDPOINT]}}],
)
def test_other_settings_have_another_fingerprint(sections: dict[str, Any]) -> None:
    assert fingerprint(**sections) != fingerprint()


def test_the_default_limits_are_those_of_the_rules() -> None:
    assert LimitSettings().limits() == Limits()
