"""Events for PagerDuty (Events API v2): the incidents of an alarm go by the alarm's id."""

from collections.abc import Mapping
from typing import Final

from cloud.webhooks.domain import iso
from cloud.webhooks.message import Message, effect_of, kind_of, lines_of, title_of
from cloud.webhooks.templates.rendering import Context, Rendering, as_json, cut

URL: Final = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_CHARACTERS_MAX: Final = 1_024
DETAIL_CHARACTERS_MAX: Final = 4_000
_SEVERITIES: Final[Mapping[str, str]] = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}


def render_pagerduty(message: Message, context: Context) -> Rendering:
    """Trigger, acknowledge or resolve; the routing key is the endpoint's secret."""
    t = context.texts
    severity = "info" if message.is_test else _SEVERITIES.get(message.word("priority"), "warning")
    details = {label: cut(value, DETAIL_CHARACTERS_MAX) for label, value in lines_of(message, t, context.zone)}
    payload = {
        "summary": cut(title_of(message, t), SUMMARY_CHARACTERS_MAX),
        "source": message.place or "zhisan",
        "severity": severity,
        "timestamp": iso(message.occurred_ms),
        "component": message.word("press_id") or message.word("gateway_id") or "zhisan",
        "group": message.word("plant_id") or "zhisan",
        "class": message.word("mode") or message.kind,
        "custom_details": {**details, "event": kind_of(message.kind, t)},
    }
    return as_json(
        {
            "routing_key": context.secrets[0] if context.secrets else "",
            "event_action": effect_of(message),
            "dedup_key": message.incident or context.message_id,
            "client": "Zhisan",
            **({"client_url": context.link} if context.link else {}),
            "payload": payload,
        }
    )
