"""What a press's page reads of its past: a span of shots, the reference of now, what happened when."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import reading as alarms_reading
from cloud.alarms.repository import AlarmFilter
from cloud.core.database import Database
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements.plans import Plans
from cloud.entitlements.sight import ALL_TIME, Sight
from cloud.fleet import reading
from cloud.rollouts import repository as rollouts
from cloud.telemetry.store import PAGE_ROWS_MAX, PressKey, StoredChange, StoredShot, TelemetryStore
from cloud.web.happenings import Happening, happenings_of
from cloud.web.press_query import HOUR_MS, PressQuery
from cloud.web.reference import REFERENCE_SHOTS, Envelope, envelope_of, healthy_of
from kit.clock import Clock

ROW_ID_END: Final = 1 << 62
AT_END: Final = (ROW_ID_END, ROW_ID_END)
"""Behind every shot."""
LOOKED_BACK: Final = PAGE_ROWS_MAX
"""Shots among which the healthy ones are sought."""
RUN_SHOTS: Final = 300
KEPT_S: Final = 60.0
REFERENCES_MAX: Final = 32
"""A run of 300 shots with their features is some 3 MB."""
MARKS_MAX: Final = 50
CHANGES_MAX: Final = 50
PRESSES_OF_CHANGES_MAX: Final = 256
"""Changes of a press with their datasets are some 50 kB."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What is usual for a press and mould: the envelope of its curves, and a run in control, oldest first."""

    mould_id: str
    envelope: Envelope | None
    run: Sequence[StoredShot]
    made_s: float


