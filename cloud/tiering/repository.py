"""All SQL of tiering's customers, evidence, runs and tiers."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, String, bindparam, delete, func, insert, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tables import Base
from cloud.core.tenants import TenantId
from cloud.identity.tables import TenantRow
from cloud.tiering.tables import (
    CustomerRow,
    EvidenceRow,
    ImportRow,
    MergeRow,
    PackRow,
    PolicyRow,
    RunRow,
    ScoreRow,
    TierOverrideRow,
    TierRow,
)

CUSTOMERS_MAX = 200_000
"""Customers of one company."""
IDS_PER_QUERY_MAX = 500
PART_ROWS = 2_000
"""So many rows of a long answer are made at a time: the loop is held up for some tens of milliseconds at most."""
INSERTED_AT_ONCE = 1_000


async def in_parts(session: AsyncSession, statement: Executable) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """The rows of a long answer, PART_ROWS at a time."""
    result = await session.stream(statement, execution_options={"yield_per": PART_ROWS})
    async for rows in result.partitions():
        yield rows


async def customer(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> CustomerRow | None:
    """One customer."""
    row = await session.get(CustomerRow, customer_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def customers(
    session: AsyncSession, tenant_id: TenantId, *, tier: str | None = None, after: str | None = None, limit: int
) -> Sequence[CustomerRow]:
    """Customers by code, without merged ones."""
    statement = select(CustomerRow).where(CustomerRow.tenant_id == tenant_id, CustomerRow.merged_into.is_(None))
    if tier is not None:
        statement = statement.where(CustomerRow.served_as == tier)
    if after is not None:
        statement = statement.where(CustomerRow.code > after)
    return (await session.scalars(statement.order_by(CustomerRow.code).limit(limit))).all()


async def ids_by_code(session: AsyncSession, tenant_id: TenantId) -> dict[str, UUID]:
    """Every code; that of a merged customer leads to the one that has its evidence."""
    row = CustomerRow
    found = await session.execute(
        select(row.code, row.customer_id, row.merged_into).where(row.tenant_id == tenant_id).limit(CUSTOMERS_MAX)
    )
    return {str(code): merged_into or customer_id for code, customer_id, merged_into in found}


async def known_tenants(session: AsyncSession, told: Iterable[str]) -> frozenset[str]:
    """Which of these tenants there are."""
    wanted = sorted(told)
    found: set[str] = set()
    for start in range(0, len(wanted), IDS_PER_QUERY_MAX):
        some = wanted[start : start + IDS_PER_QUERY_MAX]
        found |= set(await session.scalars(select(TenantRow.tenant_id).where(TenantRow.tenant_id.in_(some))))
    return frozenset(found)


async def count_customers(session: AsyncSession, tenant_id: TenantId) -> int:
    """How many there are, merged ones too."""
    statement = select(func.count()).select_from(CustomerRow).where(CustomerRow.tenant_id == tenant_id)
    return await session.scalar(statement) or 0


async def tier_counts(session: AsyncSession, tenant_id: TenantId) -> dict[str, int]:
    """Customers by tier."""
    row = CustomerRow
    statement = select(row.served_as, func.count()).where(row.tenant_id == tenant_id, row.merged_into.is_(None))
    return {str(tier): int(count) for tier, count in await session.execute(statement.group_by(row.served_as))}


async def linked(session: AsyncSession, tenant_id: TenantId) -> Sequence[CustomerRow]:
    """Customers that have a tenant."""
    statement = select(CustomerRow).where(
        CustomerRow.tenant_id == tenant_id,
        CustomerRow.merged_into.is_(None),
        CustomerRow.linked_tenant_id.is_not(None),
    )
    return (await session.scalars(statement.order_by(CustomerRow.code).limit(CUSTOMERS_MAX))).all()


async def evidence_part(
    session: AsyncSession, tenant_id: TenantId, *, after: int, limit: int
) -> Sequence[Sequence[Any]]:
    """Id, customer, kind, day, amount, quantity and merge of evidence in the order of entry.

    Ids of customers and merges are as the database has them: making UUIDs of millions takes longer than reading them.
    The tenant is asked for in a way that no index answers, so that rows come by their own key and need no sorting.
    """
    row = EvidenceRow
    columns = (row.evidence_id, _raw(row.customer_id), row.kind, row.day, row.amount_minor, row.quantity)
    statement = select(*columns, _raw(row.merge_id))
    statement = statement.where(row.evidence_id > after, func.coalesce(row.tenant_id, "") == tenant_id)
    return (await session.execute(statement.order_by(row.evidence_id).limit(limit))).all()


async def gone_by_merge(session: AsyncSession, tenant_id: TenantId) -> dict[Any, Any]:
    """Whose evidence each merge has moved, ids as the database has them."""
    row = MergeRow
    found = await session.execute(select(_raw(row.merge_id), _raw(row.gone_id)).where(row.tenant_id == tenant_id))
    return {each.merge_id: each.gone_id for each in found}


async def merged(session: AsyncSession, tenant_id: TenantId) -> dict[UUID, UUID]:
    """Duplicates, and the customers that have their evidence."""
    row = CustomerRow
    statement = select(row.customer_id, row.merged_into).where(row.tenant_id == tenant_id)
    found = await session.execute(statement.where(row.merged_into.is_not(None)))
    return {customer_id: into for customer_id, into in found if into is not None}


async def last_pack(session: AsyncSession, tenant_id: TenantId) -> PackRow | None:
    """The pack that has the evidence entered last."""
    statement = select(PackRow).where(PackRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(PackRow.number.desc()).limit(1))).first()


async def pack_numbers(session: AsyncSession, tenant_id: TenantId) -> Sequence[int]:
    """The packs there are, in order."""
    statement = select(PackRow.number).where(PackRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(PackRow.number))).all()


async def pack(session: AsyncSession, tenant_id: TenantId, number: int) -> tuple[int, bytes, bytes]:
    """The last id, owners and body of a pack."""
    row = PackRow
    statement = select(row.last_id, row.owners, row.body).where(row.tenant_id == tenant_id, row.number == number)
    last_id, owners, body = (await session.execute(statement)).one()
    return last_id, owners, body


async def forget_packs(session: AsyncSession, tenant_id: TenantId, evidence_id: int) -> None:
    """Have evidence from this row on packed anew: to be called by what changes a row that is there already."""
    await session.execute(delete(PackRow).where(PackRow.tenant_id == tenant_id, PackRow.last_id >= evidence_id))


def _raw(column: Any) -> Any:
    return type_coerce(column, String)


async def customer_states(session: AsyncSession, tenant_id: TenantId) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Id, tier, since which day, noticed which day, served as, and link of all customers that are not merged."""
    row = CustomerRow
    columns = (row.customer_id, row.tier, row.since_day, row.noticed_day, row.served_as, row.linked_tenant_id)
    statement = select(*columns).where(row.tenant_id == tenant_id, row.merged_into.is_(None)).limit(CUSTOMERS_MAX)
    async for rows in in_parts(session, statement.order_by(row.customer_id)):
        yield rows


