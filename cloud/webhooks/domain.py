"""What a webhook endpoint, a delivery and a try are, and when a try is made again. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from kit.errors import ZhisanError

State = Literal["pending", "delivered", "failed"]
STATES: Final[tuple[State, ...]] = get_args(State)
Template = Literal["json", "cloudevents", "feishu", "dingtalk", "wecom", "slack", "pagerduty", "email"]
TEMPLATES: Final[tuple[Template, ...]] = get_args(Template)
Language = Literal["zh-CN", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
Health = Literal["healthy", "retrying", "circuit_open", "disabled"]

DisabledReason = Literal["gone", "by_hand", "removed"]

TEST_KIND: Final = "endpoint.test"
MESSAGE_ID_PREFIX: Final = "msg_"
FIRST_RETRY_S: Final = 5.0
RETRY_FACTOR: Final = 3
RETRY_S_MAX: Final = 3_600.0
GIVE_UP_AFTER_MS: Final = 24 * 3_600 * 1_000
JITTER_SHARE: Final = 0.2
ANSWER_BYTES_MAX: Final = 2_048
REQUEST_CHARACTERS_MAX: Final = 8_192
"""How much of a call's body the log keeps."""
ATTEMPTS_KEPT_MAX: Final = 20
"""How many tries of a delivery the log keeps: the newest."""


class EndpointError(ZhisanError):
    """What is asked does not fit an endpoint as it is: `reason` is a word, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ConfiguredEndpoint:
    """A receiver that the settings name; the secret stays out of every representation."""

    name: str
    url: str
    secret: str = field(repr=False)
    allow_private_addresses: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What it takes to call an endpoint; nothing of it is for people's eyes."""

    endpoint_id: UUID
    template: Template
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """The one in force first; then the one before it, while its time of grace lasts."""
    recipients: tuple[str, ...]
    language: Language
    time_zone: str
    may_call_private: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: a status with the first bytes of its body, or the error that prevented one."""

    status: int | None = None
    body: str = ""
    error: str = ""
    retry_after: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try as the log keeps it: what was sent, with its secrets starred out, and what came back."""

    started_ms: int
    duration_ms: int
    url: str
    request_headers: Mapping[str, str]
    request_body: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call owed to one endpoint for one event; `delivery_id` is the webhook-id of every try."""

    delivery_id: UUID
    endpoint_id: UUID
    endpoint: str
    template: str
    event_id: int | None
    kind: str
    state: State
    attempts: int
    created_ms: int
    next_attempt_ms: int | None
    delivered_ms: int | None
    last_attempt_ms: int | None
    last_status: int | None
    last_answer: str
    last_error: str


def retry_pause_s(attempts: int, *, first_retry_s: float, chance: float) -> float:
    """How long to wait after `attempts` tries (at least 1): threefold each time, at most RETRY_S_MAX, spread.

    Args:
        attempts: Tries so far.
        first_retry_s: The pause after the first try; the others grow with it.
        chance: 0 to 1; spreads the pause by up to JITTER_SHARE either way.
    """
    pause_s: float = min(first_retry_s * RETRY_FACTOR ** min(attempts - 1, 30), RETRY_S_MAX)
    return pause_s * (1 + JITTER_SHARE * (2 * chance - 1))


def next_attempt_ms(attempts: int, give_up_ms: int, now_ms: int, *, first_retry_s: float, chance: float) -> int | None:
    """When to try again after `attempts` tries; None when that would be after `give_up_ms`."""
    at_ms = now_ms + round(retry_pause_s(attempts, first_retry_s=first_retry_s, chance=chance) * 1000)
    return at_ms if at_ms <= give_up_ms else None


def body_of(kind: str, created_ms: int, payload: Mapping[str, Any]) -> str:
    """An event as JSON: type, time and data, as Standard Webhooks recommends; what the outbox keeps of it."""
    message = {"type": kind, "timestamp": iso(created_ms), "data": payload}
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def iso(utc_ms: int) -> str:
    """A time as RFC 3339 says it, to the millisecond."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
