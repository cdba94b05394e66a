"""The business on disk: evidence as the cloud imports it, a file a month, and the truth in a file of its own."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from simulators.business.customers import SECTORS, TRAITS, Customers, Floats, draw, worth
from simulators.business.months import Lives, Rows, lives, month_rows

CUSTOMERS_MAX: Final = 200_000
MONTHS_MAX: Final = 120
CURRENCY: Final = "CNY"
FIRST: Final = date(2024, 1, 1)
"""Where evidence begins unless told: the same files on any day."""
SOURCE: Final = "simulated"
EVIDENCE_COLUMNS: Final = ("customer", "kind", "day", "amount", "currency", "quantity", "source")


@dataclass(frozen=True, slots=True)
class Business:
    """A drawn business; `rows` must be read in order, once, since it draws as it goes."""

    customers: Customers
    lived: Lives
    months: int
    chance: np.random.Generator

    @property
    def worth(self) -> Floats:
        """What each customer is worth after the last month; nothing of those that are gone."""
        return np.where(self.lived.ends > self.months, worth(self.customers, self.months), 0.0)

    def rows(self) -> Iterator[Rows]:
        """All evidence, month by month."""
        for month in range(self.months):
            yield from month_rows(self.customers, self.lived, self.chance, month)


def business(count: int, months: int, seed: int) -> Business:
    """Draw one."""
    chance = np.random.default_rng(seed)
    customers = draw(chance, count, months)
    return Business(customers, lives(customers, chance, months), months, chance)


def day_of(month: int, day: int, first: date = FIRST) -> date:
    """A day of a month counted from that of `first`."""
    count = first.year * 12 + first.month - 1 + month
    return date(count // 12, count % 12 + 1, day)


def write(drawn: Business, folder: Path, *, first: date = FIRST) -> dict[str, int]:
    """Write customers.csv, evidence-YYYYMM.csv for each month, and truth.csv; counts of rows by file family.

    Raises:
        FileExistsError: the folder has a business already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "customers.csv").exists():
        raise FileExistsError(f"{folder} holds a business already")
    counts = {"customers": _write(folder / "customers.csv", ("customer", "name", "sector"), _customers(drawn))}
    counts["evidence"] = 0
    for month in range(drawn.months):
        rows = month_rows(drawn.customers, drawn.lived, drawn.chance, month)
        path = folder / f"evidence-{day_of(month, 1, first):%Y%m}.csv"
        counts["evidence"] += _write(path, EVIDENCE_COLUMNS, _evidence(drawn.customers, rows, first))
    header = ("customer", "worth", "is_there", *TRAITS)
    counts["truth"] = _write(folder / "truth.csv", header, _truth(drawn))
    return counts


def _customers(drawn: Business) -> Iterator[tuple[object, ...]]:
    for number, (customer, sector) in enumerate(zip(drawn.customers.ids, drawn.customers.sector, strict=True), 1):
        yield customer, f"Customer {number}", SECTORS[sector]


def _evidence(customers: Customers, months: Iterator[Rows], first: date) -> Iterator[tuple[object, ...]]:
    for rows in months:
        day = day_of(rows.month, rows.day, first).isoformat()
        for who, amount, quantity in zip(rows.customer, rows.amount, rows.quantity, strict=True):
            money = (f"{amount / 100:.2f}", CURRENCY) if amount >= 0 else ("", "")
            yield customers.ids[who], rows.kind, day, *money, f"{quantity:.10g}", SOURCE


def _truth(drawn: Business) -> Iterator[tuple[object, ...]]:
    for at, customer in enumerate(drawn.customers.ids):
        is_there = int(drawn.lived.ends[at] > drawn.months)
        yield (
            customer,
            f"{drawn.worth[at] / 100:.2f}",
            is_there,
            *(f"{trait:.4f}" for trait in drawn.customers.traits[at]),
        )


def _write(path: Path, header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> int:
    """A file that is there whole or not at all."""
    partial = path.with_suffix(".partial")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in rows:
                writer.writerow(row)
                count += 1
        partial.replace(path)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return count
