"""Arithmetic of forgotten ids: which are kept, and which come back."""

from collections.abc import Iterator

from contract.ranges import RangeSet


def kept_runs(forgotten: RangeSet, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The ids of `first`..`last` that are not forgotten, as closed ranges in order."""
    at = forgotten.contiguous_from(first)
    while at <= last:
        following = forgotten.above(at, 1)
        end = min(last, following[0][0] - 1) if following else last
        yield at, end
        at = forgotten.contiguous_from(end + 1)


def kept_count(forgotten: RangeSet, first: int, last: int) -> int:
    """How many ids of `first`..`last` are not forgotten."""
    return sum(end - begin + 1 for begin, end in kept_runs(forgotten, first, last))


def below(ranges: RangeSet, limit: int) -> RangeSet:
    """Only the ids under `limit`."""
    return RangeSet((first, min(last, limit - 1)) for first, last in ranges if first < limit)
