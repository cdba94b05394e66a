"""When a failure probability becomes an alarm, and what an alarm is. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from cloud.alarms.life import ACTIVE_STATES, State
from cloud.core.tenants import TenantId
from contract.shot import ScoredShot, Scores

FAILURE_PREFIX, THRESHOLD_PREFIX = "FailureProbability/", "FailureThreshold/"
FAILURE_PROBABILITY = "failure_probability"


@dataclass(frozen=True, slots=True)
class AlarmRules:
    """On- and off-delay of an alarm.

    It is raised when `on_delay_shots` shots in a row, over at least `on_delay_s` of the press's own time, reach
    `threshold`; it clears when `off_delay_shots` in a row stay under `threshold` - `deadband`.
    """

    threshold: float = 0.8
    deadband: float = 0.1
    on_delay_shots: int = 5
    on_delay_s: float = 0.0
    off_delay_shots: int = 20
    history_s_max: float = 900.0
    priority: str = "high"

    def at(self, threshold: float | None) -> "AlarmRules":
        """The rules with a bundle's own threshold; the deadband is at most a quarter of it."""
        if threshold is None:
            return self
        return replace(self, threshold=threshold, deadband=min(self.deadband, threshold / 4))


@dataclass(frozen=True, slots=True)
class Tracker:
    """What the past shots of one press said of one failure mode; `is_raised` while its alarm is active."""

    is_raised: bool = False
    over_count: int = 0
    first_over_ms: int | None = None
    under_count: int = 0
    last_ended_ms: int | None = None


Step = Literal["raise", "clear"]


def step(tracker: Tracker, probability: float, ended_ms: int, rules: AlarmRules) -> tuple[Tracker, Step | None]:
    """The tracker after one more shot, and what the shot brought about.

    A probability that is no number is a model that abstains: it counts for nothing, and breaks no row of others.
    """
    tracker = replace(tracker, last_ended_ms=ended_ms)
    if not math.isfinite(probability):
        return tracker, None
    if tracker.is_raised:
        return _towards_clear(tracker, probability, rules)
    return _towards_raise(tracker, probability, ended_ms, rules)


def _towards_raise(
    tracker: Tracker, probability: float, ended_ms: int, rules: AlarmRules
) -> tuple[Tracker, Step | None]:
    if probability < rules.threshold:
        return replace(tracker, over_count=0, first_over_ms=None), None
    # A press's clock that was set back must not hold an alarm up until it has caught up: its time begins anew.
    first_ms = ended_ms if tracker.first_over_ms is None else min(tracker.first_over_ms, ended_ms)
    count = tracker.over_count + 1
    if count >= rules.on_delay_shots and ended_ms - first_ms >= rules.on_delay_s * 1000:
        return Tracker(is_raised=True, first_over_ms=first_ms, last_ended_ms=ended_ms), "raise"
    return replace(tracker, over_count=count, first_over_ms=first_ms), None


def _towards_clear(tracker: Tracker, probability: float, rules: AlarmRules) -> tuple[Tracker, Step | None]:
    if probability >= rules.threshold - rules.deadband:
        return replace(tracker, under_count=0), None
    count = tracker.under_count + 1
    if count >= rules.off_delay_shots:
        return Tracker(last_ended_ms=tracker.last_ended_ms), "clear"
    return replace(tracker, under_count=count), None


def counts(scored: ScoredShot, *, is_historical: bool, received_ms: int, tracker: Tracker, rules: AlarmRules) -> bool:
    """Whether a shot says something of the press's present state.

    A live shot always does, whatever its press's clock says. History (what a gateway sends again after an outage)
    arrives beside live shots: it counts while it is younger than `history_s_max` and continues where the tracker
    stands; older history, and history from before a shot already taken, would mix two times into one row of shots.
    """
    if not is_historical:
        return True
    ended_ms = scored.shot.ended_ms
    is_next = tracker.last_ended_ms is None or ended_ms > tracker.last_ended_ms
    return is_next and received_ms - ended_ms <= rules.history_s_max * 1000


@dataclass(frozen=True, slots=True)
class Risk:
    """What a head says of one failure mode: the probability within its longest horizon, and the bundle's threshold.

    A bundle's threshold comes from its false-alarm budget; one without leaves it to the rules.
    """

    probability: float
    threshold: float | None = None
    key: str = ""
    """The score's name."""

    def limit(self, otherwise: float) -> float:
        """From where it is worth an alarm, by a bundle that leaves it to the rules `otherwise`."""
        return otherwise if self.threshold is None else self.threshold


def risks(scores: Scores) -> dict[str, Risk]:
    """What the heads said of each failure mode; `mode@24h` is the mode within 24 h."""
    values: Mapping[str, float] = scores.values
    found: dict[str, tuple[float, str]] = {}
    for key in values:
        if key.startswith(FAILURE_PREFIX):
            mode, _, horizon = key.removeprefix(FAILURE_PREFIX).partition("@")
            hours = _hours(horizon)
            if mode not in found or hours > found[mode][0]:
                found[mode] = hours, key
    return {mode: Risk(values[key], values.get(THRESHOLD_PREFIX + mode), key) for mode, (_, key) in found.items()}


def _hours(horizon: str) -> float:
    try:
        return float(horizon.removesuffix("h"))
    except ValueError:
        return 0.0


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

    @property
    def is_active(self) -> bool:
        """Whether the cause is still there and people are to know it."""
        return self.state in ACTIVE_STATES


def reasons_of(scored: ScoredShot) -> tuple[AlarmReason, ...]:
    """Why a shot scored as it did; a reason that is no number says nothing and is left out."""
    found = (AlarmReason(r.feature, r.value, r.sigma) for r in scored.scores.reasons)
    return tuple(reason for reason in found if math.isfinite(reason.value) and math.isfinite(reason.sigma))
