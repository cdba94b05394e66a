"""The figures of an alarm system and the board of open alarms: nothing counted twice, nothing left out unsaid."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.alarms.analytics import CHATTER_MS, bad_actors, chattering, over_time, rate_of, shares
from cloud.alarms.domain import Alarm
from cloud.alarms.flood import WINDOW_MS
from cloud.alarms.life import OPEN_STATES
from cloud.alarms.points import Point
from cloud.alarms.policy import PRIORITIES
from cloud.core.tenants import DEFAULT_TENANT
from cloud.web.alarms_view import LINES_MAX, AlarmsWanted, board_of, wanted_of

POINT = Point("plant", "press", "", "rule", "mode")
ALARM = Alarm(
    alarm_id=UUID(int=0),
    tenant_id=DEFAULT_TENANT,
    plant_id="plant",
    press_id="press-1",
    gateway_id="",
    kind="rule",
    mode="mode",
    priority="low",
    state="active_unacknowledged",
    probability=None,
    threshold=None,
    count=None,
    reasons=(),
    first_over_ms=0,
    raised_ms=0,
    acknowledged_ms=None,
    acknowledged_by=None,
    comment=None,
    cleared_ms=None,
    shot_row_id=None,
    cause="",
    group_id=UUID(int=0),
    group_order=1,
    is_latching=False,
    reset_ms=None,
    announced_ms=0,
    is_held_back=False,
    escalation_level=0,
    assigned_to=None,
    assigned_name=None,
    rule_id="",
    rule_version=None,
    value=None,
)
ALARMS = st.lists(
    st.builds(
        lambda number, press, priority, state, raised_ms, cause: replace(
            ALARM,
            alarm_id=UUID(int=number),
            press_id=press,
            priority=priority,
            state=state,
            raised_ms=raised_ms,
            cause=cause,
        ),
        st.integers(0, 1 << 60),
        st.sampled_from(["press-1", "press-2", "Halle-3"]),
        st.sampled_from(PRIORITIES),
        st.sampled_from(OPEN_STATES),
        st.integers(0, 1000),
        st.sampled_from(["heat", "wear"]),
    ),
    unique_by=lambda alarm: alarm.alarm_id,
    max_size=40,
)


@given(ALARMS, st.sampled_from(["", "active", "unacknowledged", "cleared"]), st.sampled_from(["", "HALLE", "nowhere"]))
def test_the_board_draws_each_wanted_alarm_once_the_worst_first(alarms: list[Alarm], state: str, q: str) -> None:
    board = board_of(alarms, AlarmsWanted(state=state, q=q))
    drawn = [alarm_id for group in board.groups for alarm_id in group.ids]
    assert len(drawn) == len(set(drawn))
    assert len(drawn) + board.left_out == sum(board.counts.values())
    assert q or state or len(drawn) == len(alarms)
    assert q != "nowhere" or not drawn
    for group in board.groups:
        members = (group.first, *group.followers)
        assert len({(alarm.press_id, alarm.cause) for alarm in members}) == 1
        assert group.first.is_active or not any(alarm.is_active for alarm in members)
    answered = [all("_unack" not in a.state for a in (g.first, *g.followers)) for g in board.groups]
    assert answered == sorted(answered), "what nobody has answered stands above what somebody has"


def test_a_board_has_room_for_so_many_and_says_how_many_are_left_out() -> None:
    alarms = [
        replace(ALARM, alarm_id=UUID(int=at), press_id=f"press-{at % 30}", raised_ms=at) for at in range(LINES_MAX + 90)
    ]
    board = board_of(alarms, AlarmsWanted())
    drawn = sum(len(group.ids) for group in board.groups)
    assert drawn <= LINES_MAX
    assert drawn + board.left_out == len(alarms)


@given(
    st.dictionaries(
        st.sampled_from(["tab", "state", "priority", "days", "q", "press", "since", "until", "before", "odd"]),
        st.text(max_size=9),
    )
)
def test_any_url_is_some_page_and_its_link_leads_there_again(query: dict[str, str]) -> None:
    wanted = wanted_of(query)
    assert wanted_of(wanted.query()) == wanted
    assert wanted_of(wanted.query(tab="history")).tab == "history"


@given(st.lists(st.integers(0, 300_000), max_size=40))
def test_chattering_is_three_within_a_minute(times_ms: list[int]) -> None:
    ordered = sorted(times_ms)
    bursts = [
        sum(at - CHATTER_MS < other <= at for other in ordered[: number + 1]) for number, at in enumerate(ordered)
    ]
    found = chattering({POINT: times_ms})
    assert bool(found) == any(burst >= 3 for burst in bursts)
    if found:
        assert found[0].most == max(bursts)
        assert found[0].times == sum(burst >= 3 for burst in bursts)


@given(st.dictionaries(st.integers(0, 500), st.integers(1, 50)), st.integers(1, 9), st.integers(1, 100))
def test_rates_and_bars_add_up(buckets: dict[int, int], operators: int, points_max: int) -> None:
    rate = rate_of(buckets, spans=501, operators=operators)
    assert abs(rate.average * 501 * operators - sum(buckets.values())) < 1e-6
    assert rate.average <= rate.peak or not buckets
    bars = over_time(buckets, since_ms=0, until_ms=500 * WINDOW_MS, points_max=points_max)
    assert len(bars) <= points_max
    assert sum(bar.count for bar in bars) == sum(buckets.values())


@given(st.dictionaries(st.sampled_from(["low", "medium", "high", "critical", "odd"]), st.integers(0, 99)))
def test_shares_of_priorities_are_of_one_whole(counts: dict[str, int]) -> None:
    found = shares(counts)
    assert [share.priority for share in found] == list(PRIORITIES)
    assert not sum(share.count for share in found) or abs(sum(share.share for share in found) - 1) < 1e-9


def test_bad_actors_are_ranked_with_their_share_of_all() -> None:
    other = replace(POINT, mode="other")
    found = bad_actors([(POINT, 1), (other, 3)], 8)
    assert [(actor.point.mode, actor.count, actor.share) for actor in found] == [
        ("other", 3, 0.375),
        ("mode", 1, 0.125),
    ]
