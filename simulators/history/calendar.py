"""When does a press run? Shifts, weekends, the new year's closure, breaks; and how long has it run by then? Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
START_MS: Final = 1_767_585_600_000
"""Monday, 2026-01-05 04:00 UTC: noon in China, where a new week's first shift has long begun."""
FIRST_DAY_MS: Final = START_MS - 12 * HOUR_MS
"""Monday 00:00 local time, eight hours ahead of UTC."""
NEW_YEAR_DAYS: Final = (41, 49)
"""2026-02-15 to 22, counted from FIRST_DAY_MS: the plant is closed but for presses that run continuously."""
SHIFT_BEGINS_MS, SHIFT_ENDS_MS = 6 * HOUR_MS, 22 * HOUR_MS

Shifts = Literal["continuous", "three_shifts", "two_shifts"]
SHIFTS: Final[tuple[Shifts, ...]] = ("continuous", "three_shifts", "two_shifts")
Stop = tuple[int, int]
"""(from, to), UTC milliseconds."""


class RunningTime:
    """How long a press has run by a time, and when it will have run so long: stops do not count.

    Wear is a matter of running: what grows on this axis stands still with the press.

    Args:
        stops: in order and apart from each other.
    """

    def __init__(self, stops: Sequence[Stop]) -> None:
        self._begins = [START_MS]
        self._ran = [0]
        for begin, end in stops:
            self._ran.append(self._ran[-1] + begin - self._begins[-1])
            self._begins.append(end)
        assert self._ran == sorted(self._ran), "stops overlap"

    def ran_ms(self, at_ms: int) -> int:
        """Time in production from START_MS to a time."""
        stretch = max(bisect_right(self._begins, at_ms) - 1, 0)
        ran = self._ran[stretch] + max(at_ms - self._begins[stretch], 0)
        return min(ran, self._ran[stretch + 1]) if stretch + 1 < len(self._ran) else ran

    def at_ms(self, ran_ms: int) -> int:
        """The first moment by which the press has run so long."""
        stretch = max(bisect_left(self._ran, ran_ms) - 1, 0)
        return self._begins[stretch] + ran_ms - self._ran[stretch]


def planned_stops(rng: np.random.Generator, shifts: Shifts, end_ms: int) -> tuple[Stop, ...]:
    """Nights, weekends, the closure, and short breaks: no granulate, a full box, a stuck part."""
    breaks = spells(rng, end_ms, mean_gap_ms=18 * HOUR_MS, lasts_ms=(3 * MINUTE_MS, 45 * MINUTE_MS))
    return joined([*_off_shift(shifts, end_ms), *breaks], end_ms)


def joined(stops: Sequence[Stop], end_ms: int) -> tuple[Stop, ...]:
    """In order, those that touch made one, within the record."""
    found: list[Stop] = []
    for begin, end in sorted((max(a, START_MS), min(b, end_ms)) for a, b in stops):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return tuple(found)


def spells(
    rng: np.random.Generator, end_ms: int, *, mean_gap_ms: int, lasts_ms: tuple[int, int], start_ms: int = START_MS
) -> Iterator[Stop]:
    """Stretches of time that come by chance, apart from each other, up to the end."""
    at = start_ms
    while True:
        begin = at + round(rng.exponential(mean_gap_ms)) + 1
        at = begin + round(rng.uniform(*lasts_ms))
        if at >= end_ms:
            return
        yield begin, at


def _off_shift(shifts: Shifts, end_ms: int) -> Iterator[Stop]:
    if shifts == "continuous":
        return
    yield FIRST_DAY_MS + NEW_YEAR_DAYS[0] * DAY_MS, FIRST_DAY_MS + NEW_YEAR_DAYS[1] * DAY_MS + SHIFT_BEGINS_MS
    for day in range((end_ms - FIRST_DAY_MS) // DAY_MS + 1):
        midnight = FIRST_DAY_MS + day * DAY_MS
        if day % 7 == 5:
            yield midnight + SHIFT_BEGINS_MS, midnight + 2 * DAY_MS + SHIFT_BEGINS_MS
        elif shifts == "two_shifts" and day % 7 < 5:
            yield midnight + SHIFT_ENDS_MS, midnight + DAY_MS + SHIFT_BEGINS_MS
