"""What an alarm is, and which shots say something of a press's present state. Pure."""

import math
from dataclasses import dataclass, field
from uuid import UUID

from cloud.alarms.life import ACTIVE_STATES, State
from cloud.alarms.policy import Priority
from cloud.core.tenants import TenantId
from contract.alarming import AlarmRules, Tracker
from contract.shot import ScoredShot

FAILURE_PROBABILITY = "failure_probability"


@dataclass(frozen=True, slots=True)
class AlarmDefaults:
    """What the site has set: limits and priority of the failure rule as delivered, and how old a backlog counts."""

    limits: AlarmRules = field(default_factory=AlarmRules)
    priority: Priority = "high"
    history_s_max: float = 900.0


def counts(
    scored: ScoredShot, *, is_historical: bool, received_ms: int, tracker: Tracker, history_s_max: float
) -> bool:
    """Whether a shot says something of the press's present state.

    A live shot always does, whatever its press's clock says. History (what a gateway sends again after an outage)
    arrives beside live shots: it counts while it is younger than `history_s_max` and continues where the tracker
    stands; older history, and history from before a shot already taken, would mix two times into one row of shots.
    """
    if not is_historical:
        return True
    ended_ms = scored.shot.ended_ms
    is_next = tracker.last_ended_ms is None or ended_ms > tracker.last_ended_ms
    return is_next and received_ms - ended_ms <= history_s_max * 1000


@dataclass(frozen=True, slots=True)
class AlarmReason:
    """One feature that moved: its value and its distance from this press's normal, in standard deviations."""

    feature: str
    value: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of a press, or of a gateway, which has no `press_id`, no probability and no shot but a `count`.

    `first_over_ms` is by the press's clock, the other times are ours. Alarms of one place and cause are a group: its
    `group_id` is the id of its first-up alarm, `group_order` counts from 1.
    """

    alarm_id: UUID
    tenant_id: TenantId
    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str
    priority: str
    state: State
    probability: float | None
    threshold: float | None
    count: int | None
    """How many shots or records the trouble had cost when the alarm was raised."""
    reasons: tuple[AlarmReason, ...]
    first_over_ms: int
    raised_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str | None
    comment: str | None
    cleared_ms: int | None
    shot_row_id: int | None
    cause: str
    group_id: UUID
    group_order: int
    is_latching: bool
    reset_ms: int | None
    announced_ms: int | None
    """When people were told last; None while they were not."""
    is_held_back: bool
    """Told of with its group only, until the flood is over."""
    escalation_level: int
    assigned_to: str | None
    assigned_name: str | None
    rule_id: str
    """The rule that raised it; empty for an alarm of before there were rules."""
    rule_version: int | None
    value: float | None
    """What its rule measured, in the unit of the feature; None where it measured none."""

    @property
    def is_active(self) -> bool:
        """Whether the cause is still there and people are to know it."""
        return self.state in ACTIVE_STATES


def reasons_of(scored: ScoredShot) -> tuple[AlarmReason, ...]:
    """Why a shot scored as it did; a reason that is no number says nothing and is left out."""
    found = (AlarmReason(r.feature, r.value, r.sigma) for r in scored.scores.reasons)
    return tuple(reason for reason in found if math.isfinite(reason.value) and math.isfinite(reason.sigma))
