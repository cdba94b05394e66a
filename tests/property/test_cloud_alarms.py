"""The laws of an alarm: no spike raises one, a lasting excursion raises exactly one, it ends only after quiet."""

import math
import random
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.alarms.domain import counts
from contract.alarming import AlarmRules, Step, Tracker, step
from contract.shot import ScoredShot, Scores, Shot

CYCLE_MS = 10_000
RULES = st.builds(
    AlarmRules,
    threshold=st.floats(0.5, 0.95),
    deadband=st.floats(0.0, 0.4),
    on_delay_shots=st.integers(1, 6),
    on_delay_s=st.sampled_from([0.0, 25.0]),
    off_delay_shots=st.integers(1, 8),
    off_delay_s=st.sampled_from([0.0, 35.0]),
)
PROBABILITIES = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan), st.sampled_from([0.0, 1.0])), max_size=80)


def run(probabilities: list[float], rules: AlarmRules, tracker: Tracker | None = None) -> list[Step | None]:
    tracker = tracker or Tracker()
    outcomes = []
    for number, probability in enumerate(probabilities):
        tracker, outcome = step(tracker, probability, number * CYCLE_MS, rules)
        outcomes.append(outcome)
    return outcomes


@given(PROBABILITIES, RULES)
def test_raises_and_clears_take_turns_beginning_with_a_raise(probabilities: list[float], rules: AlarmRules) -> None:
    happened = [outcome for outcome in run(probabilities, rules) if outcome]
    assert happened == [("raise", "clear")[number % 2] for number in range(len(happened))]


@given(PROBABILITIES, RULES)
def test_each_raise_stands_on_its_row_of_shots_and_each_clear_on_its_quiet(
    probabilities: list[float], rules: AlarmRules
) -> None:
    for number, outcome in enumerate(run(probabilities, rules)):
        spoken = [p for p in probabilities[: number + 1] if math.isfinite(p)]
        if outcome == "raise":
            assert min(spoken[-rules.on_delay_shots :]) >= rules.threshold
        if outcome == "clear":
            assert max(spoken[-rules.off_delay_shots :]) < rules.threshold - rules.deadband


@given(RULES.filter(lambda rules: rules.on_delay_shots > 1), st.lists(st.floats(0, 1), max_size=60))
def test_isolated_spikes_raise_nothing(rules: AlarmRules, heights: list[float]) -> None:
    spikes = [value for height in heights for value in (max(height, rules.threshold), 0.0)]
    assert not any(run(spikes, rules))


@given(RULES, st.integers(0, 30), st.integers(40, 60))
def test_a_lasting_excursion_raises_exactly_one_alarm_after_the_delay(
    rules: AlarmRules, quiet: int, lasting: int
) -> None:
    outcomes = run([0.0] * quiet + [1.0] * lasting, rules)
    shots_for_time = math.ceil(rules.on_delay_s * 1000 / CYCLE_MS) + 1
    at = quiet + max(rules.on_delay_shots, shots_for_time) - 1
    assert [(number, outcome) for number, outcome in enumerate(outcomes) if outcome] == [(at, "raise")]


@given(RULES, st.integers(20, 40))
def test_a_lasting_quiet_clears_exactly_once_after_shots_and_time(rules: AlarmRules, lasting: int) -> None:
    outcomes = run([1.0] * 10 + [0.0] * lasting, rules)
    shots_for_time = math.ceil(rules.off_delay_s * 1000 / CYCLE_MS) + 1
    at = 10 + max(rules.off_delay_shots, shots_for_time) - 1
    assert [number for number, outcome in enumerate(outcomes) if outcome == "clear"] == [at]


@given(PROBABILITIES, RULES, st.randoms(use_true_random=False))
def test_without_a_delay_in_time_the_press_clock_may_say_what_it_likes(
    probabilities: list[float], rules: AlarmRules, chance: random.Random
) -> None:
    rules = replace(rules, on_delay_s=0.0, off_delay_s=0.0)
    tracker, outcomes = Tracker(), []
    for probability in probabilities:
        tracker, outcome = step(tracker, probability, chance.randint(0, 10**12), rules)
        outcomes.append(outcome)
    assert outcomes == run(probabilities, rules)


def test_a_clock_that_was_set_back_holds_an_alarm_up_by_no_more_than_the_delay() -> None:
    rules, day_ms = AlarmRules(on_delay_shots=2, on_delay_s=25.0), 86_400_000
    tracker, _ = step(Tracker(), 1.0, day_ms, rules)
    outcomes = []
    for number in range(4):
        tracker, outcome = step(tracker, 1.0, number * CYCLE_MS, rules)
        outcomes.append(outcome)
    assert outcomes == [None, None, None, "raise"]


@given(PROBABILITIES, RULES)
def test_a_model_that_abstains_changes_no_outcome(probabilities: list[float], rules: AlarmRules) -> None:
    rules = replace(rules, on_delay_s=0.0, off_delay_s=0.0)
    without = [p for p in probabilities if math.isfinite(p)]
    assert [outcome for outcome in run(probabilities, rules) if outcome] == [o for o in run(without, rules) if o]


@given(PROBABILITIES, RULES, st.data())
def test_a_tracker_that_was_kept_goes_on_as_if_never_stopped(
    probabilities: list[float], rules: AlarmRules, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(probabilities)))
    tracker, outcomes = Tracker(), []
    for number, probability in enumerate(probabilities[:cut]):
        tracker, outcome = step(tracker, probability, number * CYCLE_MS, rules)
        outcomes.append(outcome)
    for number, probability in enumerate(probabilities[cut:], start=cut):
        tracker, outcome = step(tracker, probability, number * CYCLE_MS, rules)
        outcomes.append(outcome)
    assert outcomes == run(probabilities, rules)


def scored(ended_ms: int) -> ScoredShot:
    return ScoredShot(Shot("press-1", ended_ms, {}), np.zeros(0, np.float32), "", Scores("bundle"))


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9))
def test_a_live_shot_counts_whatever_its_clock_says(offset_ms: int, last_ms: int) -> None:
    shot, tracker = scored(10**12 + offset_ms), Tracker(last_ended_ms=10**12 + last_ms)
    assert counts(shot, is_historical=False, received_ms=10**12, tracker=tracker, history_s_max=900.0)


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_history_counts_while_it_is_young_and_goes_forward(age_ms: int, last_age_ms: int) -> None:
    now_ms, history_s_max = 10**12, 900.0
    tracker = Tracker(last_ended_ms=now_ms - last_age_ms)
    does = counts(
        scored(now_ms - age_ms), is_historical=True, received_ms=now_ms, tracker=tracker, history_s_max=history_s_max
    )
    assert does == (age_ms <= history_s_max * 1000 and age_ms < last_age_ms)
