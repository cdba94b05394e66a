"""When a gateway's counter becomes an alarm: once for each bout of trouble, also over restarts of the gateway."""

from hypothesis import given
from hypothesis import strategies as st

from contract.trouble import QUIET_MS, TroubleTracker, counts_of, step


def test_the_first_rise_raises_and_quiet_clears() -> None:
    tracker, happened = step(TroubleTracker(), 0, 1_000)
    assert (tracker, happened) == (TroubleTracker(), None)
    tracker, happened = step(tracker, 7, 2_000)
    assert happened == "raise"
    tracker, happened = step(tracker, 9, 3_000)
    assert (happened, tracker.counted) == (None, 9)
    tracker, happened = step(tracker, 9, 3_000 + QUIET_MS - 1)
    assert happened is None
    tracker, happened = step(tracker, 9, 3_000 + QUIET_MS)
    assert happened == "clear"
    assert step(tracker, 9, 4_000 + QUIET_MS) == (tracker, None)


def test_a_counter_that_began_again_shows_only_new_trouble() -> None:
    tracker, _ = step(TroubleTracker(), 50, 0)
    tracker, happened = step(tracker, 0, QUIET_MS)
    assert happened == "clear", "the gateway restarted and all is quiet"
    assert step(tracker, 3, QUIET_MS + 1)[1] == "raise"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, QUIET_MS // 2)), max_size=60))
def test_raise_and_clear_alternate_and_every_rise_finds_an_active_alarm(looks: list[tuple[int, int]]) -> None:
    tracker, now_ms, steps = TroubleTracker(), 0, []
    for counted, later_ms in looks:
        now_ms += later_ms
        is_rise = counted > (tracker.counted if counted >= tracker.counted else 0)
        tracker, happened = step(tracker, counted, now_ms)
        assert tracker.is_raised or not is_rise
        steps += [happened] if happened else []
    assert steps == (["raise", "clear"] * len(steps))[: len(steps)]


def test_only_the_counters_of_trouble_count() -> None:
    assert counts_of({"CurvesDropped": 3.0, "RecordsSent": 9.0}) == {"journal_curves_dropped": 3}
