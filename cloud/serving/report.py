"""What a report of a plant's own data says, at three depths, beside the time before. Pure.

Each depth has all that the one before it has: summary the totals; standard every press, the alarms that were acted on
and the time before; deep the failures foreseen, what is missing and why, and how whole the data are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cloud.alarms.domain import FAILURE_PROBABILITY
from cloud.entitlements.domain import DEPTHS, ReportDepth
from cloud.production import reading as production
from cloud.production.oee import Oee
from cloud.telemetry.store import Missing
from cloud.tiering.quality import whole_share

DAYS: Final = (7, 14, 30, 45)
DAYS_MAX: Final = 45
"""Hours of production are kept for 92 days: twice the longest fits in."""
PRESSES_MAX: Final = 500
MODES_MAX: Final = 50
GAPS_MAX: Final = 200
PressId = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AlarmFact:
    """An alarm as the report counts it."""

    place: PressId
    kind: str
    mode: str
    raised_ms: int
    acknowledged_ms: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of a time."""

    production: production.Report
    alarms: Sequence[AlarmFact]
    missing: Sequence[Missing]


@dataclass(frozen=True, slots=True)
class Totals:
    """A plant's time in figures; a figure that is not known, or is deeper than the report, is None."""

    presses: int
    shots: int
    availability: float | None
    effectiveness: float | None
    quality: float | None
    oee: float | None
    alarms: int
    acted: int | None = None
    acknowledge_s: float | None = None
    """Median time from an alarm to its acknowledgement."""
    acknowledge_s_90: float | None = None
    foreseen: int | None = None
    lost: int | None = None
    bare: int | None = None
    whole: float | None = None


@dataclass(frozen=True, slots=True)
class PressLine:
    """One press in figures."""

    plant_id: str
    press_id: str
    shots: int
    shots_before: int
    availability: float | None
    effectiveness: float | None
    quality: float | None
    oee: float | None
    oee_before: float | None
    alarms: int
    alarms_before: int
    whole: float | None = None


@dataclass(frozen=True, slots=True)
class ModeLine:
    """A failure mode that was foreseen, how often, and how often somebody acted."""

    mode: str
    count: int
    count_before: int
    acted: int


@dataclass(frozen=True, slots=True)
class PlantReport:
    """A report of a tenant; `before` and the lists are empty where the report does not go so deep."""

    depth: ReportDepth
    days: int
    from_ms: int
    until_ms: int
    now: Totals
    before: Totals | None
    presses: tuple[PressLine, ...] = ()
    modes: tuple[ModeLine, ...] = ()
    missing: tuple[Missing, ...] = ()


def build(
    now: Found, before: Found | None, depth: ReportDepth, *, days: int, from_ms: int, until_ms: int
) -> PlantReport:
    """The report; `before` is None where nothing of the time before may be shown."""
    is_standard, is_deep = (DEPTHS.index(depth) >= DEPTHS.index(at) for at in DEPTHS[1:])
    return PlantReport(
        depth,
        days,
        from_ms,
        until_ms,
        totals(now, depth),
        totals(before, depth) if before is not None and is_standard else None,
        tuple(_presses(now, before, is_deep=is_deep)) if is_standard else (),
        tuple(_modes(now, before)) if is_deep else (),
        tuple(sorted(now.missing, key=lambda each: (-each.count, each))[:GAPS_MAX]) if is_deep else (),
    )


def totals(found: Found, depth: ReportDepth) -> Totals:
    """All presses together, as deep as the report goes."""
    together = production.together(list(found.production.presses.values()))
    basic = Totals(
        sum(each.account.shots > 0 for each in found.production.presses.values()),
        together.account.shots,
        *_factors(together.oee),
        alarms=len(found.alarms),
    )
    if depth is ReportDepth.SUMMARY:
        return basic
    waits = [each.acknowledged_ms - each.raised_ms for each in found.alarms if each.acknowledged_ms is not None]
    standard = replace(
        basic,
        acted=len(waits),
        acknowledge_s=float(np.median(waits)) / 1000 if waits else None,
        acknowledge_s_90=float(np.quantile(waits, 0.9)) / 1000 if waits else None,
    )
    if depth is ReportDepth.STANDARD:
        return standard
    lost, bare = counts_of(found.missing)
    return replace(
        standard,
        foreseen=sum(each.kind == FAILURE_PROBABILITY for each in found.alarms),
        lost=lost,
        bare=bare,
        whole=whole_share(basic.shots, lost, bare),
    )


def counts_of(missing: Sequence[Missing]) -> tuple[int, int]:
    """Shots that are lost, and shots that are there without their curves."""
    lost = sum(each.count for each in missing if each.kind == "shot")
    return lost, sum(each.count for each in missing) - lost


def _presses(now: Found, before: Found | None, *, is_deep: bool) -> Iterator[PressLine]:
    alarms, alarms_before = _by_press(now.alarms), _by_press(before.alarms if before is not None else ())
    earlier = before.production.presses if before is not None else {}
    missing: dict[PressId, list[Missing]] = {}
    for each in now.missing:
        missing.setdefault((each.press.plant_id, each.press.press_id), []).append(each)
    for place, figures in list(now.production.presses.items())[:PRESSES_MAX]:
        then = earlier.get(place)
        shots = figures.account.shots
        yield PressLine(
            *place,
            shots,
            then.account.shots if then is not None else 0,
            *_factors(figures.oee),
            oee_before=then.oee.index if then is not None else None,
            alarms=alarms[place],
            alarms_before=alarms_before[place],
            whole=whole_share(shots, *counts_of(missing.get(place, ()))) if is_deep else None,
        )


def _modes(now: Found, before: Found | None) -> list[ModeLine]:
    foreseen = [each for each in now.alarms if each.kind == FAILURE_PROBABILITY]
    earlier = Counter(
        each.mode for each in (before.alarms if before is not None else ()) if each.kind == FAILURE_PROBABILITY
    )
    acted = Counter(each.mode for each in foreseen if each.acknowledged_ms is not None)
    ranked = sorted(Counter(each.mode for each in foreseen).items(), key=lambda item: (-item[1], item[0]))
    return [ModeLine(mode, count, earlier[mode], acted[mode]) for mode, count in ranked[:MODES_MAX]]


def _by_press(alarms: Sequence[AlarmFact]) -> Counter[PressId]:
    return Counter(each.place for each in alarms)


def _factors(oee: Oee) -> tuple[float | None, float | None, float | None, float | None]:
    return oee.availability, oee.effectiveness, oee.quality, oee.index
