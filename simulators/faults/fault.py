"""What is a fault? A mode, a severity over time, and the change that it makes to a press's condition."""

from dataclasses import dataclass
from typing import Protocol

from simulators.press.condition import Condition
from simulators.press.process import Process


class Fault(Protocol):
    """A fault acts through the equations: it changes the condition, never an output."""

    @property
    def mode(self) -> str:
        """The id of `contract.vocabulary.FAILURE_MODES` or of the process model's list."""

    def severity(self, utc_ms: int) -> float:
        """How far the fault has come at a time: 0 is healthy, 1 is condemned."""

    def apply(self, condition: Condition, severity: float, process: Process) -> Condition:
        """The condition with the fault in it; severity 0 returns what it was given."""


@dataclass(frozen=True, slots=True)
class Progression:
    """Severity 0 until `onset_ms`, then rising to 1 within `growth_ms` as ((t - onset) / growth) ^ exponent.

    Wear feeds itself (the leak's flow erodes the gap that it flows through), hence the exponent above 1.
    """

    onset_ms: int
    growth_ms: int
    exponent: float = 1.5

    def __post_init__(self) -> None:
        assert self.growth_ms > 0
        assert self.exponent > 0

    def at(self, utc_ms: int) -> float:
        """The severity at a time, 0..1, never falling."""
        share = min(max((utc_ms - self.onset_ms) / self.growth_ms, 0.0), 1.0)
        return float(share**self.exponent)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same severity at all times: for training and for tests."""

    value: float

    def __post_init__(self) -> None:
        assert 0.0 <= self.value <= 1.0

    def at(self, utc_ms: int) -> float:  # noqa: ARG002 - the shape of a severity law
        """The severity."""
        return self.value
