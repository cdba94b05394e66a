"""How good an alarm system is, by the figures of ISA-18.2 (clause 16) and EEMUA 191 (section 6.5). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cloud.alarms.flood import BEGINS_ABOVE, WINDOW_MS, Band, band_of
from cloud.alarms.points import Point
from cloud.alarms.policy import HOUR_MS, MINUTE_MS, PRIORITIES, SHARES_ADVISED, Priority

CHATTERS_FROM: Final = 3
"""Annunciations of one point within CHATTER_MS: ISA-18.2 calls it chattering."""
CHATTER_MS: Final = MINUTE_MS
STANDING_MS: Final = 24 * HOUR_MS
"""An alarm that is active for longer stands (EEMUA 191); one that is open for longer is stale (ISA-18.2)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A point with how often people were told of it, and its share of all."""

    point: Point
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Chatter:
    """A point with its most annunciations within a minute, and how often it chattered."""

    point: Point
    most: int
    times: int


@dataclass(frozen=True, slots=True)
class Share:
    """How much of all alarms a priority has, and how much the standards advise."""

    priority: Priority
    count: int
    share: float
    advised: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Annunciations per operator and ten minutes."""

    operators: int
    average: float
    peak: float
    band: Band
    flood_share: float
    """Of all spans of ten minutes, how many had more than a person can take."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Annunciations of one span of time."""

    from_ms: int
    count: int


def bad_actors(counts: Sequence[tuple[Point, int]], total: int) -> list[Actor]:
    """The points that people are told of most, with their shares: ten of them often make most of all alarms."""
    ranked = sorted(counts, key=lambda item: (-item[1], item[0]))
    return [Actor(point, count, count / total if total else 0.0) for point, count in ranked]


def chattering(annunciations: Mapping[Point, Sequence[int]]) -> list[Chatter]:
    """The points that were announced CHATTERS_FROM times or more within CHATTER_MS, the worst first."""
    found = []
    for point, times_ms in annunciations.items():
        most, times = _densest(sorted(times_ms))
        if times:
            found.append(Chatter(point, most, times))
    return sorted(found, key=lambda chatter: (-chatter.most, -chatter.times, chatter.point))


def _densest(times_ms: Sequence[int]) -> tuple[int, int]:
    """The most annunciations within CHATTER_MS, and how many annunciations completed such a burst."""
    most, times, first = 0, 0, 0
    for at, now_ms in enumerate(times_ms):
        while now_ms - times_ms[first] >= CHATTER_MS:
            first += 1
        most = max(most, at - first + 1)
        times += at - first + 1 >= CHATTERS_FROM
    return most, times


def shares(counts: Mapping[str, int]) -> list[Share]:
    """How the priorities are used, the least first; what is of no known priority counts for nothing."""
    total = sum(counts.get(priority, 0) for priority in PRIORITIES)
    return [
        Share(priority, counts.get(priority, 0), counts.get(priority, 0) / total if total else 0.0, advised)
        for priority, advised in SHARES_ADVISED.items()
    ]


def rate_of(buckets: Mapping[int, int], *, spans: int, operators: int) -> Rate:
    """The figures of `spans` spans of ten minutes, of which those that had alarms are told."""
    per_span = [count / max(operators, 1) for count in buckets.values()]
    average = sum(per_span) / max(spans, 1)
    floods = sum(figure > BEGINS_ABOVE for figure in per_span)
    return Rate(operators, average, max(per_span, default=0.0), band_of(average), floods / max(spans, 1))


def spans_between(since_ms: int, until_ms: int) -> int:
    """How many spans of ten minutes that is, begun ones too."""
    return max(-(-(until_ms - since_ms) // WINDOW_MS), 1)


def over_time(buckets: Mapping[int, int], *, since_ms: int, until_ms: int, points_max: int) -> list[Bar]:
    """At most `points_max` bars of equal width that cover the time; nothing is left out."""
    first, last = since_ms // WINDOW_MS, until_ms // WINDOW_MS
    width = max(-(-(last - first + 1) // points_max), 1)
    bars = dict.fromkeys(range(first, last + 1, width), 0)
    for bucket, count in buckets.items():
        if first <= bucket <= last:
            bars[first + (bucket - first) // width * width] += count
    return [Bar(start * WINDOW_MS, count) for start, count in bars.items()]
