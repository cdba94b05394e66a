"""Where the alarm pages read from, and where what people do there goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import reading, repository
from cloud.alarms.analysis import Analysis, analyse
from cloud.alarms.deeds import BULK_MAX, Deed, Deeds, Outcome
from cloud.alarms.domain import Alarm
from cloud.alarms.flood import Band, band_of
from cloud.alarms.floods import rate_now
from cloud.alarms.reading import HistoryEntry, WithheldPoint
from cloud.alarms.repository import AlarmFilter
from cloud.alarms.rules import repository as rules
from cloud.alarms.rules.stored import RULE_UNREADABLE, Unreadable, read
from cloud.alarms.service import AlarmService
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.paging import Slice
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.identity import repository as identities
from cloud.web.alarms_view import STATES_WANTED, AlarmsWanted
from cloud.web.days import day_of, start_ms
from kit.clock import Clock

LIST_ROWS = 50
POINTS_SHOWN_MAX = 200
PEOPLE_SHOWN_MAX = 200
ENTRIES_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class OpenAlarms:
    """The open alarms with how many people are told in ten minutes, and the flood that runs."""

    alarms: Sequence[Alarm]
    rate: float
    band: Band
    flood_began_ms: int | None
    held_back: int


@dataclass(frozen=True, slots=True)
class AlarmLife:
    """One alarm, why it is withheld, and its history, the newest first."""

    alarm: Alarm
    withheld: WithheldPoint | None
    entries: Sequence[HistoryEntry]
    is_stuck: bool
    """Its rule cannot be read any more: nothing looks whether its cause is still there."""


class AlarmFacts:
    """Reads and deeds of the alarm pages."""

    def __init__(self, database: Database, alarms: AlarmService, clock: Clock) -> None:
        self._database = database
        self._deeds = Deeds(alarms)
        self._clock = clock
        self.shelve_ms_max = alarms.policy.shelve_ms_max

    async def open(self, tenant: TenantId) -> OpenAlarms:
        """All that asks a person for something."""
        async with self._database.reading() as session:
            alarms = await reading.open_alarms(session, tenant)
            figure = await rate_now(session, tenant, self._clock.utc_ms())
            flood = await repository.running_flood(session, tenant)
        began_ms, held_back = (flood.began_ms, flood.held_back) if flood else (None, 0)
        return OpenAlarms(alarms, figure, band_of(figure), began_ms, held_back)

    async def past(self, tenant: TenantId, wanted: AlarmsWanted, before: UUID | None) -> Slice[Alarm]:
        """All alarms there ever were, a page at a time."""
        narrowed = AlarmFilter(
            plant_id=wanted.plant or None,
            press_id=wanted.press or None,
            kind=wanted.kind or None,
            mode=wanted.mode or None,
            from_ms=start_ms(day_of(wanted.since)),
            to_ms=start_ms(day_of(wanted.until), days=1),
            states=STATES_WANTED[wanted.state] if wanted.state else (),
            priorities=(wanted.priority,) if wanted.priority else (),
            assigned_to=wanted.assignee or None,
            search=wanted.q or None,
        )
        async with self._database.reading() as session:
            return await reading.alarms(session, tenant, narrowed, before=before, limit=LIST_ROWS)

    async def withheld(self, tenant: TenantId) -> Slice[WithheldPoint]:
        """The points that are shelved, suppressed or out of service, at most POINTS_SHOWN_MAX."""
        async with self._database.reading() as session:
            return await reading.withheld_points(session, tenant, limit=POINTS_SHOWN_MAX)

    async def analysis(self, tenant: TenantId, *, days: int, plant: str) -> Analysis:
        """The figures of the last `days`."""
        async with self._database.reading() as session:
            return await analyse(session, tenant, days=days, plant_id=plant or None, now_ms=self._clock.utc_ms())

    async def life(self, tenant: TenantId, alarm_id: UUID) -> AlarmLife | None:
        """One alarm with its history; None when there is none such."""
        async with self._database.reading() as session:
            try:
                alarm = await reading.alarm(session, tenant, alarm_id)
            except NotFoundError:
                return None
            withheld = await reading.withheld_point(session, alarm)
            entries = await reading.history(session, tenant, alarm_id=alarm_id, limit=ENTRIES_SHOWN_MAX)
            is_stuck = await self._is_stuck(session, tenant, alarm)
        return AlarmLife(alarm, withheld, entries.items, is_stuck)

    async def _is_stuck(self, session: AsyncSession, tenant: TenantId, alarm: Alarm) -> bool:
        if not alarm.is_active or not alarm.rule_id or alarm.kind == RULE_UNREADABLE:
            return False
        row = await rules.rule(session, tenant, alarm.rule_id)
        return row is not None and row.deleted_ms is None and isinstance(read(row.definition), Unreadable)

    async def people(self, tenant: TenantId) -> list[tuple[str, str]]:
        """Id and name of the people to whom an alarm can be given, by login."""
        async with self._database.reading() as session:
            rows = await identities.people(session, tenant, after="", limit=PEOPLE_SHOWN_MAX)
        return [(row.user_id, row.name) for row in rows if not row.is_disabled]

    async def do(self, tenant: TenantId, alarm_ids: Sequence[UUID], deed: Deed, actor: Actor) -> list[Outcome]:
        """Do the same to up to BULK_MAX alarms.

        Raises:
            InvalidFieldError: something is missing that the action needs.
        """
        async with self._database.transaction() as session:
            return await self._deeds.do_all(
                session, tenant, alarm_ids[:BULK_MAX], deed, actor=actor, now_ms=self._clock.utc_ms()
            )
