"""OEE: what ISO 22400-2's formulas promise, whatever was counted; and what is not known stays so."""

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.production.counting import MS_MAX, counted
from cloud.production.cycles import SHOTS_MIN, CycleTimes
from cloud.production.oee import (
    FACTORS,
    STOP_CYCLES,
    Account,
    Oee,
    Output,
    Pace,
    account_of,
    oee_of,
    planned_busy_ms,
    production_s,
)
from cloud.production.reading import Figures, together
from cloud.production.windows import HOUR_MS, WINDOWS, Schedule, hour_of, spread, window_of
from cloud.telemetry.store import PressKey, StoredCycle

ZONES = ("UTC", "Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns")
NOW_MS = st.integers(1_500_000_000_000, 2_000_000_000_000)
SCHEDULES = st.builds(
    lambda zone, hours: Schedule(ZoneInfo(zone), tuple(sorted(hours))),
    st.sampled_from(ZONES),
    st.sets(st.integers(0, 23), min_size=1, max_size=4),
)


@st.composite
def outputs(draw: st.DrawFn) -> Output:
    shots = draw(st.integers(0, 500))
    timed, graded = draw(st.integers(0, shots)), draw(st.integers(0, shots))
    timed_ms = draw(st.integers(timed, 60_000 * timed)) if timed else 0
    return Output(shots, timed, timed_ms, graded, draw(st.integers(0, graded)))


PACES = st.lists(st.builds(Pace, outputs(), st.one_of(st.none(), st.floats(1, 120))), max_size=4)
PLANNED_MS = st.integers(0, 7 * 24 * HOUR_MS)


@given(PACES, PLANNED_MS)
def test_the_index_is_the_product_of_three_known_factors_or_is_not_known(paces, planned_ms):
    oee = oee_of(account_of(paces, planned_ms))
    if oee.unknown:
        assert oee.index is None
    else:
        assert oee.index == pytest.approx(oee.availability * oee.effectiveness * oee.quality)
    assert oee.availability is None or 0 <= oee.availability <= 1
    assert oee.effectiveness is None or oee.effectiveness >= 0
    assert oee.quality is None or 0 <= oee.quality <= 1


@given(PACES)
def test_no_factor_is_invented(paces):
    made = [pace.output for pace in paces]
    oee = oee_of(account_of(paces, HOUR_MS))
    assert (oee.quality is None) == (sum(output.graded for output in made) == 0)
    has_pace = any(pace.output.timed_ms and pace.expected_s is not None for pace in paces)
    assert (oee.effectiveness is None) == (not has_pace)
    is_in_the_dark = any(pace.expected_s is None and pace.output.shots > pace.output.timed for pace in paces)
    assert (oee.availability is None) == is_in_the_dark
    assert oee_of(account_of(paces, 0)).availability is None, "no planned time, no availability"


def test_a_press_as_the_standard_reckons_it():
    """8 h planned, 7 h produced, 1,200 shots of 20 s expected, 1,140 of them good."""
    output = Output(shots=1_200, timed=1_200, timed_ms=7 * HOUR_MS, graded=1_200, good=1_140)
    oee = oee_of(account_of([Pace(output, 20.0)], 8 * HOUR_MS))
    assert oee.availability == pytest.approx(7 / 8)
    assert oee.effectiveness == pytest.approx(20 * 1_200 / (7 * 3_600))
    assert oee.quality == pytest.approx(0.95)
    assert oee.index == pytest.approx(20 * 1_140 / (8 * 3_600)), "planned run time of the good quantity by planned time"


@given(st.lists(st.tuples(PACES, PLANNED_MS), min_size=1, max_size=6))
def test_a_plant_s_factor_lies_between_those_of_its_presses(presses):
    parts = [_figures(account_of(paces, planned_ms)) for paces, planned_ms in presses]
    plant = together(parts)
    assert plant.presses == len(parts)
    for name in FACTORS:
        known = [value for value in (getattr(part.oee, name) for part in parts) if value is not None]
        assert plant.lacking[name] == len(parts) - len(known)
        value = getattr(plant.oee, name)
        assert (value is None) == (not known)
        if known and name != "availability":
            assert min(known) - 1e-9 <= value <= max(known) + 1e-9
        elif known:
            assert 0 <= value <= 1


def _figures(account: Account) -> Figures:
    return Figures(account, oee_of(account))


@given(st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.floats(0.5, 3_600)))
def test_a_stop_is_no_production_and_nonsense_says_nothing(cycle_s, expected_s):
    produced_s = production_s(cycle_s, expected_s)
    if cycle_s is None or not 0 < cycle_s <= 3_600:
        assert produced_s is None
    elif expected_s is not None and cycle_s > STOP_CYCLES * expected_s:
        assert produced_s == expected_s
    else:
        assert produced_s == cycle_s


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.lists(st.tuples(st.integers(0, 1_200), st.integers(0, 1_200))))
def test_planned_busy_time_is_every_moment_without_a_planned_downtime(start_ms, long_ms, pauses):
    end_ms = start_ms + long_ms
    busy = [at for at in range(start_ms, end_ms) if not any(first <= at < last for first, last in pauses)]
    assert planned_busy_ms(start_ms, end_ms, pauses) == len(busy)


