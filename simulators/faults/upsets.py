"""What is no failure and must not alarm: other material, moist granulate, a hot hall, gauges that drop out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from simulators.press.condition import Condition, Value
from simulators.press.process import Process

UPSETS: Final = (
    "viscosity_lot_change",
    "moisture_high",
    "ambient_change",
    "set_point_change",
    "startup",
    "sensor_dropout",
)
"""All kinds; `set_point_change` is another process and `startup` a standstill: the press itself plays these."""
DROPOUT_PROBABILITY: Final = 0.3


@dataclass(frozen=True, slots=True)
class Upset:
    """Comes in over `ramp_ms` from its begin and goes out over as long before its end; in between it stands at 1."""

    mode: str
    begin_ms: int
    end_ms: int
    ramp_ms: int
    effect: Callable[[Condition, Value], Condition]

    def __post_init__(self) -> None:
        assert self.mode in UPSETS
        assert self.ramp_ms > 0

    def severity(self, utc_ms: int) -> float:
        """How much of it is there: no measure of a failure."""
        inside = min(utc_ms - self.begin_ms, self.end_ms - utc_ms)
        return min(max(inside / self.ramp_ms, 0.0), 1.0)

    def apply(self, condition: Condition, severity: Value, _process: Process) -> Condition:
        """See `Fault`."""
        return self.effect(condition, severity)


def lot_change(begin_ms: int, end_ms: int, share: float, wash_ms: int) -> Upset:
    """Another lot: viscosity `share` above (or below) the usual; it washes through barrel and hopper in `wash_ms`."""

    def effect(condition: Condition, severity: Value) -> Condition:
        return replace(condition, viscosity_factor=condition.viscosity_factor * (1 + share * np.asarray(severity)))

    return Upset("viscosity_lot_change", begin_ms, end_ms, wash_ms, effect)


def moisture(begin_ms: int, end_ms: int, share: float) -> Upset:
    """A dryer that fails and is mended: the granulate's moisture rises and falls over hours."""

    def effect(condition: Condition, severity: Value) -> Condition:
        return replace(condition, moisture_share=condition.moisture_share + share * np.asarray(severity))

    return Upset("moisture_high", begin_ms, end_ms, max((end_ms - begin_ms) // 3, 1), effect)


def heat_wave(begin_ms: int, end_ms: int, kelvin: float) -> Upset:
    """The hall is warmer, or colder, for days."""

    def effect(condition: Condition, severity: Value) -> Condition:
        return replace(condition, ambient_degc=condition.ambient_degc + kelvin * np.asarray(severity))

    return Upset("ambient_change", begin_ms, end_ms, max((end_ms - begin_ms) // 4, 1), effect)


def dropout(begin_ms: int, end_ms: int) -> Upset:
    """A loose plug: gauges miss whole cycles."""

    def effect(condition: Condition, severity: Value) -> Condition:
        return replace(condition, dropout_probability=DROPOUT_PROBABILITY * np.asarray(severity))

    return Upset("sensor_dropout", begin_ms, end_ms, max((end_ms - begin_ms) // 20, 1), effect)
