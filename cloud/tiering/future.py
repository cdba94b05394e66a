"""What each customer will be billed in a year. Pure."""

from typing import Final

import numpy as np

from cloud.tiering.evidence import EvidenceTable, Floats, Ints, Kind
from cloud.tiering.pareto import ParetoNbd, fit_pareto_nbd
from cloud.tiering.purchases import FitError, History, fit_gamma_gamma, histories

FITTED_MAX: Final = 5_000
YEAR_WEEKS: Final = 52.0


def billed_in_a_year(table: EvidenceTable, today: int) -> tuple[list[int] | None, str]:
    """In minor units, by Pareto/NBD and Gamma-Gamma over its invoices; or why nothing can be said."""
    rows = table.rows_of(Kind.INVOICE)
    if rows.start == rows.stop:
        return None, "no invoices"
    first = int(table.day[rows].min())
    weeks = (table.day[rows] - first) / 7
    history = histories(table.customer[rows], weeks, table.amount[rows], len(table.ids), (today - first) / 7)
    some = _some(history, np.arange(0, len(table.ids), max(1, len(table.ids) // FITTED_MAX)))
    try:
        counts, spend = fit_pareto_nbd(some), fit_gamma_gamma(some)
        with np.errstate(all="ignore"):
            told = _by_history(counts, history) * spend.expected(history)
    except FitError as error:
        return None, str(error)
    if not np.isfinite(told).all():
        return None, "the purchase model gives no finite figures"
    return [round(float(each)) for each in told], ""


def _by_history(counts: ParetoNbd, history: History) -> Floats:
    """What each is expected to buy; the many that have the same history are asked for once."""
    sides = (history.frequency, history.recency, history.age)
    order = np.lexsort(sides)
    begins = np.ones(len(order), bool)
    begins[1:] = np.any([side[order][1:] != side[order][:-1] for side in sides], axis=0)
    expected = np.empty(len(order))
    expected[order] = counts.expected(_some(history, order[begins]), YEAR_WEEKS)[np.cumsum(begins) - 1]
    return expected


def _some(history: History, at: Ints) -> History:
    return History(history.frequency[at], history.recency[at], history.age[at], history.spend[at])
