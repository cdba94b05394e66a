"""Evidence that the platform has seen itself: presses, shots and how whole they came, labels, alarms of a tenant."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

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
DRAWN_DAYS: Final = 30
"""One gathering makes a row for each so many days at most, so that a long pause does not become one day."""


Lacking = Mapping[tuple[UUID, int], tuple[int, int]]
"""Shots lost and shots without curves, by customer and the last day of a time."""


async def gather(session: AsyncSession, tenant_id: TenantId, today: int, lacking: Lacking, *, now_ms: int) -> int:
    """Write what linked tenants have done since the last gathering, up to the end of yesterday; how many rows.

    `lacking` is what `look_for_gaps` has found; a time that it does not have gets no row of quality.
    """
    rows: list[dict[str, Any]] = []
    for customer, since, until in await _times(session, tenant_id, today):
        rows += await _rows(session, customer, since, until, lacking.get((customer.customer_id, until)), now_ms)
    await repository.insert_rows(session, EvidenceRow, rows)
    return len(rows)


async def look_for_gaps(database: Database, store: TelemetryStore, tenant_id: TenantId, today: int) -> Lacking:
    """What is missing of linked tenants' data in the times that a gathering is about to write; in no transaction."""
    async with database.reading() as session:
        times = await _times(session, tenant_id, today)
        plants = {
            customer.customer_id: await fleet.plant_ids(session, TenantId(customer.linked_tenant_id or ""))
            for customer, _, _ in times
        }
    found = {}
    for customer, since, until in times:
        of, from_ms, until_ms = plants[customer.customer_id], (since + 1) * DAY_MS, (until + 1) * DAY_MS
        missing = await to_thread.run_sync(partial(store.missing, of, from_ms=from_ms, until_ms=until_ms))
        lost = sum(each.count for each in missing if each.kind == "shot")
        found[customer.customer_id, until] = lost, sum(each.count for each in missing) - lost
    return found


async def _times(session: AsyncSession, tenant_id: TenantId, today: int) -> list[tuple[CustomerRow, int, int]]:
    """Of each linked tenant the days after one and up to another that were not gathered yet."""
    told = await repository.newest_of_source(session, tenant_id, SOURCE_PLATFORM)
    found = []
    for customer in await repository.linked(session, tenant_id):
        since = max(told.get(customer.customer_id, today - 1 - BACK_DAYS), today - 1 - BACK_DAYS)
        while since < today - 1:
            until = min(since + DRAWN_DAYS, today - 1)
            found.append((customer, since, until))
            since = until
    return found


async def _rows(
    session: AsyncSession, customer: CustomerRow, since: int, until: int, lacking: tuple[int, int] | None, now_ms: int
) -> Sequence[dict[str, Any]]:
    """Of the days after `since` up to and including `until`."""
    assert customer.linked_tenant_id is not None
    theirs, from_ms, to_ms = customer.linked_tenant_id, (since + 1) * DAY_MS, (until + 1) * DAY_MS
    figures: dict[Kind, float] = {
        Kind.USAGE_PRESSES: await _count(session, PressRow, theirs, PressRow.registered_ms, 0, to_ms),
        Kind.USAGE_SHOTS: await _shots(session, theirs, from_ms, to_ms),
        Kind.LABELS: await _count(session, LabelRow, theirs, LabelRow.labelled_ms, from_ms, to_ms),
        Kind.ALARMS_RAISED: await _count(session, AlarmRow, theirs, AlarmRow.raised_ms, from_ms, to_ms),
        Kind.ALARMS_ACTED: await _count(session, AlarmRow, theirs, AlarmRow.acknowledged_ms, from_ms, to_ms),
    }
    whole = whole_share(int(figures[Kind.USAGE_SHOTS]), *lacking) if lacking is not None else None
    if whole is not None:
        figures[Kind.USAGE_QUALITY] = whole
    return [
        {
            "tenant_id": customer.tenant_id,
            "customer_id": customer.customer_id,
            "kind": kind,
            "day": until,
            "amount_minor": None,
            "told_minor": None,
            "told_currency": "",
            "quantity": float(figure),
            "source": SOURCE_PLATFORM,
            "import_id": None,
            "merge_id": None,
            "made_ms": now_ms,
        }
        for kind, figure in figures.items()
    ]


async def _count(session: AsyncSession, table: Any, tenant: str, column: Any, from_ms: int, to_ms: int) -> int:
    statement = select(func.count()).select_from(table)
    return await session.scalar(statement.where(table.tenant_id == tenant, column >= from_ms, column < to_ms)) or 0


async def _shots(session: AsyncSession, tenant: str, from_ms: int, to_ms: int) -> int:
    statement = select(func.sum(HourRow.shots)).where(
        HourRow.tenant_id == tenant, HourRow.hour_ms >= from_ms, HourRow.hour_ms < to_ms
    )
    return int(await session.scalar(statement) or 0)
