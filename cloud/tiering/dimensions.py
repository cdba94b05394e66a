"""The five dimensions of a customer's worth, each a formula over evidence with its confidence. Pure, vectorised.

docs/reference/tiering.md has the formulas in words; a raw value has no upper bound, scaling.py makes it 0 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from cloud.tiering.evidence import EvidenceTable, Floats, Kind
from cloud.tiering.sums import NEVER, Window, active_months, faded, first_day, mean, newest_day, newest_quantity, total

YEAR_DAYS: Final = 365
HALF_YEAR_DAYS: Final = 182
MONTH_DAYS: Final = 30.44
MONEY_UNIT: Final = 1_000_000.0
"""Minor units (10,000.00 of a currency with cents) below which differences of money hardly count."""
SHOTS_UNIT: Final = 1_000.0
LABELS_UNIT: Final = 50.0
QUALITY_UNKNOWN: Final = 0.5
REFERENCE_HALF_LIFE_DAYS: Final = 730.0
REFERENCE_POINTS: Final = {Kind.REFERRAL: 5.0, Kind.CASE_STUDY: 4.0, Kind.TALK: 3.0, Kind.VISIT: 2.0}
LATE_DAYS: Final = 30.0
TENURE_YEARS: Final = 3.0
SIGNAL_HALF_LIFE_DAYS: Final = 365.0
COSTS: Final = (Kind.COST_HOURS, Kind.COST_TICKETS, Kind.COST_COMPUTE)
REFERENCES: Final = tuple(REFERENCE_POINTS)
GROWTH: Final = (Kind.GROWTH_PRESSES, Kind.GROWTH_SIGNAL)


class Dimension(StrEnum):
    """One side of what a customer is worth."""

    REVENUE = "revenue"
    DATA = "data"
    DEMONSTRATION = "demonstration"
    STABILITY = "stability"
    POTENTIAL = "potential"


DIMENSIONS: Final = tuple(Dimension)


@dataclass(frozen=True, slots=True)
class Trust:
    """Which evidence a dimension rests on: `enough` rows make 63 % of full confidence, age halves it."""

    kinds: tuple[Kind, ...]
    enough: float
    half_life_days: float


TRUST: Final = {
    Dimension.REVENUE: Trust((Kind.INVOICE, Kind.PAYMENT, Kind.CONTRACT), 4.0, 180.0),
    Dimension.DATA: Trust((Kind.USAGE_SHOTS, Kind.USAGE_QUALITY, Kind.LABELS), 6.0, 90.0),
    Dimension.DEMONSTRATION: Trust((*REFERENCES, Kind.SECTOR, Kind.CONTRACT, Kind.INVOICE), 3.0, 730.0),
    Dimension.STABILITY: Trust((Kind.PAYMENT, Kind.RENEWED, Kind.LAPSED, Kind.INVOICE), 6.0, 365.0),
    Dimension.POTENTIAL: Trust((*GROWTH, Kind.INVOICE, Kind.USAGE_SHOTS), 8.0, 180.0),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Raw values and confidences, customers by dimensions in the order of DIMENSIONS."""

    ids: tuple[str, ...]
    raw: Floats
    confidence: Floats

    def missing(self, at: int) -> tuple[Dimension, ...]:
        """The dimensions for which a customer has no evidence at all."""
        return tuple(d for d, c in zip(DIMENSIONS, self.confidence[at], strict=True) if c == 0)


def measure(table: EvidenceTable, today: int) -> Measured:
    """All five dimensions as known at the end of `today`; later rows must not be in the table."""
    raw = np.column_stack([FORMULAS[dimension](table, today) for dimension in DIMENSIONS])
    confidence = np.column_stack([_confidence(table, TRUST[dimension], today) for dimension in DIMENSIONS])
    return Measured(table.ids, raw, confidence)


def revenue_of(table: EvidenceTable, today: int) -> Floats:
    """Billed within a year, in minor units; without an invoice, the yearly value of the contracts that run."""
    year = Window(today - YEAR_DAYS, today)
    billed = total(table, (Kind.INVOICE,), "amount", year)
    return np.where(total(table, (Kind.INVOICE,), "rows", year) > 0, billed, _contracted(table, today))


def _contracted(table: EvidenceTable, today: int) -> Floats:
    rows = table.rows_of(Kind.CONTRACT)
    runs = (table.day[rows] <= today) & (table.day[rows] + table.quantity[rows] * MONTH_DAYS > today)
    yearly = np.bincount(table.customer[rows][runs], weights=table.amount[rows][runs], minlength=len(table.ids))
    return np.asarray(yearly, np.float64)


def margin_of(table: EvidenceTable, today: int) -> Floats:
    """Revenue less cost to serve within a year, in minor units."""
    return revenue_of(table, today) - total(table, COSTS, "amount", Window(today - YEAR_DAYS, today))


def _revenue(table: EvidenceTable, today: int) -> Floats:
    return 0.5 * _log_money(revenue_of(table, today)) + 0.5 * _log_money(margin_of(table, today))


