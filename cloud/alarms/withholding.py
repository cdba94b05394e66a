"""Shelves alarms, suppresses them by design, takes them out of service, and brings them back.

All of it holds for the alarm's point (place, kind and mode), for which the alarm that people ask for stands, and
happens in the caller's transaction.
"""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.answers import audit_alarm, found
from cloud.alarms.domain import Alarm
from cloud.alarms.life import BEGINS, ENDS, Event
from cloud.alarms.points import Point
from cloud.alarms.policy import MINUTE_MS
from cloud.alarms.record import alarm_of, event_payload, point_of, withheld_of
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import AlarmRow, PointRow
from cloud.core.audit import SYSTEM, Actor
from cloud.core.problems import InvalidFieldError
from cloud.core.tenants import TenantId

REASON_CHARACTERS_MAX = 500
WHAT: dict[Event, str] = {
    "shelve": "shelved",
    "unshelve": "unshelved",
    "expire_shelf": "unshelved",
    "suppress": "suppressed",
    "unsuppress": "unsuppressed",
    "take_out": "out_of_service",
    "return_to_service": "in_service",
}
SHELF_ENDED, ONE_SHOT_ENDED = "expired", "cleared"
"""Why a shelf ended by itself: its time was up, or the one occurrence that it was for is over."""


