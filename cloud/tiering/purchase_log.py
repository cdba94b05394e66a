"""A log of dated purchases, as the public CDNOW file has it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from cloud.tiering.evidence import Floats, Ints, day_number

FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class PurchaseLog:
    """Purchases: whose, how many days after the first of all, for how many minor units."""

    customers: int
    customer: Ints
    day: Ints
    amount: Floats


def read_purchases(path: Path) -> PurchaseLog:
    """Read lines of master id, sample id, day as YYYYMMDD, units and dollars.

    Raises:
        ValueError: a line has not these fields; it names the line.
    """
    who, days, amounts = [], [], []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        fields = line.split()
        if len(fields) != FIELDS:
            raise ValueError(f"line {number}: {FIELDS} fields are expected, there are {len(fields)}")
        _, customer, day, _, dollars = fields
        who.append(customer)
        days.append(day_number(date(int(day[:4]), int(day[4:6]), int(day[6:]))))
        amounts.append(round(float(dollars) * 100))
    names, index = np.unique(np.asarray(who), return_inverse=True)
    at = np.asarray(days, np.int64)
    return PurchaseLog(len(names), index.astype(np.int64), at - at.min(), np.asarray(amounts, np.float64))
