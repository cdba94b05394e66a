"""Evidence that the platform has seen itself: presses, shots and how whole they came, labels, alarms of a tenant."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from anyio import to_thread
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.tables import AlarmRow
from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.fleet import reading as fleet
from cloud.fleet.tables import PressRow
from cloud.production.tables import HourRow
from cloud.rollouts.tables import LabelRow
from cloud.telemetry.store import TelemetryStore
from cloud.tiering import repository
from cloud.tiering.evidence import Kind
from cloud.tiering.importing import SOURCE_PLATFORM
from cloud.tiering.quality import whole_share
from cloud.tiering.tables import CustomerRow, EvidenceRow

DAY_MS: Final = 86_400_000
BACK_DAYS: Final = 90
"""So far back the first gathering looks: hours of production are kept a little longer."""
ROWS_AT_ONCE: Final = 1_000
Span = tuple[int, int]
"""The days after one up to and including another."""
Figures = Mapping[Kind, Mapping[str, int]]
"""What was counted, by kind and tenant."""
DRAWN_DAYS: Final = 30
"""One gathering makes a row for each so many days at most, so that a long pause does not become one day."""


async def gather(database: Database, store: TelemetryStore, tenant_id: TenantId, today: int, *, now_ms: int) -> int:
    """Write what linked tenants have done since the last gathering, up to the end of yesterday; how many rows.

    What is counted for one tenant is counted for all whose days are the same, in one query.
    """
    async with database.reading() as session:
        customers = await repository.linked(session, tenant_id)
        ids = [customer.customer_id for customer in customers]
        told = await repository.newest_of_source(session, tenant_id, SOURCE_PLATFORM, ids)
        plants = {
            customer.customer_id: await fleet.plant_ids(session, TenantId(customer.linked_tenant_id or ""))
            for customer in customers
        }
        spans: dict[Span, list[CustomerRow]] = {}
        for customer in customers:
            for span in _spans(told.get(customer.customer_id, today - 1 - BACK_DAYS), today):
                spans.setdefault(span, []).append(customer)
        figures = {span: await _figures(session, *span) for span in spans}
    rows: list[dict[str, Any]] = []
    for span, theirs in spans.items():
        for customer in theirs:
            whole = await _whole(store, plants[customer.customer_id], span, customer, figures[span])
            rows += _rows(customer, span[1], figures[span], whole, now_ms)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        async with database.transaction() as session:
            await repository.insert_rows(session, EvidenceRow, rows[start : start + ROWS_AT_ONCE])
    return len(rows)


async def _whole(
    store: TelemetryStore, plants: frozenset[str], span: Span, customer: CustomerRow, figures: Figures
) -> float | None:
    """The share of shots that came with all they should have; None where there were none."""
    from_ms, until_ms = (span[0] + 1) * DAY_MS, (span[1] + 1) * DAY_MS
    missing = await to_thread.run_sync(partial(store.missing, plants, from_ms=from_ms, until_ms=until_ms))
    lost = sum(each.count for each in missing if each.kind == "shot")
    shots = figures[Kind.USAGE_SHOTS].get(customer.linked_tenant_id or "", 0)
    return whole_share(shots, lost, sum(each.count for each in missing) - lost)


def _spans(newest: int, today: int) -> Iterator[Span]:
    """Days after the first up to and including the second of each, until yesterday."""
    since = max(newest, today - 1 - BACK_DAYS)
    while since < today - 1:
        until = min(since + DRAWN_DAYS, today - 1)
        yield since, until
        since = until


async def _figures(session: AsyncSession, since: int, until: int) -> Figures:
    """Of the days after `since` up to and including `until`, by tenant."""
    from_ms, to_ms = (since + 1) * DAY_MS, (until + 1) * DAY_MS
    return {
        Kind.USAGE_PRESSES: await _count(session, PressRow, PressRow.registered_ms, 0, to_ms),
        Kind.USAGE_SHOTS: await _shots(session, from_ms, to_ms),
        Kind.LABELS: await _count(session, LabelRow, LabelRow.labelled_ms, from_ms, to_ms),
        Kind.ALARMS_RAISED: await _count(session, AlarmRow, AlarmRow.raised_ms, from_ms, to_ms),
        Kind.ALARMS_ACTED: await _count(session, AlarmRow, AlarmRow.acknowledged_ms, from_ms, to_ms),
    }


def _rows(
    customer: CustomerRow, until: int, figures: Figures, whole: float | None, now_ms: int
) -> Iterator[dict[str, Any]]:
    assert customer.linked_tenant_id is not None
    theirs = {kind: float(counts.get(customer.linked_tenant_id, 0)) for kind, counts in figures.items()}
    if whole is not None:
        theirs[Kind.USAGE_QUALITY] = whole
    for kind, figure in theirs.items():
        yield {
            "tenant_id": customer.tenant_id,
            "customer_id": customer.customer_id,
            "kind": kind,
            "day": until,
            "amount_minor": None,
            "told_minor": None,
            "told_currency": "",
            "quantity": figure,
            "source": SOURCE_PLATFORM,
            "import_id": None,
            "merge_id": None,
            "made_ms": now_ms,
        }


async def _count(session: AsyncSession, table: Any, column: Any, from_ms: int, to_ms: int) -> dict[str, int]:
    statement = select(table.tenant_id, func.count()).where(column >= from_ms, column < to_ms)
    return {str(tenant): int(count) for tenant, count in await session.execute(statement.group_by(table.tenant_id))}


async def _shots(session: AsyncSession, from_ms: int, to_ms: int) -> dict[str, int]:
    row = HourRow
    statement = select(row.tenant_id, func.sum(row.shots)).where(row.hour_ms >= from_ms, row.hour_ms < to_ms)
    return {str(tenant): int(shots) for tenant, shots in await session.execute(statement.group_by(row.tenant_id))}
