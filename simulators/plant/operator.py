"""What does an operator do at a press? Now and then a set point goes a step up or down, or back to the job's own."""

import random
from dataclasses import replace

from simulators.press.process import SET_POINT_STEPS, Process


class Operator:
    """One who moves a set point of one press every `every_s` on average; the same seed moves the same ones.

    Times are of one monotonic clock; the first change comes one wait after `started_s`.
    """

    def __init__(self, process: Process, *, every_s: float, started_s: float, seed: str) -> None:
        assert every_s > 0
        self._job = process
        self._every_s = every_s
        self._random = random.Random(seed)  # noqa: S311 - a simulation
        self._ways = dict.fromkeys(SET_POINT_STEPS, 0)
        self._next_s = started_s + self._wait_s()

    def process(self, now_s: float) -> Process:
        """What the press is set to at a time that is not before that of the last call."""
        if now_s >= self._next_s:
            name = self._random.choice(list(self._ways))
            self._ways[name] = self._random.choice([way for way in (-1, 0, 1) if way != self._ways[name]])
            self._next_s = now_s + self._wait_s()
        moved = {name: getattr(self._job, name) * (1 + way * SET_POINT_STEPS[name]) for name, way in self._ways.items()}
        return replace(self._job, **moved)

    def _wait_s(self) -> float:
        return self._random.expovariate(1 / self._every_s)
