"""Which parts are good? Weight and length against a press that is well, and what a start-up throws away. The truth."""

from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.history.calendar import START_MS
from simulators.press.press import Press
from simulators.press.process import Process

WEIGHT_SHARE, LENGTH_SHARE = 0.01, 0.01
"""A part is good within so much of its job's weight and length (*set*: 4.5 and 3.5 deviations)."""
MASTER_SHOTS: Final = 1_024
"""Long against the mould's wandering, which has a memory of 50 shots."""
START_UP_SHOTS: Final = 20
"""The first parts after a start-up are thrown away; 10 of 60 labelled rejects of a public record are such."""

Wide = npt.NDArray[np.float64]


class Inspection:
    """Judges the parts of one press.

    Args:
        press_id: the press.
        seed: of the record; the press is the same one.
    """

    def __init__(self, press_id: str, seed: int) -> None:
        self._press_id = press_id
        self._seed = seed
        self._masters: dict[str, tuple[float, float]] = {}
        self._to_throw = 0

    def start_up(self) -> None:
        """The next shots are of a start."""
        self._to_throw = START_UP_SHOTS

    def is_good(self, job: Process, part_g: Wide, dimension_mm: Wide) -> npt.NDArray[np.bool_]:
        """The next shots, (n,), by the job as its set-up sheet has it."""
        master_g, master_mm = self._master(job)
        good = np.abs(part_g / master_g - 1) <= WEIGHT_SHARE
        good &= np.abs(dimension_mm / master_mm - 1) <= LENGTH_SHARE
        good[: self._to_throw] = False
        self._to_throw = max(self._to_throw - len(part_g), 0)
        return good

    def _master(self, job: Process) -> tuple[float, float]:
        if job.job_name not in self._masters:
            truth = Press(self._press_id, process=job, seed=self._seed, started_ms=START_MS).block(MASTER_SHOTS).truth
            self._masters[job.job_name] = median(truth.part_g.tolist()), median(truth.dimension_mm.tolist())
        return self._masters[job.job_name]
