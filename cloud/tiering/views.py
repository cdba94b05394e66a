"""What pages and API show over all customers: economics by tier, and what other weights would change."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import bands, packs, playbook_repository, repository, runs
from cloud.tiering.bands import Rules
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.economics import YEAR_MONTHS, TierMonth, economics, month_starts, tiers_by_month
from cloud.tiering.evidence import EvidenceTable, Floats, day_number
from cloud.tiering.policy import Policy
from cloud.tiering.policy_preview import Preview, preview
from cloud.tiering.runs import DAY_MS
from cloud.tiering.scoring import Method
from cloud.tiering.tables import RunRow, ScoreRow
from cloud.tiering.tiers import BANDS
from cloud.tiering.what_if import WhatIf, what_if

SERVED = (Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL, Tier.PROVISIONAL)


async def tier_economics(database: Database, tenant_id: TenantId, *, now_ms: int, months: int) -> list[TierMonth]:
    """The last months that are over, by tier; the months before a customer's first tier count to that tier."""
    async with database.reading() as session:
        customers = await playbook_repository.served(session, tenant_id)
        table = await packs.table_of(session, tenant_id, [row.customer_id for row in customers])
        changes = await repository.tier_changes(session, tenant_id)
    served = {str(row.customer_id): row.served_as for row in customers}
    told = [(str(each), int(at_ms), str(tier)) for each, at_ms, tier in changes if str(each) in served]
    return await to_thread.run_sync(_economics, table, told, served, _today(now_ms), months)


def _economics(
    table: EvidenceTable,
    changes: Sequence[tuple[str, int, str]],
    served: dict[str, str],
    today: date,
    months: int,
) -> list[TierMonth]:
    starts = month_starts(today, months + YEAR_MONTHS)
    ends_ms = [day_number(end) * DAY_MS for end in starts[1:]]
    by_month = tiers_by_month(table.ids, changes, ends_ms, served)
    first_ms = changes[0][1] if changes else None
    known = [
        None if first_ms is None or end_ms <= first_ms else tiers
        for end_ms, tiers in zip(ends_ms, by_month, strict=True)
    ]
    return economics(table, by_month[YEAR_MONTHS:], known[:months], starts[YEAR_MONTHS:], SERVED)


async def best_scores(session: AsyncSession, run: RunRow | None, *, limit: int) -> Sequence[ScoreRow]:
    """The best scores of a run, by rank."""
    return [] if run is None else await repository.scores(session, run.run_id, limit=limit)


async def all_scaled(session: AsyncSession, run: RunRow | None) -> tuple[list[str], Floats]:
    """All customers of a run by rank, and the values that their scores are made of."""
    ids: list[str] = []
    values: list[list[float]] = []
    if run is not None:
        async for rows in repository.opened_scores(session, run.run_id):
            ids += [str(customer_id) for customer_id, _ in rows]
            values += [[opened["scaled"][each] for each in DIMENSIONS] for _, opened in rows]
    return ids, np.array(values, np.float64).reshape(len(ids), len(DIMENSIONS))


async def try_weights(
    database: Database, tenant_id: TenantId, weights: Floats, method: Method, quotas: Rules | None
) -> WhatIf:
    """What the last run would have been with other weights, and other quotas where they are given."""
    async with database.reading() as session:
        run = await repository.newest_run(session, tenant_id, "done")
        ids, scaled = await all_scaled(session, run)
        _, policy = await runs.policy_of(session, tenant_id)
    ranked = range(1, len(ids) + 1)
    return await to_thread.run_sync(what_if, ids, scaled, ranked, policy.rules, weights, quotas or policy.rules, method)


async def preview_policy(database: Database, tenant_id: TenantId, policy: Policy, today: int) -> Preview:
    """What the next review would do by another policy, from the last run's values."""
    async with database.reading() as session:
        run = await repository.newest_run(session, tenant_id, "done")
        ids, scaled = await all_scaled(session, run)
        _, held = await runs.policy_of(session, tenant_id)
        states: dict[str, tuple[int, int, int]] = {}
        async for rows in repository.customer_states(session, tenant_id):
            states |= {str(each): (BANDS[tier], since, noticed) for each, tier, since, noticed, *_ in rows}
    return await to_thread.run_sync(_preview, ids, scaled, states, held, policy, today)


def _preview(
    ids: Sequence[str],
    scaled: Floats,
    states: Mapping[str, tuple[int, int, int]],
    held: Policy,
    policy: Policy,
    today: int,
) -> Preview:
    kept = [at for at, each in enumerate(ids) if each in states and states[each][0] != bands.PROVISIONAL]
    columns = np.array([states[ids[at]] for at in kept], np.int64).reshape(len(kept), 3)
    state = bands.State(columns[:, 0], columns[:, 1], columns[:, 2])
    return preview([ids[at] for at in kept], scaled[kept], state, held, policy, today)


def _today(now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()
