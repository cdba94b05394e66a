"""When a webhook call is tried again, what its answer means, and what it says. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

State = Literal["pending", "delivered", "failed"]
STATES: tuple[State, ...] = ("pending", "delivered", "failed")
Outcome = Literal["delivered", "retry", "gone"]

FIRST_RETRY_S = 5.0
RETRY_FACTORS = (1, 3, 12, 60, 360, 1_440, 4_320, 8_640)
"""The pauses as multiples of the first: 5 s, 15 s, 1 min, 5 min, 30 min, 2 h, 6 h, 12 h; then a delivery has failed."""
RETRY_S_MAX = 12 * 3600.0
GIVE_UP_AFTER_MS = 24 * 3600 * 1000
JITTER_SHARE = 0.2
ANSWER_BYTES_MAX = 2_048
STATUS_GONE = 410


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call owed to one endpoint for one event; `delivery_id` is the webhook-id of every try."""

    delivery_id: UUID
    endpoint: str
    event_id: int
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: a status with the first bytes of its body, or the error that prevented one."""

    status: int | None = None
    body: str = ""
    error: str = ""


def outcome_of(answer: Answer) -> Outcome:
    """2xx is delivered; 410 asks never to call again (Standard Webhooks); all else, redirects too, is tried again."""
    if answer.status is not None and 200 <= answer.status < 300:
        return "delivered"
    return "gone" if answer.status == STATUS_GONE else "retry"


def next_attempt_ms(attempts: int, created_ms: int, now_ms: int, *, first_retry_s: float, chance: float) -> int | None:
    """When to try again after `attempts` tries; None when it is time to give up.

    Args:
        attempts: Tries so far, at least 1.
        created_ms: When the call became due.
        now_ms: When the last try ended.
        first_retry_s: The pause after the first try; the others grow with it.
        chance: 0 to 1; spreads the pause by up to JITTER_SHARE either way.
    """
    if attempts > len(RETRY_FACTORS):
        return None
    pause_s = min(first_retry_s * RETRY_FACTORS[attempts - 1], RETRY_S_MAX)
    at_ms = now_ms + round(pause_s * (1 + JITTER_SHARE * (2 * chance - 1)) * 1000)
    return at_ms if at_ms - created_ms <= GIVE_UP_AFTER_MS else None


def body_of(kind: str, created_ms: int, payload: Mapping[str, Any]) -> str:
    """The JSON that is called out: type, time and data, as Standard Webhooks recommends."""
    timestamp = datetime.fromtimestamp(created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    message = {"type": kind, "timestamp": timestamp.replace("+00:00", "Z"), "data": payload}
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
