"""An alarm's point, what raises an alarm there, and the delays that stand between a cause and its alarm. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from cloud.alarms.domain import AlarmReason
from cloud.core.tenants import TenantId

Step = Literal["raise", "clear"]


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Where alarms of one kind and mode come from: a press, or without `press_id` a gateway.

    What is shelved, suppressed or out of service is the point, so that it holds for the next occurrence too. Several
    rules may watch one thing: each has a point of its own.
    """

    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str
    rule_id: str = ""


@dataclass(frozen=True, slots=True)
class Raising:
    """What raises an alarm says of it; the life does the rest.

    `cause` joins alarms of one place that one thing has brought about; without it the kind does.
    """

    tenant_id: TenantId
    point: Point
    priority: str
    cause: str = ""
    is_latching: bool = False
    on_delay_ms: int = 0
    off_delay_ms: int = 0
    probability: float | None = None
    threshold: float | None = None
    count: int | None = None
    reasons: tuple[AlarmReason, ...] = ()
    first_over_ms: int | None = None
    shot_row_id: int | None = None
    rule_version: int | None = None
    value: float | None = None
    """What was measured, in the unit of its feature."""
    realarm_ms: int | None = None
    """Its rule's own time to the re-alarm, 0 for never; None leaves it to the site."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Delay:
    """A cause that came, or went, and has not lasted long enough yet."""

    step: Step
    due_ms: int


def heard(
    waiting: Delay | None, *, is_there: bool, is_active: bool, on_delay_ms: int, off_delay_ms: int, now_ms: int
) -> tuple[Delay | None, Step | None]:
    """What is still waited for, and what happens now, after a look that found the cause there or not.

    A delay runs from the first look; one look that says otherwise ends it (on- and off-delay of ISA-18.2).
    """
    if is_there == is_active:
        return None, None
    step: Step = "raise" if is_there else "clear"
    if waiting is None or waiting.step != step:
        waiting = Delay(step, now_ms + (on_delay_ms if is_there else off_delay_ms))
    return (None, step) if now_ms >= waiting.due_ms else (waiting, None)


def is_beyond(value: float, limit: float, deadband: float, *, was_beyond: bool) -> bool:
    """Whether `value` is over an upper `limit`; once over, it must fall by the deadband to be under again."""
    return value >= limit - (deadband if was_beyond else 0.0)


def as_stored(raising: Raising) -> dict[str, Any]:
    """What a delayed raise needs again when it is due, as JSON; the point is its row's key."""
    return {
        "priority": raising.priority,
        "cause": raising.cause,
        "is_latching": raising.is_latching,
        "probability": raising.probability,
        "threshold": raising.threshold,
        "count": raising.count,
        "reasons": [[reason.feature, reason.value, reason.sigma] for reason in raising.reasons],
        "first_over_ms": raising.first_over_ms,
        "shot_row_id": raising.shot_row_id,
        "rule_version": raising.rule_version,
        "value": raising.value,
        "realarm_ms": raising.realarm_ms,
        "why": raising.why,
    }


def from_stored(tenant_id: TenantId, point: Point, stored: dict[str, Any]) -> Raising:
    """The other way."""
    reasons = tuple(AlarmReason(*reason) for reason in stored["reasons"])
    return replace(Raising(tenant_id, point, stored["priority"]), **{**stored, "reasons": reasons})
