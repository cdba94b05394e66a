"""Writes each turn of an alarm's life: a row of its history and an event, in the transaction that made the turn."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.domain import Alarm, AlarmReason
from cloud.alarms.life import STATES, Life, State, Withholding
from cloud.alarms.points import Point
from cloud.alarms.tables import AlarmRow, HistoryRow, PointRow
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId

EVENT_PREFIX = "alarm."
SILENT: Mapping[str, str] = {"raised_silently": "silent.raised", "cleared_silently": "silent.cleared"}
"""What nobody is told of is an event too, by a name that no receiver of `alarm.*` asks for."""
NO_CHANGE: Mapping[str, Any] = {}


class Recorder:
    """The one writer of alarms' history and events."""

    def __init__(self, events: EventLog, live: Live) -> None:
        self._events = events
        self._live = live

    def turned(
        self,
        session: AsyncSession,
        row: AlarmRow,
        what: str,
        *,
        before: str,
        actor: Actor,
        now_ms: int,
        why: str | None = None,
        is_annunciation: bool = False,
        changed: Mapping[str, Any] = NO_CHANGE,
    ) -> Alarm:
        """The alarm of `row` did `what`: a row of history, and an event with its fields, who, why and `changed`.

        An event of the plant and its programs has nobody and no reason of its own.
        """
        alarm = alarm_of(row)
        who = {} if actor.kind == "system" else {"by": actor.name, "why": why}
        self.remember(
            session, row, what, before=before, actor=actor, now_ms=now_ms, why=why, is_annunciation=is_annunciation
        )
        self.tell(session, alarm.tenant_id, what, {**event_payload(alarm), **who, **changed}, now_ms)
        return alarm

    def remember(
        self,
        session: AsyncSession,
        row: AlarmRow,
        what: str,
        *,
        before: str,
        actor: Actor,
        now_ms: int,
        why: str | None = None,
        is_annunciation: bool = False,
    ) -> None:
        """A row of history without an event of its own: one event tells of all alarms of a point."""
        self._add(
            session,
            point_of(row),
            HistoryRow(
                tenant_id=row.tenant_id,
                alarm_id=row.alarm_id,
                priority=row.priority,
                at_ms=now_ms,
                what=what,
                from_state=before,
                to_state=row.state,
                is_annunciation=is_annunciation,
                why=why,
            ),
            actor,
        )

    def remember_point(
        self, session: AsyncSession, row: PointRow, what: str, *, actor: Actor, now_ms: int, why: str | None
    ) -> None:
        """The same for a point that has had no alarm yet."""
        entry = HistoryRow(
            tenant_id=row.tenant_id,
            alarm_id=None,
            priority="",
            at_ms=now_ms,
            what=what,
            from_state="normal",
            to_state="normal",
            is_annunciation=False,
            why=why,
        )
        self._add(session, point_of(row), entry, actor)

    def tell(
        self, session: AsyncSession, tenant_id: TenantId, what: str, payload: Mapping[str, Any], now_ms: int
    ) -> None:
        """An event `alarm.what`; pages that show alarms look again."""
        self._events.record(session, tenant_id, SILENT.get(what, EVENT_PREFIX + what), payload, now_ms)
        announce(session, self._live.alarms)

    def _add(self, session: AsyncSession, point: Point, entry: HistoryRow, actor: Actor) -> None:
        entry.plant_id, entry.press_id, entry.gateway_id = point.plant_id, point.press_id, point.gateway_id
        entry.kind, entry.mode = point.kind, point.mode
        entry.actor_kind, entry.actor_id = actor.kind, actor.id
        entry.actor_name = actor.name[:NAME_CHARACTERS_MAX]
        session.add(entry)


def event_payload(alarm: Alarm) -> dict[str, Any]:
    """The alarm as its events tell it."""
    fields = asdict(alarm)
    del fields["tenant_id"]
    return {
        **fields,
        "alarm_id": str(alarm.alarm_id),
        "group_id": str(alarm.group_id),
        "reasons": [asdict(reason) for reason in alarm.reasons],
    }


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
        state=state_of(row),
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
        cause=row.cause,
        group_id=row.group_id,
        group_order=row.group_order,
        is_latching=row.is_latching,
        reset_ms=row.reset_ms,
        announced_ms=row.announced_ms,
        is_held_back=row.is_held_back,
        escalation_level=row.escalation_level,
        assigned_to=row.assigned_to,
        assigned_name=row.assigned_name,
        rule_id=row.rule_id,
        rule_version=row.rule_version,
        value=row.value,
    )


def state_of(row: AlarmRow) -> State:
    """The state that a row tells."""
    return next(state for state in STATES if state == row.state)


def point_of(row: AlarmRow | PointRow) -> Point:
    """Where a row belongs."""
    return Point(row.plant_id, row.press_id, row.gateway_id, row.kind, row.mode, row.rule_id)


def life_of(row: AlarmRow, withheld: frozenset[Withholding]) -> Life:
    """Where the alarm of a row stands; what withholds it stands with its point."""
    return Life(
        is_active=row.cleared_ms is None,
        is_acknowledged=row.acknowledged_ms is not None,
        is_announced=row.announced_ms is not None or row.is_held_back,
        needs_reset=row.is_latching and row.reset_ms is None,
        withheld=withheld,
    )


def withheld_of(point: PointRow | None) -> frozenset[Withholding]:
    """Why the alarms of a point are withheld."""
    if point is None:
        return frozenset()
    reasons: dict[Withholding, int | None] = {
        "out_of_service": point.taken_out_ms,
        "suppressed_by_design": point.suppressed_ms,
        "shelved": point.shelved_ms,
    }
    return frozenset(name for name, since_ms in reasons.items() if since_ms is not None)
