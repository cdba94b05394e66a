"""Events: what a module did, written with it, and delivered at least once to each named subscriber."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import cursors
from cloud.core.database import Database, announce
from cloud.core.live import Live, wait_for_change
from cloud.core.tables import CursorRow, EventRow
from cloud.core.tenants import TenantId

BATCH_EVENTS_MAX = 200
SINCE_EVENTS_MAX = 2_000
POLL_S = 1.0
KEPT_MS = 30 * 24 * 3600 * 1000
CURSOR_PREFIX = "events:"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `event_id` rises in the order of commits."""

    event_id: int
    tenant_id: TenantId
    kind: str
    payload: Mapping[str, Any]
    created_ms: int


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A reader of events with a cursor of its own; `alarm.*` among its kinds are all whose name begins with `alarm.`.

    `handle` does its work with the session that also moves the cursor: both are kept, or neither. It sees an event
    again only when its transaction was lost, so what it does elsewhere than in the session may happen twice.
    """

    name: str
    kinds: frozenset[str]
    handle: Callable[[AsyncSession, Sequence[Event]], Awaitable[None]]

    def wants(self, kind: str) -> bool:
        """Whether it is brought events of this kind."""
        return kind in self.kinds or f"{kind.partition('.')[0]}.*" in self.kinds


class EventLog:
    """Writes events into the caller's transaction and wakes the subscribers after it."""

    def __init__(self, live: Live) -> None:
        self._live = live

    @property
    def live(self) -> Live:
        """The topics of the program that writes here."""
        return self._live

    def record(
        self, session: AsyncSession, tenant_id: TenantId, kind: str, payload: Mapping[str, Any], now_ms: int
    ) -> None:
        """Write one event; `payload` is JSON without NaN."""
        write(session, tenant_id, kind, payload, now_ms)
        announce(session, self._live.events)


def write(session: AsyncSession, tenant_id: TenantId, kind: str, payload: Mapping[str, Any], now_ms: int) -> None:
    """Write one event where nobody is at hand to wake the subscribers: they find it within POLL_S."""
    session.add(EventRow(tenant_id=tenant_id, kind=kind, payload=dict(payload), created_ms=now_ms))


class Dispatcher:
    """Brings events to one subscriber, in order, a batch a transaction."""

    def __init__(self, database: Database, live: Live, subscriber: Subscriber) -> None:
        self._database = database
        self._live = live
        self._subscriber = subscriber

    async def run(self) -> None:
        """Deliver until cancelled; what the subscriber raises comes out of here and nothing of its batch is kept."""
        while True:
            version = self._live.events.version
            while await self.deliver_batch() == BATCH_EVENTS_MAX:
                pass
            await wait_for_change(self._live.events, version, at_most_s=POLL_S)

    async def deliver_batch(self) -> int:
        """Deliver at most BATCH_EVENTS_MAX events in one transaction; how many were read."""
        if not await self._has_news():
            return 0
        name = CURSOR_PREFIX + self._subscriber.name
        async with self._database.transaction() as session:
            position = await cursors.position_of(session, name)
            events = await _after(session, position)
            if events:
                wanted = [event for event in events if self._subscriber.wants(event.kind)]
                if wanted:
                    await self._subscriber.handle(session, wanted)
                await cursors.advance(session, name, expected=position, to=events[-1].event_id)
        return len(events)

    async def _has_news(self) -> bool:
        """Look without holding up the writers."""
        async with self._database.reading() as session:
            position = await cursors.position_of(session, CURSOR_PREFIX + self._subscriber.name)
            newest = await session.scalar(select(func.max(EventRow.event_id)))
        return newest is not None and newest > position


async def newest(session: AsyncSession) -> int:
    """The id of the last event; 0 before the first."""
    return await session.scalar(select(func.max(EventRow.event_id))) or 0


async def since(session: AsyncSession, tenant_id: TenantId, position: int, kinds: frozenset[str]) -> list[Event] | None:
    """A tenant's events of these kinds after `position`, in order; None when there are more than SINCE_EVENTS_MAX."""
    row = EventRow
    statement = (
        select(row.event_id, row.kind, row.payload, row.created_ms)
        .where(row.tenant_id == tenant_id, row.event_id > position, row.kind.in_(kinds))
        .order_by(row.event_id)
        .limit(SINCE_EVENTS_MAX + 1)
    )
    found = [Event(event_id, tenant_id, *rest) for event_id, *rest in await session.execute(statement)]
    return found if len(found) <= SINCE_EVENTS_MAX else None


async def about(
    session: AsyncSession,
    tenant_id: TenantId,
    wanted: Mapping[str, str],
    kinds: frozenset[str],
    *,
    until_ms: int,
    limit: int,
) -> list[Event]:
    """A tenant's events of these kinds whose payload says what is wanted, until a moment, the newest first."""
    row = EventRow
    statement = select(row.event_id, row.kind, row.payload, row.created_ms).where(
        row.tenant_id == tenant_id,
        row.kind.in_(kinds),
        row.created_ms <= until_ms,
        *(row.payload[name].as_string() == value for name, value in wanted.items()),
    )
    found = await session.execute(statement.order_by(row.created_ms.desc(), row.event_id.desc()).limit(limit))
    return [Event(event_id, tenant_id, *rest) for event_id, *rest in found]


async def prune(session: AsyncSession, now_ms: int) -> None:
    """Forget events that are older than KEPT_MS and that every subscriber has had."""
    had_by_all = await session.scalar(
        select(func.min(CursorRow.position)).where(CursorRow.name.startswith(CURSOR_PREFIX))
    )
    is_old = (EventRow.created_ms < now_ms - KEPT_MS, EventRow.event_id <= (had_by_all or 0))
    await session.execute(delete(EventRow).where(*is_old))


async def _after(session: AsyncSession, position: int) -> list[Event]:
    statement = select(EventRow).where(EventRow.event_id > position).order_by(EventRow.event_id).limit(BATCH_EVENTS_MAX)
    rows = await session.scalars(statement)
    return [Event(r.event_id, TenantId(r.tenant_id), r.kind, r.payload, r.created_ms) for r in rows]
