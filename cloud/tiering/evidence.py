"""What evidence of a customer's worth is: kinds, what each must carry, and rows as columns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]

Floats = NDArray[np.float64]
EPOCH: Final = date(1970, 1, 1).toordinal()
AMOUNT_MINOR_MAX: Final = 10**14
QUANTITY_MAX: Final = 1e12
SELECTED_AT_ONCE: Final = 500_000
FIRST_DAY: Final = date(1990, 1, 1)


class Kind(StrEnum):
    """What a row of evidence tells of."""

    CONTRACT = "contract"
    INVOICE = "invoice"
    PAYMENT = "payment"
    COST_HOURS = "cost.hours"
    COST_TICKETS = "cost.tickets"
    COST_COMPUTE = "cost.compute"
    USAGE_PRESSES = "usage.presses"
    USAGE_SHOTS = "usage.shots"
    USAGE_QUALITY = "usage.quality"
    LABELS = "labels"
    ALARMS_RAISED = "alarms.raised"
    ALARMS_ACTED = "alarms.acted"
    SUPPORT_TICKETS = "support.tickets"
    SUPPORT_COMPLAINTS = "support.complaints"
    CASE_STUDY = "reference.case_study"
    VISIT = "reference.visit"
    TALK = "reference.talk"
    REFERRAL = "reference.referral"
    RENEWED = "renewal.renewed"
    LAPSED = "renewal.lapsed"
    SECTOR = "sector"
    GROWTH_PRESSES = "growth.presses"
    GROWTH_SIGNAL = "growth.signal"


@dataclass(frozen=True, slots=True)
class Carries:
    """What a kind's row carries: money or not, and the range of its quantity."""

    money: bool
    low: float = 0.0
    high: float = QUANTITY_MAX
    meaning: str = ""


