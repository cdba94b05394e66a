"""What is told of shots beside their baseline: the stage it was in, their distances, and what models take in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from models.runtime.baseline_normal import Note
from models.runtime.baseline_tracks import STATE_INPUTS

IntArray = npt.NDArray[np.int64]


class Stage(StrEnum):
    """What a baseline does with a shot."""

    SETTLING = "settling"
    """After a start: nothing, until the press is warm."""
    LEARNING = "learning"
    RECENTRING = "recentring"
    """Back at a known mould, or other set points: finding the level anew."""
    RIPENING = "ripening"
    """In force; the first day's spread is still being learnt."""
    WATCHING = "watching"
    """In force, and fixed."""


IN_FORCE = (Stage.RIPENING, Stage.WATCHING)


@dataclass(frozen=True, slots=True)
class Options:
    """How many shots each stage takes, and after how long a pause a press starts anew."""

    settle_shots: int = 40
    learn_shots: int = 200
    recentre_shots: int = 50
    ripen_every: int = 25
    """Every so-maniest shot of `learn_shots` times as many is learnt from while ripening; 0 leaves ripening out."""
    pause_s: float = 900.0

    def __post_init__(self) -> None:
        assert self.learn_shots >= 20, "nothing robust comes from fewer shots"
        assert self.recentre_shots >= 5, "no level comes from fewer shots"
        assert min(self.settle_shots, self.ripen_every) >= 0, "shots cannot be negative"

    @property
    def ripen_shots(self) -> int:
        """So long does ripening take."""
        return self.ripen_every * self.learn_shots


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """Where n shots stand against their baseline.

    Attributes:
        stages: the stage in which each was taken, (n,).
        values: features and residuals, (n, V) float32.
        z: distance from the centre in scales, (n, V) float32; NaN before there is a normal.
        inputs: in the order of STATE_INPUTS, (n, 4V) float32; NaN before there is a normal.
        notes: what was found odd with these shots.
    """

    stages: npt.NDArray[np.object_]
    values: FloatArray
    z: FloatArray
    inputs: FloatArray
    notes: tuple[Note, ...] = ()

    @property
    def in_force(self) -> npt.NDArray[np.bool_]:
        """Whether models should speak of the shot, (n,)."""
        return np.isin(self.stages, IN_FORCE)

    @classmethod
    def empty(cls, values: FloatArray) -> "Standings":
        """Of shots that stand nowhere yet."""
        z = np.full(values.shape, np.nan, np.float32)
        inputs = np.full((len(values), len(STATE_INPUTS)), np.nan, np.float32)
        return cls(np.full(len(values), Stage.SETTLING, object), values, z, inputs)

    def of(self, wanted: npt.NDArray[np.bool_]) -> "Standings":
        """Those of some shots, (n,)."""
        return Standings(self.stages[wanted], self.values[wanted], self.z[wanted], self.inputs[wanted], self.notes)

    @classmethod
    def joined(cls, parts: "Sequence[Standings]") -> "Standings":
        """In their order."""
        return cls(
            np.concatenate([part.stages for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.z for part in parts]),
            np.concatenate([part.inputs for part in parts]),
            tuple(note for part in parts for note in part.notes),
        )
