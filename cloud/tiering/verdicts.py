"""Writes what a scoring run has found: scores in parts that nobody sees yet, then all tiers in one transaction."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import SYSTEM
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import bands, book, repository, tiers
from cloud.tiering.review import CustomerScore, Known, Review
from cloud.tiering.tables import ScoreRow, TierRow
from cloud.tiering.tiers import BANDS, BY_BAND, Change
from kit.clock import Clock

RUN_DONE: Final = "tiering.run_done"
SCORED_RUNS_KEPT: Final = 36
"""So many runs keep their scores: three years of months."""
PART: Final = 1_000
"""So many rows go to the database at once: the loop is held up for some tens of milliseconds at most."""
TRANSACTION_ROWS: Final = 5_000
"""So many scores are one transaction: other writers wait for some tenths of a second at most."""
WRITING_PERCENT: Final = 65
Tell = Callable[[UUID, str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Run:
    """The run whose verdicts are written."""

    tenant_id: TenantId
    run_id: UUID
    policy_version: int
    day: int


@dataclass(slots=True)
class _Moves:
    """What changes: states of customers, first tiers, and tiers that others have to hear of."""

    states: list[dict[str, Any]] = field(default_factory=list)
    first: list[tuple[UUID, Change]] = field(default_factory=list)
    told: list[tuple[UUID, Change]] = field(default_factory=list)
    kept: set[UUID] = field(default_factory=set)
    noticed: int = 0


async def write(database: Database, events: EventLog, clock: Clock, run: Run, found: Review, *, tell: Tell) -> None:
    """Write scores, tiers and figures; a customer that was merged meanwhile is left out.

    The scores of a run that is not done are read by nobody, so they need not be written at once. They go in the order
    of their key: rows that come in any order would touch most pages of the table again and again.
    """
    async with database.reading() as session:
        served = await _overridden(session, run.tenant_id)
    by_key = await to_thread.run_sync(lambda: sorted(found.scores, key=lambda each: each.customer_id.bytes))
    parts = [by_key[at : at + TRANSACTION_ROWS] for at in range(0, len(by_key), TRANSACTION_ROWS)]
    for at, part in enumerate(parts):
        async with database.transaction() as session:
            for some in _parts(part):
                await repository.insert_rows(session, ScoreRow, [_score(run, each, served) for each in some])
        await tell(run.run_id, "writing", WRITING_PERCENT + (95 - WRITING_PERCENT) * at // len(parts))
    async with database.transaction() as session:
        await _move(session, events, run, found, now_ms=clock.utc_ms())
    async with database.transaction() as session:
        await repository.drop_old_scores(session, run.tenant_id, kept=SCORED_RUNS_KEPT)


async def _move(session: AsyncSession, events: EventLog, run: Run, found: Review, *, now_ms: int) -> None:
    """Let the tiers hold, and say that the run is done."""
    tenant_id = run.tenant_id
    scores = await to_thread.run_sync(lambda: {each.customer_id: each.state for each in found.scores})
    moves = await _moves(session, run, scores)
    for rows in _parts(moves.states):
        await repository.update_states(session, rows)
    for some in _parts(moves.first):
        served = [{"customer_id": each, "served_as": change.tier} for each, change in some]
        await repository.update_states(session, served)
        history = [tiers.entry(tenant_id, each, change, by=SYSTEM.name, now_ms=now_ms) for each, change in some]
        await repository.insert_rows(session, TierRow, history)
    for some in _parts(moves.told):
        customers = await repository.names(session, [each for each, _ in some])
        for each, change in some:
            await book.serve_as(session, events, customers[each], change, actor=SYSTEM, now_ms=now_ms)
        await session.flush()
    for merged in scores.keys() - moves.kept:
        await repository.drop_score(session, run.run_id, merged)
    changes = [change for _, change in (*moves.first, *moves.told)]
    first, count = sum(change.before == Tier.PROVISIONAL for change in changes), len(moves.kept)
    moved = len(changes) - first
    told = {"run_id": str(run.run_id), "customers": count, "first": first, "moved": moved, "left": found.left}
    await repository.update_run(
        session,
        run.run_id,
        state="done",
        step="",
        percent=100,
        policy_version=run.policy_version,
        day=run.day,
        customers=count,
        ended_ms=now_ms,
        figures=found.figures | {"first": first, "moved": moved, "left": found.left, "noticed": moves.noticed},
    )
    target = f"tiering_run:{run.run_id}"
    audit.record(session, tenant_id, SYSTEM, "tiering_run_done", target, now_ms=now_ms, after=told)
    events.record(session, tenant_id, RUN_DONE, told, now_ms)


async def _moves(session: AsyncSession, run: Run, scores: Mapping[UUID, Known]) -> _Moves:
    """Compare what was found with what holds now."""
    served, moves = await _overridden(session, run.tenant_id), _Moves()
    async for rows in repository.customer_states(session, run.tenant_id):
        for each, tier, since, noticed, served_as, linked in rows:
            state = scores.get(each)
            if state is None:
                continue
            moves.kept.add(each)
            moves.noticed += state.noticed_day != bands.NO_NOTICE
            if Known(each, BANDS[tier], since, noticed) != state:
                moves.states.append(_state(state))
            change = Change(Tier(served_as), served.get(each, BY_BAND[state.tier]), "run", run_id=run.run_id)
            if change.tier == change.before:
                continue
            is_told = change.before != Tier.PROVISIONAL or linked is not None
            (moves.told if is_told else moves.first).append((each, change))
    return moves


async def _overridden(session: AsyncSession, tenant_id: TenantId) -> Mapping[UUID, Tier]:
    overrides = await repository.overrides(session, tenant_id, limit=repository.CUSTOMERS_MAX)
    return {each: Tier(row.tier) for each, row in overrides.items()}


def _state(state: Known) -> dict[str, Any]:
    own = BY_BAND[state.tier]
    return {
        "customer_id": state.customer_id,
        "tier": own,
        "since_day": state.since_day,
        "noticed_day": state.noticed_day,
    }


def _score(run: Run, each: CustomerScore, served: Mapping[UUID, Tier]) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "customer_id": each.customer_id,
        "tenant_id": run.tenant_id,
        "rank": each.rank + 1,
        "tier": served.get(each.customer_id, BY_BAND[each.state.tier]),
        "weighted": each.weighted,
        "topsis": each.topsis,
        "trust": each.trust,
        "revenue_minor": each.revenue_minor,
        "margin_minor": each.margin_minor,
        "churn": each.churn,
        "opened": each.opened,
    }


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Piece by piece."""
    for start in range(0, len(rows), PART):
        yield rows[start : start + PART]
