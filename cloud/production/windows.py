"""The times that OEE is asked for (running shift, day, week), and the hours that counts are kept by. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

WindowName = Literal["shift", "day", "week"]
WINDOWS: tuple[WindowName, ...] = ("shift", "day", "week")
HOUR_MS = 3_600_000
DAY_HOURS, WEEK_HOURS = 24, 7 * 24


@dataclass(frozen=True, slots=True)
class Schedule:
    """At which hours of the day shifts begin, in the plants' time zone."""

    zone: ZoneInfo
    shift_starts_h: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """From `start_ms`, where an hour of the counts begins, to `end_ms`, which is now."""

    name: WindowName
    start_ms: int
    end_ms: int


def window_of(name: WindowName, now_ms: int, schedule: Schedule) -> Window:
    """The running shift, or the last 24 or 168 hours and what has passed of the running one."""
    if name == "shift":
        return Window(name, _shift_start_ms(now_ms, schedule), now_ms)
    hours = DAY_HOURS if name == "day" else WEEK_HOURS
    return Window(name, hour_of(now_ms, schedule) - hours * HOUR_MS, now_ms)


def hour_of(at_ms: int, schedule: Schedule) -> int:
    """When the hour of `at_ms` begins: whole hours of the plants' time zone, which may be half an hour off UTC's."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(schedule.zone)
    phase_ms = round((local.utcoffset() or timedelta()).total_seconds() * 1000) % HOUR_MS
    return at_ms - (at_ms + phase_ms) % HOUR_MS


def spread(ended_ms: int, lasted_ms: int, hour_ms: int) -> list[tuple[int, int]]:
    """(hour, milliseconds) of a cycle that ended in the hour `hour_ms`: none has more in it than it is long."""
    parts: list[tuple[int, int]] = []
    left_ms, end_ms = lasted_ms, ended_ms
    while left_ms > 0:
        part_ms = min(left_ms, end_ms - hour_ms)
        if part_ms > 0:
            parts.append((hour_ms, part_ms))
        left_ms, end_ms, hour_ms = left_ms - part_ms, hour_ms, hour_ms - HOUR_MS
    return parts


def _shift_start_ms(now_ms: int, schedule: Schedule) -> int:
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(schedule.zone)
    starts = [
        datetime.combine(local.date() - timedelta(days=days), time(hour), schedule.zone)
        for days in (0, 1)
        for hour in schedule.shift_starts_h
    ]
    return _latest_ms(starts, now_ms)


def _latest_ms(starts: Sequence[datetime], now_ms: int) -> int:
    """The last of `starts` that is not after now; a shift of yesterday always is one."""
    return max(at_ms for at_ms in (round(start.timestamp() * 1000) for start in starts) if at_ms <= now_ms)
