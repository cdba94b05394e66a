"""What differs between the kinds of receivers: the template, what it needs, and what its answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cloud.webhooks.domain import Template
from cloud.webhooks.templates import pagerduty
from cloud.webhooks.templates.chat import render_dingtalk, render_feishu, render_slack, render_wecom
from cloud.webhooks.templates.generic import render_cloudevents, render_json
from cloud.webhooks.templates.pagerduty import render_pagerduty
from cloud.webhooks.templates.rendering import Render

Secret = Literal["ours", "theirs", "theirs_needed", "none"]


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of receiver.

    `secret`: `ours` is made here and shown once; `theirs` comes from the service. `code_field` is where a service tells
    in the body of a 200 that it has refused the call, and `limit_codes` those that mean "too often". `is_url_secret`
    where the address alone lets one send.
    """

    render: Render | None
    secret: Secret
    url: str = ""
    is_url_secret: bool = False
    code_field: str = ""
    message_field: str = ""
    limit_codes: frozenset[int] = frozenset()
    limit_pause_s: float = 60.0
    calls_per_minute_max: int = 600


SERVICES: Final[Mapping[Template, Service]] = {
    "json": Service(render_json, "ours"),
    "cloudevents": Service(render_cloudevents, "ours"),
    "feishu": Service(
        render_feishu,
        "theirs",
        is_url_secret=True,
        code_field="code",
        message_field="msg",
        limit_codes=frozenset({11232}),
        calls_per_minute_max=100,
    ),
    "dingtalk": Service(
        render_dingtalk,
        "theirs",
        is_url_secret=True,
        code_field="errcode",
        message_field="errmsg",
        limit_codes=frozenset({130101, 90030}),
        limit_pause_s=600.0,
        calls_per_minute_max=20,
    ),
    "wecom": Service(
        render_wecom,
        "none",
        is_url_secret=True,
        code_field="errcode",
        message_field="errmsg",
        limit_codes=frozenset({45009, 45033}),
        calls_per_minute_max=20,
    ),
    "slack": Service(render_slack, "none", is_url_secret=True, calls_per_minute_max=60),
    "pagerduty": Service(render_pagerduty, "theirs_needed", url=pagerduty.URL),
    "email": Service(None, "none", calls_per_minute_max=60),
}
