"""What does this press do next? One press with its process, its wear and its chance: a shot a cycle, or many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from contract.shot import CURVE_SAMPLES_MAX, FloatArray, Shot
from contract.vocabulary import PARAMETERS, SIGNALS
from simulators.faults.fault import Fault
from simulators.press.block import BLOCK_INTERVAL_S, BLOCK_SAMPLES, Block, BlockTruth, BoolArray, IntArray, Truth
from simulators.press.chance import Chance, Drawn, draws_of
from simulators.press.condition import Condition
from simulators.press.cycle import Cycles, duty_of, run_cycles
from simulators.press.drift import SD, designed, wandered
from simulators.press.material import Array
from simulators.press.process import Process
from simulators.press.recording import dropped_signals, parameters
from simulators.press.slow import Jobs, SlowState, advance, stand, steady
from simulators.press.trace import measure, sample

SAMPLE_INTERVAL_S: Final = 0.002
PAGE: Final = 256
"""Cycles between two settings of the slow clock, and the most that are solved at once."""
CURVES_AT_ONCE: Final = 32
CLOCK_TOLERANCE_MS: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """All that a press carries from cycle to cycle but its chance.

    The slow clock says when a cycle begins before the cycles ahead of it are solved: it starts at each page's true
    begin and runs by the mean of the page before.
    """

    begin_ms: int
    page_ms: int
    in_page: int
    step_ms: float
    page_sum_ms: int
    slow: SlowState
    wander: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """Some cycles, solved."""

    cycles: Cycles
    ended_ms: IntArray
    severities: Mapping[str, Array]
    has_closed: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """One cycle solved before it was asked for, and what it takes to solve it again otherwise."""

    before: _Moment
    drawn: Drawn
    page: _Page


class Press:
    """One press. The same arguments give the same shots; presses of one seed and different ids differ.

    Two presses that differ only in set points draw the same chance, so that an intervention can be seen without noise.
    A fault acts in a cycle with the severity that it had when the cycle began. `cycle` and `block` give the same shots
    in whatever portions they are asked for. A press starts settled in the condition that it is in.

    Args:
        press_id: names the shots and, with `seed`, the press's own calibration.
        process: material, mould and set points.
        seed: of all chance.
        faults: what is wrong with it.
        sample_interval_s: between the samples of the curves that `cycle` gives.
        window_s: `cycle` records only so much from injection start; None is the whole cycle.
        first_cycle: the first shot's counter.
        started_ms: when the first cycle began.
    """

    def __init__(
        self,
        press_id: str,
        *,
        process: Process,
        seed: int,
        faults: Sequence[Fault] = (),
        sample_interval_s: float = SAMPLE_INTERVAL_S,
        window_s: float | None = None,
        first_cycle: int = 1,
        started_ms: int = 0,
    ) -> None:
        self.press_id = press_id
        self.process = process
        self._faults = tuple(faults)
        self._sample_interval_s = sample_interval_s
        self._window_s = window_s
        self._chance = Chance(press_id, seed)
        self._base = designed(self._chance.own)
        self._counter = first_cycle
        self._truth: Truth | None = None
        self._jobs = Jobs(duty_of(process), duty_of(process))
        self._ahead: _Ahead | None = None
        self._reserve: Drawn | None = None
        condition, _ = self._afflicted(self._base, np.array([float(started_ms)]))
        slow = steady(process, self._jobs, condition)
        wander = self._chance.own.standard_normal(len(SD)) * SD
        self._now = _Moment(started_ms, started_ms, 0, self._jobs.now.cycle_s * 1000, 0, slow, wander)

    @property
    def cycle_time_s(self) -> float:
        """How long the cycle takes whose shot comes next."""
        if self._ahead is None:
            before = self._now
            drawn = self._draw(1)
            self._ahead = _Ahead(before, drawn, self._solve(drawn))
        return float(self._ahead.page.cycles.cycle_s[0])

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with it."""
        return self._faults

    @property
    def begins_ms(self) -> int:
        """When the next cycle begins."""
        return self._now.begin_ms if self._ahead is None else self._ahead.before.begin_ms

    def cycle(self, ended_ms: int) -> Shot:
        """The next shot in order, ended at `ended_ms`: the next cycle begins then."""
        page = self._take(1)
        cycles = page.cycles
        interval_s, cycle_s = self._sample_interval_s, float(cycles.cycle_s[0])
        span_s = cycle_s if self._window_s is None else min(self._window_s, cycle_s)
        samples = min(int(span_s / interval_s), CURVE_SAMPLES_MAX)
        values, dropped = self._reported(cycles)
        curves = np.empty((1, len(SIGNALS), samples), np.float32)
        self._record(cycles, dropped, interval_s, curves)
        shot = Shot(
            press_id=self.press_id,
            ended_ms=ended_ms,
            parameters=dict(zip(PARAMETERS, map(float, values[0]), strict=True)),
            curves={name: curves[0, row] for row, name in enumerate(SIGNALS)},
            sample_interval_s=interval_s,
            cycle_counter=self._counter,
            job_name=self.process.job_name,
            mould_id=self.process.mould.mould_id,
        )
        self._truth = Truth(
            cycle_counter=self._counter,
            severities={mode: float(severity[0]) for mode, severity in page.severities.items()},
            has_closed=bool(page.has_closed[0]),
            has_bottomed=bool(cycles.injection.has_bottomed[0]),
            part_g=float(cycles.injection.part_g[0]),
            dimension_mm=float(cycles.dimension_mm[0]),
        )
        self._counter += 1
        self._set_clock(ended_ms, int(page.ended_ms[0]))
        return shot

    def block(
        self,
        count: int,
        *,
        with_curves: bool = False,
        sample_interval_s: float = BLOCK_INTERVAL_S,
        samples: int = BLOCK_SAMPLES,
    ) -> Block:
        """The next `count` cycles back to back, solved together; curves from injection start on."""
        pages, values, left = [], [], count
        shape = (count, len(SIGNALS), samples)
        curves = np.empty(shape, np.float32) if with_curves else None
        while left > 0:
            page = self._take(left)
            done = count - left
            left -= len(page.cycles)
            reported, dropped = self._reported(page.cycles)
            pages.append(page)
            values.append(reported)
            if curves is not None:
                self._record(page.cycles, dropped, sample_interval_s, curves[done : done + len(page.cycles)])
        first, self._counter = self._counter, self._counter + count
        modes = dict.fromkeys(mode for page in pages for mode in page.severities)
        return Block(
            ended_ms=_joined([page.ended_ms for page in pages], np.empty(0, np.int64)),
            cycle_counter=np.arange(first, first + count),
            parameters=_joined(values, np.empty((0, len(PARAMETERS)), np.float32)),
            curves=curves,
            sample_interval_s=sample_interval_s,
            truth=BlockTruth(
                severities={mode: np.concatenate([page.severities[mode] for page in pages]) for mode in modes},
                has_closed=_joined([page.has_closed for page in pages], np.empty(0, np.bool_)),
                has_bottomed=_joined([page.cycles.injection.has_bottomed for page in pages], np.empty(0, np.bool_)),
                part_g=_joined([page.cycles.injection.part_g for page in pages], np.empty(0)),
                dimension_mm=_joined([page.cycles.dimension_mm for page in pages], np.empty(0)),
            ),
        )

    def change(self, *, process: Process | None = None, faults: Sequence[Fault] | None = None) -> None:
        """From the next cycle on: other set points or another job, or other faults.

        Temperatures go to new set points at their own pace; the coolant stays as the mould's first job had it.
        """
        self._forget_ahead()
        if faults is not None:
            self._faults = tuple(faults)
        if process is not None:
            was, slow = self.process, self._now.slow
            barrel = slow.barrel.with_melt(was.melt_degc - process.melt_degc)
            warmer = np.array([was.mould_degc - process.mould_degc, 0.0, 0.0])
            is_same_mould = was.mould.mould_id == process.mould.mould_id
            self._jobs = Jobs(duty_of(process), self._jobs.design if is_same_mould else duty_of(process))
            self.process = process
            self._now = replace(self._now, slow=SlowState(barrel, slow.others + warmer))
        self._turn_page(self._now.begin_ms, self._jobs.now.cycle_s * 1000)

    def repair(self, mode: str) -> None:
        """From the next cycle on: without the faults of a mode."""
        self.change(faults=[fault for fault in self._faults if fault.mode != mode])

    def stop(self, until_ms: int) -> None:
        """A standstill until a time, after which cycles go on: everything cools by its own time constants."""
        self._forget_ahead()
        standstill_s = max(until_ms - self._now.begin_ms, 0) / 1000
        condition, _ = self._afflicted(self._base, np.array([float(self._now.begin_ms)]))
        self._now = replace(self._now, slow=stand(self.process, self._now.slow, condition, standstill_s))
        self._turn_page(max(until_ms, self._now.begin_ms), self._now.step_ms)

    def truth(self) -> Truth:
        """What was so in the cycle of the last shot that `cycle` gave; asked before any, it is a bug."""
        assert self._truth is not None, "no cycle has run yet"
        return self._truth

    def _take(self, most: int) -> _Page:
        """The next cycles, at most so many: the one already solved, or up to the page's end."""
        if self._ahead is not None:
            page, self._ahead = self._ahead.page, None
            return page
        return self._solve(self._draw(min(most, PAGE - self._now.in_page)))

    def _draw(self, count: int) -> Drawn:
        if self._reserve is not None:
            drawn, self._reserve = self._reserve, None
            return drawn
        return self._chance.draw(count)

    def _solve(self, drawn: Drawn) -> _Page:
        now, count = self._now, len(drawn.fate)
        begun_ms = now.page_ms + now.step_ms * np.arange(now.in_page, now.in_page + count, dtype=np.float64)
        wander, condition = wandered(self._base, now.wander, drawn.pushed, begun_ms)
        condition, severities = self._afflicted(condition, begun_ms)
        slow_state, slow = advance(self.process, self._jobs, now.slow, condition, count)
        draws, has_closed = draws_of(condition, drawn)
        cycles = run_cycles(self.process, self._jobs.now, condition, slow, draws)
        ended_ms = now.begin_ms + np.cumsum(np.rint(cycles.cycle_s * 1000).astype(np.int64))
        self._now = replace(
            now,
            begin_ms=int(ended_ms[-1]),
            in_page=now.in_page + count,
            page_sum_ms=now.page_sum_ms + int(ended_ms[-1]) - now.begin_ms,
            slow=slow_state,
            wander=wander,
        )
        if self._now.in_page == PAGE:
            self._turn_page(self._now.begin_ms, self._now.page_sum_ms / PAGE)
        return _Page(cycles, ended_ms, severities, has_closed)

    def _afflicted(self, condition: Condition, begun_ms: Array) -> tuple[Condition, dict[str, Array]]:
        """The condition with each fault in it, and the faults' severities, at the cycles' begins."""
        severities = {}
        for fault in self._faults:
            severity = np.array([fault.severity(round(at)) for at in begun_ms])
            same = bool((severity == severity[0]).all())
            acting: Any = float(severity[0]) if same else severity
            condition = fault.apply(condition, acting, self.process)
            severities[fault.mode] = severity
        return condition, severities

    def _reported(self, cycles: Cycles) -> tuple[FloatArray, BoolArray]:
        dropped = self._chance.dropped(cycles.condition, len(cycles))
        return parameters(cycles, self._chance.gauges(len(cycles)), dropped), dropped

    def _record(self, cycles: Cycles, dropped: BoolArray, interval_s: float, out: FloatArray) -> None:
        """Write the curves as the sensors show them, every `interval_s`, into (n, signals, samples)."""
        sample(cycles, interval_s, out)
        for begin in range(0, len(out), CURVES_AT_ONCE):
            part = out[begin : begin + CURVES_AT_ONCE]
            measure(part, self._chance.samples(len(part), out.shape[2]))
        if dropped.any():
            out[dropped_signals(dropped)] = np.nan

    def _set_clock(self, ended_ms: int, expected_ms: int) -> None:
        """Follow the caller's clock; one that leaves ours by more than the tolerance starts a new page."""
        late_ms = ended_ms - expected_ms
        if abs(late_ms) > CLOCK_TOLERANCE_MS:
            self._turn_page(ended_ms, self._now.step_ms)
        elif late_ms:
            self._now = replace(self._now, begin_ms=self._now.begin_ms + late_ms)

    def _turn_page(self, begin_ms: int, step_ms: float) -> None:
        self._now = replace(self._now, begin_ms=begin_ms, page_ms=begin_ms, in_page=0, step_ms=step_ms, page_sum_ms=0)

    def _forget_ahead(self) -> None:
        """Go back before the cycle that was solved ahead; its chance stays the next cycle's."""
        if self._ahead is not None:
            self._now, self._reserve, self._ahead = self._ahead.before, self._ahead.drawn, None


def _joined(parts: list[Any], empty: Any) -> Any:
    return np.concatenate(parts) if parts else empty
