"""Maintenance: what is due before what, what makes no work, and counters of moulds that only service sets back."""

import math
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.maintenance.domain import (
    DAY_MS,
    DUE_DAYS_MAX,
    HOUR_MS,
    LIFE_SOON_H,
    REST_MS,
    UNDO_MS,
    MouldLife,
    Newest,
    OpenAlarm,
    can_be_undone,
    most_due_first,
    predictions,
    work_list,
)
from contract.shot import Scores

THRESHOLD = 0.6
MODES = ("check_ring_wear", "screw_barrel_wear", "pump_leakage")
NOW_MS = 1_800_000_000_000
shares = st.floats(0, 1) | st.just(math.nan)


@st.composite
def newest(draw: st.DrawFn, press_id: str = "m1") -> Newest:
    values = {
        f"FailureProbability/{mode}@{hours}h": draw(shares)
        for mode in draw(st.lists(st.sampled_from(MODES), unique=True))
        for hours in (8, 24, 72)
    }
    if draw(st.booleans()):
        values["RemainingLife/low"] = draw(st.floats(-5, 168))
    values |= {f"FailureThreshold/{mode}": draw(st.floats(0.05, 0.95)) for mode in MODES if draw(st.booleans())}
    return Newest("p", press_id, "M-1", NOW_MS - draw(st.integers(0, 3 * DAY_MS)), Scores("b", values))


fleets = st.integers(1, 4).flatmap(lambda n: st.tuples(*(newest(f"m{at}") for at in range(n))))
alarms = st.lists(
    st.builds(
        OpenAlarm,
        alarm_id=st.uuids(),
        plant_id=st.just("p"),
        press_id=st.sampled_from(("m0", "m1", "m9")),
        mode=st.sampled_from(MODES),
        raised_ms=st.integers(NOW_MS - 9 * DAY_MS, NOW_MS),
    ),
    max_size=6,
    unique_by=lambda alarm: alarm.alarm_id,
)


@given(shots=fleets, open_alarms=alarms)
def test_the_most_urgent_is_first_each_place_is_there_once_and_every_alarm_is_asked_for(shots, open_alarms):
    items = work_list(shots, open_alarms, {}, threshold=THRESHOLD)
    assert [item.latest_ms for item in items] == sorted(item.latest_ms for item in items)
    assert len({item.place for item in items}) == len(items)
    assert {one for item in items for one in item.alarm_ids} == {alarm.alarm_id for alarm in open_alarms}
    assert items == work_list(shots[::-1], open_alarms[::-1], {}, threshold=THRESHOLD)


@given(shot=newest())
def test_work_is_what_is_over_its_threshold_or_near_its_end(shot):
    found = predictions(shot, threshold=THRESHOLD)
    for mode in MODES:
        own = [shot.scores.values.get(f"FailureProbability/{mode}@{hours}h", math.nan) for hours in (8, 24, 72)]
        limit = shot.scores.values.get(f"FailureThreshold/{mode}", THRESHOLD)
        over = [hours for hours, value in zip((8, 24, 72), own, strict=True) if value >= limit]
        if over and math.isfinite(own[-1]):
            assert found[mode].latest_ms <= shot.ended_ms + over[0] * HOUR_MS
    low_h = shot.scores.values.get("RemainingLife/low", math.nan)
    if low_h < LIFE_SOON_H:
        assert min(each.latest_ms for each in found.values()) <= shot.ended_ms + max(0, low_h) * HOUR_MS + 1
    assert all(each.latest_ms >= shot.ended_ms for each in found.values())


@given(shots=fleets, open_alarms=alarms, done_ms=st.integers(NOW_MS - 9 * DAY_MS, NOW_MS))
def test_what_was_said_before_the_same_was_done_makes_no_work(shots, open_alarms, done_ms):
    before = work_list(shots, open_alarms, {}, threshold=THRESHOLD)
    done = {item.place: done_ms for item in before}
    left = work_list(shots, open_alarms, done, threshold=THRESHOLD)
    raised = {alarm.alarm_id: alarm.raised_ms for alarm in open_alarms}
    for item in left:
        assert all(raised[one] > done_ms for one in item.alarm_ids)
        assert item.alarm_ids or item.told_ms > done_ms + REST_MS
    late = {alarm.alarm_id for alarm in open_alarms if alarm.raised_ms > done_ms}
    assert {one for item in left for one in item.alarm_ids} == late


def test_an_alarm_alone_is_due_since_it_was_raised():
    alarm = OpenAlarm(UUID(int=1), "p", "m1", "novelty", NOW_MS - HOUR_MS)
    (item,) = work_list([], [alarm], {}, threshold=THRESHOLD)
    assert (item.latest_ms, item.probability, item.mould_id) == (NOW_MS - HOUR_MS, None, "")


moulds = st.builds(
    MouldLife,
    mould_id=st.text("AB0-", min_size=1, max_size=6),
    shots=st.integers(0, 10**7),
    since_service=st.integers(0, 10**6),
    interval_shots=st.none() | st.integers(1, 10**6),
    shots_per_day=st.floats(0, 10**5),
    serviced_ms=st.none(),
)


@given(moulds)
def test_a_mould_is_due_when_its_interval_is_run_and_not_before(mould):
    due_ms = mould.due_ms(NOW_MS)
    if mould.interval_shots is None:
        assert due_ms is None
    elif mould.since_service >= mould.interval_shots:
        assert due_ms == NOW_MS
    elif mould.left <= mould.shots_per_day * DUE_DAYS_MAX:
        assert due_ms is not None
        assert abs((due_ms - NOW_MS) / DAY_MS * mould.shots_per_day - mould.left) <= 1 + mould.shots_per_day / DAY_MS
    else:
        assert due_ms is None


@given(st.lists(moulds, max_size=8))
def test_moulds_stand_by_what_share_of_their_interval_is_left(found):
    ordered = most_due_first(found)
    shares = [mould.left / mould.interval_shots for mould in ordered if mould.interval_shots is not None]
    assert shares == sorted(shares)
    assert [mould.interval_shots is None for mould in ordered] == sorted(m.interval_shots is None for m in found)


@given(st.integers(0, 2 * UNDO_MS))
def test_what_was_done_can_be_taken_back_for_a_while(age_ms):
    assert can_be_undone(NOW_MS - age_ms, NOW_MS) == (age_ms <= UNDO_MS)
    assert not can_be_undone(None, NOW_MS)
