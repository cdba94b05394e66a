"""What a company would have on file of its customers, month by month: contracts, money, work, use, references."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from simulators.business.customers import COMPUTE, HOUR, TICKET, Customers, Floats, Ints, logistic

TERM: Final = 12
FADES_BEFORE: Final = 4
"""Months before its end in which a customer that will lapse uses ever less."""
FADE: Final = 0.8
LATE_DAYS: Final = 12.0
REFERENCES: Final = ("reference.case_study", "reference.visit", "reference.talk", "reference.referral")
DAYS: Final = {"contract": 1, "sector": 1, "invoice": 5, "growth": 15, "payment": 20, "renewal": 25}
"""On which day of the month a row of this family is dated; the others are of the 28th."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind in one month; an amount below zero and a quantity that is not a number stand for none."""

    month: int
    kind: str
    customer: Ints
    amount: Floats
    quantity: Floats

    @property
    def day(self) -> int:
        """Of the month."""
        return DAYS.get(self.kind.split(".")[0], 28)


@dataclass(frozen=True, slots=True)
class Lives:
    """Until which month each customer stays (exclusive); `months` and beyond for those that are still there."""

    ends: Ints

    def is_there(self, joined: Ints, month: int) -> np.ndarray:
        """Who is a customer in a month."""
        return (joined <= month) & (month < self.ends)


def lives(customers: Customers, chance: np.random.Generator, months: int) -> Lives:
    """At the end of each yearly contract that falls into the months seen, a customer renews or lapses."""
    ends = np.full(len(customers.ids), months + 10 * TERM, np.int64)
    lapse = customers.lapse_chance()
    at = customers.joined + TERM * np.maximum(1, -(-(1 - customers.joined) // TERM))
    while (at <= months).any():
        gone = (at <= months) & (ends > months) & (chance.random(len(lapse)) < lapse)
        ends = np.where(gone, at, ends)
        at = at + TERM
    return Lives(ends)


def month_rows(customers: Customers, lived: Lives, chance: np.random.Generator, month: int) -> Iterator[Rows]:
    """All rows of a month."""
    everyone = np.arange(len(customers.ids))
    there = lived.is_there(customers.joined, month)
    presses = customers.presses_at(month)
    yield from _contracts(customers, lived, month, presses)
    yield from _money(customers, everyone[there], chance, month, presses)
    yield from _work(customers, everyone[there], chance, month, presses)
    yield from _use(customers, lived, everyone[there], chance, month, presses)
    yield from _references(customers, everyone[there], chance, month)
    if month % 6 == 0:
        yield from _growth(customers, everyone[there], chance, month, presses)


def _contracts(customers: Customers, lived: Lives, month: int, presses: Floats) -> Iterator[Rows]:
    """A contract a year; at month 0 those that run already are told, too."""
    since = month - customers.joined
    there = lived.is_there(customers.joined, month)
    begins = np.flatnonzero(there & ((since % TERM == 0) | (month == 0)))
    yearly = np.round(presses * customers.price * TERM)[begins]
    yield Rows(month, "contract", begins, yearly, np.full(len(begins), float(TERM)))
    new = np.flatnonzero(there & ((since == 0) | (month == 0)))
    yield Rows(month, "sector", new, _none(new), customers.looked_at[new])
    renewed = np.flatnonzero(there & (since > 0) & (since % TERM == 0))
    yield Rows(month, "renewal.renewed", renewed, _none(renewed), np.full(len(renewed), float(TERM)))
    lapsed = np.flatnonzero(lived.ends == month)
    yield Rows(month, "renewal.lapsed", lapsed, _none(lapsed), np.ones(len(lapsed)))


def _money(customers: Customers, who: Ints, chance: np.random.Generator, month: int, presses: Floats) -> Iterator[Rows]:
    billed = np.round(presses[who] * customers.price[who] * np.exp(0.05 * chance.standard_normal(len(who))))
    yield Rows(month, "invoice", who, billed, presses[who])
    late: Floats = LATE_DAYS * np.exp(-0.7 * customers.trait("loyalty")[who]) * chance.exponential(1, len(who)) - 3
    yield Rows(month, "payment", who, billed, _clipped(late, -5, 120, 0))


def _work(customers: Customers, who: Ints, chance: np.random.Generator, month: int, presses: Floats) -> Iterator[Rows]:
    hours = chance.poisson(customers.hours_rate(presses)[who]).astype(np.float64)
    yield Rows(month, "cost.hours", who, hours * HOUR, hours)
    tickets = chance.poisson(customers.tickets_rate(presses)[who]).astype(np.float64)
    yield _some(Rows(month, "cost.tickets", who, tickets * TICKET, tickets))
    yield Rows(month, "cost.compute", who, presses[who] * COMPUTE, presses[who])
    complaints = chance.poisson(0.08 * np.exp(-0.8 * customers.trait("loyalty")[who])).astype(np.float64)
    yield _some(Rows(month, "support.complaints", who, _none(who), complaints))


def _use(
    customers: Customers, lived: Lives, who: Ints, chance: np.random.Generator, month: int, presses: Floats
) -> Iterator[Rows]:
    faded = FADE ** np.clip(FADES_BEFORE + 1 - (lived.ends[who] - month), 0, FADES_BEFORE)
    noise = np.exp(0.1 * chance.standard_normal(len(who)))
    yield Rows(month, "usage.presses", who, _none(who), presses[who])
    yield Rows(month, "usage.shots", who, _none(who), np.round(customers.shots_rate(presses)[who] * faded * noise))
    quality = logistic(1 + customers.trait("data")[who] + 0.3 * chance.standard_normal(len(who)))
    yield Rows(month, "usage.quality", who, _none(who), np.round(quality, 4))
    labels = chance.poisson(customers.labels_rate(presses)[who] * faded).astype(np.float64)
    yield Rows(month, "labels", who, _none(who), labels)
    raised = chance.poisson(3 * presses[who])
    heeds = logistic(0.5 + 0.8 * customers.trait("loyalty")[who] + 0.4 * customers.trait("data")[who]) * faded
    yield Rows(month, "alarms.raised", who, _none(who), raised.astype(np.float64))
    yield Rows(month, "alarms.acted", who, _none(who), chance.binomial(raised, heeds).astype(np.float64))


def _references(customers: Customers, who: Ints, chance: np.random.Generator, month: int) -> Iterator[Rows]:
    for kind in REFERENCES:
        number = chance.poisson(customers.reference_rate()[who]).astype(np.float64)
        yield _some(Rows(month, kind, who, _none(who), number))


def _growth(
    customers: Customers, who: Ints, chance: np.random.Generator, month: int, presses: Floats
) -> Iterator[Rows]:
    trait = customers.trait("growth")[who]
    planned = chance.poisson(0.2 * presses[who] * np.exp(0.6 * trait)).astype(np.float64)
    yield Rows(month, "growth.presses", who, _none(who), planned)
    signal = _clipped(2 * trait + chance.standard_normal(len(who)), -10, 10, 1)
    yield Rows(month, "growth.signal", who, _none(who), signal)


def _clipped(values: Floats, low: float, high: float, decimals: int) -> Floats:
    return np.asarray(np.round(np.clip(values, low, high), decimals), np.float64)


def _some(rows: Rows) -> Rows:
    """Without those of nothing."""
    kept = rows.quantity > 0
    return Rows(rows.month, rows.kind, rows.customer[kept], rows.amount[kept], rows.quantity[kept])


def _none(like: Any) -> Floats:
    return np.full(len(like), -1.0)
