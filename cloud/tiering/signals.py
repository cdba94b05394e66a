"""The figures that start playbooks, by customer, from evidence. Pure, vectorised; NaN where a figure is not known."""

from typing import Final

import numpy as np

from cloud.tiering.dimensions import MONTH_DAYS, margin_of, revenue_of
from cloud.tiering.evidence import EvidenceTable, Floats, Indices, Ints, Kind
from cloud.tiering.sums import NEVER, Window, newest_day, total

ACTIVE_DAYS: Final = 30


def contract_ends(table: EvidenceTable) -> Ints:
    """The day on which the last contract of a customer runs out; NEVER where none is known."""
    rows = table.rows_of(Kind.CONTRACT)
    ends = np.full(len(table.ids), NEVER, np.int64)
    term = np.round(table.quantity[rows] * MONTH_DAYS).astype(np.int64)
    np.maximum.at(ends, table.customer[rows], table.day[rows] + term)
    return ends


def renewal_days(table: EvidenceTable, today: int) -> Floats:
    """Days until the last contract ends; NaN where none is known, or it has ended."""
    left = (contract_ends(table) - today).astype(np.float64)
    return np.where(left < 0, np.nan, left)


def unlabelled_days(table: EvidenceTable, today: int) -> Floats:
    """Days since a customer that delivers shots gave its last label; since its first shots when it gave none."""
    rows = table.rows_of(Kind.USAGE_SHOTS)
    first = np.full(len(table.ids), today, np.int64)
    np.minimum.at(first, table.customer[rows], table.day[rows])
    labelled = newest_day(table, (Kind.LABELS,))
    delivers = total(table, (Kind.USAGE_SHOTS,), "quantity", Window(today - ACTIVE_DAYS, today)) > 0
    since = np.where(labelled == NEVER, first, labelled)
    return np.where(delivers, (today - since).astype(np.float64), np.nan)


def unpaid_days(table: EvidenceTable, today: int) -> Floats:
    """The age of the oldest invoice that payments do not cover, the oldest being paid first; NaN where all are.

    Of a customer of whom no payment was ever told nothing is known: its payments are not imported.
    """
    paid = total(table, (Kind.PAYMENT,), "amount", Window(NEVER, today))
    rows = table.rows_of(Kind.INVOICE)
    order = np.lexsort((table.day[rows], table.customer[rows]))
    customer, day = table.customer[rows][order], table.day[rows][order]
    billed = _running(customer, table.amount[rows][order])
    open_rows = (billed > paid[customer] + 0.5) & (paid[customer] > 0)
    oldest = np.full(len(table.ids), today + 1, np.int64)
    np.minimum.at(oldest, customer[open_rows], day[open_rows])
    return np.where(oldest > today, np.nan, (today - oldest).astype(np.float64))


def margin_percent(table: EvidenceTable, today: int) -> Floats:
    """The margin of a year in per cent of its revenue, not below 0; NaN where there was no revenue."""
    revenue, margin = revenue_of(table, today), margin_of(table, today)
    share = np.divide(100.0 * margin, revenue, out=np.full(len(revenue), np.nan), where=revenue > 0)
    return np.asarray(np.maximum(share, 0.0), np.float64)


def _running(customer: Indices, amount: Floats) -> Floats:
    """Sums that begin anew with each customer; rows stand together by customer."""
    if not len(amount):
        return amount
    sums = np.cumsum(amount)
    starts = np.flatnonzero(np.concatenate(([True], customer[1:] != customer[:-1])))
    before = sums[starts] - amount[starts]
    lengths = np.diff(np.append(starts, len(amount)))
    return np.asarray(sums - np.repeat(before, lengths), np.float64)
