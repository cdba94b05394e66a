"""What pages and API show of serving: customers by margin, the board of sold options, what one customer may buy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from anyio import to_thread

from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import DAY_MS, Tier
from cloud.serving import repository
from cloud.serving.catalogue import as_sold, options_of, rules_of
from cloud.serving.margins import Margin, is_low, margins
from cloud.serving.options import Option, can_buy
from cloud.serving.rules import ServingRules
from cloud.serving.sales_desk import held_by
from cloud.serving.tables import BookingRow, SoldRow, SoldStepRow
from cloud.tiering import book
from cloud.tiering import repository as tiering
from cloud.tiering.packs import table_of, table_of_one
from cloud.tiering.runs import policy_of
from cloud.tiering.tables import CustomerRow

SOLD_SHOWN = 100


@dataclass(frozen=True, slots=True)
class MarginLine:
    """A customer in the list by margin; `since_ms` says since when it is too low, where it is watched."""

    customer: CustomerRow
    margin: Margin
    is_low: bool
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class MarginList:
    """Customers by margin, the lowest share first."""

    lines: list[MarginLine]
    rules: ServingRules
    currency: str


@dataclass(frozen=True, slots=True)
class Board:
    """Sold options with the customers and the versions that they are of."""

    rows: Sequence[SoldRow]
    options: Mapping[tuple[str, int], Option]
    customers: Mapping[UUID, CustomerRow]
    steps: Mapping[UUID, Sequence[SoldStepRow]]


@dataclass(frozen=True, slots=True)
class Shop:
    """A customer with what it has bought and what it may buy."""

    customer: CustomerRow
    board: Board
    choices: list[Option]
    margin: Margin | None
    currency: str
    hour_cost_minor: int


async def by_margin(database: Database, tenant_id: TenantId, now_ms: int, *, tier: Tier | None = None) -> MarginList:
    """Everybody of whom money is known, or those of a tier."""
    async with database.reading() as session:
        customers = await tiering.customers(session, tenant_id, tier=tier, limit=tiering.CUSTOMERS_MAX)
        table = await table_of(session, tenant_id, [row.customer_id for row in customers])
        low = await repository.low_margins(session, tenant_id)
        _, rules = await rules_of(session, tenant_id)
        _, policy = await policy_of(session, tenant_id)
    found = await to_thread.run_sync(margins, table, now_ms // DAY_MS)
    lines = [
        MarginLine(
            row,
            found[row.customer_id],
            is_low(found[row.customer_id], rules, was_low=row.customer_id in low),
            low.get(row.customer_id),
        )
        for row in customers
        if row.customer_id in found
    ]
    lines.sort(key=lambda line: (_share(line.margin), line.customer.code))
    return MarginList(lines, rules, policy.currency)


async def board(
    database: Database, tenant_id: TenantId, *, state: str | None, before: UUID | None = None, limit: int
) -> Board:
    """Sold options in a state, or all that are not over, the newest first."""
    async with database.reading() as session:
        rows = await repository.board(session, tenant_id, state=state, before=before, limit=limit)
        sold = await as_sold(session, tenant_id, [(row.code, row.version) for row in rows])
        customers = await tiering.names(session, {row.customer_id for row in rows})
        steps = await repository.steps(session, [row.sold_id for row in rows])
    return Board(rows, sold, customers, steps)


async def shop(database: Database, tenant_id: TenantId, customer_id: UUID, now_ms: int) -> Shop:
    """What a customer has bought, the newest first, and what it may buy.

    Raises:
        NotFoundError: the company has no such customer.
    """
    async with database.reading() as session:
        customer = await book.customer(session, tenant_id, customer_id)
        rows = await repository.sold_of(session, tenant_id, customer_id, limit=SOLD_SHOWN)
        sold = await as_sold(session, tenant_id, [(row.code, row.version) for row in rows])
        steps = await repository.steps(session, [row.sold_id for row in rows])
        held = await held_by(session, customer, now_ms)
        counts = await repository.counts_of(session, tenant_id, customer_id)
        known = [option for _, option in (await options_of(session, tenant_id)).values()]
        evidence = await table_of_one(session, tenant_id, customer_id)
        _, rules = await rules_of(session, tenant_id)
        _, policy = await policy_of(session, tenant_id)
    choices = can_buy(known, Tier(customer.served_as), held, counts, now_ms // DAY_MS)
    margin = margins(evidence, now_ms // DAY_MS).get(customer_id)
    shown = Board(rows, sold, {customer_id: customer}, steps)
    return Shop(customer, shown, choices, margin, policy.currency, rules.hour_cost_minor)


async def bookings(database: Database, sold_id: UUID) -> Sequence[BookingRow]:
    """Hours booked on a sold option, the last first."""
    async with database.reading() as session:
        return await repository.bookings(session, sold_id)


def _share(margin: Margin) -> float:
    """Cost without revenue is the lowest of all."""
    return margin.share if margin.share is not None else float("-inf")
