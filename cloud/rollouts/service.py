"""The registry of bundles and their trials. Every method works in the caller's transaction and commits nothing.

Each step is a line among the bundle's events, a line in the audit log and an event for whoever listens.
"""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import SYSTEM, Actor
from cloud.core.database import announce
from cloud.core.events import EventLog
from cloud.core.live import Topic
from cloud.core.problems import NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements import gates
from cloud.fleet import reading
from cloud.rollouts import repository
from cloud.rollouts.card import card_of
from cloud.rollouts.domain import (
    BundleState,
    Outcome,
    Plan,
    PressKey,
    RolloutError,
    Stage,
    chosen_canaries,
    next_stage,
)
from cloud.rollouts.tables import BundleRow, ModelEventRow, RolloutRow
from contract.model_orders import Bounds
from kit.ids import uuid7
from models.runtime.bundle import Bundle

BUNDLE_ADDED, BUNDLE_RESIGNED = "model.bundle_added", "model.bundle_resigned"
STATE_CHANGED = "model.state_changed"
ROLLED_BACK = "model.rolled_back"


class Rollouts:
    """The service; `changed` is published after each commit that orders may depend on."""

    def __init__(self, events: EventLog, changed: Topic) -> None:
        self._events = events
        self.changed = changed

    async def add_bundle(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        bundle: Bundle,
        digest: str,
        size_bytes: int,
        actor: Actor,
        *,
        now_ms: int,
    ) -> BundleRow:
        """Register a checked upload as a candidate; of one that is known, the newest signature is taken.

        Raises:
            EntitlementError: the tenant's plan has no models of its own.
        """
        await gates.demand_custom_models(session, tenant_id, now_ms=now_ms)
        row = await repository.bundle(session, tenant_id, bundle.bundle_id)
        if row is not None:
            if row.sha256 != digest:
                row.sha256, row.size_bytes, row.key_id = digest, size_bytes, bundle.signed_by
                self._note(session, row, None, BUNDLE_RESIGNED, row.state, "signed again", actor, now_ms)
            return row
        row = BundleRow(
            tenant_id=tenant_id,
            bundle_id=bundle.bundle_id,
            state="candidate",
            sha256=digest,
            size_bytes=size_bytes,
            key_id=bundle.signed_by,
            features_hash=bundle.manifest.features_hash,
            card=card_of(bundle),
            uploaded_ms=now_ms,
            uploaded_by=actor.name[:NAME_CHARACTERS_MAX],
        )
        session.add(row)
        self._note(session, row, None, BUNDLE_ADDED, None, "uploaded", actor, now_ms)
        return row

    async def start(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        bundle_id: str,
        actor: Actor,
        *,
        canaries: Sequence[PressKey] = (),
        bounds: Bounds,
        is_automatic: bool,
        stage_shots: int,
        why: str,
        now_ms: int,
    ) -> RolloutRow:
        """Begin a trial in the shadow stage; a retired bundle may come back.

        Raises:
            NotFoundError: the tenant has no such bundle.
            RolloutError: a trial is under way, the bundle scores already, or the presses do not fit.
        """
        row = await repository.bundle(session, tenant_id, bundle_id)
        if row is None:
            raise NotFoundError("bundle", bundle_id)
        if (running := await repository.running(session, tenant_id)) is not None:
            raise RolloutError(f"The trial of bundle {running.bundle_id} is under way: end it first.")
        if row.state == "champion":
            raise RolloutError(f"Bundle {bundle_id} is the champion already.")
        champion = await repository.champion(session, tenant_id)
        _, presses = await reading.whole_fleet(session, tenant_id)
        chosen = chosen_canaries(canaries, [(press.plant_id, press.press_id) for press in presses])
        rollout = RolloutRow(
            rollout_id=uuid7(now_ms),
            tenant_id=tenant_id,
            bundle_id=bundle_id,
            previous_id=champion.bundle_id if champion is not None else None,
            stage="shadow",
            outcome="running",
            canaries=[list(key) for key in chosen],
            bounds=bounds.model_dump(),
            is_automatic=is_automatic,
            stage_shots=stage_shots,
            started_ms=now_ms,
            started_by=actor.name[:NAME_CHARACTERS_MAX],
            stage_ms=now_ms,
            ended_ms=None,
            reason="",
        )
        session.add(rollout)
        self._set_state(session, row, rollout.rollout_id, "shadow", why, actor, now_ms)
        return rollout

    async def advance(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        rollout_id: UUID,
        actor: Actor,
        *,
        seen: str | None = None,
        why: str,
        now_ms: int,
    ) -> RolloutRow:
        """On to the next stage; behind the last, the trial is won and what it replaced retires.

        `seen` is the stage that the caller knows: two clicks on one button are one step.

        Raises:
            NotFoundError: the tenant has no such trial.
            RolloutError: it has ended, or is in another stage than `seen`.
        """
        rollout, row = await self._running(session, tenant_id, rollout_id)
        if seen is not None and seen != rollout.stage:
            raise RolloutError(f"The trial is in the stage {rollout.stage} by now.")
        stage = next_stage(cast("Stage", rollout.stage))
        if stage is None:
            gone = f"replaced by {rollout.bundle_id}"
            await self._previous_state(session, rollout, "retired", gone, actor, now_ms)
            self._end(session, rollout, "promoted", why, now_ms)
            return rollout
        rollout.stage, rollout.stage_ms = stage, now_ms
        self._set_state(session, row, rollout_id, stage, why, actor, now_ms)
        if stage == "champion":
            await self._previous_state(session, rollout, "shadow", "runs beside its successor", actor, now_ms)
        return rollout

    async def stop(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        rollout_id: UUID,
        actor: Actor = SYSTEM,
        *,
        outcome: Outcome = "stopped",
        why: str,
        now_ms: int,
    ) -> RolloutRow:
        """End a trial; every press goes back to what scored before.

        Raises:
            NotFoundError: the tenant has no such trial.
            RolloutError: it has ended.
        """
        rollout, row = await self._running(session, tenant_id, rollout_id)
        self._set_state(session, row, rollout_id, "retired", why, actor, now_ms)
        await self._previous_state(session, rollout, "champion", "goes on", actor, now_ms)
        self._end(session, rollout, outcome, why, now_ms)
        if outcome == "rolled_back":
            payload = {"bundle_id": row.bundle_id, "rollout_id": str(rollout_id), "why": why}
            self._events.record(session, tenant_id, ROLLED_BACK, payload, now_ms)
        return rollout

    async def retire(
        self, session: AsyncSession, tenant_id: TenantId, bundle_id: str, actor: Actor, *, why: str, now_ms: int
    ) -> BundleRow:
        """Take a bundle out of use; without a champion, each gateway scores by its own bundle.

        Raises:
            NotFoundError: the tenant has no such bundle.
            RolloutError: it is on trial.
        """
        row = await repository.bundle(session, tenant_id, bundle_id)
        if row is None:
            raise NotFoundError("bundle", bundle_id)
        running = await repository.running(session, tenant_id)
        if running is not None and bundle_id in (running.bundle_id, running.previous_id):
            raise RolloutError(f"Bundle {bundle_id} is part of a trial: end that first.")
        if row.state != "retired":
            self._set_state(session, row, None, "retired", why, actor, now_ms)
        return row

    async def _running(
        self, session: AsyncSession, tenant_id: TenantId, rollout_id: UUID
    ) -> tuple[RolloutRow, BundleRow]:
        rollout = await repository.rollout(session, tenant_id, rollout_id)
        if rollout is None:
            raise NotFoundError("trial", str(rollout_id))
        if rollout.ended_ms is not None:
            raise RolloutError("The trial has ended.")
        row = await repository.bundle(session, tenant_id, rollout.bundle_id)
        assert row is not None
        return rollout, row

    async def _previous_state(
        self, session: AsyncSession, rollout: RolloutRow, state: BundleState, why: str, actor: Actor, now_ms: int
    ) -> None:
        if rollout.previous_id is None:
            return
        row = await repository.bundle(session, TenantId(rollout.tenant_id), rollout.previous_id)
        if row is not None and row.state != state:
            self._set_state(session, row, rollout.rollout_id, state, why, actor, now_ms)

    def _end(self, session: AsyncSession, rollout: RolloutRow, outcome: Outcome, why: str, now_ms: int) -> None:
        rollout.outcome, rollout.reason, rollout.ended_ms = outcome, why, now_ms
        announce(session, self.changed)

    def _set_state(
        self,
        session: AsyncSession,
        row: BundleRow,
        rollout_id: UUID | None,
        state: BundleState,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> None:
        before, row.state = row.state, state
        self._note(session, row, rollout_id, STATE_CHANGED, before, why, actor, now_ms)

    def _note(
        self,
        session: AsyncSession,
        row: BundleRow,
        rollout_id: UUID | None,
        kind: str,
        before: str | None,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> None:
        by = (actor.name or actor.kind)[:NAME_CHARACTERS_MAX]
        session.add(
            ModelEventRow(
                tenant_id=row.tenant_id,
                bundle_id=row.bundle_id,
                rollout_id=rollout_id,
                at_ms=now_ms,
                kind=kind,
                by=by,
                state_before=before,
                state_after=row.state,
                why=why,
            )
        )
        after: dict[str, Any] = {"state": row.state, "why": why}
        audit.record(
            session,
            row.tenant_id,
            actor,
            kind.replace("model.", "model_"),
            f"bundle:{row.bundle_id}",
            now_ms=now_ms,
            before={"state": before} if before is not None else None,
            after=after,
        )
        payload = {"bundle_id": row.bundle_id, "state": row.state, "before": before, "by": by, "why": why}
        self._events.record(session, TenantId(row.tenant_id), kind, payload, now_ms)
        announce(session, self.changed)


def plan_of(row: RolloutRow) -> Plan:
    """The value of a row."""
    return Plan(
        rollout_id=row.rollout_id,
        bundle_id=row.bundle_id,
        previous_id=row.previous_id,
        stage=cast("Stage", row.stage),
        canaries=frozenset((str(plant), str(press)) for plant, press in row.canaries),
        bounds=Bounds.model_validate(row.bounds),
        is_automatic=row.is_automatic,
        stage_shots=row.stage_shots,
    )
