"""What happens on each press, in which order? Shifts, jobs, lots, faults and repairs, from the seed alone. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simulators.history.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SHIFTS,
    START_MS,
    RunningTime,
    Stop,
    joined,
    planned_stops,
)
from simulators.history.episodes import MOULD_MODES, Card, Laid, deal, lay
from simulators.history.moulds import FAMILIES, FAMILY, JOBS
from simulators.history.supply import Climate, Lot, climate_until, lots_until, reaching
from simulators.history.upsets import PlannedUpset, chance_upsets, odd_lots, start_ups, waves
from simulators.press.process import SET_POINT_STEPS

TIME_FACTOR: Final = 8.0
"""Wear of months within the record's days; `--time-factor 1` is as slow as in a plant."""
FAULT_EVERY_DAYS: Final = 18.0
"""On a press; so that 40 presses in 90 days have at least 8 failures and 6 mended faults of each of the modes."""
JOB_DAYS: Final = (2.5, 7.0)
"""Running days of a job."""
CHANGEOVER_MS: Final = 90 * MINUTE_MS
SERVICE_AFTER_MS: Final = 3 * DAY_MS
"""A press that is well for longer than this has a planned service in between; it finds nothing."""
SERVICE_MS: Final = (2 * HOUR_MS, 4 * HOUR_MS)
STAND_HOURS: Final = 8.0
"""What a fault's repair and the changeovers around it take of the running time, about."""
EventKind = Literal["job_change", "maintenance", "set_point_change", "standstill", "start_up"]


@dataclass(frozen=True, slots=True)
class Event:
    """What the plant notes."""

    at_ms: int
    kind: EventKind
    detail: str


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault: from onset to failure, or to the maintenance before it; `ended_ms` is the end of the repair.

    Its severity grows with running time: from `onset_ran_ms` of it, for `growth_ms` of it.
    """

    mode: str
    onset_ms: int
    failed_ms: int | None
    stopped_ms: int
    ended_ms: int
    onset_ran_ms: int
    growth_ms: int


@dataclass(frozen=True, slots=True)
class PressPlan:
    """One press's record, from START_MS to `end_ms`."""

    press_id: str
    number: int
    end_ms: int
    jobs: tuple[tuple[int, int], ...]
    """(when it begins, which of `moulds.JOBS`)."""
    set_points: tuple[tuple[int, str, int], ...]
    """(when, which one, a step up or down from the job's own)."""
    stops: tuple[Stop, ...]
    """(from, to), in order and apart from each other."""
    faults: tuple[PlannedFault, ...]
    upsets: tuple[PlannedUpset, ...]
    lots: tuple[Lot, ...]
    climate: Climate
    events: tuple[Event, ...]

    @property
    def running(self) -> RunningTime:
        """How long the press has run."""
        return RunningTime(self.stops)


@dataclass(frozen=True, slots=True)
class _Halt:
    """A stop that comes after so much running time, and what it is for."""

    ran: int
    lasts_ms: int
    detail: str


def press_names(presses: int) -> list[str]:
    """IMM-01, IMM-02, ..."""
    return [f"IMM-{number + 1:0{max(2, len(str(presses)))}}" for number in range(presses)]


def plans(
    presses: int,
    days: float,
    seed: int,
    *,
    time_factor: float = TIME_FACTOR,
    fault_every_days: float = FAULT_EVERY_DAYS,
) -> Iterator[PressPlan]:
    """The plan of every press: the same however many workers carry it out.

    Args:
        presses: how many.
        days: of the calendar.
        seed: of everything.
        time_factor: how much faster than in a plant faults grow.
        fault_every_days: how often something begins to fail on a press.
    """
    rng = np.random.default_rng([seed, 0])
    end_ms = START_MS + round(days * DAY_MS)
    heat = tuple(waves(rng, end_ms))
    climate = climate_until(rng, end_ms)
    lots = [lots_until(rng, end_ms) for _ in range(FAMILIES)]
    own = [np.random.default_rng([seed, 1, number]) for number in range(presses)]
    base = [planned_stops(each, SHIFTS[number % len(SHIFTS)], end_ms) for number, each in enumerate(own)]
    total = [RunningTime(stops).ran_ms(end_ms) for stops in base]
    hands = deal(rng, total, days / fault_every_days)
    for number, press_id in enumerate(press_names(presses)):
        plant = _Plant(end_ms, time_factor, heat, lots[number % FAMILIES], climate)
        yield _plan(own[number], press_id, number, plant, base[number], hands[number])


@dataclass(frozen=True, slots=True)
class _Plant:
    """What is the same for all presses of a family of moulds."""

    end_ms: int
    time_factor: float
    waves: tuple[PlannedUpset, ...]
    lots: tuple[Lot, ...]
    climate: Climate