class Withholder:
    """Why nobody is told of an alarm, and until when."""

    def __init__(self, alarms: AlarmService) -> None:
        self._alarms = alarms

    async def shelve(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        *,
        minutes: int,
        reason: str,
        is_one_shot: bool = False,
        actor: Actor,
        now_ms: int,
    ) -> Alarm:
        """Put the alarm's point on the shelf; once more gives the shelf another end and reason.

        Raises:
            NotFoundError: the tenant has no such alarm.
            InvalidFieldError: longer than the site allows.
        """
        most = self._alarms.policy.shelve_ms_max // MINUTE_MS
        if not 1 <= minutes <= most:
            raise InvalidFieldError("body.minutes", f"is {minutes}; a shelf lasts 1 to {most} minutes at this site")
        row, _ = await found(session, tenant_id, alarm_id)
        point = await self._point(session, row)
        before = _shelf_of(point)
        withheld = withheld_of(point)
        point.shelved_ms, point.shelved_until_ms = now_ms, now_ms + minutes * MINUTE_MS
        point.shelved_by, point.shelf_reason, point.is_one_shot = actor.name, reason, is_one_shot
        after = _shelf_of(point)
        audit_alarm(session, row, actor, "alarm_shelved", now_ms, before=before, after=after)
        rows = await self._alarms.apply_to_point(
            session, point, "shelve", withheld=withheld, what="shelved", actor=actor, now_ms=now_ms, why=reason
        )
        await self._tell(session, point, row, rows, "shelved", actor, now_ms, why=reason, changed={"shelf": after})
        return alarm_of(row)

    async def expire(self, session: AsyncSession, point: PointRow, now_ms: int) -> None:
        """The shelf's time is up, or the occurrence that it was for is over."""
        why = ONE_SHOT_ENDED if point.is_one_shot else SHELF_ENDED
        await self._end(session, point, None, "expire_shelf", SYSTEM, now_ms, why=why)

    async def suppress_point(
        self, session: AsyncSession, tenant_id: TenantId, where: Point, *, is_on: bool, reason: str, now_ms: int
    ) -> None:
        """The same from logic of the plant's design, for a point that may have had no alarm yet."""
        point = await repository.point(session, where) or self._alarms.new_point(session, tenant_id, where)
        if is_on == (point.suppressed_ms is not None):
            return
        if is_on:
            await self._begin(session, point, None, "suppress", reason, SYSTEM, now_ms)
        else:
            await self._end(session, point, None, "unsuppress", SYSTEM, now_ms, why=reason)

    async def withhold(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        event: Event,
        *,
        reason: str,
        actor: Actor,
        now_ms: int,
    ) -> Alarm:
        """Suppress the alarm's point by design, or take it out of service, until told otherwise.

        Once more changes nothing.

        Raises:
            NotFoundError: the tenant has no such alarm.
        """
        row, withheld = await found(session, tenant_id, alarm_id)
        if BEGINS[event] in withheld:
            return alarm_of(row)
        audit_alarm(session, row, actor, f"alarm_{WHAT[event]}", now_ms, after={"reason": reason})
        await self._begin(session, await self._point(session, row), row, event, reason, actor, now_ms)
        return alarm_of(row)

    async def release(
        self, session: AsyncSession, tenant_id: TenantId, alarm_id: UUID, event: Event, *, actor: Actor, now_ms: int
    ) -> Alarm:
        """End what withholds the alarm's point: a shelf, a suppression, its time out of service; without one nothing.

        Raises:
            NotFoundError: the tenant has no such alarm.
        """
        row, withheld = await found(session, tenant_id, alarm_id)
        if ENDS[event] not in withheld:
            return alarm_of(row)
        audit_alarm(session, row, actor, f"alarm_{WHAT[event]}", now_ms)
        await self._end(session, await self._point(session, row), row, event, actor, now_ms)
        return alarm_of(row)

    async def _begin(
        self,
        session: AsyncSession,
        point: PointRow,
        row: AlarmRow | None,
        event: Event,
        reason: str,
        actor: Actor,
        now_ms: int,
    ) -> None:
        withheld = withheld_of(point)
        if event == "suppress":
            point.suppressed_ms, point.suppressed_by, point.suppression_reason = now_ms, actor.name, reason
        else:
            point.taken_out_ms, point.taken_out_by, point.taken_out_reason = now_ms, actor.name, reason
        rows = await self._alarms.apply_to_point(
            session, point, event, withheld=withheld, what=WHAT[event], actor=actor, now_ms=now_ms, why=reason
        )
        await self._tell(session, point, row, rows, WHAT[event], actor, now_ms, why=reason, changed={"reason": reason})

    async def _end(
        self,
        session: AsyncSession,
        point: PointRow,
        row: AlarmRow | None,
        event: Event,
        actor: Actor,
        now_ms: int,
        *,
        why: str | None = None,
    ) -> None:
        withheld, before = withheld_of(point), _shelf_of(point)
        if ENDS[event] == "shelved":
            point.shelved_ms, point.shelved_until_ms, point.shelved_by, point.shelf_reason = None, None, None, None
            point.is_one_shot = False
        elif ENDS[event] == "suppressed_by_design":
            point.suppressed_ms, point.suppressed_by, point.suppression_reason = None, None, None
        else:
            point.taken_out_ms, point.taken_out_by, point.taken_out_reason = None, None, None
        rows = await self._alarms.apply_to_point(
            session, point, event, withheld=withheld, what=WHAT[event], actor=actor, now_ms=now_ms, why=why
        )
        changed = {"shelf": before} if ENDS[event] == "shelved" else {"reason": why}
        await self._tell(session, point, row, rows, WHAT[event], actor, now_ms, why=why, changed=changed)

    async def _tell(
        self,
        session: AsyncSession,
        point: PointRow,
        asked: AlarmRow | None,
        turns: list[tuple[AlarmRow, bool]],
        what: str,
        actor: Actor,
        now_ms: int,
        *,
        why: str | None,
        changed: dict[str, Any],
    ) -> None:
        """One event for the point, told by the alarm that was asked for, else its newest; then what is announced."""
        tenant_id, recorder = TenantId(point.tenant_id), self._alarms.recorder
        subject = asked or (turns[0][0] if turns else await repository.newest_alarm(session, point_of(point)))
        if subject is None:
            recorder.remember_point(session, point, what, actor=actor, now_ms=now_ms, why=why)
            payload = {"alarm_id": None, **asdict(point_of(point)), "by": actor.name, "why": why, **changed}
            recorder.tell(session, tenant_id, what, payload, now_ms)
            return
        if all(row is not subject for row, _ in turns):
            recorder.remember(session, subject, what, before=subject.state, actor=actor, now_ms=now_ms, why=why)
        payload = {**event_payload(alarm_of(subject)), "by": actor.name, "why": why, **changed}
        recorder.tell(session, tenant_id, what, payload, now_ms)
        announced = [row for row, is_announcement in turns if is_announcement]
        for row in announced:
            recorder.tell(session, tenant_id, "raised", event_payload(alarm_of(row)), now_ms)
        if announced:
            await self._alarms.floods.look_for_beginning(session, tenant_id, now_ms)

    async def _point(self, session: AsyncSession, row: AlarmRow) -> PointRow:
        where = point_of(row)
        known = await repository.point(session, where)
        return known or self._alarms.new_point(session, TenantId(row.tenant_id), where)


def _shelf_of(point: PointRow) -> dict[str, Any]:
    return {
        "since_ms": point.shelved_ms,
        "until_ms": point.shelved_until_ms,
        "by": point.shelved_by,
        "reason": point.shelf_reason,
        "is_one_shot": point.is_one_shot,
    }
