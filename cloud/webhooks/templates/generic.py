"""Events as they are, signed as Standard Webhooks asks: plain JSON, and CloudEvents 1.0 in structured mode."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from standardwebhooks.webhooks import Webhook

from cloud.core.database import strict_json
from cloud.webhooks.domain import body_of, iso
from cloud.webhooks.message import Message
from cloud.webhooks.templates.rendering import Context, Rendering

CLOUDEVENTS = "application/cloudevents+json; charset=utf-8"
TYPE_PREFIX = "zhisan."


def render_json(message: Message, context: Context) -> Rendering:
    """Type, time and data."""
    body = body_of(message.kind, message.occurred_ms, message.data)
    return _signed(body, "application/json", context)


def render_cloudevents(message: Message, context: Context) -> Rendering:
    """The attributes of CloudEvents around the same data; `id` is the same in every try."""
    place = "/".join(quote(part, safe="") for part in message.place.split("/") if part)
    event = {
        "specversion": "1.0",
        "id": context.message_id,
        "source": f"/zhisan/{place}" if place else "/zhisan",
        "type": TYPE_PREFIX + message.kind,
        **({"subject": message.alarm_id} if message.alarm_id else {}),
        "time": iso(message.occurred_ms),
        "datacontenttype": "application/json",
        "data": dict(message.data),
    }
    return _signed(strict_json(event), CLOUDEVENTS, context)


def signed_headers(secrets: Sequence[str], message_id: str, body: str, now_ms: int) -> dict[str, str]:
    """The three headers, with a signature by each secret; receivers refuse a time that is minutes off."""
    signed_at = datetime.fromtimestamp(now_ms // 1000, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, signed_at, body) for secret in secrets),
    }


def _signed(body: str, content_type: str, context: Context) -> Rendering:
    signature = signed_headers(context.secrets, context.message_id, body, context.now_ms)
    return Rendering({"content-type": content_type, **signature}, body)
