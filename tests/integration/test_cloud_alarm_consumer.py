"""From stored shots to alarms: the same alarms once, however the reader is cut into batches and crashes."""

import random
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import URL, func, select

from cloud.alarms import jobs, reading
from cloud.alarms.answers import Answers
from cloud.alarms.domain import Alarm, AlarmDefaults
from cloud.alarms.jobs import AlarmConsumer
from cloud.alarms.record import event_payload
from cloud.alarms.service import AlarmService
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.problems import NotFoundError
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.migrations.upgrade import upgrade
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from contract.alarming import AlarmRules, Tracker, step
from contract.shot import Reason, ScoredShot, Scores, Shot
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
GATEWAY = GatewayKey("plant-1", "gw-1")
RULES = AlarmRules(on_delay_shots=3, off_delay_shots=4)
NOW_MS = 1_767_225_600_000
MODE = "check_ring_wear"
LI = Actor("user", name="Li")


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


class FragileClock(ManualClock):
    """A clock in a program that is killed by chance at the moment it reads the time."""

    def __init__(self, chance: random.Random, share: float) -> None:
        super().__init__(NOW_MS)
        self._chance = chance
        self._share = share

    def utc_ms(self) -> int:
        if self._chance.random() < self._share:
            raise RuntimeError("killed")
        return super().utc_ms()


def consumer(database: Database, store: MemoryStore, clock: ManualClock | None = None) -> AlarmConsumer:
    live = Live()
    alarms = AlarmService(EventLog(live), live, AlarmDefaults(RULES))
    return AlarmConsumer(database, store, alarms, live, clock or ManualClock(NOW_MS))


def incoming(
    number: int, probability: float, *, press: str = "press-1", ended_ms: int | None = None, is_historical: bool = False
) -> IncomingShot:
    shot = Shot(press, NOW_MS + number if ended_ms is None else ended_ms, {})
    reasons = (Reason("CushionStroke", 2.5, -4.0), Reason("FlowIndex", float("nan"), 1.0))
    scores = Scores("bundle", {f"FailureProbability/{MODE}": probability, "Novelty/T2": 9.0}, reasons=reasons)
    scored = ScoredShot(shot, np.zeros(1, np.float32), "hash", scores)
    return IncomingShot(GATEWAY, "epoch", number, NOW_MS, is_historical, scored)


async def consume_all(reader: AlarmConsumer) -> None:
    while await reader.consume_batch():
        pass


async def alarms_of(database: Database) -> list[Alarm]:
    async with database.reading() as session:
        found = await reading.alarms(session, DEFAULT_TENANT, limit=200)
    return list(reversed(found.items))


async def event_count(database: Database) -> int:
    """Events of alarms; so many in one moment of a clock that stands still are a flood as well."""
    statement = select(func.count()).select_from(EventRow).where(EventRow.kind.not_like("alarm.flood%"))
    async with database.reading() as session:
        return await session.scalar(statement) or 0


def expected(probabilities: Sequence[float]) -> list[tuple[int, int | None]]:
    """(row that raised, row that cleared) of each alarm, by the pure rules."""
    tracker, found = Tracker(), list[tuple[int, int | None]]()
    for row_id, probability in enumerate(probabilities, start=1):
        tracker, outcome = step(tracker, probability, NOW_MS + row_id, RULES)
        if outcome == "raise":
            found.append((row_id, None))
        if outcome == "clear":
            found[-1] = (found[-1][0], row_id)
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_neither_lose_nor_double_an_alarm(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(jobs, "BATCH_SHOTS_MAX", chance.randint(1, 40))
    probabilities = [chance.choice((0.95, 0.1)) for _ in range(40)]
    probabilities = [p for p in probabilities for _ in range(chance.randint(1, 8))]
    store, crashes = MemoryStore(), 0
    rows = iter([incoming(number, p) for number, p in enumerate(probabilities, start=1)])
    for row in rows:
        store.write([row])
        if chance.random() < 0.2:
            try:
                await consumer(database, store, FragileClock(chance, 0.5)).consume_batch()
            except RuntimeError:
                crashes += 1
    await consume_all(consumer(database, store))
    wanted = expected(probabilities)
    found = await alarms_of(database)
    assert crashes > 0
    assert sorted(alarm.shot_row_id for alarm in found) == [raised for raised, _ in wanted]
    assert sum(alarm.cleared_ms is not None for alarm in found) == sum(cleared is not None for _, cleared in wanted)
    assert await event_count(database) == sum(1 + (cleared is not None) for _, cleared in wanted)


async def test_an_alarm_says_why(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(number, 0.9) for number in range(1, 10)])
    await consume_all(consumer(database, store))
    [alarm] = await alarms_of(database)
    assert (alarm.plant_id, alarm.press_id, alarm.mode, alarm.state) == (
        "plant-1",
        "press-1",
        MODE,
        "active_unacknowledged",
    )
    assert (alarm.probability, alarm.threshold, alarm.shot_row_id) == (0.9, 0.8, 3)
    assert (alarm.first_over_ms, alarm.raised_ms) == (NOW_MS + 1, NOW_MS)
    assert [(reason.feature, reason.value, reason.sigma) for reason in alarm.reasons] == [("CushionStroke", 2.5, -4.0)]