async def update_states(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what customers have become, many at once; each has its `customer_id` and the same other columns."""
    if rows:
        table: Any = CustomerRow.__table__
        values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "customer_id"}
        statement = update(table).where(table.c.customer_id == bindparam("key")).values(values)
        await session.execute(statement, [{"key": row["customer_id"], **row} for row in rows])


async def evidence_columns_of(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> Sequence[Sequence[Any]]:
    """Kind, day, amount and quantity of all evidence of a customer."""
    row = EvidenceRow
    statement = select(row.kind, row.day, row.amount_minor, row.quantity)
    return (await session.execute(statement.where(row.tenant_id == tenant_id, row.customer_id == customer_id))).all()


async def evidence(
    session: AsyncSession, tenant_id: TenantId, *, customer_id: UUID | None = None, before: int | None, limit: int
) -> Sequence[EvidenceRow]:
    """Evidence, the last entered first."""
    statement = select(EvidenceRow).where(EvidenceRow.tenant_id == tenant_id)
    if customer_id is not None:
        statement = statement.where(EvidenceRow.customer_id == customer_id)
    if before is not None:
        statement = statement.where(EvidenceRow.evidence_id < before)
    return (await session.scalars(statement.order_by(EvidenceRow.evidence_id.desc()).limit(limit))).all()


async def evidence_by_day(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int
) -> Sequence[EvidenceRow]:
    """Evidence of a customer, the newest day first."""
    row = EvidenceRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.day.desc(), row.evidence_id.desc()).limit(limit))).all()


async def keys_between(session: AsyncSession, tenant_id: TenantId, first: int, last: int) -> set[tuple[Any, ...]]:
    """What makes evidence the same, of all that is dated between two days."""
    row = EvidenceRow
    statement = select(row.customer_id, row.kind, row.day, row.amount_minor, row.quantity, row.source)
    found = await session.execute(statement.where(row.tenant_id == tenant_id, row.day >= first, row.day <= last))
    return {tuple(each) for each in found}


async def insert_rows(session: AsyncSession, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Many rows at once, each with a value for every column."""
    columns: Any = table.__table__
    for start in range(0, len(rows), INSERTED_AT_ONCE):
        await session.execute(insert(columns), list(rows[start : start + INSERTED_AT_ONCE]))


async def newest_of_source(
    session: AsyncSession, tenant_id: TenantId, source: str, ids: Sequence[UUID]
) -> dict[UUID, int]:
    """The newest day of evidence of a source, by customer, of these."""
    row, found = EvidenceRow, dict[UUID, int]()
    for start in range(0, len(ids), IDS_PER_QUERY_MAX):
        some = ids[start : start + IDS_PER_QUERY_MAX]
        statement = select(row.customer_id, func.max(row.day)).where(row.tenant_id == tenant_id, row.source == source)
        rows = await session.execute(statement.where(row.customer_id.in_(some)).group_by(row.customer_id))
        found |= {each: int(day) for each, day in rows}
    return found


async def move_evidence(session: AsyncSession, tenant_id: TenantId, from_id: UUID, to_id: UUID, merge_id: UUID) -> int:
    """Give one customer's evidence to another; how many rows."""
    statement = update(EvidenceRow).where(EvidenceRow.tenant_id == tenant_id, EvidenceRow.customer_id == from_id)
    found: Any = await session.execute(statement.values(customer_id=to_id, merge_id=merge_id))
    return int(found.rowcount)


async def give_evidence_back(session: AsyncSession, tenant_id: TenantId, to_id: UUID, merge_id: UUID) -> int:
    """Undo a move of evidence; how many rows."""
    statement = update(EvidenceRow).where(EvidenceRow.tenant_id == tenant_id, EvidenceRow.merge_id == merge_id)
    found: Any = await session.execute(statement.values(customer_id=to_id, merge_id=None))
    return int(found.rowcount)


async def imports(
    session: AsyncSession, tenant_id: TenantId, *, before: UUID | None, limit: int
) -> Sequence[ImportRow]:
    """Imports, the newest first."""
    statement = select(ImportRow).where(ImportRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(ImportRow.import_id < before)
    return (await session.scalars(statement.order_by(ImportRow.import_id.desc()).limit(limit))).all()


async def merge(session: AsyncSession, tenant_id: TenantId, merge_id: UUID) -> MergeRow | None:
    """One merge."""
    row = await session.get(MergeRow, merge_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def merges_into(session: AsyncSession, tenant_id: TenantId, kept_id: UUID) -> Sequence[MergeRow]:
    """Merges into a customer that hold, the newest first."""
    row = MergeRow
    statement = select(row).where(row.tenant_id == tenant_id, row.kept_id == kept_id, row.undone_ms.is_(None))
    return (await session.scalars(statement.order_by(row.merge_id.desc()).limit(IDS_PER_QUERY_MAX))).all()


async def merges(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[MergeRow]:
    """Merges, undone ones too, the newest first."""
    statement = select(MergeRow).where(MergeRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(MergeRow.merge_id.desc()).limit(limit))).all()


async def labels(session: AsyncSession, tenant_id: TenantId) -> list[Sequence[Any]]:
    """Id, code, name and tenant of all customers that are not merged, by code."""
    row, found = CustomerRow, list[Sequence[Any]]()
    statement = select(row.customer_id, row.code, row.name, row.linked_tenant_id)
    statement = statement.where(row.tenant_id == tenant_id, row.merged_into.is_(None)).limit(CUSTOMERS_MAX)
    async for rows in in_parts(session, statement.order_by(row.code)):
        found += rows
    return found


async def newest_policy(session: AsyncSession, tenant_id: TenantId) -> PolicyRow | None:
    """The policy that holds; None while there is only the standard one."""
    statement = select(PolicyRow).where(PolicyRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(PolicyRow.version.desc()).limit(1))).first()


async def policies(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[PolicyRow]:
    """Versions of the policy, the newest first."""
    statement = select(PolicyRow).where(PolicyRow.tenant_id == tenant_id)
    return (await session.scalars(statement.order_by(PolicyRow.version.desc()).limit(limit))).all()


async def run(session: AsyncSession, tenant_id: TenantId, run_id: UUID) -> RunRow | None:
    """One run."""
    row = await session.get(RunRow, run_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def runs(session: AsyncSession, tenant_id: TenantId, *, before: UUID | None, limit: int) -> Sequence[RunRow]:
    """Runs, the newest first."""
    statement = select(RunRow).where(RunRow.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(RunRow.run_id < before)
    return (await session.scalars(statement.order_by(RunRow.run_id.desc()).limit(limit))).all()


async def newest_run(session: AsyncSession, tenant_id: TenantId, state: str) -> RunRow | None:
    """The newest run in a state."""
    statement = select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.state == state)
    return (await session.scalars(statement.order_by(RunRow.run_id.desc()).limit(1))).first()


async def in_state(session: AsyncSession, state: str, *, limit: int) -> Sequence[RunRow]:
    """Runs in a state, the oldest first, whosever they are: for the job."""
    return (
        await session.scalars(select(RunRow).where(RunRow.state == state).order_by(RunRow.run_id).limit(limit))
    ).all()


async def update_run(session: AsyncSession, run_id: UUID, **values: Any) -> None:
    """Write where a run stands."""
    await session.execute(update(RunRow).where(RunRow.run_id == run_id).values(**values))


async def claim_run(session: AsyncSession, run_id: UUID) -> bool:
    """Begin a run that waits; whether it was still waiting."""
    statement = update(RunRow).where(RunRow.run_id == run_id, RunRow.state == "waiting")
    found: Any = await session.execute(statement.values(state="running"))
    return int(found.rowcount) == 1


async def drop_scores(session: AsyncSession, tenant_id: TenantId, run_id: UUID) -> None:
    """Forget the scores of a run that was not done."""
    await session.execute(delete(ScoreRow).where(ScoreRow.tenant_id == tenant_id, ScoreRow.run_id == run_id))


async def drop_score(session: AsyncSession, run_id: UUID, customer_id: UUID) -> None:
    """Forget one score."""
    await session.execute(delete(ScoreRow).where(ScoreRow.run_id == run_id, ScoreRow.customer_id == customer_id))


async def drop_old_scores(session: AsyncSession, tenant_id: TenantId, *, kept: int) -> None:
    """Forget the scores of all but the newest runs; the runs themselves stay."""
    newest = select(RunRow.run_id).where(RunRow.tenant_id == tenant_id, RunRow.state == "done")
    ids = (await session.scalars(newest.order_by(RunRow.run_id.desc()).limit(kept))).all()
    if len(ids) == kept:
        await session.execute(delete(ScoreRow).where(ScoreRow.tenant_id == tenant_id, ScoreRow.run_id < ids[-1]))


async def scores(
    session: AsyncSession, run_id: UUID, *, after: int | None = None, tier: str | None = None, limit: int
) -> Sequence[ScoreRow]:
    """Scores of a run by rank."""
    statement = select(ScoreRow).where(ScoreRow.run_id == run_id)
    if after is not None:
        statement = statement.where(ScoreRow.rank > after)
    if tier is not None:
        statement = statement.where(ScoreRow.tier == tier)
    return (await session.scalars(statement.order_by(ScoreRow.rank).limit(limit))).all()


async def opened_scores(session: AsyncSession, run_id: UUID) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Customer and opened score of a whole run by rank, PART_ROWS at a time."""
    row = ScoreRow
    statement = select(row.customer_id, row.opened).where(row.run_id == run_id).order_by(row.rank)
    async for rows in in_parts(session, statement):
        yield rows


async def score_of(session: AsyncSession, run_id: UUID, customer_id: UUID) -> ScoreRow | None:
    """A customer's score in a run."""
    return await session.get(ScoreRow, (run_id, customer_id))


async def score_history(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int
) -> Sequence[ScoreRow]:
    """A customer's scores, the newest first."""
    row = ScoreRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.run_id.desc()).limit(limit))).all()


async def names(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, CustomerRow]:
    """Customers by id."""
    wanted = list(ids)
    found: dict[UUID, CustomerRow] = {}
    for start in range(0, len(wanted), IDS_PER_QUERY_MAX):
        some = wanted[start : start + IDS_PER_QUERY_MAX]
        rows = await session.scalars(select(CustomerRow).where(CustomerRow.customer_id.in_(some)))
        found |= {row.customer_id: row for row in rows}
    return found


async def tier_history(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int
) -> Sequence[TierRow]:
    """The tiers of a customer, the newest first."""
    row = TierRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.from_ms.desc(), row.entry_id.desc()).limit(limit))).all()


