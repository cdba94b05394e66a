"""When a failure probability becomes an alarm: one rule for the gateway beside the press and for the cloud. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from contract.shot import Scores

FAILURE_PREFIX: Final = "FailureProbability/"
THRESHOLD_PREFIX: Final = "FailureThreshold/"


@dataclass(frozen=True, slots=True)
class AlarmRules:
    """On- and off-delay of an alarm.

    It is raised when `on_delay_shots` shots in a row, over at least `on_delay_s` of the press's own time, reach
    `threshold`; it clears when `off_delay_shots` in a row, over at least `off_delay_s`, stay under `threshold` -
    `deadband`.
    """

    threshold: float = 0.8
    deadband: float = 0.1
    on_delay_shots: int = 5
    on_delay_s: float = 0.0
    off_delay_shots: int = 20
    off_delay_s: float = 0.0

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
    first_under_ms: int | None = None


Step = Literal["raise", "clear"]


def step(tracker: Tracker, probability: float, ended_ms: int, rules: AlarmRules) -> tuple[Tracker, Step | None]:
    """The tracker after one more shot, and what the shot brought about.

    A probability that is no number is a model that abstains: it counts for nothing, and breaks no row of others.
    """
    tracker = replace(tracker, last_ended_ms=ended_ms)
    if not math.isfinite(probability):
        return tracker, None
    if tracker.is_raised:
        return _towards_clear(tracker, probability, ended_ms, rules)
    return _towards_raise(tracker, probability, ended_ms, rules)


def _towards_raise(
    tracker: Tracker, probability: float, ended_ms: int, rules: AlarmRules
) -> tuple[Tracker, Step | None]:
    if probability < rules.threshold:
        return replace(tracker, over_count=0, first_over_ms=None), None
    first_ms = _began(tracker.first_over_ms, ended_ms)
    count = tracker.over_count + 1
    if count >= rules.on_delay_shots and ended_ms - first_ms >= rules.on_delay_s * 1000:
        return Tracker(is_raised=True, first_over_ms=first_ms, last_ended_ms=ended_ms), "raise"
    return replace(tracker, over_count=count, first_over_ms=first_ms), None


def _towards_clear(
    tracker: Tracker, probability: float, ended_ms: int, rules: AlarmRules
) -> tuple[Tracker, Step | None]:
    if probability >= rules.threshold - rules.deadband:
        return replace(tracker, under_count=0, first_under_ms=None), None
    first_ms = _began(tracker.first_under_ms, ended_ms)
    count = tracker.under_count + 1
    if count >= rules.off_delay_shots and ended_ms - first_ms >= rules.off_delay_s * 1000:
        return Tracker(last_ended_ms=tracker.last_ended_ms), "clear"
    return replace(tracker, under_count=count, first_under_ms=first_ms), None


def _began(first_ms: int | None, ended_ms: int) -> int:
    """When a row of shots began; a press's clock that was set back must not hold an alarm, so its time begins anew."""
    return ended_ms if first_ms is None else min(first_ms, ended_ms)


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
    if not horizon:
        return 0.0
    try:
        return float(horizon.removesuffix("h"))
    except ValueError:
        return 0.0
