"""Cycles of a batch as counts by hour, and as cycle times by press and mould. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple

from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.production.cycles import CycleTimes
from cloud.production.oee import Output, is_good, production_s
from cloud.production.repository import ExpectedKey
from cloud.production.windows import spread
from cloud.telemetry.store import StoredCycle

HourKey = tuple[str, int, str, str, str]
"""Tenant, hour, plant, press, mould."""
MS_MAX = 253_370_000_000_000
"""A press whose clock is beyond this (the year 9998) or before 1970 has its shots in no hour."""


def key_of(cycle: StoredCycle) -> ExpectedKey:
    """Which expected cycle time a cycle is measured by."""
    return cycle.press.plant_id, cycle.press.press_id, cycle.mould_id[:NAME_CHARACTERS_MAX]


def counted(
    cycles: Iterable[StoredCycle],
    expected_s: Mapping[ExpectedKey, float | None],
    tenant_of: Callable[[str], str],
    hour_of: Callable[[int], int],
) -> dict[HourKey, Output]:
    """The counts of each hour: a shot in the hour in which it ended, its production time in those in which it ran."""
    found: dict[HourKey, Output] = {}
    for cycle in cycles:
        if not 0 <= cycle.ended_ms < MS_MAX:
            continue
        plant_id, press_id, mould_id = key = key_of(cycle)
        took_s = production_s(cycle.cycle_s, expected_s.get(key))
        hour_ms, tenant_id = hour_of(cycle.ended_ms), tenant_of(plant_id)
        parts = [(hour_ms, _shot(cycle, is_timed=took_s is not None))]
        if took_s is not None:
            spread_ms = spread(cycle.ended_ms, round(took_s * 1000), hour_ms)
            parts += [(at_ms, Output(timed_ms=part_ms)) for at_ms, part_ms in spread_ms]
        for at_ms, output in parts:
            place = (tenant_id, at_ms, plant_id, press_id, mould_id)
            found[place] = found.get(place, Output()) + output
    return found


def times_by_key(cycles: Sequence[StoredCycle]) -> dict[ExpectedKey, list[float]]:
    """The cycle times that presses told, by press and mould."""
    found: dict[ExpectedKey, list[float]] = {}
    for cycle in cycles:
        if cycle.cycle_s is not None:
            found.setdefault(key_of(cycle), []).append(cycle.cycle_s)
    return found


def hour_fields(counts: Mapping[HourKey, Output]) -> list[dict[str, int | str]]:
    """The counts as columns; in the order of the key, which is the cheapest to write."""
    names = ("tenant_id", "hour_ms", "plant_id", "press_id", "mould_id", "shots", "timed", "timed_ms", "graded", "good")
    return [dict(zip(names, (*key, *astuple(counts[key])), strict=True)) for key in sorted(counts)]


def mould_fields(counts: Mapping[HourKey, Output]) -> list[dict[str, int | str]]:
    """The shots of each mould as columns; a press that names no mould counts for none."""
    found: dict[tuple[str, str], int] = {}
    for (tenant_id, _, _, _, mould_id), output in counts.items():
        if mould_id and output.shots:
            found[tenant_id, mould_id] = found.get((tenant_id, mould_id), 0) + output.shots
    return [
        {"tenant_id": tenant_id, "mould_id": mould_id, "shots": shots}
        for (tenant_id, mould_id), shots in sorted(found.items())
    ]


def counts_json(times: CycleTimes) -> dict[str, int]:
    """Cycle times as a row keeps them."""
    return {str(at): count for at, count in times.counts.items()}


def cycle_times(counts: Mapping[str, int]) -> CycleTimes:
    """Cycle times from a row."""
    return CycleTimes({int(at): count for at, count in counts.items()})


def _shot(cycle: StoredCycle, *, is_timed: bool) -> Output:
    is_graded = bool(cycle.quality_class)
    return Output(
        shots=1, timed=int(is_timed), graded=int(is_graded), good=int(is_graded and is_good(cycle.quality_class or ""))
    )
