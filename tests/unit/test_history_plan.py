"""What befalls a plant: each mode often enough to learn from, failures in production, everything by the seed alone."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

from contract.vocabulary import FAILURE_MODES
from simulators.faults.catalogue import MODES, law_of
from simulators.faults.upsets import UPSETS
from simulators.history.calendar import DAY_MS, HOUR_MS, START_MS
from simulators.history.episodes import GROWTH_DAYS_MAX, MOULD_MODES, deal, lay
from simulators.history.moulds import JOBS
from simulators.history.plan import TIME_FACTOR, PressPlan, plans

SEEDS = (1, 2, 7)


@pytest.fixture(scope="module", params=SEEDS)
def plant(request: pytest.FixtureRequest) -> list[PressPlan]:
    return list(plans(40, 90, request.param))


def test_every_mode_fails_and_is_mended_before_at_least_six_times_on_different_presses(plant: list[PressPlan]) -> None:
    failed: defaultdict[str, list[str]] = defaultdict(list)
    kept: defaultdict[str, list[str]] = defaultdict(list)
    for plan in plant:
        for fault in plan.faults:
            (failed if fault.failed_ms is not None else kept)[fault.mode].append(plan.press_id)
    for mode in FAILURE_MODES:
        assert len(failed[mode]) >= 6, mode
        assert len(kept[mode]) >= 6, mode
        assert len(set(failed[mode] + kept[mode])) >= 10, mode


def test_some_faults_overlap_but_not_two_of_one_mode(plant: list[PressPlan]) -> None:
    overlapping = 0
    for plan in plant:
        for a, b in pairwise(sorted(plan.faults, key=lambda fault: fault.onset_ms)):
            overlapping += b.onset_ms < a.stopped_ms
        for a in plan.faults:
            for b in plan.faults:
                assert a is b or a.mode != b.mode or a.ended_ms <= b.onset_ms or b.ended_ms <= a.onset_ms
    assert 10 <= overlapping <= 60


def test_some_faults_are_still_growing_when_the_record_ends(plant: list[PressPlan]) -> None:
    still = [fault for plan in plant for fault in plan.faults if fault.stopped_ms >= plan.end_ms]
    assert 1 <= len(still) <= 12
    assert all(fault.failed_ms is None for fault in still)


def test_a_press_fails_while_it_runs_at_severity_1_and_not_before(plant: list[PressPlan]) -> None:
    for plan in plant:
        running = plan.running
        for fault in plan.faults:
            law = law_of(fault.mode, fault.onset_ran_ms, fault.growth_ms, np.random.default_rng(1))
            assert fault.onset_ms >= START_MS + 24 * HOUR_MS, "a record begins with a press that is well"
            assert law.at(running.ran_ms(fault.onset_ms)) == 0
            if fault.failed_ms is None:
                assert fault.stopped_ms >= plan.end_ms or law.at(running.ran_ms(fault.stopped_ms)) < 1
                continue
            assert law.at(running.ran_ms(fault.failed_ms)) == 1
            assert law.at(running.ran_ms(fault.failed_ms - 1)) < 1
            assert not any(begin < fault.failed_ms < end for begin, end in plan.stops)
            assert fault.failed_ms < fault.stopped_ms < fault.ended_ms


def test_a_press_stands_while_it_is_repaired_and_the_plant_notes_it(plant: list[PressPlan]) -> None:
    for plan in plant:
        noted = {event.at_ms for event in plan.events if event.kind == "maintenance"}
        for fault in plan.faults:
            if fault.ended_ms < plan.end_ms:
                assert any(begin <= fault.stopped_ms and fault.ended_ms <= end for begin, end in plan.stops)
                assert fault.ended_ms in noted


def test_a_mould_with_a_fault_stays_on_its_press_until_it_is_mended(plant: list[PressPlan]) -> None:
    for plan in plant:
        changes = [at for at, _ in plan.jobs[1:]]
        for fault in plan.faults:
            if fault.mode in MOULD_MODES:
                assert not any(fault.onset_ms <= at < fault.stopped_ms for at in changes)


def test_jobs_stay_within_a_presss_family_and_all_moulds_run(plant: list[PressPlan]) -> None:
    seen = set()
    for plan in plant:
        own = {job for _, job in plan.jobs}
        assert len({job // 3 for job in own}) == 1
        assert all(a[1] != b[1] for a, b in pairwise(plan.jobs)), "a change changes something"
        seen |= own
    assert seen == set(range(len(JOBS)))


def test_every_upset_comes_many_times(plant: list[PressPlan]) -> None:
    counts = dict.fromkeys(UPSETS, 0)
    for plan in plant:
        counts["set_point_change"] += len(plan.set_points)
        for upset in plan.upsets:
            assert START_MS <= upset.begin_ms < upset.end_ms <= plan.end_ms
            counts[upset.kind] += 1
    assert min(counts.values()) >= 60, counts


def test_events_are_in_order_within_the_record_and_name_no_cause(plant: list[PressPlan]) -> None:
    for plan in plant:
        assert [event.at_ms for event in plan.events] == sorted(event.at_ms for event in plan.events)
        assert all(START_MS <= event.at_ms < plan.end_ms for event in plan.events)
        assert not any(mode in event.detail for event in plan.events for mode in MODES)
        assert {event.detail for event in plan.events if event.kind == "maintenance"} <= {"repair", "planned"}


def test_the_seed_alone_decides(plant: list[PressPlan]) -> None:
    assert list(plans(3, 20, 5)) == list(plans(3, 20, 5))
    assert list(plans(3, 20, 5)) != list(plans(3, 20, 6))


def test_slow_modes_take_longer_with_a_smaller_time_factor_and_some_do_not_come_to_their_end() -> None:
    fast = [fault for plan in plans(12, 60, 1, time_factor=TIME_FACTOR) for fault in plan.faults]
    slow = [fault for plan in plans(12, 60, 1, time_factor=1) for fault in plan.faults]
    assert max(fault.growth_ms for fault in fast) <= GROWTH_DAYS_MAX / TIME_FACTOR * DAY_MS
    assert max(fault.growth_ms for fault in slow) > 40 * DAY_MS
    assert sum(fault.failed_ms is not None for fault in slow) < sum(fault.failed_ms is not None for fault in fast)


@pytest.mark.parametrize(
    ("presses", "days", "time_factor", "every"),
    [(1, 1, 1_000, 3), (2, 1.5, 0.1, 3), (3, 400, 8, 10_000), (1, 30, 60, 3)],
)
def test_a_plan_of_any_size_holds_together(presses: int, days: float, time_factor: float, every: float) -> None:
    found = list(plans(presses, days, 3, time_factor=time_factor, fault_every_days=every))
    assert len(found) == presses
    for plan in found:
        assert plan.jobs[0][0] == START_MS
        assert all(a[1] < b[0] for a, b in pairwise(plan.stops))
        assert all(fault.onset_ms < plan.end_ms for fault in plan.faults)


def test_presses_that_run_longer_are_dealt_more_and_none_a_mode_twice_while_others_have_room() -> None:
    hands = deal(np.random.default_rng(1), [2 * DAY_MS] * 10 + [DAY_MS] * 10, 4.0)
    assert sum(map(len, hands)) == 80
    assert np.mean([len(hand) for hand in hands[:10]]) > 1.5 * np.mean([len(hand) for hand in hands[10:]])
    assert sum(len(hand) - len({mode for mode, _ in hand}) for hand in hands) <= 4


def test_faults_of_one_mode_never_overlap_even_when_a_press_has_no_others() -> None:
    for seed in range(40):
        laid = lay(np.random.default_rng(seed), [("pump_leakage", True)] * 5, 200 * DAY_MS, TIME_FACTOR)
        assert len(laid) >= 5
        own = [fault for fault in laid if fault.mode == "pump_leakage"]
        assert all(a.stopped <= b.onset for a, b in pairwise(own))
