"""How often a customer will buy when it may go at any moment: Pareto/NBD, fitted by maximum likelihood. Pure.

The formulas are those of Schmittlein, Morrison and Colombo (Management Science 33(1), 1987) as Fader and Hardie's "A
Note on Deriving the Pareto/NBD Model and Related Expressions" (2005) gives them. Time is in weeks.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, hyp2f1

from cloud.tiering.evidence import Floats
from cloud.tiering.purchases import CUSTOMERS_MIN, FitError, History, grouped, search


@dataclass(frozen=True, slots=True)
class ParetoNbd:
    """A customer buys at a rate that is gamma over customers (r, alpha) and goes at one that is gamma too (s, beta)."""

    r: float
    alpha: float
    s: float
    beta: float

    def expected(self, history: History, weeks: float) -> Floats:
        """Purchases of each customer in the weeks to come, given its history."""
        later = self.beta + history.age
        rate = (self.r + history.frequency) * later / ((self.alpha + history.age) * (self.s - 1))
        out: Floats = rate * (1 - (later / (later + weeks)) ** (self.s - 1)) * self.alive(history)
        return out

    def alive(self, history: History) -> Floats:
        """The probability that each customer has not gone."""
        here, gone = _parts(history, self.r, self.alpha, self.s, self.beta)
        still: Floats = np.exp(here - np.logaddexp(here, gone))
        return still

    def expected_of_new(self, weeks: Floats) -> Floats:
        """Repeat purchases of a customer of whom nothing is known, in the weeks after its first."""
        rate = self.r * self.beta / (self.alpha * (self.s - 1))
        out: Floats = rate * (1 - (self.beta / (self.beta + weeks)) ** (self.s - 1))
        return out


def fit_pareto_nbd(history: History) -> ParetoNbd:
    """The parameters under which the history is likeliest.

    Raises:
        FitError: too few customers came back, or the search finds no finite maximum.
    """
    if int((history.frequency > 0).sum()) < CUSTOMERS_MIN:
        raise FitError(f"fewer than {CUSTOMERS_MIN} customers have bought again")
    scale = float(np.median(history.age[history.age > 0]))
    scaled = History(history.frequency, history.recency / scale, history.age / scale, history.spend)
    unique, counts = grouped(scaled)
    r, alpha, s, beta = search(lambda logs: -_likelihood(unique, counts, *np.exp(logs)), 4, "Pareto/NBD")
    return ParetoNbd(r, alpha * scale, s, beta * scale)


def _likelihood(history: History, counts: Floats, r: float, alpha: float, s: float, beta: float) -> float:
    here, gone = _parts(history, r, alpha, s, beta)
    first = gammaln(r + history.frequency) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return float((counts * (first + np.logaddexp(here, gone))).sum() / counts.sum())


def _parts(history: History, r: float, alpha: float, s: float, beta: float) -> tuple[Floats, Floats]:
    """The logarithms of what a customer's history weighs when it is alive, and when it has gone since its last."""
    x, age = history.frequency, history.age
    here = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    order = r + s + x
    second, larger = (s + 1, alpha) if alpha >= beta else (r + x, beta)
    apart = abs(alpha - beta)

    def at(time: Floats) -> Floats:
        inside = np.minimum(apart / (larger + time), 1 - 1e-12)
        out: Floats = np.log(hyp2f1(order, second, order + 1, inside)) - order * np.log(larger + time)
        return out

    recent, now = at(history.recency), at(age)
    between = recent + np.log(np.maximum(-np.expm1(np.minimum(now - recent, 0.0)), 1e-300))
    return here, np.log(s / order) + between
