"""Sets of record ids as closed ranges: small while ids arrive in order, exact when they do not."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of non-negative integers kept as sorted, disjoint, non-touching closed ranges.

    `add` and `in` cost O(log n) in the number of ranges (plus the list's own move), not of ids.
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> bool:
        """Add `first`..`last` (one id by default); True when at least one id was new."""
        last = first if last is None else last
        assert 0 <= first <= last
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            if self._firsts[low] <= first and last <= self._lasts[low]:
                return False
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        return True

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        """How many ranges, not how many ids."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({list(self)!r})"

    def count(self) -> int:
        """How many ids."""
        return sum(last - first + 1 for first, last in self)

    def contiguous_from(self, start: int) -> int:
        """The first id at or above `start` that is not in the set."""
        index = bisect_right(self._firsts, start) - 1
        return self._lasts[index] + 1 if index >= 0 and start <= self._lasts[index] else start

    def above(self, number: int, limit: int) -> list[tuple[int, int]]:
        """At most `limit` ranges, lowest first, that begin above `number`."""
        index = bisect_right(self._firsts, number)
        return list(zip(self._firsts[index : index + limit], self._lasts[index : index + limit], strict=True))

    def copy(self) -> "RangeSet":
        """An independent set with the same ids."""
        twin = RangeSet()
        twin._firsts, twin._lasts = self._firsts.copy(), self._lasts.copy()
        return twin

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ids of `first`..`last` that are not in the set, as ranges in order; none when `last` < `first`."""
        holes: list[tuple[int, int]] = []
        while first <= last:
            hole = self.contiguous_from(first)
            index = bisect_right(self._firsts, hole)
            end = min(last, self._firsts[index] - 1) if index < len(self._firsts) else last
            if hole <= end:
                holes.append((hole, end))
            first = end + 1 if hole <= end else last + 1
        return holes
