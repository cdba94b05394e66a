"""What plants and time do to alarms, in the caller's transaction; each turn with its history and its event."""

from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.domain import Alarm, AlarmDefaults
from cloud.alarms.flood import is_held_back
from cloud.alarms.floods import FLOOD_BEGAN, FLOOD_ENDED, Floods
from cloud.alarms.life import Event, Life, Turn, Withholding, turn
from cloud.alarms.points import Delay, Point, Raising, as_stored, heard
from cloud.alarms.policy import ESCALATION_LEVELS_MAX, AlarmPolicy
from cloud.alarms.record import EVENT_PREFIX, Recorder, alarm_of, life_of, point_of, withheld_of
from cloud.alarms.tables import AlarmRow, PointRow
from cloud.core.audit import SYSTEM, Actor
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import TenantId
from kit.ids import uuid7

TOLD = (
    "raised",
    "acknowledged",
    "cleared",
    "reset",
    "shelved",
    "unshelved",
    "escalated",
    "realarmed",
    "commented",
    "assigned",
    "suppressed",
    "unsuppressed",
    "out_of_service",
    "in_service",
    FLOOD_BEGAN,
    FLOOD_ENDED,
)
ALARM_RAISED = f"{EVENT_PREFIX}raised"
ALARM_EVENTS = frozenset(EVENT_PREFIX + what for what in TOLD)
"""What other systems are told of; see `record.SILENT` for the rest."""
RAISED_SILENTLY, CLEARED_SILENTLY = "raised_silently", "cleared_silently"