@given(NOW_MS, st.integers(1, 3 * HOUR_MS), SCHEDULES)
def test_production_time_is_spread_over_its_hours_and_none_is_lost(ended_ms, lasted_ms, schedule):
    parts = spread(ended_ms, lasted_ms, hour_of(ended_ms, schedule))
    assert sum(part_ms for _, part_ms in parts) == lasted_ms
    assert all(0 < part_ms <= HOUR_MS for _, part_ms in parts)
    assert len({hour_ms for hour_ms, _ in parts}) == len(parts)


@given(NOW_MS, SCHEDULES, st.sampled_from(WINDOWS))
def test_a_window_begins_at_an_hour_of_the_counts_and_ends_now(now_ms, schedule, name):
    window = window_of(name, now_ms, schedule)
    assert window.end_ms == now_ms
    assert window.start_ms <= now_ms
    assert hour_of(window.start_ms, schedule) == window.start_ms
    longest_h = {"shift": 25, "day": 25, "week": 169}[name]
    assert now_ms - window.start_ms <= longest_h * HOUR_MS


def test_a_night_shift_began_yesterday_in_the_plant_s_own_time():
    schedule = Schedule(ZoneInfo("Asia/Shanghai"), (6, 14, 22))
    two_at_night_ms = 1_767_204_000_000  # 2025-12-31 18:00 UTC
    assert window_of("shift", two_at_night_ms, schedule).start_ms == two_at_night_ms - 4 * HOUR_MS


@given(st.lists(st.floats(5, 60), min_size=SHOTS_MIN, max_size=200), st.randoms())
def test_the_expected_cycle_is_the_median_whatever_the_order(cycles_s, chance):
    shuffled = list(cycles_s)
    chance.shuffle(shuffled)
    one = CycleTimes().with_cycles(cycles_s)
    other = CycleTimes().with_cycles(shuffled[:7]).with_cycles(shuffled[7:])
    assert one == other
    ranked = sorted(cycles_s)
    middle_s = ranked[(len(ranked) - 1) // 2]
    assert one.median_s() == pytest.approx(middle_s, rel=0.005)


@given(st.lists(st.floats(), max_size=SHOTS_MIN - 1))
def test_of_few_cycles_or_nonsense_nothing_is_expected(cycles_s):
    assert CycleTimes().with_cycles(cycles_s).median_s() is None


def test_stops_do_not_move_the_expected_cycle_and_a_new_pace_does_in_the_long_run():
    times = CycleTimes().with_cycles([20.0] * 100 + [600.0] * 40)
    assert times.median_s() == pytest.approx(20, rel=0.005)
    for _ in range(60):
        times = times.with_cycles([25.0] * 1_000)
    assert times.median_s() == pytest.approx(25, rel=0.005)
    assert sum(times.counts.values()) <= 20_000


CYCLES = st.lists(
    st.builds(
        lambda press, ended_ms, cycle_s, mould, quality: StoredCycle(
            1, PressKey("plant", press), ended_ms, mould, cycle_s, quality
        ),
        st.sampled_from(["a", "b"]),
        st.one_of(st.integers(0, 10 * HOUR_MS), st.sampled_from([-5, MS_MAX, 1 << 62])),
        st.one_of(st.none(), st.just(math.nan), st.floats(1, 4_000)),
        st.sampled_from(["", "m"]),
        st.sampled_from([None, "Target", "Waste"]),
    ),
    max_size=40,
)


@given(CYCLES, st.integers(0, 40), SCHEDULES)
def test_counts_are_the_same_however_the_shots_are_cut_into_batches(cycles, at, schedule):
    def count(batch):
        return counted(batch, {}, lambda _plant: "t", lambda at_ms: hour_of(at_ms, schedule))

    merged = dict(count(cycles[:at]))
    for key, output in count(cycles[at:]).items():
        merged[key] = merged.get(key, Output()) + output
    assert merged == count(cycles)
    total = sum(merged.values(), Output())
    taken = [cycle for cycle in cycles if 0 <= cycle.ended_ms < MS_MAX]
    assert total.shots == len(taken)
    assert total.graded == sum(cycle.quality_class is not None for cycle in taken)
    assert total.good == sum(cycle.quality_class == "Target" for cycle in taken)


def test_the_index_names_what_it_lacks():
    oee = Oee(0.5, None, 0.9)
    assert (oee.index, oee.unknown, oee.known_product) == (None, ("effectiveness",), pytest.approx(0.45))