async def tier_changes(session: AsyncSession, tenant_id: TenantId) -> Sequence[Sequence[Any]]:
    """Customer, moment and tier of every change, in order."""
    row, found = TierRow, list[Sequence[Any]]()
    statement = select(row.customer_id, row.from_ms, row.tier).where(row.tenant_id == tenant_id)
    async for rows in in_parts(session, statement.order_by(row.from_ms, row.entry_id)):
        found += rows
    return found


async def tiers_at(session: AsyncSession, tenant_id: TenantId, at_ms: int) -> dict[UUID, str]:
    """The tier of every customer at a moment."""
    row = TierRow
    statement = select(row.customer_id, row.tier).where(row.tenant_id == tenant_id, row.from_ms <= at_ms)
    return {each: str(tier) for each, tier in await session.execute(statement.order_by(row.from_ms, row.entry_id))}


async def movements(session: AsyncSession, tenant_id: TenantId, *, since_ms: int, limit: int) -> Sequence[TierRow]:
    """Changes of tier since a moment, the newest first; first tiers are none."""
    row = TierRow
    statement = select(row).where(row.tenant_id == tenant_id, row.from_ms >= since_ms, row.before != "provisional")
    return (await session.scalars(statement.order_by(row.from_ms.desc(), row.entry_id.desc()).limit(limit))).all()


