"""The value score against customers of known worth, and the formulas over 100,000 customers.

A simulated business (simulators/business) has 2,000 customers over 24 months; what each will bring in the 36 months
after is known, and the score has not seen it. Spearman's rank correlation with it, among those still customers, stands
beside that of the last year's revenue and of RFM (quintiles of recency, frequency and money, ties by money; where all
are billed monthly that is nearly revenue). The share of revenue is that of the year after the ranking, which is made at
month 12. Tiers are reviewed each quarter, with the rules and without.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.report import tell
from cloud.tiering import bands
from cloud.tiering.dimensions import revenue_of
from cloud.tiering.evidence import CODES, EvidenceTable, Floats, Ints, Kind, day_number
from cloud.tiering.ranking import rank_correlation, ranks
from cloud.tiering.scoring import rescore
from cloud.tiering.sums import Window, newest_day, total
from cloud.tiering.weights import DEFAULT_PAIRWISE, from_pairwise
from simulators.business.files import Business, business, day_of

MANY, MANY_MONTHS = 100_000, 12
YEAR = 365


def main(argv: Sequence[str]) -> int:
    """Judge the score, time the rescoring, tell."""
    parser = argparse.ArgumentParser(prog="tiering", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--seeds", type=int, default=3, help="businesses, of which the means are told")
    options = parser.parse_args(argv)
    weights, _ = from_pairwise(DEFAULT_PAIRWISE)
    each = [judge(business(2_000, 24, seed), weights) for seed in range(1, options.seeds + 1)]
    figures: dict[str, float | int | str] = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    tell(figures | rescoring(weights), as_json=options.json)
    return 0


def table_of(drawn: Business) -> EvidenceTable:
    """The evidence as the formulas read it."""
    rows = [(each, day_number(day_of(each.month, each.day))) for each in drawn.rows() if len(each.customer)]
    return EvidenceTable(
        drawn.customers.ids,
        np.concatenate([each.customer for each, _ in rows]),
        np.concatenate([np.full(len(each.customer), CODES[Kind(each.kind)]) for each, _ in rows]),
        np.concatenate([np.full(len(each.customer), day) for each, day in rows]),
        np.concatenate([np.maximum(each.amount, 0) for each, _ in rows]),
        np.concatenate([each.quantity for each, _ in rows]),
    )


@dataclass(frozen=True, slots=True)
class Rankings:
    """Ranks of the same customers by the score and by what it has to beat."""

    weighted: Ints
    topsis: Ints
    rfm: Ints
    revenue: Ints


def rankings(table: EvidenceTable, today: int, weights: Floats) -> Rankings:
    """All rankings at the end of a day."""
    scored = rescore(table, today, weights)
    revenue = revenue_of(table.until(today), today)
    return Rankings(
        scored.rank,
        ranks(scored.scores.topsis, table.ids),
        ranks(_rfm(table.until(today), today), table.ids),
        ranks(revenue, table.ids),
    )


def judge(drawn: Business, weights: Floats) -> dict[str, float]:
    """The figures of one business."""
    table = table_of(drawn)
    end = day_number(day_of(drawn.months, 1)) - 1
    there = np.flatnonzero(drawn.lived.ends > drawn.months)
    known = _only(table, there)
    at_end, worth = rankings(known, end, weights), drawn.worth[there]
    figures = {f"rank_correlation_{name}": rank_correlation(-getattr(at_end, name), worth) for name in _NAMES}
    figures |= {f"worth_top5_{name}": _reached(getattr(at_end, name), worth, 0.05) for name in _NAMES}
    figures |= _revenue_reached(drawn, table, weights)
    return figures | _stability(drawn, table, weights)


_NAMES = ("weighted", "topsis", "rfm", "revenue")


def _revenue_reached(drawn: Business, table: EvidenceTable, weights: Floats) -> dict[str, float]:
    """Of the year after month 12, by those of the top that were customers then."""
    middle = day_number(day_of(12, 1)) - 1
    there = np.flatnonzero(drawn.lived.is_there(drawn.customers.joined, 11) & (drawn.lived.ends > 12))
    known = _only(table, there)
    later = total(known, (Kind.INVOICE,), "amount", Window(middle, middle + YEAR))
    made = rankings(known, middle, weights)
    return {
        f"revenue_top{round(share * 100)}_{name}": _reached(getattr(made, name), later, share)
        for share in (0.05, 0.30)
        for name in _NAMES
    }


def _stability(drawn: Business, table: EvidenceTable, weights: Floats) -> dict[str, float]:
    """Share of customers that keep their tier from one quarter to the next, with the rules and by rank alone."""
    there = np.flatnonzero((drawn.customers.joined <= 6) & (drawn.lived.ends > drawn.months))
    known, rules, kept, plain_kept = _only(table, there), bands.Rules(), [], []
    state, plain = None, None
    for month in range(12, drawn.months + 1, 3):
        today = day_number(day_of(month, 1)) - 1
        scored = rescore(known, today, weights)
        share = bands.shares(scored.rank)
        before = state or bands.newcomers(len(there), today)
        after = bands.assign(before, share, np.ones(len(there), bool), today, rules)
        now = bands.assign(bands.newcomers(len(there), today), share, np.ones(len(there), bool), today, rules).tier
        if state is not None and plain is not None:
            kept.append(float((after.tier == state.tier).mean()))
            plain_kept.append(float((now == plain).mean()))
        state, plain = after, now
    assert state is not None
    return {
        "tier_stability_quarter": float(np.mean(kept)),
        "tier_stability_quarter_without_rules": float(np.mean(plain_kept)),
        "strategic_share": float((state.tier == bands.STRATEGIC).mean()),
        "value_share": float((state.tier == bands.VALUE).mean()),
    }


def rescoring(weights: Floats) -> dict[str, float | int]:
    """Time of the formulas for MANY customers with MANY_MONTHS months of evidence, with the review of their tiers.

    bench.rescoring has the whole run through the database.
    """
    drawn = business(MANY, MANY_MONTHS, 1)
    table = table_of(drawn)
    today = day_number(day_of(MANY_MONTHS, 1)) - 1
    began, cpu = time.perf_counter(), time.process_time()
    scored = rescore(table, today, weights)
    state = bands.newcomers(MANY, today)
    bands.assign(state, bands.shares(scored.rank), scored.trust >= bands.Rules().confidence_min, today, bands.Rules())
    return {
        "customers": MANY,
        "evidence_rows": len(table),
        "rescore_s": time.perf_counter() - began,
        "rescore_cpu_s": time.process_time() - cpu,
    }


def _only(table: EvidenceTable, who: Ints) -> EvidenceTable:
    """Evidence of some customers."""
    index = np.full(len(table.ids), -1)
    index[who] = np.arange(len(who))
    at = index[table.customer]
    kept = at >= 0
    ids = tuple(table.ids[each] for each in who)
    return EvidenceTable(ids, at[kept], table.code[kept], table.day[kept], table.amount[kept], table.quantity[kept])


def _rfm(table: EvidenceTable, today: int) -> Floats:
    """Quintiles of recency, frequency and money, added up; ties by money."""
    year = Window(today - YEAR, today)
    money = total(table, (Kind.INVOICE,), "amount", year)
    sides = (newest_day(table, (Kind.INVOICE,)), total(table, (Kind.INVOICE,), "rows", year), money)
    points = sum(_quintile(np.asarray(side, np.float64)) for side in sides)
    return np.asarray(points + money / (money.max() + 1), np.float64)


def _quintile(values: Floats) -> Floats:
    """0 to 4; equal values are in the same one."""
    below = np.searchsorted(np.sort(values), values, side="left")
    return np.floor(5 * below / len(values))


def _reached(rank: Ints, amount: Floats, share: float) -> float:
    """The share of an amount that the top has."""
    return float(amount[rank < round(share * len(rank))].sum() / amount.sum())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