def _plan(
    rng: np.random.Generator, press_id: str, number: int, plant: _Plant, base: Sequence[Stop], hand: Sequence[Card]
) -> PressPlan:
    end_ms = plant.end_ms
    total = RunningTime(base).ran_ms(end_ms)
    total -= min(round((len(hand) + 1) * STAND_HOURS * HOUR_MS), total // 5)
    laid = lay(rng, hand, total, plant.time_factor)
    jobs = _jobs(rng, total, laid)
    repairs = [_Halt(each.stopped, each.repair_ms, "repair" if each.runs_to_failure else "planned") for each in laid]
    changeovers = [_Halt(ran, CHANGEOVER_MS, "changeover") for ran, _ in jobs[1:]]
    halts = [*repairs, *changeovers, *_services(rng, laid, total)]
    stops, begins = _stops(base, halts, end_ms)
    running = RunningTime(stops)
    faults = tuple(_on_the_clock(each, at, running, end_ms) for each, at in zip(laid, begins, strict=False))
    timed_jobs = tuple((running.at_ms(ran), FAMILY * (number % FAMILIES) + mould) for ran, mould in jobs)
    set_points = tuple(_set_points(rng, total, running))
    lots = reaching(rng, plant.lots)
    upsets = (*chance_upsets(rng, end_ms), *odd_lots(lots, end_ms), *plant.waves, *start_ups(stops, end_ms))
    events = [
        *(
            Event(at, "job_change", f"{JOBS[job].job_name} with mould {JOBS[job].mould.mould_id}")
            for at, job in timed_jobs
        ),
        *(Event(at, "set_point_change", _said(what, way)) for at, what, way in set_points),
        *_maintenance(halts, begins),
        *(Event(begin, "standstill", "") for begin, _ in stops),
        *(Event(end, "start_up", "") for _, end in stops),
    ]
    noted = sorted((event for event in events if event.at_ms < end_ms), key=lambda event: (event.at_ms, event.kind))
    return PressPlan(
        press_id,
        number,
        end_ms,
        tuple(job for job in timed_jobs if job[0] < end_ms),
        tuple(change for change in set_points if change[0] < end_ms),
        stops,
        tuple(fault for fault in faults if fault.onset_ms < end_ms),
        upsets,
        lots,
        plant.climate,
        tuple(noted),
    )


def _maintenance(halts: Sequence[_Halt], begins: Sequence[int]) -> Iterator[Event]:
    for halt, begin in zip(halts, begins, strict=True):
        if halt.detail != "changeover":
            yield Event(begin + halt.lasts_ms, "maintenance", halt.detail)


def _said(what: str, way: int) -> str:
    return f"{what} {way * SET_POINT_STEPS[what]:+.0%}"


def _stops(base: Sequence[Stop], halts: Sequence[_Halt], end_ms: int) -> tuple[tuple[Stop, ...], list[int]]:
    """All stops, and when each of the halts begins; a halt does not move those before it."""
    stops, begins = joined(base, end_ms), [0] * len(halts)
    for place in sorted(range(len(halts)), key=lambda place: halts[place].ran):
        begins[place] = RunningTime(stops).at_ms(halts[place].ran)
        stops = joined([*stops, (begins[place], begins[place] + halts[place].lasts_ms)], end_ms)
    return stops, begins


def _on_the_clock(fault: Laid, stopped_ms: int, running: RunningTime, end_ms: int) -> PlannedFault:
    failed_ms = running.at_ms(fault.onset + fault.growth)
    return PlannedFault(
        fault.mode,
        running.at_ms(fault.onset),
        failed_ms if fault.runs_to_failure and failed_ms < end_ms else None,
        stopped_ms,
        stopped_ms + fault.repair_ms,
        fault.onset,
        fault.growth,
    )


def _jobs(rng: np.random.Generator, total: int, laid: Sequence[Laid]) -> list[tuple[int, int]]:
    """In running time, and which of the press's moulds; a mould with a fault stays until it is mended."""
    busy = [(fault.onset, fault.stopped) for fault in laid if fault.mode in MOULD_MODES]
    mould = int(rng.integers(FAMILY))
    found = [(0, mould)]
    at = round(rng.uniform(*JOB_DAYS) * DAY_MS)
    while at < total:
        end = next((end for begin, end in busy if begin <= at <= end), None)
        if end is not None:
            at = end + round(rng.uniform(2, 24) * HOUR_MS)
            continue
        mould = (mould + int(rng.integers(1, FAMILY))) % FAMILY
        found.append((at, mould))
        at += round(rng.uniform(*JOB_DAYS) * DAY_MS)
    return found


def _services(rng: np.random.Generator, laid: Sequence[Laid], total: int) -> Iterator[_Halt]:
    """Planned services of a press that is well; one that is not is what a service finds, and that is a fault's end."""
    at = 0
    for onset, stopped in [*((fault.onset, fault.stopped) for fault in laid), (total, total)]:
        share, lasts = rng.uniform(0.3, 0.7), rng.uniform(*SERVICE_MS)
        if onset - at >= SERVICE_AFTER_MS:
            yield _Halt(at + round(share * (onset - at)), round(lasts), "planned")
        at = max(at, stopped)


def _set_points(rng: np.random.Generator, total: int, running: RunningTime) -> Iterator[tuple[int, str, int]]:
    names, at = list(SET_POINT_STEPS), 0
    while True:
        at += round(rng.exponential(5 * DAY_MS))
        if at >= total:
            return
        yield running.at_ms(at), names[int(rng.integers(len(names)))], int(rng.choice([-1, 1]))
