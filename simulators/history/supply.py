"""What comes from outside: lots of granulate, each a little different, and the hall's climate. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi, sin
from typing import Final

import numpy as np

from simulators.history.calendar import DAY_MS, HOUR_MS, MINUTE_MS, START_MS
from simulators.press.condition import Condition, Value
from simulators.press.process import Process

WASH_MS: Final = 12 * MINUTE_MS
"""A new lot reaches the part over so long: 20 to 60 shots."""
LOT_DAYS: Final = (1.5, 5.0)
USUAL_LOT_SD: Final = 0.015
"""Of the logarithm of viscosity from lot to lot; a well-set process sees about 10 % at most."""
ODD_LOTS: Final = 0.25
ODD_LOT_SHARES: Final = (0.05, 0.15)
LATE_MS: Final = 8 * HOUR_MS
"""Until a press has used up what stands beside it."""
YEAR_DAYS: Final = 365.25
COLDEST_DAY: Final = 20.0
"""Of the record: the 25th of January."""
SEASON_K, WEATHER_K, WEATHER_LAG1 = 4.0, 1.5, 0.7
"""Swing of the heated hall over the year; deviation of its days, and how much of it the next day keeps."""


@dataclass(frozen=True, slots=True)
class Lot:
    """From when on a press uses a lot, and its viscosity against the usual: 0.1 is a tenth more."""

    begin_ms: int
    share: float

    @property
    def is_odd(self) -> bool:
        """Whether the lot is one of those that an operator sees."""
        return abs(self.share) >= ODD_LOT_SHARES[0] * 0.8


@dataclass(frozen=True, slots=True)
class Lots:
    """Acts on a press as faults do; `severity` is the viscosity's share above the usual, which may be below 0."""

    lots: tuple[Lot, ...]
    mode: str = "material_lot"

    def severity(self, utc_ms: int) -> float:
        """See `Fault`; a new lot comes in over WASH_MS."""
        place = max(bisect_right(self.lots, utc_ms, key=lambda lot: lot.begin_ms) - 1, 0)
        lot, before = self.lots[place], self.lots[max(place - 1, 0)]
        washed = min(max((utc_ms - lot.begin_ms) / WASH_MS, 0.0), 1.0)
        return before.share + (lot.share - before.share) * washed

    def apply(self, condition: Condition, severity: Value, _process: Process) -> Condition:
        """See `Fault`."""
        return replace(condition, viscosity_factor=condition.viscosity_factor * (1 + np.asarray(severity)))


@dataclass(frozen=True, slots=True)
class Climate:
    """The hall's temperature against 23 °C, day by day; `severity` is in K."""

    days_k: tuple[float, ...]
    mode: str = "climate"

    def severity(self, utc_ms: int) -> float:
        """See `Fault`; between two days on a straight line."""
        at = min(max((utc_ms - START_MS) / DAY_MS, 0.0), len(self.days_k) - 1.001)
        day = int(at)
        return self.days_k[day] + (self.days_k[day + 1] - self.days_k[day]) * (at - day)

    def apply(self, condition: Condition, severity: Value, _process: Process) -> Condition:
        """See `Fault`."""
        return replace(condition, ambient_degc=condition.ambient_degc + np.asarray(severity))


def lots_until(rng: np.random.Generator, end_ms: int) -> tuple[Lot, ...]:
    """The deliveries of one material, the first one usual."""
    found = [Lot(START_MS, float(rng.normal(0, USUAL_LOT_SD)))]
    while found[-1].begin_ms < end_ms:
        begin = found[-1].begin_ms + round(rng.uniform(*LOT_DAYS) * DAY_MS)
        usual, odd, sign = rng.normal(0, USUAL_LOT_SD), rng.uniform(*ODD_LOT_SHARES), rng.choice([-0.8, 1.0])
        found.append(Lot(begin, float(odd * sign if rng.random() < ODD_LOTS else usual)))
    return tuple(found)


def reaching(rng: np.random.Generator, lots: Sequence[Lot]) -> tuple[Lot, ...]:
    """The lots as one press gets them: some hours later, each of them."""
    return (lots[0], *(replace(lot, begin_ms=lot.begin_ms + round(rng.uniform(0, LATE_MS))) for lot in lots[1:]))


def climate_until(rng: np.random.Generator, end_ms: int) -> Climate:
    """Season and weather."""
    days = (end_ms - START_MS) // DAY_MS + 3
    weather, found = float(rng.normal(0, WEATHER_K)), []
    for day in range(days):
        season = -SEASON_K * sin(2 * pi * (day - COLDEST_DAY + YEAR_DAYS / 4) / YEAR_DAYS)
        found.append(season + weather)
        weather = WEATHER_LAG1 * weather + float(rng.normal(0, WEATHER_K * (1 - WEATHER_LAG1**2) ** 0.5))
    return Climate(tuple(found))