def _data(table: EvidenceTable, today: int) -> Floats:
    """Volume x quality x labels."""
    year = Window(today - YEAR_DAYS, today)
    volume = np.log1p(total(table, (Kind.USAGE_SHOTS,), "quantity", year) / SHOTS_UNIT)
    raised = total(table, (Kind.ALARMS_RAISED,), "quantity", year)
    acted = np.divide(
        total(table, (Kind.ALARMS_ACTED,), "quantity", year), raised, out=np.full(len(raised), np.nan), where=raised > 0
    )
    whole = mean(table, Kind.USAGE_QUALITY, year)
    quality = np.where(np.isnan(whole), QUALITY_UNKNOWN, whole)
    heeded = np.where(np.isnan(acted), QUALITY_UNKNOWN, np.minimum(acted, 1.0))
    labels = 1.0 + np.log1p(total(table, (Kind.LABELS,), "quantity", year) / LABELS_UNIT)
    return volume * (0.7 * quality + 0.3 * heeded) * labels


def _demonstration(table: EvidenceTable, today: int) -> Floats:
    points = np.zeros(len(table.ids))
    for kind, each in REFERENCE_POINTS.items():
        points += each * faded(table, kind, today, half_life_days=REFERENCE_HALF_LIFE_DAYS)
    looked_at = newest_quantity(table, Kind.SECTOR)
    return np.log1p(points) * np.where(np.isnan(looked_at), 1.0, looked_at)


def _stability(table: EvidenceTable, today: int) -> Floats:
    years = np.maximum(0, today - first_day(table, (Kind.CONTRACT, Kind.INVOICE))) / YEAR_DAYS
    ever, year = Window(NEVER, today), Window(today - YEAR_DAYS, today)
    renewed = total(table, (Kind.RENEWED,), "rows", ever)
    lapsed = total(table, (Kind.LAPSED,), "rows", ever)
    kept = (renewed + 1) / (renewed + lapsed + 2)
    regular = np.minimum(1.0, active_months(table, Kind.INVOICE, year) / 12)
    return 0.25 * (1 - np.exp(-years / TENURE_YEARS)) + 0.3 * kept + 0.25 * _punctuality(table, year) + 0.2 * regular


def _punctuality(table: EvidenceTable, year: Window) -> Floats:
    """1 when everything is paid in time, falling with each payment's days late; 0.5 where nothing is known."""
    rows = table.rows_of(Kind.PAYMENT)
    kept = (table.day[rows] > year.since) & (table.day[rows] <= year.until)
    customer, late = table.customer[rows][kept], np.maximum(table.quantity[rows][kept], 0.0)
    count = np.bincount(customer, minlength=len(table.ids))
    points = np.bincount(customer, weights=np.exp(-late / LATE_DAYS), minlength=len(table.ids))
    return (points + 0.5) / (count + 1)


def _potential(table: EvidenceTable, today: int) -> Floats:
    """Growth of money and shots from one half year to the next, presses still to connect, signs of growth."""
    now, before = Window(today - HALF_YEAR_DAYS, today), Window(today - 2 * HALF_YEAR_DAYS, today - HALF_YEAR_DAYS)
    money = _growth(table, (Kind.INVOICE,), "amount", now, before, MONEY_UNIT)
    shots = _growth(table, (Kind.USAGE_SHOTS,), "quantity", now, before, SHOTS_UNIT)
    planned = np.nan_to_num(newest_quantity(table, Kind.GROWTH_PRESSES))
    signals = faded(table, Kind.GROWTH_SIGNAL, today, half_life_days=SIGNAL_HALF_LIFE_DAYS)
    return 0.4 * money + 0.2 * shots + 0.3 * np.arcsinh(planned) + 0.1 * np.arcsinh(signals)


def _growth(
    table: EvidenceTable, kinds: tuple[Kind, ...], column: str, now: Window, before: Window, unit: float
) -> Floats:
    """The logarithm of a half year over the one before, within a factor of e; a quarter of a unit stands under both."""
    assert column in ("amount", "quantity")
    later = total(table, kinds, "amount" if column == "amount" else "quantity", now)
    earlier = total(table, kinds, "amount" if column == "amount" else "quantity", before)
    return np.clip(np.log((later + unit / 4) / (earlier + unit / 4)), -1.0, 1.0)


def _log_money(minor: Floats) -> Floats:
    """A logarithm that knows losses."""
    return np.sign(minor) * np.log1p(np.abs(minor) / MONEY_UNIT)


def _confidence(table: EvidenceTable, trust: Trust, today: int) -> Floats:
    """0 without evidence; towards 1 with much of it, halved with each half-life of the newest row's age."""
    rows = total(table, trust.kinds, "rows", Window(today - 2 * YEAR_DAYS, today))
    age = np.maximum(0, today - newest_day(table, trust.kinds))
    return (1 - np.exp(-rows / trust.enough)) * np.exp2(-np.minimum(age, 10**5) / trust.half_life_days)


FORMULAS: Final[dict[Dimension, Callable[[EvidenceTable, int], Floats]]] = {
    Dimension.REVENUE: _revenue,
    Dimension.DATA: _data,
    Dimension.DEMONSTRATION: _demonstration,
    Dimension.STABILITY: _stability,
    Dimension.POTENTIAL: _potential,
}