async def test_the_event_of_an_alarm_is_the_alarm(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(number, 0.9) for number in range(1, 4)])
    await consume_all(consumer(database, store))
    [alarm] = await alarms_of(database)
    async with database.reading() as session:
        [row] = (await session.scalars(select(EventRow))).all()
    assert row.kind == "alarm.raised"
    assert row.payload == event_payload(alarm)
    assert row.payload["alarm_id"] == str(alarm.alarm_id)


async def test_presses_and_their_rows_of_shots_are_apart(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(number, 0.9, press=f"press-{number % 2}") for number in range(1, 6)])
    await consume_all(consumer(database, store))
    assert [alarm.press_id for alarm in await alarms_of(database)] == ["press-1"]


async def test_an_old_backlog_raises_nothing_and_a_live_shot_of_a_wrong_clock_does(database: Database) -> None:
    store, day_ms = MemoryStore(), 86_400_000
    store.write([incoming(n, 0.9, ended_ms=NOW_MS - day_ms + n, is_historical=True) for n in range(1, 9)])
    await consume_all(consumer(database, store))
    assert await alarms_of(database) == []
    store.write([incoming(n, 0.9, ended_ms=NOW_MS - day_ms + n) for n in range(9, 15)])
    await consume_all(consumer(database, store))
    assert len(await alarms_of(database)) == 1


async def test_a_young_backlog_raises_what_the_outage_hid(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(n, 0.9, ended_ms=NOW_MS - 60_000 + n, is_historical=True) for n in range(1, 5)])
    await consume_all(consumer(database, store))
    assert len(await alarms_of(database)) == 1


async def test_acknowledging_is_noted_once_and_closes_a_cleared_alarm(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(number, 0.9 if number < 4 else 0.1) for number in range(1, 9)])
    reader = consumer(database, store)
    await consume_all(reader)
    [alarm] = await alarms_of(database)
    assert alarm.state == "cleared_unacknowledged"
    live = Live()
    alarms = AlarmService(EventLog(live), live, AlarmDefaults(RULES))
    for by in ("Li", "Wang"):
        async with database.transaction() as session:
            alarm = await Answers(alarms).acknowledge(
                session, DEFAULT_TENANT, alarm.alarm_id, comment="seen", actor=Actor("user", name=by), now_ms=NOW_MS + 5
            )
    assert (alarm.state, alarm.acknowledged_by, alarm.comment, alarm.acknowledged_ms) == (
        "normal",
        "Li",
        "seen",
        NOW_MS + 5,
    )
    assert await event_count(database) == 3
    assert live.alarms.version == 1


async def test_another_tenants_alarm_is_not_there(database: Database) -> None:
    store, live = MemoryStore(), Live()
    store.write([incoming(number, 0.9) for number in range(1, 4)])
    await consume_all(consumer(database, store))
    [alarm] = await alarms_of(database)
    alarms = AlarmService(EventLog(live), live, AlarmDefaults(RULES))
    for tenant, alarm_id in ((TenantId("other"), alarm.alarm_id), (DEFAULT_TENANT, uuid4())):
        with pytest.raises(NotFoundError):
            async with database.transaction() as session:
                await Answers(alarms).acknowledge(session, tenant, alarm_id, actor=LI, now_ms=NOW_MS)
    async with database.reading() as session:
        assert (await reading.alarms(session, TenantId("other"), limit=9)).items == []


async def test_a_store_that_begins_again_is_read_from_its_first_row(database: Database) -> None:
    store = MemoryStore()
    store.write([incoming(number, 0.1) for number in range(1, 50)])
    await consume_all(consumer(database, store))
    fresh = MemoryStore()
    fresh.write([incoming(number, 0.9) for number in range(1, 4)])
    reader = consumer(database, fresh)
    await reader.begin_again()
    await consume_all(reader)
    assert len(await alarms_of(database)) == 1
