"""Does scoring runs: evidence gathered and packed, computed beside the loop, written in parts; every run ends."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import structlog
from anyio import CapacityLimiter, to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tenants import TenantId
from cloud.telemetry.store import TelemetryStore
from cloud.tiering import packs, repository, usage, verdicts
from cloud.tiering.bands import RulesError
from cloud.tiering.packs import Packer
from cloud.tiering.review import Known, review
from cloud.tiering.runs import DAY_MS, policy_of
from cloud.tiering.tiers import BANDS
from cloud.tiering.weights import WeightsError
from kit.clock import Clock

log: Final = structlog.get_logger(__name__)
RUN_FAILED: Final = "tiering.run_failed"
RUNS_MAX: Final = 100
INTERRUPTED: Final = "The program ended while it ran."
Step = Literal["gathering", "packing", "reading", "computing", "writing"]
BEGINS_PERCENT: Final[dict[Step, int]] = {
    "gathering": 0,
    "packing": 5,
    "reading": 20,
    "computing": 40,
    "writing": verdicts.WRITING_PERCENT,
}


class Runner:
    """Does the runs that wait, one after another."""

    def __init__(
        self, database: Database, events: EventLog, clock: Clock, packer: Packer, store: TelemetryStore
    ) -> None:
        self._database = database
        self._store = store
        self._events = events
        self._clock = clock
        self._packer = packer
        self._reviewer = CapacityLimiter(1)

    async def fail_interrupted(self) -> int:
        """Fail runs that an earlier program has begun and not ended; how many. To be called before any is done."""
        async with self._database.reading() as session:
            begun = await repository.in_state(session, "running", limit=RUNS_MAX)
        for row in begun:
            await self._fail(TenantId(row.tenant_id), row.run_id, INTERRUPTED)
        return len(begun)

    async def do_waiting(self) -> int:
        """Do all runs that wait; how many. One that cannot be done fails with its reason."""
        async with self._database.reading() as session:
            waiting = await repository.in_state(session, "waiting", limit=RUNS_MAX)
        for row in waiting:
            await self._do(TenantId(row.tenant_id), row.run_id)
        return len(waiting)

    async def _do(self, tenant_id: TenantId, run_id: UUID) -> None:
        async with self._database.transaction() as session:
            if not await repository.claim_run(session, run_id):
                return  # somebody else does it
        try:
            await self._score(tenant_id, run_id)
        except (WeightsError, RulesError) as error:
            await self._fail(tenant_id, run_id, str(error))
        except Exception as error:  # supervision: whatever stops a run, it is told and the next one is done
            log.exception("tiering_run_failed", run_id=str(run_id))
            await self._fail(tenant_id, run_id, f"{type(error).__name__}; the log has the rest.")

    async def _score(self, tenant_id: TenantId, run_id: UUID) -> None:
        today = self._clock.utc_ms() // DAY_MS
        await self._begin(run_id, "gathering")
        await usage.gather(self._database, self._store, tenant_id, today, now_ms=self._clock.utc_ms())
        await self._begin(run_id, "packing")
        await self._packer.pack_new(tenant_id)
        await self._begin(run_id, "reading")
        async with self._database.reading() as session:
            version, policy = await policy_of(session, tenant_id)
            known = await known_customers(session, tenant_id)
            table = await packs.table_of(session, tenant_id, [each.customer_id for each in known])
        await self._begin(run_id, "computing")
        found = await to_thread.run_sync(review, known, table, policy, today, limiter=self._reviewer)
        await self._begin(run_id, "writing")
        run = verdicts.Run(tenant_id, run_id, version, today)
        await verdicts.write(self._database, self._events, self._clock, run, found, tell=self._tell)

    async def _begin(self, run_id: UUID, step: Step) -> None:
        await self._tell(run_id, step, BEGINS_PERCENT[step])

    async def _tell(self, run_id: UUID, step: str, percent: int) -> None:
        async with self._database.transaction() as session:
            await repository.update_run(session, run_id, state="running", step=step, percent=percent)

    async def _fail(self, tenant_id: TenantId, run_id: UUID, why: str) -> None:
        """Nothing of it is kept: scores that were written already go, tiers were not touched yet."""
        async with self._database.transaction() as session:
            await repository.drop_scores(session, tenant_id, run_id)
            now_ms = self._clock.utc_ms()
            await repository.update_run(session, run_id, state="failed", why=why, ended_ms=now_ms)
            self._events.record(session, tenant_id, RUN_FAILED, {"run_id": str(run_id), "why": why}, now_ms)


async def known_customers(session: AsyncSession, tenant_id: TenantId) -> Sequence[Known]:
    """All customers as the last review has left them, by id."""
    found: list[Known] = []
    async for rows in repository.customer_states(session, tenant_id):
        found += [Known(each, BANDS[tier], since, noticed) for each, tier, since, noticed, *_ in rows]
    return found