async def override(session: AsyncSession, tenant_id: TenantId, override_id: UUID) -> TierOverrideRow | None:
    """One override."""
    row = await session.get(TierOverrideRow, override_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def overrides(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> dict[UUID, TierOverrideRow]:
    """The overrides that hold, by customer."""
    row = TierOverrideRow
    statement = select(row).where(row.tenant_id == tenant_id, row.ended_ms.is_(None)).order_by(row.from_ms)
    return {each.customer_id: each for each in await session.scalars(statement.limit(limit))}


async def overrides_of(
    session: AsyncSession, tenant_id: TenantId, customer_id: UUID, *, limit: int
) -> Sequence[TierOverrideRow]:
    """All overrides of a customer, the newest first."""
    row = TierOverrideRow
    statement = select(row).where(row.tenant_id == tenant_id, row.customer_id == customer_id)
    return (await session.scalars(statement.order_by(row.from_ms.desc()).limit(limit))).all()


async def expired(session: AsyncSession, now_ms: int, *, limit: int) -> Sequence[TierOverrideRow]:
    """Overrides whose time is over and that were not ended yet, whosever they are: for the job."""
    row = TierOverrideRow
    statement = select(row).where(row.ended_ms.is_(None), row.expires_ms <= now_ms).order_by(row.expires_ms)
    return (await session.scalars(statement.limit(limit))).all()
