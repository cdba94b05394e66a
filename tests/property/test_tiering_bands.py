"""Tiers hold still under noise: flips are bounded, thresholds hold, stays and notices are kept."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.tiering.bands import (
    LONG_TAIL,
    NO_NOTICE,
    PROVISIONAL,
    STRATEGIC,
    VALUE,
    Cut,
    Rules,
    RulesError,
    State,
    assign,
    newcomers,
    shares,
)

AT_ONCE = Rules(stay_days=0, notice_days=0)
COUNT = 200


def everyone(count: int) -> np.ndarray:
    return np.ones(count, bool)


def reviews(rank_by_review: list[np.ndarray], rules: Rules, *, every_days: int = 30) -> list[State]:
    state, found = newcomers(len(rank_by_review[0]), 0), []
    for number, rank in enumerate(rank_by_review):
        state = assign(state, shares(rank), everyone(len(rank)), number * every_days, rules)
        found.append(state)
    return found


def noisy_ranks(seed: int, reviews_count: int, places: float) -> list[np.ndarray]:
    """Ranks around a true order, each moved by less than `places`."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(reviews_count):
        moved = np.arange(COUNT) + chance.uniform(-places / 2, places / 2, COUNT)
        rank = np.empty(COUNT, np.int64)
        rank[np.argsort(moved, kind="stable")] = np.arange(COUNT)
        found.append(rank)
    return found


@given(seed=st.integers(0, 10**6))
def test_noise_narrower_than_the_gap_flips_nobody_twice(seed: int) -> None:
    """With a gap of 6 places between entering and leaving, ranks that move by less than 3 cannot bring one back."""
    tiers = np.array([each.tier for each in reviews(noisy_ranks(seed, 12, 2.9), AT_ONCE)])
    flips = (np.diff(tiers, axis=0) != 0).sum(axis=0)
    assert flips.max() <= 1


@given(seed=st.integers(0, 10**6), stay=st.integers(0, 400), notice=st.integers(0, 200))
def test_nobody_flips_more_often_than_the_minimum_stay_allows(seed: int, stay: int, notice: int) -> None:
    """Even with ranks that are pure chance; and a move down comes only after its notice."""
    chance, rules = np.random.default_rng(seed), Rules(stay_days=stay, notice_days=notice)
    states = reviews([chance.permutation(COUNT) for _ in range(20)], rules)
    tiers = np.array([each.tier for each in states])
    flips = (np.diff(tiers, axis=0) != 0).sum(axis=0)
    assert flips.max() <= 19 * 30 // max(30, stay)
    for before, after in pairwise(states):
        down = after.tier > before.tier
        if notice > 0:
            assert (before.noticed[down] != NO_NOTICE).all()
            assert (after.since[down] - before.noticed[down] >= notice).all()


@given(seed=st.integers(0, 10**6))
def test_the_share_of_each_tier_stays_between_its_thresholds(seed: int) -> None:
    chance = np.random.default_rng(seed)
    for state in reviews([chance.permutation(COUNT) for _ in range(6)], AT_ONCE):
        strategic = float((state.tier == STRATEGIC).mean())
        upper = float((state.tier <= VALUE).mean())
        assert AT_ONCE.strategic.enter - 0.005 <= strategic <= AT_ONCE.strategic.leave + 0.005
        assert AT_ONCE.value.enter - 0.005 <= upper <= AT_ONCE.value.leave + 0.005


def test_the_first_review_cuts_at_the_quotas() -> None:
    (state,) = reviews([np.arange(COUNT)], Rules())
    assert [int((state.tier == tier).sum()) for tier in (STRATEGIC, VALUE, LONG_TAIL)] == [10, 50, 140]


def test_who_is_not_known_well_enough_is_provisional_and_later_keeps_what_it_has() -> None:
    unknown = np.zeros(COUNT, bool)
    state = assign(newcomers(COUNT, 0), shares(np.arange(COUNT)), unknown, 0, Rules())
    assert (state.tier == PROVISIONAL).all()
    placed = assign(state, shares(np.arange(COUNT)), everyone(COUNT), 30, Rules())
    kept = assign(placed, shares(np.arange(COUNT)[::-1]), unknown, 900, Rules())
    assert (kept.tier == placed.tier).all()


def test_a_notice_that_is_no_longer_deserved_lapses() -> None:
    rules = Rules(stay_days=0, notice_days=60)
    good, bad = np.arange(COUNT), np.arange(COUNT)[::-1].copy()
    states = reviews([good, bad, good, bad, bad], rules)
    assert states[1].noticed[0] == 30
    assert states[2].noticed[0] == NO_NOTICE
    assert [int(each.tier[0]) for each in states] == [STRATEGIC] * 5
    assert int(assign(states[-1], shares(bad), everyone(COUNT), 150, rules).tier[0]) == LONG_TAIL


@pytest.mark.parametrize(
    "rules",
    [
        Rules(strategic=Cut(0.05, 0.06, 0.07)),
        Rules(strategic=Cut(0.05, 0.0, 0.07)),
        Rules(value=Cut(0.3, 0.05, 0.36)),
        Rules(notice_days=-1),
        Rules(confidence_min=2),
    ],
)
def test_rules_that_cannot_hold_together_are_refused(rules: Rules) -> None:
    with pytest.raises(RulesError):
        rules.check()
