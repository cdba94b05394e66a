"""Events reach each subscriber at least once, in order, and its own work exactly once, whatever crashes."""

import random
from collections.abc import AsyncIterator, Sequence

import anyio
import pytest
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import cursors, events
from cloud.core.database import Database
from cloud.core.events import BATCH_EVENTS_MAX, Dispatcher, Event, EventLog, Subscriber
from cloud.core.live import Live
from cloud.core.tables import CursorRow, EventRow
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade

pytestmark = pytest.mark.anyio
DONE = "done:"


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


class CrashingWorker:
    """A subscriber that notes each event in its session, and crashes by chance before or after it does."""

    def __init__(self, name: str, seed: int, kinds: frozenset[str]) -> None:
        self.chance = random.Random(seed)
        self.seen: list[int] = []
        self.subscriber = Subscriber(name, kinds, self.handle)

    async def handle(self, session: AsyncSession, found: Sequence[Event]) -> None:
        for event in found:
            self.seen.append(event.event_id)
            session.add(CursorRow(name=f"{DONE}{self.subscriber.name}:{event.event_id}", position=1))
            if self.chance.random() < 0.02:
                await session.flush()
                raise RuntimeError("the worker crashed")


async def record(database: Database, live: Live, kinds: Sequence[str], now_ms: int = 1) -> None:
    async with database.transaction() as session:
        for number, kind in enumerate(kinds):
            EventLog(live).record(session, DEFAULT_TENANT, kind, {"number": number}, now_ms)


async def done(database: Database, name: str) -> list[int]:
    async with database.reading() as session:
        rows = await session.scalars(select(CursorRow.name).where(CursorRow.name.startswith(f"{DONE}{name}:")))
        return sorted(int(row.rpartition(":")[2]) for row in rows)


@pytest.mark.parametrize("seed", range(5))
async def test_work_is_done_exactly_once_though_the_worker_crashes(database: Database, seed: int) -> None:
    live, chance = Live(), random.Random(seed)
    kinds = [chance.choice(("alarm.raised", "press.state_changed")) for _ in range(300)]
    await record(database, live, kinds)
    worker = CrashingWorker("worker", seed, frozenset({"alarm.raised"}))
    dispatcher = Dispatcher(database, live, worker.subscriber)
    crashes = 0
    while True:
        try:
            if await dispatcher.deliver_batch() == 0:
                break
        except RuntimeError:
            crashes += 1
    wanted = [number for number, kind in enumerate(kinds, start=1) if kind == "alarm.raised"]
    assert crashes > 0
    assert await done(database, "worker") == wanted
    assert len(worker.seen) > len(wanted)


async def test_subscribers_do_not_hold_each_other_up(database: Database) -> None:
    live = Live()
    await record(database, live, ["alarm.raised"] * 3)
    broken = CrashingWorker("broken", 0, frozenset({"alarm.raised"}))
    broken.chance.random = lambda: 0.0  # type: ignore[method-assign]
    healthy = CrashingWorker("healthy", 0, frozenset({"alarm.raised"}))
    with pytest.raises(RuntimeError):
        await Dispatcher(database, live, broken.subscriber).deliver_batch()
    assert await Dispatcher(database, live, healthy.subscriber).deliver_batch() == 3
    assert (await done(database, "broken"), await done(database, "healthy")) == ([], [1, 2, 3])


async def test_a_running_dispatcher_wakes_for_an_event(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_S", 3600.0)
    live, arrived = Live(), anyio.Event()

    async def handle(_session: AsyncSession, _events: Sequence[Event]) -> None:
        arrived.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Dispatcher(database, live, Subscriber("s", frozenset({"a"}), handle)).run)
        await record(database, live, ["a"])
        with anyio.fail_after(10):
            await arrived.wait()
        tasks.cancel_scope.cancel()


async def test_more_than_a_batch_is_delivered_in_order(database: Database) -> None:
    live = Live()
    await record(database, live, ["a"] * (BATCH_EVENTS_MAX + 7))
    worker = CrashingWorker("worker", 1, frozenset({"a"}))
    worker.chance.random = lambda: 1.0  # type: ignore[method-assign]
    dispatcher = Dispatcher(database, live, worker.subscriber)
    assert [await dispatcher.deliver_batch() for _ in range(3)] == [BATCH_EVENTS_MAX, 7, 0]
    assert worker.seen == list(range(1, BATCH_EVENTS_MAX + 8))


async def test_old_events_go_only_when_every_subscriber_has_had_them(database: Database) -> None:
    live = Live()
    await record(database, live, ["a"] * 3, now_ms=1)
    await record(database, live, ["a"], now_ms=events.KEPT_MS)
    async with database.transaction() as session:
        await cursors.advance(session, f"{events.CURSOR_PREFIX}slow", expected=0, to=2)
        await cursors.advance(session, f"{events.CURSOR_PREFIX}fast", expected=0, to=4)
        await events.prune(session, now_ms=events.KEPT_MS + 2)
    async with database.reading() as session:
        assert list(await session.scalars(select(EventRow.event_id))) == [3, 4]
