"""The eight tests of Nelson for special causes, on values in standard deviations from their centre. Pure.

Source: L. S. Nelson, "The Shewhart Control Chart - Tests for Special Causes", Journal of Quality Technology 16 (4),
1984, pp. 237-239. They hold for independent values: give them residuals, never readings (`residuals`).
"""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

WINDOW: Final = 15
"""No test looks further back."""


def fired(values: Sequence[float], wanted: Collection[int]) -> frozenset[int]:
    """Which of the `wanted` tests the newest of `values` completes; the oldest first, only the last WINDOW count."""
    return frozenset(number for number in wanted if _TESTS[number](values))


def _beyond(values: Sequence[float]) -> bool:
    """1: one point more than 3 sigma from the centre."""
    return bool(values) and abs(values[-1]) > 3


def _same_side(values: Sequence[float]) -> bool:
    """2: nine points in a row on the same side of the centre."""
    last = values[-9:]
    return len(last) == 9 and (min(last) > 0 or max(last) < 0)


def _trend(values: Sequence[float]) -> bool:
    """3: six points in a row steadily rising or falling."""
    last = values[-6:]
    pairs = list(pairwise(last))
    return len(last) == 6 and (all(a < b for a, b in pairs) or all(a > b for a, b in pairs))


def _alternating(values: Sequence[float]) -> bool:
    """4: fourteen points in a row alternating up and down."""
    last = values[-14:]
    steps = [b - a for a, b in pairwise(last)]
    return len(last) == 14 and all(a * b < 0 for a, b in pairwise(steps))


def _two_of_three(values: Sequence[float]) -> bool:
    """5: two of three in a row more than 2 sigma from the centre, on the same side."""
    return _some_of(values[-3:], 3, 2, 2.0)


def _four_of_five(values: Sequence[float]) -> bool:
    """6: four of five in a row more than 1 sigma from the centre, on the same side."""
    return _some_of(values[-5:], 5, 4, 1.0)


def _hugging(values: Sequence[float]) -> bool:
    """7: fifteen in a row within 1 sigma of the centre, on either side."""
    last = values[-15:]
    return len(last) == 15 and max(map(abs, last)) < 1


def _mixture(values: Sequence[float]) -> bool:
    """8: eight in a row beyond 1 sigma of the centre, on either side."""
    last = values[-8:]
    return len(last) == 8 and min(map(abs, last)) > 1


def _some_of(last: Sequence[float], size: int, count: int, sigma: float) -> bool:
    if len(last) < size or abs(last[-1]) <= sigma:  # the newest completes it
        return False
    side = 1.0 if last[-1] > 0 else -1.0
    return sum(value * side > sigma for value in last) >= count


_TESTS: Final = {
    1: _beyond,
    2: _same_side,
    3: _trend,
    4: _alternating,
    5: _two_of_three,
    6: _four_of_five,
    7: _hugging,
    8: _mixture,
}
