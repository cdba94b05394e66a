"""How often and for how much a customer will buy: BG/NBD and Gamma-Gamma, fitted by maximum likelihood. Pure.

The formulas are those of Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing Science 24(2), 2005,
and of Fader and Hardie's note "The Gamma-Gamma Model of Monetary Value" (2013). Time is in weeks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, gammaln, hyp2f1

from cloud.tiering.evidence import Floats, Indices, Ints
from kit.errors import ZhisanError

CUSTOMERS_MIN: Final = 30
"""Below so many customers with a repeat purchase no model is fitted."""
LOG_PARAMETER_MAX: Final = 12.0
SEARCH_STEPS_MAX: Final = 1_500
LOSS_MAX: Final = 1e30


class FitError(ZhisanError):
    """A purchase model cannot be fitted to this history; the message says why."""


@dataclass(frozen=True, slots=True)
class History:
    """By customer: repeat purchases, weeks from the first to the last, weeks observed since the first, mean spend.

    `spend` is the mean of the repeat purchases in minor units, 0 without one.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    spend: Floats


@dataclass(frozen=True, slots=True)
class BgNbd:
    """While alive a customer buys at a rate that is gamma over customers (r, alpha); after each it may die (a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def expected(self, history: History, weeks: float) -> Floats:
        """Purchases of each customer in the weeks to come, given its history (equation 10 of the paper)."""
        x, age = history.frequency, history.age
        z = weeks / (self.alpha + age + weeks)
        hyper = hyp2f1(self.r + x, self.b + x, self.a + self.b + x - 1, z)
        shrunk = ((self.alpha + age) / (self.alpha + age + weeks)) ** (self.r + x)
        more: Floats = (self.a + self.b + x - 1) / (self.a - 1) * (1 - shrunk * hyper) * self.alive(history)
        return more

    def alive(self, history: History) -> Floats:
        """The probability that each customer has not gone."""
        x = history.frequency
        odds = np.log(self.a / np.maximum(self.b + x - 1, 1e-12)) + (self.r + x) * (
            np.log(self.alpha + history.age) - np.log(self.alpha + history.recency)
        )
        gone = np.where(x > 0, expit(odds), 0.0)
        still: Floats = 1 - gone
        return still

    def expected_of_new(self, weeks: Floats) -> Floats:
        """Repeat purchases of a customer of whom nothing is known, in the weeks after its first (equation 9)."""
        z = weeks / (self.alpha + weeks)
        hyper = hyp2f1(self.r, self.b, self.a + self.b - 1, z)
        out: Floats = (self.a + self.b - 1) / (self.a - 1) * (1 - (self.alpha / (self.alpha + weeks)) ** self.r * hyper)
        return out


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """A customer's mean spend is gamma over customers (q, gamma), each purchase gamma around it (p)."""

    p: float
    q: float
    gamma: float

    def expected(self, history: History) -> Floats:
        """The mean spend of each customer, drawn to the population's as far as its purchases are few."""
        x = history.frequency
        mean = self.gamma * self.p / (self.q - 1)
        weight = self.p * x / (self.p * x + self.q - 1)
        out: Floats = (1 - weight) * mean + weight * history.spend
        return out


def histories(customer: Ints | Indices, week: Floats, amount: Floats, count: int, until: float) -> History:
    """From single purchases up to `until`; those of one day are one. A customer without any has age 0.

    `week` may be a fraction (days / 7).
    """
    kept = week <= until
    order = np.lexsort((week[kept], customer[kept]))
    everyone, always = customer[kept][order], week[kept][order]
    begins = np.ones(len(order), bool)
    begins[1:] = (everyone[1:] != everyone[:-1]) | (always[1:] != always[:-1])
    spent = np.bincount(np.cumsum(begins) - 1, weights=amount[kept][order], minlength=int(begins.sum()))
    who, when = everyone[begins].astype(np.intp), always[begins]
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, who, when)
    np.maximum.at(last, who, when)
    bought = np.bincount(who, minlength=count)
    frequency = np.maximum(bought - 1, 0).astype(np.float64)
    repeat = when > first[who]
    money = np.bincount(who[repeat], weights=spent[repeat], minlength=count)
    known = bought > 0
    spend = np.divide(money, frequency, out=np.zeros(count), where=frequency > 0)
    first, last = np.where(known, first, until), np.where(known, last, until)
    return History(frequency, last - first, until - first, spend)


