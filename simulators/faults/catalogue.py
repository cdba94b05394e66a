"""All failure modes: what each does, how it goes on, how long it takes, and when it has failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simulators.faults.check_ring_wear import check_ring_wear
from simulators.faults.clamping import toggle_tiebar_wear
from simulators.faults.fault import Effect, Fouling, Law, Progression, Steps, Wear
from simulators.faults.hydraulics import (
    accumulator_precharge_loss,
    oil_cooler_fouling,
    pump_leakage,
    valve_lag_stiction,
)
from simulators.faults.mould import (
    cooling_fouling,
    ejector_core_friction,
    gate_or_nozzle_blocked,
    mould_parting_wear_flash,
)
from simulators.faults.plasticising import (
    heater_band_open,
    nozzle_leak_drool,
    screw_barrel_wear,
    thermocouple_drift,
)

HOUR_MS: Final = 3600 * 1000
DAY_MS: Final = 24 * HOUR_MS
Shape = Literal["wear", "fouling", "jumps"]


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode.

    Attributes:
        effect: what a severity does to a press.
        shape: the progression's law.
        growth_days: from onset to failure on a typical press, without compression.
        spread: of that time's logarithm between presses.
        failed: what severity 1 means.
    """

    effect: Effect
    shape: Shape
    growth_days: float
    spread: float
    failed: str


MODES: Final[Mapping[str, Mode]] = {
    "check_ring_wear": Mode(check_ring_wear, "wear", 60, 0.4, "the leak uses up the cushion"),
    "screw_barrel_wear": Mode(screw_barrel_wear, "wear", 400, 0.4, "clearance twice as wide as new"),
    "heater_band_open": Mode(heater_band_open, "jumps", 20, 0.6, "the band of a zone is open"),
    "thermocouple_drift": Mode(thermocouple_drift, "wear", 45, 0.5, "a zone 12 K hotter than it shows"),
    "pump_leakage": Mode(pump_leakage, "wear", 60, 0.4, "7 % of the flow leaks inside"),
    "valve_lag_stiction": Mode(valve_lag_stiction, "jumps", 30, 0.5, "lag twice as long, stroke sticks throughout"),
    "accumulator_precharge_loss": Mode(accumulator_precharge_loss, "wear", 90, 0.4, "31 % of the gas pressure lost"),
    "oil_cooler_fouling": Mode(oil_cooler_fouling, "fouling", 50, 0.4, "a tenth of the conductance left"),
    "cooling_fouling": Mode(cooling_fouling, "fouling", 80, 0.4, "0.15 mm of scale, half of the flow"),
    "mould_parting_wear_flash": Mode(mould_parting_wear_flash, "wear", 120, 0.4, "0.09 mm between the halves"),
    "nozzle_leak_drool": Mode(nozzle_leak_drool, "wear", 3, 0.6, "a leak of 2 % of the bore"),
    "gate_or_nozzle_blocked": Mode(gate_or_nozzle_blocked, "jumps", 2, 0.6, "peak pressure 10 to 40 % up"),
    "toggle_tiebar_wear": Mode(
        toggle_tiebar_wear, "wear", 300, 0.4, "0.045 mm of play, one tie bar 15 % over the mean"
    ),
    "ejector_core_friction": Mode(ejector_core_friction, "wear", 14, 0.5, "ejector force 60 % up"),
}
"""By the ids of `contract.vocabulary.FAILURE_MODES`; time scales are those of the process model."""
JUMPS_MIN, JUMPS_MAX = 4, 9


def wear(mode: str, law: Law) -> Wear:
    """A fault of a mode with a law of its own."""
    return Wear(mode, law, MODES[mode].effect)


def growth_ms(mode: str, rng: np.random.Generator, *, time_factor: float = 1.0) -> int:
    """How long one press takes from onset to failure: lognormal around the mode's, compressed by `time_factor`."""
    assert time_factor > 0
    info = MODES[mode]
    days = info.growth_days * float(np.exp(info.spread * rng.standard_normal())) / time_factor
    return max(round(days * DAY_MS), HOUR_MS // 2)


def law_of(mode: str, onset_ms: int, growth_ms: int, rng: np.random.Generator) -> Law:
    """The mode's law on one press, with that press's own shape."""
    shape = MODES[mode].shape
    if shape == "fouling":
        return Fouling(onset_ms, growth_ms, float(rng.uniform(0.45, 0.9)))
    smooth = Progression(onset_ms, growth_ms, float(rng.uniform(1.2, 2.0)))
    if shape == "wear":
        return smooth
    jumps = np.sort(rng.uniform(0.05, 0.95, int(rng.integers(JUMPS_MIN, JUMPS_MAX + 1))))
    return Steps(smooth, (*jumps.tolist(), 1.0))
