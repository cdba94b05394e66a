"""RangeSet behaves as a set of integers, whatever the order of additions."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contract.ranges import RangeSet

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda t: (t[0], t[0] + t[1])), max_size=30)


@given(spans)
def test_holds_exactly_what_was_added(added: list[tuple[int, int]]) -> None:
    ranges, model = RangeSet(), set[int]()
    for first, last in added:
        ids = set(range(first, last + 1))
        assert ranges.add(first, last) is bool(ids - model)
        model |= ids
        assert {n for n in range(80) if n in ranges} == model
    assert ranges.count() == len(model)
    flat = list(ranges)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(flat)), "sorted, disjoint, not touching"
    assert RangeSet(reversed(flat)) == ranges == ranges.copy()


@given(spans, st.integers(0, 70))
def test_contiguous_from_is_the_first_hole(added: list[tuple[int, int]], start: int) -> None:
    ranges = RangeSet(added)
    hole = ranges.contiguous_from(start)
    assert hole not in ranges
    assert all(n in ranges for n in range(start, hole))


@given(spans, st.integers(0, 70), st.integers(1, 4))
def test_above_gives_the_lowest_ranges_that_begin_above(added: list[tuple[int, int]], number: int, limit: int) -> None:
    ranges = RangeSet(added)
    assert ranges.above(number, limit) == [r for r in ranges if r[0] > number][:limit]


@given(spans, st.integers(0, 60), st.integers(0, 60))
def test_what_is_missing_between_two_ids_is_what_a_set_says(
    added: list[tuple[int, int]], first: int, last: int
) -> None:
    ranges, holes = RangeSet(added), RangeSet(added).missing(first, last)
    found = [n for low, high in holes for n in range(low, high + 1)]
    assert found == [n for n in range(first, last + 1) if n not in ranges]
    assert all(a[1] + 1 < b[0] for a, b in pairwise(holes))
