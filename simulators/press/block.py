"""What do many cycles of one press leave behind? Arrays over the cycles, and the truth apart from them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from simulators.press.material import Array

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK_INTERVAL_S = 0.005
BLOCK_SAMPLES = 1_000


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
    dimension_mm: float
    """The controlled length of one part."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockTruth:
    """What no press reports of n cycles; for trainers and tests, never in a shot."""

    severities: Mapping[str, Array]
    """By failure mode, each (n,); only modes with a fault."""
    has_closed: BoolArray
    """Whether the check ring closed, (n,)."""
    has_bottomed: BoolArray
    """Whether the screw ran onto its front stop, (n,)."""
    part_g: Array
    """Weight of all parts with the runner, (n,)."""
    dimension_mm: Array
    """The controlled length of one part, (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """n cycles back to back.

    Attributes:
        ended_ms: when each cycle ended, UTC, (n,).
        cycle_counter: the press's own count, (n,).
        parameters: in the order of `contract.vocabulary.PARAMETERS`, (n, P) float32; NaN where a gauge dropped out.
        curves: in the order of `contract.vocabulary.SIGNALS`, (n, 8, samples) float32, from injection start on, where
            nothing else is asked every 5 ms over 5 s; NaN past the cycle's end and where a gauge dropped out. None when
            not asked for.
        sample_interval_s: of the curves.
        truth: what no press reports.
    """

    ended_ms: IntArray
    cycle_counter: IntArray
    parameters: FloatArray
    curves: FloatArray | None
    sample_interval_s: float
    truth: BlockTruth

    def __len__(self) -> int:
        return len(self.ended_ms)