class AlarmService:
    """Raises, clears and announces alarms and lets them escalate; people act by `answers` and `withholding`."""

    def __init__(
        self, events: EventLog, live: Live, defaults: AlarmDefaults, policy: AlarmPolicy | None = None
    ) -> None:
        self.recorder = Recorder(events, live)
        self.floods = Floods(self.recorder)
        self.defaults = defaults
        self.policy = policy or AlarmPolicy()

    async def report(self, session: AsyncSession, raising: Raising, *, is_there: bool, now_ms: int) -> None:
        """A look at a cause: raises or clears once it has lasted as long as `raising` asks, by a later look or none."""
        point = await repository.point(session, raising.point)
        active = await repository.active_alarm(session, raising.point)
        waiting = None
        if point is not None and point.delay_due_ms is not None:
            waiting = Delay("raise" if point.delay_step == "raise" else "clear", point.delay_due_ms)
        waits, step = heard(
            waiting,
            is_there=is_there,
            is_active=active is not None,
            on_delay_ms=raising.on_delay_ms,
            off_delay_ms=raising.off_delay_ms,
            now_ms=now_ms,
        )
        if waits != waiting or waits:
            point = point or self.new_point(session, raising.tenant_id, raising.point)
            _keep_delay(point, waits, raising)
        if step == "raise":
            await self.raise_at(session, raising, now_ms)
        elif step == "clear":
            await self.clear_at(session, raising.point, now_ms)

    async def raise_at(self, session: AsyncSession, raising: Raising, now_ms: int) -> Alarm:
        """A new active alarm, or the latched one of this point active again; one that is active stays as it is."""
        active = await repository.active_alarm(session, raising.point)
        if active is not None:
            return alarm_of(active)
        withheld = withheld_of(await repository.point(session, raising.point))
        row = await repository.latched_alarm(session, raising.point) if raising.is_latching else None
        life, before = (life_of(row, withheld), row.state) if row else (Life(withheld=withheld), "normal")
        turned = turn(life, "raise", is_latching=raising.is_latching)
        assert turned is not None, "it is not active"
        if row is None:
            row = await self._new_row(session, raising, now_ms)
            session.add(row)
        row.cleared_ms, row.acknowledged_ms, row.acknowledged_by, row.reset_ms = None, None, None, None
        row.announced_ms, row.escalation_level, row.state = None, 0, turned.life.state
        row.rule_version, row.realarm_own_ms = raising.rule_version, raising.realarm_ms
        why = raising.why or None
        if not turned.is_announcement:
            return self.recorder.turned(
                session, row, RAISED_SILENTLY, before=before, actor=SYSTEM, now_ms=now_ms, why=why
            )
        tenant_id = raising.tenant_id
        flood = await self.floods.count(session, tenant_id, row.priority, row.group_order)
        row.is_held_back = is_held_back(row.priority, row.group_order, in_flood=flood is not None)
        self._announced(row, now_ms)
        what = RAISED_SILENTLY if row.is_held_back else "raised"
        alarm = self.recorder.turned(
            session, row, what, before=before, actor=SYSTEM, now_ms=now_ms, why=why, is_annunciation=True
        )
        if flood is None:
            await self.floods.look_for_beginning(session, tenant_id, now_ms)
        return alarm

    async def clear_at(
        self, session: AsyncSession, where: Point, now_ms: int, *, why: str | None = None
    ) -> Alarm | None:
        """The cause of a point's active alarm has gone, or its rule looks there no more; None when none is active.

        A shelf for one occurrence ends with it: it is due from now on, and `keeper` takes it away.
        """
        row = await repository.active_alarm(session, where)
        if row is None:
            return None
        point = await repository.point(session, where)
        withheld = withheld_of(point)
        turned = turn(life_of(row, withheld), "clear")
        assert turned is not None, "it is active"
        what = CLEARED_SILENTLY if withheld or row.is_held_back else "cleared"
        before, row.cleared_ms, row.realarm_ms, row.state = row.state, now_ms, None, turned.life.state
        if row.is_held_back:  # it was told of with its group, and so is this
            row.is_held_back, row.announced_ms = False, now_ms
        if row.state != "latched_unacknowledged":
            row.escalate_ms = None
        if point is not None and point.is_one_shot and point.shelved_until_ms is not None:
            point.shelved_until_ms = min(point.shelved_until_ms, now_ms)
        await session.flush()  # the next alarm of this point may follow in the same transaction
        return self.recorder.turned(session, row, what, before=before, actor=SYSTEM, now_ms=now_ms, why=why)

    async def escalate(self, session: AsyncSession, row: AlarmRow, now_ms: int) -> None:
        """Nobody has answered in time: one level up, ESCALATION_LEVELS_MAX at most."""
        assert row.escalation_level < ESCALATION_LEVELS_MAX
        row.escalation_level += 1
        row.escalate_ms = self.policy.next_escalation_ms(row.priority, row.escalation_level, now_ms)
        level = row.escalation_level
        self.recorder.turned(
            session,
            row,
            "escalated",
            before=row.state,
            actor=SYSTEM,
            now_ms=now_ms,
            why=str(level),
            changed={"level": level},
        )

    async def realarm(self, session: AsyncSession, row: AlarmRow, now_ms: int) -> None:
        """Acknowledged long ago and still there: announced again, and to be answered again."""
        row.realarm_ms = None
        point = await repository.point(session, point_of(row))
        turned = turn(life_of(row, withheld_of(point)), "realarm")
        if turned is None:
            return
        before, row.acknowledged_ms, row.acknowledged_by = row.state, None, None
        row.state = turned.life.state
        self._announced(row, now_ms)
        self.recorder.turned(
            session, row, "realarmed", before=before, actor=SYSTEM, now_ms=now_ms, is_annunciation=True
        )
        await self.floods.look_for_beginning(session, TenantId(row.tenant_id), now_ms)

    def announce_late(self, session: AsyncSession, row: AlarmRow, now_ms: int) -> None:
        """The flood is over and the alarm still there: it is told of by itself, and not counted a second time."""
        row.is_held_back = False
        if row.state == "active_unacknowledged":
            self._announced(row, now_ms)
            self.recorder.turned(session, row, "raised", before=row.state, actor=SYSTEM, now_ms=now_ms)

    async def apply_to_point(
        self,
        session: AsyncSession,
        point: PointRow,
        event: Event,
        *,
        withheld: frozenset[Withholding],
        what: str,
        actor: Actor,
        now_ms: int,
        why: str | None,
    ) -> list[tuple[AlarmRow, bool]]:
        """Let `event` turn every lasting alarm of a point that was `withheld` before.

        Each gets its row of history. Gives those that turned, the active one first; True: it is announced anew.
        """
        turns: list[tuple[AlarmRow, bool]] = []
        for row in await repository.lasting_alarms(session, point_of(point)):
            turned = turn(life_of(row, withheld), event)
            if turned is None:
                continue
            before = row.state
            self._settle(row, turned, now_ms)
            self.recorder.remember(
                session,
                row,
                what,
                before=before,
                actor=actor,
                now_ms=now_ms,
                why=why,
                is_annunciation=turned.is_announcement,
            )
            turns.append((row, turned.is_announcement))
        return turns

    def _settle(self, row: AlarmRow, turned: Turn, now_ms: int) -> None:
        """Write into a row what a withholding, or its end, made of it."""
        row.state = turned.life.state
        if turned.is_announcement:
            row.acknowledged_ms, row.acknowledged_by, row.is_held_back = None, None, False
            row.escalation_level = 0
            self._announced(row, now_ms)
        elif turned.life.withheld:
            row.escalate_ms, row.realarm_ms = None, None

    def _announced(self, row: AlarmRow, now_ms: int) -> None:
        """People are told now, unless with the group only; the time in which they should answer begins."""
        row.announced_ms = None if row.is_held_back else now_ms
        is_due = not row.is_held_back
        row.escalate_ms = self.policy.next_escalation_ms(row.priority, row.escalation_level, now_ms) if is_due else None

    def next_realarm_ms(self, row: AlarmRow, now_ms: int) -> int | None:
        """When an alarm that was acknowledged now is announced again: as its rule has it, else as the site has it."""
        if row.realarm_own_ms is None:
            return self.policy.next_realarm_ms(now_ms)
        return now_ms + row.realarm_own_ms if row.realarm_own_ms else None

    def new_point(self, session: AsyncSession, tenant_id: TenantId, where: Point) -> PointRow:
        """A point with nothing to hold yet."""
        row = PointRow(**asdict(where), tenant_id=tenant_id, is_one_shot=False)
        session.add(row)
        return row

    async def _new_row(self, session: AsyncSession, raising: Raising, now_ms: int) -> AlarmRow:
        alarm_id, cause = uuid7(now_ms), raising.cause or raising.point.kind
        group = await repository.last_of_group(session, raising.point, cause)
        return AlarmRow(
            **asdict(raising.point),
            alarm_id=alarm_id,
            tenant_id=raising.tenant_id,
            priority=raising.priority,
            probability=raising.probability,
            threshold=raising.threshold,
            count=raising.count,
            reasons=[asdict(reason) for reason in raising.reasons],
            first_over_ms=now_ms if raising.first_over_ms is None else raising.first_over_ms,
            raised_ms=now_ms,
            comment=None,
            shot_row_id=raising.shot_row_id,
            value=raising.value,
            cause=cause,
            group_id=group[0] if group else alarm_id,
            group_order=group[1] + 1 if group else 1,
            is_latching=raising.is_latching,
            is_held_back=False,
            escalate_ms=None,
            realarm_ms=None,
            assigned_to=None,
            assigned_name=None,
        )


def _keep_delay(point: PointRow, delay: Delay | None, raising: Raising) -> None:
    point.delay_step = delay.step if delay else None
    point.delay_due_ms = delay.due_ms if delay else None
    point.delay_raising = as_stored(raising) if delay and delay.step == "raise" else None
