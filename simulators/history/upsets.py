"""What comes over a press that is no failure: when, for how long, how much. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.history.calendar import DAY_MS, HOUR_MS, START_MS, Stop, spells
from simulators.history.supply import Lot

WAVE_EVERY_DAYS: Final = 20
WAVE_DAYS: Final = (2, 5)
START_UP_MS: Final = HOUR_MS
"""A standstill of this length needs a start-up, which takes as long."""


@dataclass(frozen=True, slots=True)
class PlannedUpset:
    """Something that is no failure."""

    kind: str
    begin_ms: int
    end_ms: int
    size: float


def chance_upsets(rng: np.random.Generator, end_ms: int) -> Iterator[PlannedUpset]:
    """Moist granulate and loose plugs, press by press."""
    for begin, end in spells(rng, end_ms, mean_gap_ms=30 * DAY_MS, lasts_ms=(4 * HOUR_MS, 16 * HOUR_MS)):
        yield PlannedUpset("moisture_high", begin, end, float(rng.uniform(0.4, 1.0)))
    for begin, end in spells(rng, end_ms, mean_gap_ms=40 * DAY_MS, lasts_ms=(HOUR_MS, 8 * HOUR_MS)):
        yield PlannedUpset("sensor_dropout", begin, end, 1.0)


def waves(rng: np.random.Generator, end_ms: int) -> Iterator[PlannedUpset]:
    """Of heat and of cold, for the whole plant: one within each WAVE_EVERY_DAYS."""
    for begin in range(START_MS, end_ms, WAVE_EVERY_DAYS * DAY_MS):
        comes = begin + round(rng.uniform(0, WAVE_EVERY_DAYS - WAVE_DAYS[1]) * DAY_MS)
        goes, kelvin = comes + round(rng.uniform(*WAVE_DAYS) * DAY_MS), float(rng.choice([-7.0, 8.0, 10.0]))
        if goes <= end_ms:
            yield PlannedUpset("ambient_change", comes, goes, kelvin)


def odd_lots(lots: Sequence[Lot], end_ms: int) -> Iterator[PlannedUpset]:
    """From when an odd lot comes until it is used up."""
    ends = [*(lot.begin_ms for lot in lots[1:]), end_ms]
    for lot, end in zip(lots, ends, strict=True):
        if lot.is_odd and lot.begin_ms < end_ms:
            yield PlannedUpset("viscosity_lot_change", lot.begin_ms, min(end, end_ms), lot.share)


def start_ups(stops: Sequence[Stop], end_ms: int) -> Iterator[PlannedUpset]:
    """After standstills that were long enough."""
    for begin, end in stops:
        if end - begin >= START_UP_MS and end < end_ms:
            yield PlannedUpset("startup", end, min(end + START_UP_MS, end_ms), 1.0)
