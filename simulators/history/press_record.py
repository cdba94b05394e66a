"""One press through its plan: blocks of cycles between what happens, as the arrays that are written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from models.features.extract import extract_block
from models.runtime.baseline import Baselines
from simulators.faults.catalogue import law_of, wear
from simulators.faults.fault import Fault, Law
from simulators.faults.upsets import Upset, dropout, heat_wave, moisture
from simulators.history.calendar import START_MS, RunningTime
from simulators.history.inspection import Inspection
from simulators.history.moulds import JOBS
from simulators.history.plan import PressPlan
from simulators.history.supply import Lots
from simulators.history.upsets import START_UP_MS, PlannedUpset
from simulators.press.block import Block
from simulators.press.press import PAGE, Press
from simulators.press.process import SET_POINT_STEPS, Process

CYCLES_AT_ONCE: Final = PAGE


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some cycles in a row with one mould.

    Attributes:
        process: the job with the set points in force.
        values: features and residuals by the press's own baseline, (n, V) float32.
        block: what the press reported, with the curves and the truth.
        is_good: (n,): the truth.
    """

    process: Process
    values: FloatArray
    block: Block
    is_good: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _ByUse:
    """A law whose time is the press's running time."""

    law: Law
    running: RunningTime

    def at(self, utc_ms: int) -> float:
        return self.law.at(self.running.ran_ms(utc_ms))


@dataclass(frozen=True, slots=True)
class _Acting:
    """Something that acts on the press from `begin_ms` on, until `end_ms`."""

    fault: Fault
    begin_ms: int
    end_ms: int


def run(plan: PressPlan, seed: int) -> Iterator[Part]:
    """The parts of a press, in order."""
    acting = _all_that_acts(plan, seed)
    baselines, inspection = Baselines(), Inspection(plan.press_id, seed)
    press = Press(
        plan.press_id,
        process=_process_at(plan, START_MS),
        seed=seed,
        started_ms=START_MS,
        faults=_now(acting, START_MS),
    )
    before = START_MS
    for begin, end in _stretches(plan):
        if press.begins_ms < begin:
            press.stop(begin)
            if begin - before >= START_UP_MS:
                inspection.start_up()
        process, faults = _process_at(plan, begin), _now(acting, begin)
        if process != press.process or faults != list(press.faults):
            press.change(process=process, faults=faults)
        kinds = {event.kind for event in plan.events if before <= event.at_ms <= begin}
        if "maintenance" in kinds:
            baselines.relearn(plan.press_id)
        if "set_point_change" in kinds:
            baselines.recentre(plan.press_id)
        job = JOBS[_job_at(plan, begin)[1]]
        yield from _parts(press, end, baselines, inspection, job)
        before = end


def _parts(press: Press, end_ms: int, baselines: Baselines, inspection: Inspection, job: Process) -> Iterator[Part]:
    """Cycles until the end of a stretch; the last one may end a little later or earlier."""
    cycle_ms = press.cycle_time_s * 1000 if press.begins_ms < end_ms else 0.0
    while press.begins_ms < end_ms:
        count = min(max(round((end_ms - press.begins_ms) / cycle_ms), 1), CYCLES_AT_ONCE)
        begins_ms = press.begins_ms
        block = press.block(count, with_curves=True)
        cycle_ms = (press.begins_ms - begins_ms) / count
        assert block.curves is not None
        features = extract_block(block.parameters, block.curves, block.sample_interval_s)
        mould_id = press.process.mould.mould_id
        standings = baselines.observe_block(press.press_id, mould_id, block.ended_ms, features, block.curves)
        good = inspection.is_good(job, block.truth.part_g, block.truth.dimension_mm)
        yield Part(press.process, standings.values, block, good)


def _stretches(plan: PressPlan) -> Iterator[tuple[int, int]]:
    """The times of production between everything that changes what the press does."""
    cuts = {START_MS, plan.end_ms, *(at for at, _ in plan.jobs), *(at for at, _, _ in plan.set_points)}
    cuts |= {event.at_ms for event in plan.events}
    for fault in plan.faults:
        cuts |= {fault.onset_ms, fault.stopped_ms}
    for upset in plan.upsets:
        cuts |= {upset.begin_ms, upset.end_ms}
    ordered = sorted(cut for cut in cuts if START_MS <= cut <= plan.end_ms)
    stops = iter([*plan.stops, (plan.end_ms, plan.end_ms)])
    stop = next(stops)
    for begin, end in pairwise(ordered):
        while stop[1] <= begin and stop[0] < plan.end_ms:
            stop = next(stops)
        if not stop[0] <= begin < stop[1]:
            yield begin, end


def _job_at(plan: PressPlan, at_ms: int) -> tuple[int, int]:
    return max(job for job in plan.jobs if job[0] <= at_ms)


def _process_at(plan: PressPlan, at_ms: int) -> Process:
    """The job with what the operators have changed since it began."""
    began, job = _job_at(plan, at_ms)
    process = JOBS[job]
    changes = {what: way for at, what, way in plan.set_points if began <= at <= at_ms}
    values = {what: getattr(process, what) * (1 + way * SET_POINT_STEPS[what]) for what, way in changes.items()}
    return replace(process, **values)


def _all_that_acts(plan: PressPlan, seed: int) -> list[_Acting]:
    rng = np.random.default_rng([seed, 2, plan.number])
    running = plan.running
    found = [_Acting(Lots(plan.lots), START_MS, plan.end_ms), _Acting(plan.climate, START_MS, plan.end_ms)]
    for fault in plan.faults:
        law = _ByUse(law_of(fault.mode, fault.onset_ran_ms, fault.growth_ms, rng), running)
        found.append(_Acting(wear(fault.mode, law), fault.onset_ms, fault.stopped_ms))
    upsets = [upset for upset in plan.upsets if upset.kind in _UPSETS]
    return [*found, *(_Acting(_UPSETS[upset.kind](upset), upset.begin_ms, upset.end_ms) for upset in upsets)]


def _now(acting: list[_Acting], at_ms: int) -> list[Fault]:
    return [each.fault for each in acting if each.begin_ms <= at_ms < each.end_ms]


def _dropout(planned: PlannedUpset) -> Upset:
    return dropout(planned.begin_ms, planned.end_ms)


def _heat_wave(planned: PlannedUpset) -> Upset:
    return heat_wave(planned.begin_ms, planned.end_ms, planned.size)


def _moisture(planned: PlannedUpset) -> Upset:
    return moisture(planned.begin_ms, planned.end_ms, planned.size)


_UPSETS: Final = {"moisture_high": _moisture, "ambient_change": _heat_wave, "sensor_dropout": _dropout}
"""Those that act on the press's condition; the lots act by themselves, the others are changes and standstills."""
