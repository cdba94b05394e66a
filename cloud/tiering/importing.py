"""Rows of a file as customers or evidence; every bad one is named, and with one bad row nothing is taken. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Generic, TypeVar
from uuid import UUID

from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.tiering.evidence import Kind, day_number, fault_of
from cloud.tiering.money import Amount, MoneyError, amount_of
from cloud.tiering.sheets import Row

CUSTOMER_COLUMNS: Final = ("customer", "name", "sector", "tenant")
CUSTOMER_REQUIRED: Final = ("customer", "name")
EVIDENCE_COLUMNS: Final = ("customer", "kind", "day", "amount", "currency", "quantity", "source")
EVIDENCE_REQUIRED: Final = ("customer", "kind", "day", "source")
FIRST_ROW: Final = 2
"""The first row under the header, as a spreadsheet counts."""
SOURCE_PLATFORM: Final = "platform"
"""Evidence that the platform has seen itself; a file must not claim it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row of a file."""

    row: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer of a file."""

    code: str
    name: str
    sector: str
    tenant_id: str | None


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """Evidence of a file."""

    customer_id: UUID
    kind: Kind
    day: int
    amount: Amount | None
    quantity: float | None
    source: str

    @property
    def key(self) -> "EvidenceKey":
        """What makes two rows the same."""
        minor = self.amount.minor if self.amount is not None else None
        return self.customer_id, self.kind, self.day, minor, self.quantity, self.source


EvidenceKey = tuple[UUID, str, int, int | None, float | None, str]


T = TypeVar("T")


@dataclass(slots=True)
class Checked(Generic[T]):
    """The good rows and the faults of the others."""

    good: list[T] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class _FaultError(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_customers(rows: Sequence[Row], tenants: frozenset[str]) -> Checked[NewCustomer]:
    """Customers of a file; `tenants` are those that one may be linked to."""
    checked: Checked[NewCustomer] = Checked()
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, FIRST_ROW):
        try:
            customer = _customer(row, tenants)
            if customer.code in seen:
                raise _FaultError("customer", f"{customer.code!r} is in row {seen[customer.code]} already")
            seen[customer.code] = number
            checked.good.append(customer)
        except _FaultError as error:
            checked.faults.append(Fault(number, error.field, str(error)))
    return checked


def check_evidence(
    rows: Sequence[Row], customers: Mapping[str, UUID], today: date, *, currency: str, rates: Mapping[str, str]
) -> Checked[NewEvidence]:
    """Evidence of a file; `customers` are ids by code. Two rows that are the same in everything are a fault."""
    checked: Checked[NewEvidence] = Checked()
    seen: dict[EvidenceKey, int] = {}
    for number, row in enumerate(rows, FIRST_ROW):
        try:
            evidence = _evidence(row, customers, today, currency, rates)
            if evidence.key in seen:
                raise _FaultError("row", f"is the same as row {seen[evidence.key]}; tell them apart by `source`")
            seen[evidence.key] = number
            checked.good.append(evidence)
        except _FaultError as error:
            checked.faults.append(Fault(number, error.field, str(error)))
    return checked


def _customer(row: Row, tenants: frozenset[str]) -> NewCustomer:
    for name in ("customer", "name"):
        if not row[name]:
            raise _FaultError(name, "is missing")
    for name in CUSTOMER_COLUMNS:
        if len(row[name]) > NAME_CHARACTERS_MAX:
            raise _FaultError(name, f"has more than {NAME_CHARACTERS_MAX} characters")
    if row["tenant"] and row["tenant"] not in tenants:
        raise _FaultError("tenant", f"there is no tenant {row['tenant']!r}")
    return NewCustomer(row["customer"], row["name"], row["sector"], row["tenant"] or None)


def _evidence(
    row: Row, customers: Mapping[str, UUID], today: date, currency: str, rates: Mapping[str, str]
) -> NewEvidence:
    customer_id = customers.get(row["customer"])
    if customer_id is None:
        raise _FaultError("customer", f"{row['customer'][:64]!r} is no customer: import customers first")
    if row["kind"] not in set(Kind):
        raise _FaultError("kind", f"{row['kind'][:64]!r} is none; there are {', '.join(Kind)}")
    kind, day, source = Kind(row["kind"]), _day(row["day"]), row["source"]
    if not source or len(source) > NAME_CHARACTERS_MAX:
        raise _FaultError("source", f"must have 1 to {NAME_CHARACTERS_MAX} characters")
    if source.partition(".")[0] == SOURCE_PLATFORM:
        raise _FaultError("source", f"{SOURCE_PLATFORM!r} is what the platform has seen itself")
    amount = _amount(row, currency, rates)
    quantity = _quantity(row["quantity"])
    fault = fault_of(kind, day, amount.minor if amount else None, quantity, today)
    if fault:
        name, _, message = fault.partition(": ")
        raise _FaultError(name, message)
    return NewEvidence(customer_id, kind, day_number(day), amount, quantity, source)


def _amount(row: Row, currency: str, rates: Mapping[str, str]) -> Amount | None:
    if not row["amount"]:
        return None
    try:
        return amount_of(row["amount"], row["currency"], own=currency, rates=rates)
    except MoneyError as error:
        name, _, message = str(error).partition(": ")
        raise _FaultError(name, message) from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _FaultError("day", f"{text[:32]!r} is no day of the form 2026-01-31") from error


def _quantity(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text.replace(",", ""))
    except ValueError as error:
        raise _FaultError("quantity", f"{text[:32]!r} is no number") from error
