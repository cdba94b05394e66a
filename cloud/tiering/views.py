"""What pages and API show over all customers: economics by tier, and what other weights would change."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import repository, runs
from cloud.tiering.bands import Rules
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.economics import TierMonth, economics, month_starts, tiers_by_month
from cloud.tiering.evidence import Floats, day_number
from cloud.tiering.review import Known, table_of
from cloud.tiering.runs import DAY_MS
from cloud.tiering.scoring import Method
from cloud.tiering.tables import ScoreRow
from cloud.tiering.tiers import BANDS
from cloud.tiering.what_if import WhatIf, what_if

SERVED = (Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL, Tier.PROVISIONAL)


async def tier_economics(database: Database, tenant_id: TenantId, *, now_ms: int, months: int) -> list[TierMonth]:
    """The last months that are over, by tier; the months before a customer's first tier count to that tier."""
    async with database.reading() as session:
        customers = await repository.customers(session, tenant_id, limit=repository.CUSTOMERS_MAX)
        rows = await repository.evidence_columns(session, tenant_id)
        changes = await repository.tier_changes(session, tenant_id)
    known = [Known(row.customer_id, BANDS[row.tier], row.since_day, row.noticed_day) for row in customers]
    served = {str(row.customer_id): row.served_as for row in customers}
    told = [(str(each), int(at_ms), str(tier)) for each, at_ms, tier in changes if str(each) in served]
    return await to_thread.run_sync(_economics, known, rows, told, served, _today(now_ms), months)


def _economics(
    known: Sequence[Known],
    rows: Sequence[Any],
    changes: Sequence[tuple[str, int, str]],
    served: dict[str, str],
    today: date,
    months: int,
) -> list[TierMonth]:
    starts = month_starts(today, months)
    ends_ms = [day_number(end) * DAY_MS for end in starts[1:]]
    by_month = tiers_by_month([str(each.customer_id) for each in known], changes, ends_ms, served)
    return economics(table_of(known, rows), by_month, starts, SERVED)


async def newest_scores(session: AsyncSession, tenant_id: TenantId) -> Sequence[ScoreRow]:
    """All scores of the newest run that is done, by rank."""
    run = await repository.newest_run(session, tenant_id, "done")
    return [] if run is None else await repository.scores(session, run.run_id, limit=repository.CUSTOMERS_MAX)


async def try_weights(
    database: Database, tenant_id: TenantId, weights: Floats, method: Method, quotas: Rules | None
) -> WhatIf:
    """What the last run would have been with other weights, and other quotas where they are given."""
    async with database.reading() as session:
        scores = await newest_scores(session, tenant_id)
        _, policy = await runs.policy_of(session, tenant_id)
    return await to_thread.run_sync(_try, scores, weights, policy.rules, quotas or policy.rules, method)


def _try(scores: Sequence[ScoreRow], weights: Floats, now: Rules, then: Rules, method: Method) -> WhatIf:
    scaled = np.array([[row.opened["scaled"][each] for each in DIMENSIONS] for row in scores], np.float64)
    ids = [str(row.customer_id) for row in scores]
    return what_if(
        ids, scaled.reshape(len(ids), len(DIMENSIONS)), [row.rank for row in scores], now, weights, then, method
    )


def _today(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()