CARRIES: Final[dict[Kind, Carries]] = {
    Kind.CONTRACT: Carries(True, 1, 240, "term in months; the amount is the value of a year"),
    Kind.INVOICE: Carries(True, 0, QUANTITY_MAX, "number of items; the amount is what was billed, without tax"),
    Kind.PAYMENT: Carries(True, -3_650, 3_650, "days late, below zero when early; the amount is what was paid"),
    Kind.COST_HOURS: Carries(True, 0, QUANTITY_MAX, "hours of our people; the amount is their cost"),
    Kind.COST_TICKETS: Carries(True, 0, QUANTITY_MAX, "tickets; the amount is their cost"),
    Kind.COST_COMPUTE: Carries(True, 0, QUANTITY_MAX, "computing hours; the amount is their cost"),
    Kind.USAGE_PRESSES: Carries(False, 0, 1e6, "presses connected on the day"),
    Kind.USAGE_SHOTS: Carries(False, 0, QUANTITY_MAX, "shots delivered since the last such row"),
    Kind.USAGE_QUALITY: Carries(False, 0, 1, "share of shots with all their signals"),
    Kind.LABELS: Carries(False, 0, QUANTITY_MAX, "labels given back since the last such row"),
    Kind.ALARMS_RAISED: Carries(False, 0, QUANTITY_MAX, "alarms raised since the last such row"),
    Kind.ALARMS_ACTED: Carries(False, 0, QUANTITY_MAX, "of them, those acted on"),
    Kind.SUPPORT_TICKETS: Carries(False, 0, QUANTITY_MAX, "tickets opened by the customer"),
    Kind.SUPPORT_COMPLAINTS: Carries(False, 0, QUANTITY_MAX, "complaints"),
    Kind.CASE_STUDY: Carries(False, 0, 1e3, "case studies published"),
    Kind.VISIT: Carries(False, 0, 1e3, "visits by others that it received"),
    Kind.TALK: Carries(False, 0, 1e3, "talks given"),
    Kind.REFERRAL: Carries(False, 0, 1e3, "customers that it brought"),
    Kind.RENEWED: Carries(False, 0, 240, "months renewed for"),
    Kind.LAPSED: Carries(False, 0, 1e3, "contracts that were not renewed"),
    Kind.SECTOR: Carries(False, 0, 2, "how much its sector looks at it, 1 being usual"),
    Kind.GROWTH_PRESSES: Carries(False, -1e6, 1e6, "presses planned beyond those connected"),
    Kind.GROWTH_SIGNAL: Carries(False, -10, 10, "a sign of growth, from -10 to 10"),
}
KINDS: Final = tuple(Kind)
CODES: Final = {kind: code for code, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dated, sourced fact; the amount is in minor units of one currency."""

    customer_id: str
    kind: Kind
    day: date
    amount_minor: int | None
    quantity: float | None
    source: str


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - EPOCH


def fault_of(kind: Kind, day: date, amount_minor: int | None, quantity: float | None, today: date) -> str:
    """What is wrong with a row, as `field: what`; empty when nothing is."""
    carries = CARRIES[kind]
    if day > today:
        return f"day: {day} lies in the future"
    if day < FIRST_DAY:
        return f"day: {day} is before {FIRST_DAY}"
    if carries.money:
        if amount_minor is None:
            return f"amount: {kind} needs one"
        if not 0 <= amount_minor <= AMOUNT_MINOR_MAX:
            return (
                f"amount: must be 0 to {AMOUNT_MINOR_MAX} minor units; a credit note lowers the invoice it belongs to"
            )
    elif amount_minor is not None:
        return f"amount: {kind} carries none"
    if quantity is None:
        return "" if carries.money else f"quantity: {kind} needs one ({carries.meaning})"
    if not carries.low <= quantity <= carries.high:
        return f"quantity: must be {carries.low:g} to {carries.high:g} ({carries.meaning})"
    return ""


class EvidenceTable:
    """Rows of many customers as columns, in order of their kinds: what the vectorised formulas read.

    `customer` is the index into `ids`; amounts are minor units of one currency as floats, exact below 2**53; what a
    row does not carry is 0. Rows of a kind keep the order in which they were given. A row takes 25 bytes.
    """

    def __init__(self, ids: Sequence[str], customer: Any, code: Any, day: Any, amount: Any, quantity: Any) -> None:
        codes = np.asarray(code, np.int8)
        in_order = bool((codes[1:] >= codes[:-1]).all())
        order: Any = slice(None) if in_order else np.argsort(codes, kind="stable")
        self.ids = tuple(ids)
        self.customer: Indices = np.asarray(customer, np.int32)[order]
        self.code: NDArray[np.int8] = codes[order]
        self.day: Indices = np.asarray(day, np.int32)[order]
        self.amount: Floats = np.asarray(amount, np.float64)[order]
        self.quantity: Floats = np.asarray(quantity, np.float64)[order]
        self._bounds = np.searchsorted(self.code, np.arange(len(KINDS) + 1, dtype=np.int8))

    @classmethod
    def of(cls, rows: Sequence[Evidence], ids: Sequence[str] = ()) -> "EvidenceTable":
        """From rows; `ids` are the customers that count, all that occur when it is left out."""
        known = tuple(ids) or tuple(sorted({row.customer_id for row in rows}))
        index = {customer: at for at, customer in enumerate(known)}
        kept = [row for row in rows if row.customer_id in index]
        return cls(
            known,
            [index[row.customer_id] for row in kept],
            [CODES[row.kind] for row in kept],
            [day_number(row.day) for row in kept],
            [row.amount_minor or 0 for row in kept],
            [row.quantity or 0.0 for row in kept],
        )

    def __len__(self) -> int:
        return len(self.code)

    def rows_of(self, kind: Kind) -> slice:
        """Where the rows of a kind stand."""
        code = CODES[kind]
        return slice(int(self._bounds[code]), int(self._bounds[code + 1]))

    def until(self, day: int) -> "EvidenceTable":
        """What was known at the end of a day; the table itself where nothing is later."""
        if not len(self) or int(self.day.max()) <= day:
            return self
        return self._only(self.ids, self.customer, self.day <= day)

    def of_customers(self, kept: Sequence[int]) -> "EvidenceTable":
        """The rows of some customers, by their indices in rising order, who become the table's only ones."""
        if len(kept) == len(self.ids):
            return self
        index = np.full(len(self.ids), -1, np.int32)
        index[np.asarray(kept, np.int64)] = np.arange(len(kept), dtype=np.int32)
        at_once = range(0, max(1, len(self)), SELECTED_AT_ONCE)
        customer = np.concatenate([index[self.customer[at : at + SELECTED_AT_ONCE]] for at in at_once])
        return self._only([self.ids[at] for at in kept], customer, customer >= 0)

    def _only(self, ids: Sequence[str], customer: Indices, kept: np.ndarray) -> "EvidenceTable":
        columns: tuple[np.ndarray, ...] = (customer, self.code, self.day, self.amount, self.quantity)
        return EvidenceTable(ids, *(_selected(column, kept) for column in columns))


def _selected(column: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The kept values, a piece at a time: numpy holds up all other threads while it selects."""
    pieces = [slice(at, at + SELECTED_AT_ONCE) for at in range(0, max(1, len(column)), SELECTED_AT_ONCE)]
    return np.concatenate([column[piece][kept[piece]] for piece in pieces])