def fit_bg_nbd(history: History) -> BgNbd:
    """The parameters under which the history is likeliest.

    Raises:
        FitError: too few customers came back, or the search finds no finite maximum.
    """
    if int((history.frequency > 0).sum()) < CUSTOMERS_MIN:
        raise FitError(f"fewer than {CUSTOMERS_MIN} customers have bought again")
    scale = float(np.median(history.age[history.age > 0]))
    scaled = History(history.frequency, history.recency / scale, history.age / scale, history.spend)
    unique, counts = grouped(scaled)
    r, alpha, a, b = search(lambda logs: -_bg_nbd_likelihood(unique, counts, *np.exp(logs)), 4, "BG/NBD")
    return BgNbd(r, alpha * scale, a, b)


def fit_gamma_gamma(history: History) -> GammaGamma:
    """The parameters under which the spending of those who bought again is likeliest.

    Raises:
        FitError: too few customers bought again, or the search finds no finite maximum.
    """
    again = (history.frequency > 0) & (history.spend > 0)
    if int(again.sum()) < CUSTOMERS_MIN:
        raise FitError(f"fewer than {CUSTOMERS_MIN} customers have bought again")
    x, spend = history.frequency[again], history.spend[again]
    scale = float(np.median(spend))
    p, q, gamma = search(lambda logs: -_gamma_gamma_likelihood(x, spend / scale, *np.exp(logs)), 3, "Gamma-Gamma")
    if q <= 1:
        raise FitError("Gamma-Gamma: spending spreads so far that it has no mean")
    return GammaGamma(p, q, gamma * scale)


def grouped(history: History) -> tuple[History, Floats]:
    """Customers with the same history, once."""
    rows = np.column_stack([history.frequency, history.recency, history.age])
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    return History(unique[:, 0], unique[:, 1], unique[:, 2], unique[:, 0]), counts.astype(np.float64)


def _bg_nbd_likelihood(history: History, counts: Floats, r: float, alpha: float, a: float, b: float) -> float:
    x = history.frequency
    first = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    second = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + history.age)
    dead = np.log(a) - np.log(np.maximum(b + x - 1, 1e-12)) - (r + x) * np.log(alpha + history.recency)
    either = np.where(x > 0, np.logaddexp(alive, dead), alive)
    return float((counts * (first + second + either)).sum() / counts.sum())


def _gamma_gamma_likelihood(x: Floats, spend: Floats, p: float, q: float, gamma: float) -> float:
    each = (
        gammaln(p * x + q)
        - gammaln(p * x)
        - gammaln(q)
        + q * np.log(gamma)
        + (p * x - 1) * np.log(spend)
        + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + x * spend)
    )
    return float(each.mean())


def search(loss: Callable[[Floats], float], count: int, what: str) -> Floats:
    """Nelder-Mead over the logarithms of the parameters, from two starts.

    Raises:
        FitError: the best is at the bounds, where the history says nothing.
    """

    def bounded(logs: Floats) -> float:
        if (np.abs(logs) > LOG_PARAMETER_MAX).any():
            return LOSS_MAX
        with np.errstate(all="ignore"):
            value = loss(logs)
        return value if np.isfinite(value) else LOSS_MAX

    options = {"maxiter": SEARCH_STEPS_MAX, "xatol": 1e-6, "fatol": 1e-9}
    found = [minimize(bounded, np.full(count, start), method="Nelder-Mead", options=options) for start in (0.0, -0.5)]
    best = min(found, key=lambda each: float(each.fun))
    if best.fun >= LOSS_MAX or (np.abs(best.x) > LOG_PARAMETER_MAX - 1).any():
        raise FitError(f"{what}: the history does not settle the parameters")
    parameters: Floats = np.exp(best.x)
    return parameters
