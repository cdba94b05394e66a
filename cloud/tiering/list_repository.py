"""The SQL of the list of customers: which match, in which order, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.tiering.tables import CustomerRow, ScoreRow

Order = Literal["rank", "churn", "revenue", "margin", "name"]
PAGE_ROWS: Final = 50
_Rows = TypeVar("_Rows", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Customers whose name or code contains `search`, of one tier or of all; `page` counts from 1."""

    search: str = ""
    tier: str = ""
    order: Order = "rank"
    page: int = 1


async def listed(
    session: AsyncSession, tenant_id: TenantId, run_id: UUID | None, wanted: Wanted
) -> Sequence[Row[*tuple[Any, ...]]]:
    """A page of customers with their scores in a run; who has none comes last, whatever the order."""
    who, score = CustomerRow, ScoreRow
    orders: dict[Order, Any] = {
        "rank": score.rank.asc(),
        "churn": score.churn.desc(),
        "revenue": score.revenue_minor.desc(),
        "margin": score.margin_minor.asc(),
        "name": who.name.asc(),
    }
    of_run = and_(score.customer_id == who.customer_id, score.run_id == run_id)
    columns = (score.rank, score.weighted, score.trust, score.revenue_minor, score.margin_minor, score.churn)
    statement = select(who.customer_id, who.code, who.name, who.sector, who.served_as, *columns).outerjoin(
        score, of_run
    )
    ordered = _matching(statement, tenant_id, wanted).order_by(orders[wanted.order].nulls_last(), who.code)
    return (await session.execute(ordered.limit(PAGE_ROWS).offset((wanted.page - 1) * PAGE_ROWS))).all()


async def count(session: AsyncSession, tenant_id: TenantId, wanted: Wanted) -> int:
    """How many match, on all pages."""
    statement = select(func.count()).select_from(CustomerRow)
    return (await session.scalar(_matching(statement, tenant_id, wanted))) or 0


def _matching(statement: _Rows, tenant_id: TenantId, wanted: Wanted) -> _Rows:
    row = CustomerRow
    statement = statement.where(row.tenant_id == tenant_id, row.merged_into.is_(None))
    if wanted.search:
        names = (row.name, row.code)
        statement = statement.where(or_(*(name.icontains(wanted.search, autoescape=True) for name in names)))
    if wanted.tier:
        statement = statement.where(row.served_as == wanted.tier)
    return statement
