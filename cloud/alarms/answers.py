"""What people do with an alarm: acknowledge, reset, comment, assign; in the caller's transaction, and audited."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.domain import Alarm
from cloud.alarms.life import Withholding, turn
from cloud.alarms.record import alarm_of, life_of, point_of, withheld_of
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import AlarmRow
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.identity import repository as identities

COMMENT_CHARACTERS_MAX = 1_000
COMMENTS_MAX = 200
PERSON_CHARACTERS_MAX = 128


class Answers:
    """People's answers to alarms."""

    def __init__(self, alarms: AlarmService) -> None:
        self._alarms = alarms

    async def acknowledge(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        *,
        comment: str | None = None,
        actor: Actor,
        now_ms: int,
    ) -> Alarm:
        """Note who has seen the alarm; the first one counts, and again changes nothing.

        Raises:
            NotFoundError: the tenant has no such alarm.
        """
        row, withheld = await found(session, tenant_id, alarm_id)
        turned = turn(life_of(row, withheld), "acknowledge")
        if turned is None:
            return alarm_of(row)
        before, by = row.state, actor.name[:PERSON_CHARACTERS_MAX]
        row.acknowledged_ms, row.acknowledged_by, row.comment = now_ms, by, comment
        row.announced_ms, row.is_held_back = row.announced_ms or now_ms, False
        row.escalate_ms = None
        row.realarm_ms = self._alarms.next_realarm_ms(row, now_ms) if turned.life.is_active else None
        row.state = turned.life.state
        after = {"state": row.state, "by": by, "comment": comment}
        audit_alarm(session, row, actor, "alarm_acknowledged", now_ms, before={"state": before}, after=after)
        return self._alarms.recorder.turned(
            session, row, "acknowledged", before=before, actor=actor, now_ms=now_ms, why=comment
        )

    async def reset(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        *,
        comment: str | None = None,
        actor: Actor,
        now_ms: int,
    ) -> Alarm:
        """Let go of a latched alarm whose cause has gone; again changes nothing.

        Raises:
            NotFoundError: the tenant has no such alarm.
            InvalidFieldError: its cause is there, or it is withheld: there is nothing to reset yet.
        """
        row, withheld = await found(session, tenant_id, alarm_id)
        life = life_of(row, withheld)
        turned = turn(life, "reset")
        if turned is None:
            if life.needs_reset:
                raise InvalidFieldError("path.alarm_id", f"is {row.state}; only a latched alarm can be reset")
            return alarm_of(row)
        before, row.reset_ms, row.state, row.escalate_ms = row.state, now_ms, turned.life.state, None
        audit_alarm(session, row, actor, "alarm_reset", now_ms, before={"state": before}, after={"state": row.state})
        return self._alarms.recorder.turned(
            session, row, "reset", before=before, actor=actor, now_ms=now_ms, why=comment
        )

    async def comment(
        self, session: AsyncSession, tenant_id: TenantId, alarm_id: UUID, *, text: str, actor: Actor, now_ms: int
    ) -> Alarm:
        """Add a word to the alarm's history.

        Raises:
            NotFoundError: the tenant has no such alarm.
            InvalidFieldError: it has COMMENTS_MAX already.
        """
        row, _ = await found(session, tenant_id, alarm_id)
        if await repository.entries_of(session, alarm_id, "commented", at_most=COMMENTS_MAX) >= COMMENTS_MAX:
            raise InvalidFieldError("body.comment", f"cannot be added: the alarm has {COMMENTS_MAX} comments")
        audit_alarm(session, row, actor, "alarm_commented", now_ms, after={"comment": text})
        return self._alarms.recorder.turned(
            session,
            row,
            "commented",
            before=row.state,
            actor=actor,
            now_ms=now_ms,
            why=text,
            changed={"text": text},
        )

    async def assign(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_id: UUID,
        *,
        user_id: str | None,
        actor: Actor,
        now_ms: int,
    ) -> Alarm:
        """Give the alarm to a person of the tenant, or to nobody; to the same one again changes nothing.

        Raises:
            NotFoundError: the tenant has no such alarm.
            InvalidFieldError: it has no such person.
        """
        row, _ = await found(session, tenant_id, alarm_id)
        name = None
        if user_id is not None:
            person = await identities.user(session, user_id)
            if person is None or person.is_disabled or not await identities.roles_of(session, tenant_id, [user_id]):
                raise InvalidFieldError("body.user_id", "is nobody of this company")
            name = person.name
        if row.assigned_to == user_id:
            return alarm_of(row)
        before = {"assigned_to": row.assigned_to, "assigned_name": row.assigned_name}
        row.assigned_to, row.assigned_name = user_id, name
        after = {"assigned_to": user_id, "assigned_name": name}
        audit_alarm(session, row, actor, "alarm_assigned", now_ms, before=before, after=after)
        return self._alarms.recorder.turned(
            session,
            row,
            "assigned",
            before=row.state,
            actor=actor,
            now_ms=now_ms,
            why=name,
            changed={"before": before},
        )


async def found(session: AsyncSession, tenant_id: TenantId, alarm_id: UUID) -> tuple[AlarmRow, frozenset[Withholding]]:
    """The tenant's alarm, and why it is withheld.

    Raises:
        NotFoundError: the tenant has no such alarm.
    """
    row = await repository.alarm(session, tenant_id, alarm_id)
    if row is None:
        raise NotFoundError("alarm", str(alarm_id))
    return row, withheld_of(await repository.point(session, point_of(row)))


def audit_alarm(
    session: AsyncSession,
    row: AlarmRow,
    actor: Actor,
    action: str,
    now_ms: int,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """A line of the audit log about an alarm."""
    target = f"alarm:{row.alarm_id}"
    audit.record(session, row.tenant_id, actor, action, target, now_ms=now_ms, before=before, after=after)
