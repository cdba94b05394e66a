"""What an answer means: delivered, to be tried again, refused, too often, or never again. Pure."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

from cloud.webhooks.domain import Answer, Template
from cloud.webhooks.templates.services import SERVICES, Service

Outcome = Literal["delivered", "retry", "refused", "limited", "gone"]
"""`refused`: the receiver lives and does not take this message; tried again, but nothing against the endpoint."""
RETRY_AFTER_S_MIN: Final = 1.0
RETRY_AFTER_S_MAX: Final = 3_600.0
GONE: Final = 410
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
OF_ONE_MESSAGE: Final = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a try came to; `pause_s` is how long the endpoint is left alone when it was called too often."""

    outcome: Outcome
    error: str = ""
    pause_s: float = 0.0


def verdict_of(answer: Answer, template: Template, now_ms: int) -> Verdict:
    """Judge an answer; redirects are not followed, so they are failures."""
    if answer.error or answer.status is None:
        return Verdict("retry", answer.error)
    service = SERVICES[template]
    if 200 <= answer.status < 300:
        return _by_body(answer, service)
    if template == "email":
        return Verdict("retry")
    if answer.status == GONE:
        return Verdict("gone")
    if answer.status == TOO_MANY or (answer.status == UNAVAILABLE and answer.retry_after):
        return Verdict("limited", "", retry_after_s(answer.retry_after, now_ms, otherwise=service.limit_pause_s))
    return Verdict("refused" if answer.status in OF_ONE_MESSAGE else "retry")


def retry_after_s(text: str, now_ms: int, *, otherwise: float) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3), at least 1 and at most an hour."""
    try:
        seconds = float(text) if text.strip().isdecimal() else _seconds_until(text, now_ms)
    except (ValueError, TypeError, OverflowError):
        seconds = otherwise  # none, or one that says nothing: as if it were not there
    if not math.isfinite(seconds):
        seconds = otherwise
    return min(max(seconds, RETRY_AFTER_S_MIN), RETRY_AFTER_S_MAX)


def _seconds_until(text: str, now_ms: int) -> float:
    then = parsedate_to_datetime(text)
    aware = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return (aware - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds()


def _by_body(answer: Answer, service: Service) -> Verdict:
    """Some services answer 200 and tell in the body that they have refused."""
    if not service.code_field:
        return Verdict("delivered")
    try:
        fields: Any = json.loads(answer.body)
    except ValueError:
        fields = None
    code = fields.get(service.code_field) if isinstance(fields, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        return Verdict("retry", f"the answer has no {service.code_field}: it is not the service's")
    if code == 0:
        return Verdict("delivered")
    error = f"{service.code_field} {code}: {fields.get(service.message_field, '')}"
    if code in service.limit_codes:
        return Verdict("limited", error, retry_after_s(answer.retry_after, 0, otherwise=service.limit_pause_s))
    return Verdict("refused", error)
