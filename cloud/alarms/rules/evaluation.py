"""What the rules of a tenant make of one shot of a press. Pure: the consumer and the dry run call the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from cloud.alarms.domain import AlarmDefaults, AlarmReason, counts, reasons_of
from cloud.alarms.rules import nelson
from cloud.alarms.rules.definition import FailureProbability, Limit, Novelty, Rule, Spc
from cloud.alarms.rules.residuals import Residuals, follow
from cloud.telemetry.store import StoredShot
from contract.alarming import FAILURE_PREFIX, AlarmRules, Risk, Step, Tracker, risks, step
from contract.shot import ScoredShot
from contract.vocabulary import PARAMETERS
from models.features.schema import FEATURES_HASH, index

OF_SHOTS: Final = ("failure_probability", "novelty", "limit", "spc")
"""The kinds that look at shots; the others look at a clock and at gateways."""
LEFT_MOULD: Final = "rule_left_mould"
"""Why it clears: another mould is in the press, for which the rule does not hold."""
LEARNS_ANEW: Final = "rule_learns_anew"
"""Why it clears: another job or mould, whose normal is not known yet."""
NOTHING: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule with what its evaluation needs at each shot."""

    rule_id: str
    version: int
    rule: Rule
    limits: AlarmRules
    history_s_max: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What past shots said to one rule of one of its subjects; `residuals` for an SPC rule alone."""

    tracker: Tracker = field(default_factory=Tracker)
    residuals: Residuals | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule sees of one subject in a shot: `level` against its limits decides, the rest is told."""

    subject: str
    level: float
    limits: AlarmRules
    value: float | None = None
    probability: float | None = None
    threshold: float | None = None
    reasons: tuple[AlarmReason, ...] = ()
    why: str = ""
    residuals: Residuals | None = None
    is_anew: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """An alarm to be raised or cleared."""

    step: Step
    compiled: Compiled
    look: Look
    first_over_ms: int


SeenKey = tuple[str, str]
"""(rule, subject) of one press."""


def compiled(rule_id: str, version: int, rule: Rule, defaults: AlarmDefaults) -> Compiled:
    """A rule made ready. `defaults` give the age up to which a backlog counts."""
    condition = rule.condition
    threshold = condition.threshold if isinstance(condition, FailureProbability) else 0.0
    if isinstance(condition, Novelty):
        threshold = condition.factor
    limits = AlarmRules(
        threshold=threshold,
        deadband=rule.deadband,
        on_delay_shots=rule.on_delay_shots,
        on_delay_s=rule.on_delay_s,
        off_delay_shots=rule.off_delay_shots,
        off_delay_s=rule.off_delay_s,
    )
    return Compiled(rule_id, version, rule, limits, defaults.history_s_max)


def take(rules: Sequence[Compiled], row: StoredShot, seen: dict[SeenKey, Seen]) -> list[Outcome]:
    """Let a shot move what is `seen` of its press by each rule that holds there, and say what it brought about."""
    outcomes: list[Outcome] = []
    mould_id, found = row.scored.shot.mould_id, risks(row.scored.scores)
    for each in rules:
        if each.rule.scope.moulds and not each.rule.scope.has_mould(mould_id):
            outcomes += _leave(each, row.scored, seen)
            continue
        for look in _looks(each, row.scored, seen, found):
            outcome = _take_look(each, look, row, seen)
            if outcome is not None:
                outcomes.append(outcome)
    return outcomes


def _take_look(each: Compiled, look: Look, row: StoredShot, seen: dict[SeenKey, Seen]) -> Outcome | None:
    key, ended_ms = (each.rule_id, look.subject), row.scored.shot.ended_ms
    before = seen.get(key) or Seen()
    is_told = counts(
        row.scored,
        is_historical=row.is_historical,
        received_ms=row.received_ms,
        tracker=before.tracker,
        history_s_max=each.history_s_max,
    )
    if not is_told:
        return None
    if look.is_anew and before.tracker.is_raised:
        seen[key] = Seen(Tracker(last_ended_ms=ended_ms), look.residuals)
        return Outcome("clear", each, replace(look, why=LEARNS_ANEW), ended_ms)
    after, happened = step(before.tracker, look.level, ended_ms, look.limits)
    seen[key] = Seen(after, look.residuals)
    if happened is None:
        return None
    return Outcome(happened, each, look, after.first_over_ms or ended_ms)


