"""Labels as faults and repairs: nothing is told that no engineer has said, and nothing twice."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.rollouts.domain import Verdict
from cloud.rollouts.history import Fault, Judged, Maintenance, counts, faults, maintenance

PRESS, OTHER = ("plant", "m1"), ("plant", "m2")
NOW_MS = 1_000
TIME = st.integers(0, NOW_MS)
VERDICTS: list[Verdict] = ["true", "false", "maintenance_done"]
LABEL = st.builds(
    lambda press, mode, verdict, times: Judged(press, mode, verdict, min(times), max(times)),
    st.sampled_from([PRESS, OTHER]),
    st.sampled_from(["check_ring_wear", "pump_leakage"]),
    st.sampled_from(VERDICTS),
    st.tuples(TIME, TIME),
)
LABELS = st.lists(LABEL, max_size=20)


def judged(verdict: Verdict, raised_ms: int, labelled_ms: int, mode: str = "check_ring_wear") -> Judged:
    return Judged(PRESS, mode, verdict, raised_ms, labelled_ms)


def fault(onset_ms: int, failed_ms: int | None, ended_ms: int, mode: str = "check_ring_wear") -> Fault:
    return Fault(PRESS, mode, onset_ms, failed_ms, ended_ms)


def test_a_right_alarm_that_nobody_repaired_goes_on_until_now() -> None:
    assert faults([judged("true", 10, 20)], NOW_MS) == [fault(10, None, NOW_MS)]


def test_a_repair_condemns_what_its_alarm_told_of() -> None:
    assert faults([judged("maintenance_done", 10, 20)], NOW_MS) == [fault(10, 20, 20)]
    assert maintenance([judged("maintenance_done", 10, 20)]) == [Maintenance(PRESS, 20, "maintenance", "repair")]


def test_a_false_alarm_is_counted_and_is_no_fault() -> None:
    labels = [judged("false", 10, 20)]
    assert (faults(labels, NOW_MS), maintenance(labels), counts(labels)) == ([], [], {"false": 1})


def test_alarms_of_one_mode_before_a_repair_are_one_fault_from_the_first_on() -> None:
    labels = [judged("true", 30, 90), judged("maintenance_done", 50, 60), judged("true", 10, 15)]
    assert faults(labels, NOW_MS) == [fault(10, 60, 60)]
    again = judged("true", 70, 80)
    assert faults([again, *labels], NOW_MS) == [fault(10, 60, 60), fault(70, None, NOW_MS)]


def test_a_repair_said_twice_is_one_failure_at_the_first_word() -> None:
    labels = [judged("maintenance_done", 10, 60), judged("maintenance_done", 50, 61)]
    assert faults(labels, NOW_MS) == [fault(10, 60, 60)]
    assert [event.at_ms for event in maintenance(labels)] == [60, 61]


def test_a_repair_of_one_mode_leaves_the_others_open() -> None:
    labels = [judged("maintenance_done", 10, 60), judged("true", 20, 25, "pump_leakage")]
    assert faults(labels, NOW_MS) == [fault(10, 60, 60), fault(20, None, NOW_MS, "pump_leakage")]


def test_a_clock_that_was_set_back_makes_no_fault_that_ends_before_it_began() -> None:
    assert faults([judged("maintenance_done", 50, 40)], NOW_MS) == [fault(50, 50, 50)]
    assert faults([judged("true", 2_000, 40)], NOW_MS) == [fault(2_000, None, 2_000)]


@given(LABELS, st.randoms())
def test_the_order_of_labels_says_nothing(labels: list[Judged], chance: random.Random) -> None:
    shuffled = chance.sample(labels, len(labels))
    assert faults(shuffled, NOW_MS) == faults(labels, NOW_MS)
    assert maintenance(shuffled) == maintenance(labels)


@given(LABELS)
def test_false_alarms_change_no_fault(labels: list[Judged]) -> None:
    meant = [label for label in labels if label.verdict != "false"]
    assert faults(meant, NOW_MS) == faults(labels, NOW_MS)
    assert counts(labels).total() == len(labels)


@given(LABELS)
def test_every_alarm_that_was_right_lies_in_one_fault_of_its_mode_and_no_fault_is_without(labels: list[Judged]) -> None:
    found = faults(labels, NOW_MS)
    right = [label for label in labels if label.verdict != "false"]
    for label in right:
        own = [each for each in found if (each.press, each.mode) == (label.press, label.mode)]
        assert sum(each.onset_ms <= label.raised_ms <= each.ended_ms for each in own) == 1
    for each in found:
        begins = [label.raised_ms for label in right if (label.press, label.mode) == (each.press, each.mode)]
        assert each.onset_ms in begins


@given(LABELS)
def test_faults_of_a_mode_on_a_press_follow_each_other_and_only_the_last_is_open(labels: list[Judged]) -> None:
    for before, after in pairwise(faults(labels, NOW_MS)):
        if (before.press, before.mode) == (after.press, after.mode):
            assert before.failed_ms is not None
            assert before.onset_ms <= before.failed_ms == before.ended_ms < after.onset_ms


@given(LABELS)
def test_each_failure_is_a_repair_that_was_told_of(labels: list[Judged]) -> None:
    told = {(event.press, event.at_ms) for event in maintenance(labels)}
    failed = {(each.press, each.failed_ms) for each in faults(labels, NOW_MS) if each.failed_ms is not None}
    assert failed <= told
