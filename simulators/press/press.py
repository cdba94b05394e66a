"""What does this press do next? One press with its process, its wear and its chance: a shot a cycle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from contract.shot import Shot
from simulators.faults.fault import Fault
from simulators.press.condition import Condition
from simulators.press.cycle import Cycle, run_cycle
from simulators.press.drift import Drift, designed
from simulators.press.process import Process
from simulators.press.recording import curves, parameters

SAMPLE_INTERVAL_S = 0.002
NON_CLOSING_GAP_MM = 0.35
"""The gap of a ring that did not close in this shot."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What no press reports of a cycle; for trainers and tests, never in a shot."""

    cycle_counter: int
    severities: Mapping[str, float]
    """By failure mode; only modes with a fault."""
    has_closed: bool
    """Whether the check ring closed in this shot."""
    has_bottomed: bool
    part_g: float
    """Weight of all parts with the runner."""


class Press:
    """One press. The same arguments give the same shots; presses of one seed and different ids differ.

    Two presses that differ only in set points draw the same chance, so that an intervention can be seen without noise.
    A fault acts in a cycle with the severity that it had when the cycle began.

    Args:
        press_id: names the shots and, with `seed`, the press's own calibration.
        process: material, mould and set points.
        seed: of all chance.
        faults: what is wrong with it.
        sample_interval_s: between the samples of a curve.
        window_s: record only so much from injection start; None is the whole cycle.
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
        own, chance, gauges, samples = np.random.default_rng([seed, crc32(press_id.encode())]).spawn(4)
        self.press_id = press_id
        self.process = process
        self._faults = tuple(faults)
        self._sample_interval_s = sample_interval_s
        self._window_s = window_s
        self._chance, self._gauges, self._samples = chance, gauges, samples
        self._drift = Drift(designed(own), chance)
        self._counter = first_cycle
        self._truth: Truth | None = None
        self._next, self._next_truth = self._prepare(started_ms)

    @property
    def cycle_time_s(self) -> float:
        """How long the cycle takes whose shot `cycle` gives next."""
        return self._next.cycle_s

    def cycle(self, ended_ms: int) -> Shot:
        """The next shot in order, ended at `ended_ms`."""
        cycle, self._truth = self._next, self._next_truth
        shot = Shot(
            press_id=self.press_id,
            ended_ms=ended_ms,
            parameters=parameters(cycle, self._gauges),
            curves=curves(cycle, self._sample_interval_s, self._window_s, self._samples),
            sample_interval_s=self._sample_interval_s,
            cycle_counter=self._counter,
            job_name=self.process.job_name,
            mould_id=self.process.mould.mould_id,
        )
        self._counter += 1
        self._next, self._next_truth = self._prepare(ended_ms)
        return shot

    def truth(self) -> Truth:
        """What was so in the last shot's cycle; asked before any shot, it is a bug."""
        assert self._truth is not None, "no cycle has run yet"
        return self._truth

    def _prepare(self, started_ms: int) -> tuple[Cycle, Truth]:
        severities = {fault.mode: fault.severity(started_ms) for fault in self._faults}
        condition = self._drift.step(started_ms)
        for fault in self._faults:
            condition = fault.apply(condition, severities[fault.mode], self.process)
        gap_mm, closing_cm3, has_closed = _seat(condition, self._chance)
        cycle = run_cycle(self.process, condition, gap_mm, closing_cm3)
        injection = cycle.injection
        return cycle, Truth(self._counter, severities, has_closed, injection.has_bottomed, injection.part_g)


def _seat(condition: Condition, rng: np.random.Generator) -> tuple[float, float, bool]:
    """How the check ring seats in this shot: its gap, what flowed back before, and whether it closed at all."""
    spread, closing, fate = float(rng.standard_normal()), float(rng.standard_normal()), float(rng.random())
    gap_mm = condition.check_ring_gap_mm * float(np.exp(condition.gap_spread * spread))
    closing_cm3 = max(condition.closing_cm3 + condition.closing_sd_cm3 * closing, 0.0)
    has_closed = fate >= condition.non_closing_probability
    return (gap_mm if has_closed else NON_CLOSING_GAP_MM), closing_cm3, has_closed