class PressHistory:
    """Reads for the charts and lists of a press's past; references are kept for KEPT_S."""

    def __init__(
        self,
        database: Database,
        store: TelemetryStore,
        clock: Clock,
        threads: anyio.CapacityLimiter,
        *,
        threshold: float,
        plans: Plans | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._threads = threads
        self._threshold = threshold
        self._plans = plans
        self._changes: OrderedDict[tuple[TenantId, PressKey], tuple[float, list[StoredChange]]] = OrderedDict()
        self._references: OrderedDict[tuple[TenantId, PressKey, str], Reference] = OrderedDict()

    async def in_span(self, tenant: TenantId, press: PressKey, query: PressQuery) -> list[StoredShot]:
        """The shots of a span, newest first, at most `query.shots_max`."""
        pages = self.pages(tenant, press, query, shots_max=query.shots_max)
        return [row async for page in pages for row in page]

    async def pages(
        self, tenant: TenantId, press: PressKey, query: PressQuery, *, shots_max: int
    ) -> AsyncIterator[list[StoredShot]]:
        """The shots of a span, newest first, a page at a time so that the store is free between two."""
        from_ms = self._clock.utc_ms() - query.since_hours * HOUR_MS if query.since_hours else 0
        plants, before, left = await self.plants(tenant), AT_END, shots_max
        while left > 0:
            limit = min(PAGE_ROWS_MAX, left)
            page = await self._blocking(self._store.between, plants, press, from_ms=from_ms, before=before, limit=limit)
            if page:
                yield page
            if len(page) < limit:
                return
            before, left = place_of(page[-1]), left - limit

    async def with_curves(self, tenant: TenantId, press: PressKey, row_ids: Sequence[int]) -> list[StoredShot]:
        """Those of these shots that are the press's, in the order in which they are asked."""
        found = await self._blocking(self._store.shots, await self.plants(tenant), press, list(row_ids))
        by_id = {row.row_id: row for row in found}
        return [by_id[row_id] for row_id in row_ids if row_id in by_id]

    async def reference(self, tenant: TenantId, press: PressKey, row: StoredShot, *, is_latest: bool) -> Reference:
        """What was usual before this shot; for the latest shot what was so at most KEPT_S ago."""
        key = tenant, press, row.scored.shot.mould_id
        kept = self._references.get(key) if is_latest else None
        if kept is not None and self._clock.monotonic_s() - kept.made_s < KEPT_S:
            return kept
        made = await self._reference(tenant, press, row)
        if is_latest:
            self._references[key] = made
            self._references.move_to_end(key)
            while len(self._references) > REFERENCES_MAX:
                self._references.popitem(last=False)
        return made

    async def _reference(self, tenant: TenantId, press: PressKey, row: StoredShot) -> Reference:
        plants, mould_id = await self.plants(tenant), row.scored.shot.mould_id
        before = place_of(row)
        async with self._database.reading() as session:
            repaired_ms = await rollouts.repairs_of(session, tenant, *_names(press), from_ms=0, until_ms=before[0])
        from_ms = repaired_ms[0].labelled_ms if repaired_ms else 0
        rows = await self._blocking(
            self._store.between, plants, press, from_ms=from_ms, before=before, limit=LOOKED_BACK
        )
        healthy = healthy_of(rows, mould_id, threshold=self._threshold)
        ids = [each.row_id for each in healthy[:REFERENCE_SHOTS]]
        drawn = await self._blocking(self._store.shots, plants, press, ids)
        envelope = await anyio.to_thread.run_sync(envelope_of, [each.scored.shot for each in drawn])
        return Reference(mould_id, envelope, healthy[::-1][:RUN_SHOTS], self._clock.monotonic_s())

    async def marks(self, tenant: TenantId, press: PressKey, from_ms: int, until_ms: int) -> list[Happening]:
        """What happened in a time, in its order; the newest MARKS_MAX."""
        found = await self.changes_and_repairs(tenant, press, from_ms, until_ms, limit=MARKS_MAX)
        async with self._database.reading() as session:
            found += await _alarm_marks(session, tenant, press, from_ms, until_ms)
        return sorted(found, key=lambda mark: (mark.at_ms, mark.kind, mark.what))[-MARKS_MAX:]

    async def changes(self, tenant: TenantId, press: PressKey) -> Sequence[StoredChange]:
        """The newest CHANGES_MAX changes of a press, as they were at most KEPT_S ago."""
        kept, now_s = self._changes.get((tenant, press)), self._clock.monotonic_s()
        if kept is not None and now_s - kept[0] < KEPT_S:
            return kept[1]
        plants = await self.plants(tenant)
        found = await self._blocking(
            self._store.changes, plants, press, from_ms=0, until_ms=ROW_ID_END, limit=CHANGES_MAX
        )
        self._changes[tenant, press] = now_s, found
        self._changes.move_to_end((tenant, press))
        while len(self._changes) > PRESSES_OF_CHANGES_MAX:
            self._changes.popitem(last=False)
        return found

    async def changes_and_repairs(
        self, tenant: TenantId, press: PressKey, from_ms: int, until_ms: int, *, limit: int
    ) -> list[Happening]:
        """The newest `limit` changes of job, mould, material, dataset or set points, and all repairs that are kept."""
        plants = await self.plants(tenant)
        changes = await self._blocking(
            self._store.changes, plants, press, from_ms=from_ms, until_ms=until_ms, limit=limit
        )
        found = [happening for change in changes for happening in happenings_of(change)]
        async with self._database.reading() as session:
            repairs = await rollouts.repairs_of(session, tenant, *_names(press), from_ms=from_ms, until_ms=until_ms)
        return found + [Happening(label.labelled_ms, "maintenance", label.mode) for label in repairs]

    async def knows(self, tenant: TenantId, press: PressKey) -> bool:
        """Whether the tenant has this press."""
        async with self._database.reading() as session:
            try:
                await reading.press(session, tenant, press.plant_id, press.press_id)
            except NotFoundError:
                return False
        return True

    async def plants(self, tenant: TenantId) -> Sight:
        """The tenant's plants, seen as far back as its plan goes."""
        from_ms = await self._plans.hidden_before_ms(tenant) if self._plans else ALL_TIME
        async with self._database.reading() as session:
            return Sight(await reading.plant_ids(session, tenant), from_ms)

    async def _blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._threads)


def place_of(row: StoredShot) -> tuple[int, int]:
    """Where a shot stands in its press's own time."""
    return row.scored.shot.ended_ms, row.row_id


async def _alarm_marks(
    session: AsyncSession, tenant: TenantId, press: PressKey, from_ms: int, until_ms: int
) -> list[Happening]:
    wanted = AlarmFilter(plant_id=press.plant_id, press_id=press.press_id)
    found = await alarms_reading.alarms(session, tenant, wanted, limit=MARKS_MAX)
    return [
        Happening(alarm.raised_ms, "alarm", alarm.mode)
        for alarm in found.items
        if from_ms <= alarm.raised_ms <= until_ms
    ]


def _names(press: PressKey) -> tuple[str, str]:
    return press.plant_id, press.press_id
