"""Managers to strategic customers: never above capacity or out of reach, as cheap as trying everything, and steady."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.tiering import assignment
from cloud.tiering.assignment import (
    MOVED,
    UNPLACED,
    Account,
    Manager,
    UnsolvedError,
    distance_km,
    priced,
    propose,
)

PLACES = st.none() | st.tuples(st.floats(30, 40), st.floats(110, 120))
SECTORS = ("medical", "automotive", "")
MANAGERS = st.lists(
    st.tuples(st.integers(1, 3), st.frozensets(st.sampled_from(SECTORS[:2])), PLACES, st.none() | st.floats(50, 900)),
    max_size=3,
).map(lambda told: [Manager(f"m{number}", *each) for number, each in enumerate(told)])
ACCOUNTS = st.lists(
    st.tuples(st.sampled_from(SECTORS), PLACES, st.sampled_from([None, "m0", "m1", "gone"])), max_size=4
).map(lambda told: [Account(f"c{number}", *each) for number, each in enumerate(told)])


def cheapest(accounts: list[Account], managers: list[Manager]) -> int:
    """The cost of the best of all assignments, those left out counted."""
    found = []
    for picked in product([None, *managers], repeat=len(accounts)):
        pairs = [(account, manager) for account, manager in zip(accounts, picked, strict=True) if manager]
        prices = [priced(account, manager) for account, manager in pairs]
        loads = {manager: picked.count(manager) for manager in managers}
        if None in prices or any(load > manager.capacity for manager, load in loads.items()):
            continue
        full = max((-(-100 * load // manager.capacity) for manager, load in loads.items()), default=0)
        points = sum(each.sector + each.travel + each.moved for each in prices if each)
        found.append(points + full + UNPLACED * picked.count(None))
    return min(found)


@settings(max_examples=40, deadline=None)
@given(ACCOUNTS, MANAGERS)
def test_nothing_that_can_be_tried_is_better(accounts: list[Account], managers: list[Manager]) -> None:
    found = propose(accounts, managers)
    assert found.is_best
    assert found.cost + UNPLACED * len(found.unplaced) == cheapest(accounts, managers)
    assert {each.customer_id for each in found.assigned} | set(found.unplaced) == {
        each.customer_id for each in accounts
    }
    for manager in managers:
        assert sum(each.manager_id == manager.manager_id for each in found.assigned) <= manager.capacity


def test_a_customer_keeps_its_manager_unless_moving_saves_more_than_it_costs() -> None:
    near, far = (31.2, 121.5), (31.2, 121.5 - 10)  # about 950 km apart
    managers = [Manager("near", 10, frozenset(), near, None), Manager("far", 10, frozenset(), far, None)]
    km = distance_km(near, far)
    assert km is not None
    assert 10 * MOVED < km < 1_000
    kept = propose([Account("c", "", (31.2, 121.5 - 7), "near")], managers)
    assert [each.manager_id for each in kept.assigned] == ["near"]
    moved = propose([Account("c", "", far, "near")], managers)
    assert [(each.manager_id, each.before, each.moved) for each in moved.assigned] == [("far", "near", MOVED)]


def test_who_cannot_be_placed_is_told_with_the_reason() -> None:
    managers = [Manager("m", 1, frozenset(), (30.0, 110.0), 100.0)]
    accounts = [
        Account("a", "", (30.0, 110.1), None),
        Account("b", "", None, None),
        Account("c", "", (40.0, 110.0), None),
    ]
    found = propose(accounts, managers)
    assert found.unplaced["c"] == "nobody_in_reach"
    assert sorted(found.unplaced.values()) == ["all_in_reach_full", "nobody_in_reach"]
    assert propose(accounts, []).unplaced == dict.fromkeys("abc", "nobody_in_reach")


def test_no_time_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "SOLVE_S_MAX", 0.0)
    managers = [Manager(f"m{number}", 3, frozenset(), None, None) for number in range(8)]
    accounts = [Account(f"c{number}", "", None, None) for number in range(20)]
    with pytest.raises(UnsolvedError, match="within 0 s"):
        propose(accounts, managers)
