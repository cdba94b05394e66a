"""Scoring runs: asked for, computed beside the loop, and written in one transaction with all tiers that follow."""

from typing import Final
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import SYSTEM, Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.telemetry.store import TelemetryStore
from cloud.tiering import bands, book, repository, usage
from cloud.tiering.bands import RulesError
from cloud.tiering.policy import Policy, from_json
from cloud.tiering.review import CustomerScore, Known, Review, review
from cloud.tiering.tables import CustomerRow, RunRow, ScoreRow
from cloud.tiering.tiers import BANDS, BY_BAND, Change
from cloud.tiering.weights import WeightsError
from kit.clock import Clock
from kit.ids import uuid7

RUN_DONE: Final = "tiering.run_done"
SCORED_RUNS_KEPT: Final = 36
"""So many runs keep their scores: three years of months."""
DAY_MS: Final = 86_400_000


async def policy_of(session: AsyncSession, tenant_id: TenantId) -> tuple[int, Policy]:
    """The version and the policy that hold; version 0 is the standard one."""
    row = await repository.newest_policy(session, tenant_id)
    return (0, Policy()) if row is None else (row.version, from_json(row.policy))


async def ask(session: AsyncSession, tenant_id: TenantId, *, actor: Actor, now_ms: int) -> RunRow:
    """Ask for a run; one that waits already is that one."""
    waiting = await repository.newest_run(session, tenant_id, "waiting")
    if waiting is not None:
        return waiting
    version, _ = await policy_of(session, tenant_id)
    row = RunRow(
        run_id=uuid7(now_ms),
        tenant_id=tenant_id,
        state="waiting",
        day=now_ms // DAY_MS,
        policy_version=version,
        customers=0,
        figures={},
        why="",
        asked_ms=now_ms,
        asked_by=actor.name[:NAME_CHARACTERS_MAX],
        ended_ms=None,
    )
    session.add(row)
    target = f"tiering_run:{row.run_id}"
    audit.record(session, tenant_id, actor, "tiering_run_asked", target, now_ms=now_ms)
    return row


class Runner:
    """Does the runs that wait, one after another."""

    def __init__(self, database: Database, events: EventLog, clock: Clock, store: TelemetryStore) -> None:
        self._database = database
        self._store = store
        self._events = events
        self._clock = clock
        self._reviewer = CapacityLimiter(1)

    async def do_waiting(self) -> int:
        """Do all runs that wait; how many. One that cannot be done fails with its reason."""
        async with self._database.reading() as session:
            waiting = await repository.in_state(session, "waiting", limit=100)
        for row in waiting:
            await self._do(TenantId(row.tenant_id), row.run_id)
        return len(waiting)

    async def _do(self, tenant_id: TenantId, run_id: UUID) -> None:
        now_ms = self._clock.utc_ms()
        today = now_ms // DAY_MS
        lacking = await usage.look_for_gaps(self._database, self._store, tenant_id, today)
        async with self._database.transaction() as session:
            await usage.gather(session, tenant_id, today, lacking, now_ms=now_ms)
        async with self._database.reading() as session:
            version, policy = await policy_of(session, tenant_id)
            customers = await repository.customers(session, tenant_id, limit=repository.CUSTOMERS_MAX)
            rows = await repository.evidence_columns(session, tenant_id)
        known = [Known(row.customer_id, BANDS[row.tier], row.since_day, row.noticed_day) for row in customers]
        try:
            found = await to_thread.run_sync(review, known, rows, policy, today, limiter=self._reviewer)
        except (WeightsError, RulesError) as error:
            await self._fail(tenant_id, run_id, str(error))
            return
        async with self._database.transaction() as session:
            row = await repository.run(session, tenant_id, run_id)
            assert row is not None, "runs are never deleted"
            row.policy_version, row.day = version, today
            await self._keep(session, row, found)

    async def _fail(self, tenant_id: TenantId, run_id: UUID, why: str) -> None:
        async with self._database.transaction() as session:
            row = await repository.run(session, tenant_id, run_id)
            assert row is not None, "runs are never deleted"
            row.state, row.why, row.ended_ms = "failed", why, self._clock.utc_ms()

    async def _keep(self, session: AsyncSession, row: RunRow, found: Review) -> None:
        """Write scores and tiers; a customer that was merged or changed by hand meanwhile keeps what it was given."""
        now_ms, tenant_id = self._clock.utc_ms(), TenantId(row.tenant_id)
        customers = await repository.names(session, [each.customer_id for each in found.scores])
        overrides = await repository.overrides(session, tenant_id, limit=repository.CUSTOMERS_MAX)
        kept = [each for each in found.scores if customers[each.customer_id].merged_into is None]
        moved = 0
        for each in kept:
            customer = customers[each.customer_id]
            own = BY_BAND[each.state.tier]
            customer.tier, customer.since_day, customer.noticed_day = own, each.state.since_day, each.state.noticed_day
            served = Tier(overrides[each.customer_id].tier) if each.customer_id in overrides else own
            change = Change(Tier(customer.served_as), served, "run", run_id=row.run_id)
            moved += change.tier != change.before
            await book.serve_as(session, self._events, customer, change, actor=SYSTEM, now_ms=now_ms)
        scores = [_score(row, each, customers[each.customer_id]) for each in kept]
        await repository.insert_rows(session, ScoreRow, scores)
        row.state, row.customers, row.ended_ms = "done", len(kept), now_ms
        row.figures = found.figures | {"moved": moved, "left": found.left, "noticed": _noticed(kept)}
        told = {"run_id": str(row.run_id), "customers": len(kept), "moved": moved, "left": found.left}
        target = f"tiering_run:{row.run_id}"
        audit.record(session, tenant_id, SYSTEM, "tiering_run_done", target, now_ms=now_ms, after=told)
        self._events.record(session, tenant_id, RUN_DONE, told, now_ms)
        await session.flush()
        await repository.drop_old_scores(session, tenant_id, kept=SCORED_RUNS_KEPT)


def _noticed(scores: list[CustomerScore]) -> int:
    return sum(each.state.noticed_day != bands.NO_NOTICE for each in scores)


def _score(row: RunRow, each: CustomerScore, customer: CustomerRow) -> dict[str, object]:
    return {
        "run_id": row.run_id,
        "customer_id": each.customer_id,
        "tenant_id": row.tenant_id,
        "rank": each.rank + 1,
        "tier": customer.served_as,
        "weighted": each.weighted,
        "topsis": each.topsis,
        "trust": each.trust,
        "revenue_minor": each.revenue_minor,
        "margin_minor": each.margin_minor,
        "churn": each.churn,
        "opened": each.opened,
    }
