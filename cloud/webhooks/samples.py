"""An invented alarm in the form of each template: what a form shows before there is an endpoint. Pure."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cloud.alarms.naming import Texts
from cloud.webhooks import mail
from cloud.webhooks.domain import Language, Target, Template
from cloud.webhooks.masking import STARS
from cloud.webhooks.message import Message
from cloud.webhooks.templates.rendering import Context
from cloud.webhooks.templates.services import SERVICES

SAMPLE_MS: Final = 1_767_225_600_000
SAMPLE: Final[Mapping[str, object]] = {
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
}
_SECRET: Final = "whsec_" + "A" * 43 + "="
"""Well-formed and nobody's."""


def sample_body(template: Template, language: Language, time_zone: str, texts: Texts, link: str) -> str:
    """The body of a call for the invented alarm, or the text of a mail; an unknown time zone is UTC."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    message = Message("alarm.raised", 1, SAMPLE_MS, SAMPLE)
    service = SERVICES[template]
    secrets = () if service.secret == "none" else (_SECRET,)  # noqa: S105 - a kind of secret
    context = Context("msg_019b7616-0000-7000-8000-000000000002", SAMPLE_MS, secrets, texts, zone, link)
    if service.render is not None:
        return service.render(message, context).body.replace(_SECRET, STARS)
    target = Target(UUID(int=0), template, "", (), ("you@example.com",), language, zone.key, may_call_private=False)
    email = mail.compose(message, context, target, "Zhisan <alarms@example.com>")
    return f"Subject: {email['Subject']}\n\n{mail.plain_text_of(email)}"
