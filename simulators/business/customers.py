"""Who the customers are and what each is really worth, drawn from a seed.

Five hidden traits, standard normal and loosely correlated, say everything: size, data, renown, loyalty, growth. The
worth of a customer is money, what it will bring over HORIZON months after the last month seen: its margin, what its
data save us, the customers that it brings, all by the expectations that the traits give and never by what was drawn.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRAITS: Final = ("size", "data", "renown", "loyalty", "growth")
CORRELATION: Final = np.array(
    [
        [1.0, 0.3, 0.3, 0.1, 0.0],
        [0.3, 1.0, 0.2, 0.2, 0.1],
        [0.3, 0.2, 1.0, 0.2, 0.1],
        [0.1, 0.2, 0.2, 1.0, 0.1],
        [0.0, 0.1, 0.1, 0.1, 1.0],
    ]
)
SECTORS: Final = ("automotive", "packaging", "medical", "electronics", "household", "construction")
OLD_SHARE: Final = 0.55
"""So many were customers before the first month."""
PRICE: Final = 60_000.0
"""Of a press and month, in minor units."""
DISCOUNT: Final = 0.1
HOUR: Final = 35_000.0
"""What an hour of our people costs us."""
TICKET: Final = 12_000.0
COMPUTE: Final = 4_000.0
"""Of a press and month."""
SHOTS: Final = 25_000.0
"""Of a press and month."""
SHOTS_WORTH: Final = 400.0
"""What a thousand good, labelled shots save us in model making."""
LEAD_WORTH: Final = 8_000_000.0
HORIZON: Final = 36
DISCOUNT_MONTH: Final = 0.008


@dataclass(frozen=True, slots=True)
class Customers:
    """Traits and what follows from them, one entry a customer; `joined` is the month of the first contract."""

    ids: tuple[str, ...]
    traits: Floats
    presses: Floats
    joined: Ints
    sector: Ints
    looked_at: Floats
    price: Floats

    def trait(self, name: str) -> Floats:
        """One trait of all."""
        values: Floats = self.traits[:, TRAITS.index(name)]
        return values

    def presses_at(self, month: Any) -> Floats:
        """Presses connected: a quarter more or less a year for each deviation of growth."""
        years = np.clip(month - self.joined, 0, None) / 12
        grown: Floats = self.presses * np.exp(0.25 * self.trait("growth") * np.minimum(years, 5.0))
        return np.maximum(1.0, np.round(grown))

    def lapse_chance(self) -> Floats:
        """Of a contract at its end."""
        return logistic(-1.8 - 1.1 * self.trait("loyalty") - 0.3 * self.trait("growth"))

    def hours_rate(self, presses: Floats) -> Floats:
        """Hours of our people in a month."""
        return (1 + 0.25 * presses) * np.exp(-0.2 * self.trait("loyalty"))

    def tickets_rate(self, presses: Floats) -> Floats:
        """Tickets in a month."""
        return 0.1 * presses * np.exp(-0.3 * self.trait("loyalty"))

    def shots_rate(self, presses: Floats) -> Floats:
        """Shots in a month."""
        return SHOTS * presses * np.exp(0.3 * self.trait("data"))

    def quality(self) -> Floats:
        """Share of shots with all their signals."""
        return logistic(1 + self.trait("data"))

    def labels_rate(self, presses: Floats) -> Floats:
        """Labels given back in a month."""
        return 2 * np.exp(self.trait("data")) * np.sqrt(presses)

    def reference_rate(self) -> Floats:
        """References of each kind in a month."""
        return 0.01 * np.exp(1.1 * self.trait("renown")) * self.looked_at


def logistic(values: Floats) -> Floats:
    """Numbers as probabilities."""
    out: Floats = 1 / (1 + np.exp(-values))
    return out


def draw(chance: np.random.Generator, count: int, months: int) -> Customers:
    """Customers as a seed has them; the new ones join before the last half year."""
    traits = chance.standard_normal((count, len(TRAITS))) @ np.linalg.cholesky(CORRELATION).T
    presses = np.maximum(1.0, np.round(np.exp(1.6 + 0.9 * traits[:, 0])))
    is_old = chance.random(count) < OLD_SHARE
    before = -np.ceil(chance.exponential(24, count)).astype(np.int64)
    joined = np.where(is_old, np.maximum(before, -120), chance.integers(0, max(1, months - 6), count))
    price = PRICE * presses**-DISCOUNT * np.exp(0.1 * chance.standard_normal(count))
    ids = tuple(f"customer-{number:05d}" for number in range(1, count + 1))
    sector = chance.integers(0, len(SECTORS), count)
    looked_at: Floats = np.clip(1 + 0.25 * traits[:, 2] + 0.1 * chance.standard_normal(count), 0.2, 1.8)
    return Customers(ids, traits, presses, joined.astype(np.int64), sector, np.round(looked_at, 2), price)


def worth(customers: Customers, months: int) -> Floats:
    """What each will bring in HORIZON months after month `months`, in minor units, if it is still there then."""
    stays = (1 - customers.lapse_chance()) ** (1 / 12)
    out = np.zeros(len(customers.ids))
    for ahead in range(1, HORIZON + 1):
        presses = customers.presses_at(months + ahead)
        out += (stays / (1 + DISCOUNT_MONTH)) ** ahead * (
            margin(customers, presses) + data_worth(customers, presses) + customers.reference_rate() * LEAD_WORTH
        )
    return out


def margin(customers: Customers, presses: Floats) -> Floats:
    """Of a month, as expected."""
    cost = HOUR * customers.hours_rate(presses) + TICKET * customers.tickets_rate(presses) + COMPUTE * presses
    out: Floats = presses * customers.price - cost
    return out


def data_worth(customers: Customers, presses: Floats) -> Floats:
    """Of a month's shots: those with all their signals, up to twice as much where labels come back."""
    labelled = 1 + np.minimum(1.0, customers.labels_rate(presses) / 10)
    out: Floats = SHOTS_WORTH * customers.shots_rate(presses) / 1_000 * customers.quality() * labelled
    return out
