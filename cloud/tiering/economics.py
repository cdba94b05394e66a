"""What each tier brings and costs, month by month: revenue, margin, hours, who stays. Pure, vectorised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from cloud.tiering.dimensions import COSTS
from cloud.tiering.evidence import EvidenceTable, Floats, Kind, day_number
from cloud.tiering.sums import Window, total

MONTHS_MAX: Final = 36
YEAR_MONTHS: Final = 12
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class TierMonth:
    """A tier in a month, or ALL.

    `kept` is gross revenue retention: what the customers that were in the tier a year before bring now, at most what
    they brought then; `kept_net` is net retention, growth included. `gone` of them were billed then and are not now.
    All three are None where that is not known: nobody was billed then, or nobody had a tier yet. Who has left before
    the first review never got a tier, so that the others alone would flatter it. ALL asks for no tier.
    """

    month: str
    tier: str
    customers: int
    revenue_minor: int
    cost_minor: int
    margin_minor: int
    hours: float
    touches: int
    hours_per_customer: float | None
    kept: float | None
    kept_net: float | None
    gone: int | None


def month_starts(today: date, months: int) -> list[date]:
    """First days of the last months that are over, and of the one that runs."""
    first = today.year * YEAR_MONTHS + today.month - 1 - months
    return [date(at // YEAR_MONTHS, at % YEAR_MONTHS + 1, 1) for at in range(first, first + months + 1)]


def economics(
    table: EvidenceTable,
    tier_by_month: Sequence[Sequence[str]],
    tier_before: Sequence[Sequence[str] | None],
    starts: Sequence[date],
    tiers: Sequence[str],
) -> list[TierMonth]:
    """By month and tier, ALL last; `starts` has one day more than there are months.

    `tier_by_month` has a tier for each customer, `tier_before` the one of a year before, None where there were none.
    """
    assert len(starts) == len(tier_by_month) + 1 == len(tier_before) + 1
    found = []
    for at, (of_month, before) in enumerate(zip(tier_by_month, tier_before, strict=True)):
        month = _Month.of(table, starts[at], starts[at + 1])
        names, names_before = np.asarray(of_month, object), None if before is None else np.asarray(before, object)
        for tier in tiers:
            was_in = None if names_before is None else np.asarray(names_before == tier, bool)
            found.append(_tier_month(month, starts[at], tier, np.asarray(names == tier, bool), was_in))
        everybody = np.ones(len(of_month), bool)
        found.append(_tier_month(month, starts[at], ALL, everybody, everybody))
    return found


@dataclass(frozen=True, slots=True)
class _Month:
    revenue: Floats
    before: Floats
    """Revenue of the same month a year earlier."""
    cost: Floats
    hours: Floats
    touches: Floats

    @classmethod
    def of(cls, table: EvidenceTable, start: date, end: date) -> "_Month":
        window, earlier = _window(start, end), _window(_year_before(start), _year_before(end))
        return cls(
            total(table, (Kind.INVOICE,), "amount", window),
            total(table, (Kind.INVOICE,), "amount", earlier),
            total(table, COSTS, "amount", window),
            total(table, (Kind.COST_HOURS,), "quantity", window),
            total(table, (Kind.COST_HOURS,), "rows", window),
        )


def _tier_month(month: _Month, start: date, tier: str, is_in: np.ndarray, was_in: np.ndarray | None) -> TierMonth:
    billed = is_in & (month.revenue > 0)
    base = np.zeros(len(is_in), bool) if was_in is None else was_in & (month.before > 0)
    revenue, cost = month.revenue[is_in].sum(), month.cost[is_in].sum()
    hours, then = float(month.hours[is_in].sum()), float(month.before[base].sum())
    return TierMonth(
        f"{start:%Y-%m}",
        tier,
        int(billed.sum()),
        round(float(revenue)),
        round(float(cost)),
        round(float(revenue - cost)),
        round(hours, 1),
        int((month.touches[is_in] > 0).sum()),
        round(hours / int(billed.sum()), 2) if billed.any() else None,
        round(float(np.minimum(month.revenue, month.before)[base].sum()) / then, 4) if then else None,
        round(float(month.revenue[base].sum()) / then, 4) if then else None,
        int((base & (month.revenue == 0)).sum()) if then else None,
    )


def tiers_by_month(
    ids: Sequence[str],
    changes: Sequence[tuple[str, int, str]],
    ends_ms: Sequence[int],
    fallback: Mapping[str, str],
) -> list[list[str]]:
    """Each customer's tier at the end of each month.

    `changes` are (customer, moment, tier) in order. Before the first one a customer counts to the first tier it got, so
    that the months before tiering began can be read; `fallback` is for those that have none.
    """
    first: dict[str, str] = {}
    for customer, _, tier in changes:
        first.setdefault(customer, tier)
    now = {each: first.get(each, fallback[each]) for each in ids}
    found, at = [], 0
    for end_ms in ends_ms:
        while at < len(changes) and changes[at][1] < end_ms:
            now[changes[at][0]] = changes[at][2]
            at += 1
        found.append([now[each] for each in ids])
    return found


def _window(start: date, end: date) -> Window:
    return Window(day_number(start) - 1, day_number(end) - 1)


def _year_before(day: date) -> date:
    return day.replace(year=day.year - 1)
