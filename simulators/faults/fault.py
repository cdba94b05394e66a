"""What is a fault? A mode, a severity over time, and the change that it makes to a press's condition."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Protocol

from simulators.press.condition import Condition, Value
from simulators.press.process import Process


class Law(Protocol):
    """How a fault goes on."""

    def at(self, utc_ms: int) -> float:
        """The severity at a time: 0 is healthy, 1 is condemned; it never falls."""


class Fault(Protocol):
    """A fault acts through the equations: it changes the condition, never an output."""

    @property
    def mode(self) -> str:
        """The id of `contract.vocabulary.FAILURE_MODES`, or of an upset."""

    def severity(self, utc_ms: int) -> float:
        """How far the fault has come at a time: 0 is healthy, 1 is condemned."""

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        """The condition with the fault in it, of one cycle or of n; severity 0 changes nothing."""


Effect = Callable[[Condition, Value, Process], Condition]


@dataclass(frozen=True, slots=True)
class Wear:
    """A fault whose effect is a function of its severity alone."""

    mode: str
    law: Law
    effect: Effect

    def severity(self, utc_ms: int) -> float:
        """See `Fault`."""
        return self.law.at(utc_ms)

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        """See `Fault`."""
        return self.effect(condition, severity, process)


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
        return float(_share(utc_ms, self.onset_ms, self.growth_ms) ** self.exponent)


@dataclass(frozen=True, slots=True)
class Fouling:
    """Severity 0 until `onset_ms`, then 1 at `growth_ms` by the law of Kern and Seaton: 1 - exp(-t / tau), cut there.

    What settles in a channel makes it narrower and is carried off the more: fast at first, then slower. D. Q. Kern and
    R. E. Seaton, British Chemical Engineering 4 (1959) 258.
    """

    onset_ms: int
    growth_ms: int
    tau_share: float = 0.6
    """The law's time constant as a share of `growth_ms`."""

    def __post_init__(self) -> None:
        assert self.growth_ms > 0
        assert self.tau_share > 0

    def at(self, utc_ms: int) -> float:
        """The severity at a time, 0..1, never falling."""
        share = _share(utc_ms, self.onset_ms, self.growth_ms)
        return (1 - exp(-share / self.tau_share)) / (1 - exp(-1 / self.tau_share))


@dataclass(frozen=True, slots=True)
class Steps:
    """A progression in jumps: severity stands still and then takes a step, as chips and varnish come and stay."""

    smooth: Progression
    jumps: tuple[float, ...]
    """Where of 0..1 the severity jumps to, rising, the last one 1."""

    def __post_init__(self) -> None:
        assert list(self.jumps) == sorted(self.jumps)
        assert self.jumps
        assert self.jumps[-1] == 1.0

    def at(self, utc_ms: int) -> float:
        """The severity at a time, 0..1, never falling."""
        reached = self.smooth.at(utc_ms)
        return max((jump for jump in self.jumps if jump <= reached), default=0.0)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same severity at all times: for training and for tests."""

    value: float

    def __post_init__(self) -> None:
        assert 0.0 <= self.value <= 1.0

    def at(self, utc_ms: int) -> float:  # noqa: ARG002 - the shape of a severity law
        """The severity."""
        return self.value


def _share(utc_ms: int, onset_ms: int, growth_ms: int) -> float:
    return min(max((utc_ms - onset_ms) / growth_ms, 0.0), 1.0)
