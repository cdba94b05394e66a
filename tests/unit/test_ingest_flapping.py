"""A connection that is taken away again and again: who stays away, how long, and what ends it."""

import pytest

from cloud.ingest.flapping import PAUSE_S_MAX, PAUSE_S_MIN, SHORT_LIVES_MAX, SHORT_S, Flapping


def lives(flapping: Flapping, *, count: int, each_s: float) -> list[float]:
    """So many connections, one behind the other, each as long; what is answered at the end of each."""
    answers = []
    for at in range(count):
        flapping.connected(at * each_s)
        answers.append(flapping.lost((at + 1) * each_s))
    return answers


def test_pauses_grow_to_a_bound_while_lives_stay_short() -> None:
    pauses = [answer for answer in lives(Flapping(), count=10 * SHORT_LIVES_MAX, each_s=SHORT_S / 10) if answer]
    assert pauses[:4] == [PAUSE_S_MIN, 2 * PAUSE_S_MIN, 4 * PAUSE_S_MIN, 8 * PAUSE_S_MIN]
    assert set(pauses[4:]) == {PAUSE_S_MAX}
    assert len(pauses) == 10


def test_a_broker_that_dies_five_times_in_a_row_costs_one_short_pause() -> None:
    assert sum(lives(Flapping(), count=5, each_s=SHORT_S / 2)) == PAUSE_S_MIN


@pytest.mark.parametrize("short", range(SHORT_LIVES_MAX))
def test_a_long_life_forgives_what_was_before(short: int) -> None:
    flapping = Flapping()
    lives(flapping, count=2 * SHORT_LIVES_MAX + short, each_s=1)
    assert lives(flapping, count=1, each_s=SHORT_S) == [0.0]
    assert lives(flapping, count=SHORT_LIVES_MAX, each_s=1) == [0.0, 0.0, PAUSE_S_MIN]


def test_attempts_that_fail_are_no_lives() -> None:
    flapping = Flapping()
    assert [flapping.lost(at) for at in range(20)] == [0.0] * 20