def _leave(each: Compiled, scored: ScoredShot, seen: dict[SeenKey, Seen]) -> list[Outcome]:
    """The press makes parts of another mould now: what the rule has raised there is over."""
    ended_ms, outcomes = scored.shot.ended_ms, list[Outcome]()
    for key in [key for key, known in seen.items() if key[0] == each.rule_id and known.tracker != Tracker()]:
        if seen[key].tracker.is_raised:
            look = Look(key[1], NOTHING, each.limits, why=LEFT_MOULD)
            outcomes.append(Outcome("clear", each, look, ended_ms))
        seen[key] = Seen()
    return outcomes


def _looks(
    each: Compiled, scored: ScoredShot, seen: Mapping[SeenKey, Seen], found: Mapping[str, Risk]
) -> Iterator[Look]:
    match each.rule.condition:
        case FailureProbability() as condition:
            yield from _failures(each, condition, scored, found)
        case Novelty() as condition:
            yield from _novelties(each, condition, scored)
        case Limit() as condition:
            yield _limit(each, condition, scored)
        case Spc() as condition:
            for feature in condition.features:
                yield _spc(each, condition, feature, scored, seen.get((each.rule_id, feature)))


def _failures(
    each: Compiled, condition: FailureProbability, scored: ScoredShot, found: Mapping[str, Risk]
) -> Iterator[Look]:
    reasons = reasons_of(scored)
    for mode, longest in found.items():
        if condition.modes and mode not in condition.modes:
            continue
        risk = longest if condition.horizon_h is None else _at_horizon(scored, mode, longest, condition.horizon_h)
        limits = _at(each.limits, risk.threshold) if condition.use_bundle_threshold else each.limits
        yield Look(
            mode,
            risk.probability,
            limits,
            probability=risk.probability,
            threshold=limits.threshold,
            reasons=reasons,
        )


@lru_cache(maxsize=1024)
def _at(limits: AlarmRules, threshold: float | None) -> AlarmRules:
    """`AlarmRules.at`, once for each mode of a bundle and not for each of its shots."""
    return limits.at(threshold)


def _at_horizon(scored: ScoredShot, mode: str, longest: Risk, horizon_h: float) -> Risk:
    """What the head says within a horizon; nothing where it does not tell that one."""
    key = f"{FAILURE_PREFIX}{mode}@{horizon_h:g}h"
    return replace(longest, probability=scored.scores.values.get(key, NOTHING), key=key)


def _novelties(each: Compiled, condition: Novelty, scored: ScoredShot) -> Iterator[Look]:
    for name in condition.statistics:
        value = scored.scores.values.get(f"Novelty/{name}", NOTHING)
        yield Look(
            name,
            value,
            each.limits,
            value=value,
            threshold=condition.factor,
            reasons=reasons_of(scored),
        )


def _limit(each: Compiled, condition: Limit, scored: ScoredShot) -> Look:
    value = value_of(scored, condition.feature)
    sides = [(value - condition.above, condition.above)] if condition.above is not None else []
    sides += [(condition.below - value, condition.below)] if condition.below is not None else []
    level, threshold = max(sides)
    return Look(condition.feature, level, each.limits, value=value, threshold=threshold)


def _spc(each: Compiled, condition: Spc, feature: str, scored: ScoredShot, known: Seen | None) -> Look:
    shot = scored.shot
    before = (known.residuals if known is not None else None) or Residuals()
    recipe = f"{shot.mould_id}/{shot.job_name}"
    value = value_of(scored, feature)
    after = follow(before, recipe, value)
    is_anew = before.recipe != recipe
    if not after.window:
        return Look(feature, NOTHING, each.limits, residuals=after, is_anew=is_anew)
    tests = sorted(nelson.fired(after.window, condition.nelson))
    return Look(
        feature,
        1.0 if tests else -1.0,
        replace(each.limits, deadband=0.0),
        value=value,
        reasons=(AlarmReason(feature, value, after.window[-1]),),
        why=f"Nelson (1984): {', '.join(map(str, tests))}" if tests else "",
        residuals=after,
        is_anew=is_anew,
    )


def value_of(scored: ScoredShot, feature: str) -> float:
    """A parameter as the press told it, or a feature of this version's set; NaN where the shot has none."""
    if feature in PARAMETERS:
        return float(scored.shot.parameters.get(feature, NOTHING))
    position = index(feature)
    if scored.features_hash != FEATURES_HASH or position >= len(scored.features):
        return NOTHING
    return float(scored.features[position])
