"""Everything of tiering as CSV, streamed a part at a time; customers and evidence come as an import takes them."""

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Final, Literal
from uuid import UUID

from cloud.core.csv_text import csv_line, guarded
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.tiering import repository
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.evidence import EPOCH
from cloud.tiering.importing import CUSTOMER_COLUMNS, EVIDENCE_COLUMNS
from cloud.tiering.money import shown
from cloud.tiering.tables import CustomerRow, EvidenceRow, ScoreRow

Exported = Literal["customers", "evidence", "scores", "tiers"]
PART_ROWS: Final = 2_000


async def customers(database: Database, tenant_id: TenantId) -> AsyncIterator[str]:
    """As the import of customers takes them; merged ones are left out."""
    yield csv_line(CUSTOMER_COLUMNS)
    after: str | None = None
    while True:
        async with database.reading() as session:
            rows = await repository.customers(session, tenant_id, after=after, limit=PART_ROWS)
        yield "".join(_customer(row) for row in rows)
        if len(rows) < PART_ROWS:
            return
        after = rows[-1].code


async def evidence(database: Database, tenant_id: TenantId, currency: str) -> AsyncIterator[str]:
    """As the import of evidence takes it, in the company's currency; the last entered first."""
    yield csv_line(EVIDENCE_COLUMNS)
    before: int | None = None
    while True:
        async with database.reading() as session:
            rows = await repository.evidence(session, tenant_id, before=before, limit=PART_ROWS)
            codes = await repository.names(session, {row.customer_id for row in rows})
        yield "".join(_evidence(row, codes[row.customer_id].code, currency) for row in rows)
        if len(rows) < PART_ROWS:
            return
        before = rows[-1].evidence_id


async def scores(database: Database, run_id: UUID, currency: str) -> AsyncIterator[str]:
    """A run's scores by rank, opened by dimension."""
    parts = [f"{what}_{each}" for what in ("value", "confidence", "part") for each in DIMENSIONS]
    head = ("rank", "customer", "name", "tier", "weighted", "topsis", "trust", "revenue", "margin", "currency", "churn")
    yield csv_line((*head, *parts))
    after: int | None = None
    while True:
        async with database.reading() as session:
            rows = await repository.scores(session, run_id, after=after, limit=PART_ROWS)
            known = await repository.names(session, [row.customer_id for row in rows])
        yield "".join(_score(row, known[row.customer_id], currency) for row in rows)
        if len(rows) < PART_ROWS:
            return
        after = rows[-1].rank


async def tiers(database: Database, tenant_id: TenantId, at_ms: int) -> AsyncIterator[str]:
    """The tier of every customer at a moment."""
    yield csv_line(("customer", "name", "tier"))
    async with database.reading() as session:
        found = await repository.tiers_at(session, tenant_id, at_ms)
        known = await repository.names(session, found)
    lines = [(known[each].code, known[each].name, tier) for each, tier in found.items()]
    yield "".join(csv_line([guarded(cell) for cell in line]) for line in sorted(lines))


def _customer(row: CustomerRow) -> str:
    return _line((row.code, row.name, row.sector, row.linked_tenant_id or ""))


def _evidence(row: EvidenceRow, code: str, currency: str) -> str:
    day = date.fromordinal(row.day + EPOCH).isoformat()
    money = ("", "") if row.amount_minor is None else (shown(row.amount_minor, currency), currency)
    return _line((code, row.kind, day, *money, _number(row.quantity), row.source))


def _score(row: ScoreRow, customer: CustomerRow, currency: str) -> str:
    opened: list[Callable[[str], float]] = [row.opened[what].get for what in ("scaled", "confidence", "parts")]
    money = (shown(row.revenue_minor, currency), shown(row.margin_minor, currency), currency)
    figures = (f"{row.weighted:.6f}", f"{row.topsis:.6f}", f"{row.trust:.4f}")
    churn = "" if row.churn is None else f"{row.churn:.4f}"
    parts = [_number(of(each)) for of in opened for each in DIMENSIONS]
    start = (str(row.rank), guarded(customer.code), guarded(customer.name), row.tier)
    return csv_line((*start, *figures, *money, churn, *parts))


def _line(cells: tuple[str, ...]) -> str:
    return csv_line([guarded(cell) if not _is_number(cell) else cell for cell in cells])


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
