"""Where the pages read from: the fleet, the alarms and the telemetry store, joined for a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, ParamSpec, TypeVar
from uuid import UUID

import anyio
import anyio.to_thread

from cloud.alarms import reading as alarms_reading
from cloud.alarms.answers import Answers
from cloud.alarms.domain import Alarm
from cloud.alarms.repository import AlarmFilter
from cloud.alarms.service import AlarmService
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.live import Live
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements.plans import Plans
from cloud.fleet import reading
from cloud.fleet.domain import Press
from cloud.production.board import ProductionBoard
from cloud.production.windows import WindowName
from cloud.rollouts import repository as rollouts
from cloud.rollouts.orders import report_in
from cloud.telemetry.store import Plants, PressKey, StoredShot, TelemetryStore
from cloud.web.alarm_facts import AlarmFacts
from cloud.web.fleet_index import FleetIndex, alarm_lines
from cloud.web.fleet_view import AlarmLine, FleetFacts, PressFacts
from cloud.web.press_history import PressHistory
from cloud.web.press_log import PressLog
from cloud.web.press_page import ALARMS_SHOWN, PressPageFacts
from cloud.web.press_view import SHOTS_SHOWN
from cloud.web.shell import Shell
from kit.clock import Clock

READ_THREADS_MAX = 4
QUALITY_SHOTS = 200
LIST_ROWS = 50

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """One page of a list; `older` is the cursor of the next, None at the end."""

    items: Sequence[T]
    older: str | None


class PageFacts:
    """Reads for pages; blocking reads of the store go through a few threads."""

    def __init__(
        self,
        database: Database,
        store: TelemetryStore,
        alarms: AlarmService,
        live: Live,
        clock: Clock,
        production: ProductionBoard | None = None,
        *,
        plans: Plans | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._answers = Answers(alarms)
        self.alarm_life = AlarmFacts(database, alarms, clock)
        self._live = live
        self._clock = clock
        self._threads = anyio.CapacityLimiter(READ_THREADS_MAX)
        self._production = production
        self._plans = plans
        self._indexes: dict[TenantId, tuple[anyio.Lock, FleetIndex]] = {}
        self._fleet: dict[tuple[TenantId, WindowName], tuple[int, FleetFacts]] = {}
        self.threshold = alarms.defaults.limits.threshold
        self.history = PressHistory(database, store, clock, self._threads, threshold=self.threshold, plans=plans)

    async def fleet(self, tenant: TenantId, window: WindowName = "shift") -> FleetFacts:
        """Every gateway of a tenant, and every press that its plan shows."""
        facts = await self._whole_fleet(tenant, window)
        locked = (await self._plans.of(tenant)).locked if self._plans else frozenset()
        if not locked:
            return facts
        shown = [press for press in facts.presses if (press.plant_id, press.press_id) not in locked]
        return replace(facts, presses=shown)

    async def _whole_fleet(self, tenant: TenantId, window: WindowName) -> FleetFacts:
        """All there is, read again only when something has happened since."""
        version = self._live.pages.version
        report = await self._production.report(tenant, window) if self._production else None
        seen = self._fleet.get((tenant, window))
        if seen and seen[0] == version and seen[1].report is report:
            return seen[1]
        known = self._indexes.get(tenant)
        if known is None:
            known = self._indexes[tenant] = (anyio.Lock(), FleetIndex(tenant, self._live, self.threshold))
        lock, index = known
        async with lock:
            async with self._database.reading() as session:
                dirty = await index.look(session)
                plants = await reading.plant_ids(session, tenant)
            latest = await self._blocking(self._store.latest, plants)
            facts = index.facts(latest, report, dirty)
        self._fleet[tenant, window] = version, facts
        return facts

    async def plant_ids(self, tenant: TenantId) -> list[str]:
        """The tenant's plants by name."""
        return sorted({gateway.plant_id for gateway in (await self.fleet(tenant)).gateways})

    async def press(
        self, tenant: TenantId, key: PressKey, *, before: int | None = None, pinned_id: int | None = None
    ) -> PressPageFacts | None:
        """All of a press's page; None when the tenant has no such press."""
        async with self._database.reading() as session:
            try:
                press = await reading.press(session, tenant, key.plant_id, key.press_id)
            except NotFoundError:
                return None
            wanted = AlarmFilter(plant_id=key.plant_id, press_id=key.press_id)
            alarms = await alarms_reading.alarms(session, tenant, wanted, limit=ALARMS_SHOWN)
            verdicts = await rollouts.verdicts(session, tenant, [alarm.alarm_id for alarm in alarms.items])
            order = await rollouts.order(session, key.plant_id, press.gateway_id)
        report = report_in(order).presses.get(key.press_id) if order is not None else None
        rows = await self.recent(tenant, key, limit=QUALITY_SHOTS)
        table_rows = rows if before is None else await self.recent(tenant, key, limit=SHOTS_SHOWN + 1, before=before)
        newest = max(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id), default=None)
        return PressPageFacts(
            press=_press_facts(press, newest, alarm_lines(alarms.items)),
            changed_ms=press.state_since_ms,
            rows=rows,
            changes=await self.history.changes(tenant, key),
            table_rows=table_rows,
            alarms=sorted(alarms.items, key=lambda alarm: not alarm.is_active),
            threshold=self.threshold,
            verdicts=verdicts,
            before=before,
            pinned_id=pinned_id,
            report=report,
            reported_ms=order.reported_ms if order is not None else None,
        )

    async def verdicts(self, tenant: TenantId, alarms: Sequence[Alarm]) -> dict[UUID, str]:
        """What engineers have said of alarms, by id."""
        async with self._database.reading() as session:
            return await rollouts.verdicts(session, tenant, [UUID(str(alarm.alarm_id)) for alarm in alarms])

    async def acknowledge(self, tenant: TenantId, alarm_id: str, actor: Actor) -> Alarm | None:
        """Acknowledge an alarm in the name of `actor`; None when there is none such."""
        known = uuid_of(alarm_id)
        if known is None:
            return None
        try:
            async with self._database.transaction() as session:
                return await self._answers.acknowledge(session, tenant, known, actor=actor, now_ms=self._clock.utc_ms())
        except NotFoundError:
            return None

    async def knows(self, tenant: TenantId, press: PressKey) -> bool:
        """Whether the tenant has this press: asked before anything of it is shown."""
        return await self.history.knows(tenant, press)

    def press_log(self, shell: Shell) -> PressLog:
        """The page of what happened at a press."""
        return PressLog(shell, self._database, self.history)

    async def recent(
        self, tenant: TenantId, press: PressKey, *, limit: int, before: int | None = None
    ) -> Sequence[StoredShot]:
        """The shots of a press that arrived last, newest first."""
        plants = await self._plants(tenant)
        return await self._blocking(self._store.recent, plants, press, limit=limit, before=before)

    async def shot(self, tenant: TenantId, press: PressKey, row_id: int | None) -> StoredShot | None:
        """One shot of a press with its curves, the last that arrived without `row_id`; None when it has none such."""
        if row_id is None:
            rows = await self.recent(tenant, press, limit=1)
            row_id = rows[0].row_id if rows else None
        if row_id is None:
            return None
        row = await self._blocking(self._store.shot, await self._plants(tenant), row_id)
        return row if row and row.press == press else None

    async def _plants(self, tenant: TenantId) -> Plants:
        return await self.history.plants(tenant)

    async def _blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._threads)


def uuid_of(text: str) -> UUID | None:
    """The UUID in a URL; None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _press_facts(press: Press, newest: StoredShot | None, alarms: Mapping[PressKey, list[AlarmLine]]) -> PressFacts:
    key = PressKey(press.plant_id, press.press_id)
    return PressFacts(press.plant_id, press.press_id, press.gateway_id, press.state, newest, tuple(alarms.get(key, ())))
