"""Raises, clears and acknowledges alarms in the caller's transaction, each with its event."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.domain import (
    FAILURE_PROBABILITY,
    OPEN_STATES,
    STATES,
    Alarm,
    AlarmReason,
    AlarmRules,
    State,
    acknowledged,
    cleared,
    reasons_of,
)
from cloud.alarms.tables import AlarmRow
from cloud.alarms.trouble import GATEWAY_TROUBLE
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.telemetry.store import StoredShot
from kit.ids import uuid7

ALARM_RAISED = "alarm.raised"
ALARM_ACKNOWLEDGED = "alarm.acknowledged"
ALARM_CLEARED = "alarm.cleared"
ALARM_EVENTS = frozenset({ALARM_RAISED, ALARM_ACKNOWLEDGED, ALARM_CLEARED})

OPEN_ALARMS_MAX = 2_000
COMMENT_CHARACTERS_MAX = 1_000
PERSON_CHARACTERS_MAX = 128


class AlarmService:
    """The life of alarms."""

    def __init__(self, events: EventLog, live: Live, rules: AlarmRules) -> None:
        self._events = events
        self._live = live
        self.rules = rules

    def raise_alarm(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        row: StoredShot,
        mode: str,
        *,
        probability: float,
        threshold: float,
        first_over_ms: int,
        now_ms: int,
    ) -> Alarm:
        """A new active alarm, caused by the shot `row`."""
        raised = self._active(tenant_id, row.press.plant_id, FAILURE_PROBABILITY, mode, now_ms)
        raised.press_id = row.press.press_id
        raised.probability, raised.threshold, raised.first_over_ms = probability, threshold, first_over_ms
        raised.reasons, raised.shot_row_id = [asdict(reason) for reason in reasons_of(row.scored)], row.row_id
        session.add(raised)
        return self._record(session, raised, ALARM_RAISED, now_ms)

    async def clear_alarm(self, session: AsyncSession, plant_id: str, press_id: str, mode: str, now_ms: int) -> None:
        """The cause of the active alarm has gone; it stays open until it is acknowledged."""
        row = await repository.active_alarm(session, plant_id, press_id, "", FAILURE_PROBABILITY, mode)
        await self._clear(session, row, now_ms)

    def raise_trouble(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        plant_id: str,
        gateway_id: str,
        mode: str,
        *,
        count: int,
        now_ms: int,
    ) -> Alarm:
        """A new active alarm of a gateway; `count` is by how much its counter had risen then."""
        raised = self._active(tenant_id, plant_id, GATEWAY_TROUBLE, mode, now_ms)
        raised.gateway_id, raised.count = gateway_id, count
        session.add(raised)
        return self._record(session, raised, ALARM_RAISED, now_ms)

    async def clear_trouble(
        self, session: AsyncSession, plant_id: str, gateway_id: str, mode: str, now_ms: int
    ) -> None:
        """The trouble is over; its alarm stays open until it is acknowledged."""
        row = await repository.active_alarm(session, plant_id, "", gateway_id, GATEWAY_TROUBLE, mode)
        await self._clear(session, row, now_ms)

    def _active(self, tenant_id: TenantId, plant_id: str, kind: str, mode: str, now_ms: int) -> AlarmRow:
        """What every new alarm is; its place and its cause are still to be told."""
        return AlarmRow(
            alarm_id=uuid7(now_ms),
            tenant_id=tenant_id,
            plant_id=plant_id,
            press_id="",
            gateway_id="",
            kind=kind,
            mode=mode,
            priority=self.rules.priority,
            state="active_unacknowledged",
            probability=None,
            threshold=None,
            count=None,
            reasons=[],
            first_over_ms=now_ms,
            raised_ms=now_ms,
            acknowledged_ms=None,
            acknowledged_by=None,
            comment=None,
            cleared_ms=None,
            shot_row_id=None,
        )

    async def _clear(self, session: AsyncSession, row: AlarmRow | None, now_ms: int) -> None:
        if row is None:
            return
        row.state, row.cleared_ms = cleared(_state(row.state)), now_ms
        await session.flush()  # the next alarm of this place and mode may follow in the same transaction
        self._record(session, row, ALARM_CLEARED, now_ms)

    async def acknowledge(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        *,
        by: str,
        comment: str | None = None,
        actor: Actor | None = None,
        now_ms: int,
    ) -> Alarm:
        """Note who has seen the alarm; the first one counts, and again changes nothing.

        `actor` is who the audit log names; without one, nobody that is signed in.

        Raises:
            NotFoundError: the tenant has no such alarm.
        """
        row = await repository.alarm(session, tenant_id, alarm_id)
        if row is None:
            raise NotFoundError("alarm", str(alarm_id))
        before = _state(row.state)
        after = acknowledged(before)
        if after == before:
            return alarm_of(row)
        row.state, row.acknowledged_ms, row.acknowledged_by, row.comment = after, now_ms, by, comment
        audit.record(
            session,
            tenant_id,
            actor or Actor("nobody", name=by),
            "alarm_acknowledged",
            f"alarm:{alarm_id}",
            now_ms=now_ms,
            before={"state": before},
            after={"state": after, "by": by, "comment": comment},
        )
        return self._record(session, row, ALARM_ACKNOWLEDGED, now_ms)

    def _record(self, session: AsyncSession, row: AlarmRow, kind: str, now_ms: int) -> Alarm:
        alarm = alarm_of(row)
        self._events.record(session, alarm.tenant_id, kind, event_payload(alarm), now_ms)
        announce(session, self._live.alarms)
        return alarm


async def alarms(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None = None,
    press_id: str | None = None,
    states: Sequence[State] = (),
    before: UUID | None = None,
    limit: int,
) -> Slice[Alarm]:
    """Alarms, newest first; no states means all, `before` is the last alarm of the page before."""
    rows = await repository.alarms(
        session, tenant_id, plant_id=plant_id, press_id=press_id, states=states, before=before, limit=limit + 1
    )
    return slice_of([alarm_of(row) for row in rows], limit)


async def alarm(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> Alarm:
    """One alarm.

    Raises:
        NotFoundError: the tenant has no such alarm.
    """
    row = await repository.alarm(session, tenant_id, alarm_id)
    if row is None:
        raise NotFoundError("alarm", str(alarm_id))
    return alarm_of(row)


async def open_alarms(session: AsyncSession, tenant_id: TenantId) -> list[Alarm]:
    """What is active or waits for an acknowledgement, newest first, at most OPEN_ALARMS_MAX."""
    return list((await alarms(session, tenant_id, states=OPEN_STATES, limit=OPEN_ALARMS_MAX)).items)


def event_payload(alarm: Alarm) -> dict[str, Any]:
    """The alarm as its events tell it."""
    fields = asdict(alarm)
    del fields["tenant_id"]
    return {**fields, "alarm_id": str(alarm.alarm_id), "reasons": [asdict(reason) for reason in alarm.reasons]}


def alarm_of(row: AlarmRow) -> Alarm:
    """The value of a row."""
    return Alarm(
        alarm_id=row.alarm_id,
        tenant_id=TenantId(row.tenant_id),
        plant_id=row.plant_id,
        press_id=row.press_id,
        gateway_id=row.gateway_id,
        kind=row.kind,
        mode=row.mode,
        priority=row.priority,
        state=_state(row.state),
        probability=row.probability,
        threshold=row.threshold,
        count=row.count,
        reasons=tuple(AlarmReason(**reason) for reason in row.reasons),
        first_over_ms=row.first_over_ms,
        raised_ms=row.raised_ms,
        acknowledged_ms=row.acknowledged_ms,
        acknowledged_by=row.acknowledged_by,
        comment=row.comment,
        cleared_ms=row.cleared_ms,
        shot_row_id=row.shot_row_id,
    )


def _state(text: str) -> State:
    return next(state for state in STATES if state == text)
