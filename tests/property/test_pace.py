"""The bound on history in flight follows a host of any speed: a short queue, nothing left unused, no stand-still."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.uplink.pace import GROWTH, QUEUE_S, RECORDS_MIN, Pace

RECORDS_MAX = 3_750
COMMIT_EVERY_S = 0.2


def drained(pace: Pace, rates: list[int], path_s: float) -> list[tuple[float, float]]:
    """(queue in seconds, share of the host's rate that was used) of each commit, while history never ends."""
    seen: list[tuple[float, float]] = []
    for rate in rates:
        in_flight = pace.records
        assert not pace.has_room(in_flight)
        taken = min(in_flight, int(rate * (COMMIT_EVERY_S + path_s)))
        queue_s = (in_flight - taken) / rate
        pace.committed([path_s + queue_s + COMMIT_EVERY_S * part for part in (0.0, 0.5, 1.0)])
        seen.append((queue_s, taken / (rate * (COMMIT_EVERY_S + path_s))))
    return seen


@given(rate=st.integers(300, 50_000), path_s=st.floats(0.001, 1.0))
def test_history_uses_a_steady_host_and_queues_for_a_moment_only(rate: int, path_s: float) -> None:
    pace = Pace(RECORDS_MAX)
    settled = drained(pace, [rate] * 80, path_s)[40:]
    first_s = RECORDS_MIN / rate  # what the first records of a session waited is taken for the idle line's own
    longest_s = GROWTH * (QUEUE_S + first_s) + (GROWTH - 1) * (path_s + COMMIT_EVERY_S) + 0.01
    assert max(queue_s for queue_s, _ in settled) <= longest_s
    wanted = min(1.0, 0.75 * RECORDS_MAX / (rate * (COMMIT_EVERY_S + path_s)))
    assert min(used for _, used in settled) >= min(wanted, 0.7)


@given(rates=st.lists(st.integers(50, 50_000), min_size=1, max_size=60), path_s=st.floats(0.001, 1.0))
def test_the_bound_stays_between_its_bounds_whatever_the_host_does(rates: list[int], path_s: float) -> None:
    pace = Pace(RECORDS_MAX)
    for rate in rates:
        drained(pace, [rate], path_s)
        assert RECORDS_MIN <= pace.records <= RECORDS_MAX


def test_a_host_that_becomes_slow_is_given_less_at_once() -> None:
    pace = Pace(RECORDS_MAX)
    drained(pace, [20_000] * 40, 0.01)
    assert pace.records == RECORDS_MAX
    queues = [queue_s for queue_s, _ in drained(pace, [1_000] * 12, 0.01)]
    assert queues[0] > 3.0
    assert queues[-1] <= 2 * QUEUE_S


def test_a_small_window_is_not_made_larger() -> None:
    pace = Pace(10)
    assert drained(pace, [1_000] * 20, 0.01)
    assert pace.records == 10


def test_nothing_grows_while_history_is_not_what_waits() -> None:
    pace = Pace(RECORDS_MAX)
    for _ in range(20):
        assert pace.has_room(5)
        pace.committed([0.01])
    assert pace.records == RECORDS_MIN
