"""From stored shots to OEE: each shot counts once, and what is planned, set or out of reach is heeded."""

from collections.abc import AsyncIterator
from uuid import uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import URL, func, select

from cloud.core.audit import SYSTEM
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.domain import FleetRules, SeenShot
from cloud.fleet.service import FleetService
from cloud.migrations.upgrade import upgrade
from cloud.production import jobs, repository, service
from cloud.production.board import KEPT, LOOKED_AT_S, RENEW_AFTER_S, ProductionBoard
from cloud.production.jobs import ProductionConsumer
from cloud.production.oee import Output
from cloud.production.reading import Figures, Report
from cloud.production.tables import HourRow
from cloud.production.windows import HOUR_MS, Schedule
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from contract.shot import ScoredShot, Scores, Shot
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_258_000_000  # 2026-01-01 09:00 UTC
SCHEDULE = Schedule(ZoneInfo("UTC"), (6, 14, 22))
GATEWAY = GatewayKey("plant", "gw")
OTHER = TenantId("other")
CYCLE_S = 20.0


class World:
    """A plant with press `a`, its store, and who counts."""

    def __init__(self, database_url: URL) -> None:
        self.clock = ManualClock(NOW_MS)
        self.live = Live()
        self.database = Database(database_url)
        self.store = MemoryStore()
        self.fleet = FleetService(EventLog(self.live), self.live, FleetRules())
        self.consumer = self.reader()
        self.board = ProductionBoard(self.database, self.live, self.clock, SCHEDULE)
        self._record_id = 0

    def reader(self) -> ProductionConsumer:
        return ProductionConsumer(self.database, self.store, self.live, self.clock, SCHEDULE)

    def shot(self, ended_ms: int, *, cycle_s: float | None = CYCLE_S, quality: str | None = "Target") -> None:
        self._record_id += 1
        parameters = {} if cycle_s is None else {"CycleTime": cycle_s}
        shot = Shot("a", ended_ms, parameters, mould_id="m")
        scored = ScoredShot(shot, np.zeros(1, np.float32), "hash", Scores("b", {}, quality))
        self.store.write([IncomingShot(GATEWAY, "epoch", self._record_id, NOW_MS, False, scored)])

    def run_for(self, shots: int, *, until_ms: int = NOW_MS) -> None:
        for at in range(shots):
            self.shot(until_ms - round(at * CYCLE_S * 1000), quality="Waste" if at % 10 == 0 else "Target")

    async def be_born(self, press_id: str = "a") -> None:
        async with self.database.transaction() as session:
            await self.fleet.node_born(session, "plant", "gw", epoch="e", metrics={}, now_ms=NOW_MS - 3 * HOUR_MS)
            await self.fleet.device_born(session, "plant", "gw", press_id, now_ms=NOW_MS - 3 * HOUR_MS)

    async def seen(self, press_id: str = "a") -> None:
        async with self.database.transaction() as session:
            await self.fleet.shots_seen(session, [SeenShot("plant", "gw", press_id, NOW_MS, NOW_MS)])

    async def report(self, tenant: TenantId = DEFAULT_TENANT) -> Report:
        while await self.consumer.consume_batch():
            pass
        self.board.forget(tenant)
        return await self.board.report(tenant, "shift")

    async def press(self) -> Figures:
        return (await self.report()).presses["plant", "a"]


@pytest.fixture
async def world(database_url: URL) -> AsyncIterator[World]:
    world = World(database_url)
    await upgrade(world.database)
    await world.be_born()
    await world.seen()
    yield world
    await world.database.close()


async def test_a_shift_s_figures_come_from_its_shots(world: World) -> None:
    world.run_for(450)  # 2.5 of the shift's 3 hours
    figures = await world.press()
    assert figures.account.shots == 450
    assert figures.oee.availability == pytest.approx(2.5 / 3)
    assert figures.oee.effectiveness == pytest.approx(1.0, rel=0.005), "against its own median"
    assert figures.oee.quality == pytest.approx(0.9)
    report = await world.report()
    assert report.plants["plant"].oee.index == pytest.approx(figures.oee.index)
    assert report.expected["plant", "a", "m"].cycle_s == pytest.approx(CYCLE_S, rel=0.005)
    assert not report.presses.keys() & (await world.report(OTHER)).presses.keys()


async def test_wherever_the_reader_dies_each_shot_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH_SHOTS_MAX", 7)
    world.run_for(100)
    advance, calls = jobs.cursors.advance, 0

    async def dies_at_every_third(*args: object, **kwargs: object) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise RuntimeError("killed")
        await advance(*args, **kwargs)

    monkeypatch.setattr(jobs.cursors, "advance", dies_at_every_third)
    for _ in range(100):
        try:
            if not await world.reader().consume_batch():
                break
        except RuntimeError:
            continue
    assert calls > 15
    async with world.database.reading() as session:
        found = await repository.sums(session, DEFAULT_TENANT, 0, NOW_MS)
    assert sum((each.output for each in found), Output()) == Output(100, 100, 2_000_000, 100, 90)


async def test_late_shots_find_their_hour(world: World) -> None:
    world.run_for(90)
    before = await world.press()
    world.run_for(90, until_ms=NOW_MS - HOUR_MS)
    after = await world.press()
    assert after.oee.availability == pytest.approx(2 * before.oee.availability)


async def test_without_a_quality_head_the_index_is_not_known_and_says_what_is_missing(world: World) -> None:
    for at in range(30):
        world.shot(NOW_MS - at * 20_000, quality=None)
    oee = (await world.press()).oee
    assert (oee.index, oee.unknown) == (None, ("quality",))
    assert oee.known_product == pytest.approx(oee.availability * oee.effectiveness)


async def test_shots_without_a_cycle_time_leave_the_availability_unknown_until_one_is_set(world: World) -> None:
    for at in range(90):
        world.shot(NOW_MS - at * 20_000, cycle_s=None)
    assert (await world.press()).oee.availability is None
    async with world.database.transaction() as session:
        set_by_hand = (DEFAULT_TENANT, "plant", "a", "m", 20.0)
        await service.set_expected(session, *set_by_hand, actor=SYSTEM, now_ms=NOW_MS)
    oee = (await world.press()).oee
    assert oee.availability == pytest.approx(0.5 / 3)
    assert oee.effectiveness is None, "nobody measured its pace"


async def test_a_target_set_by_hand_is_what_the_pace_is_measured_by(world: World) -> None:
    world.run_for(100)
    async with world.database.transaction() as session:
        await service.set_expected(session, DEFAULT_TENANT, "plant", "a", "m", 16.0, actor=SYSTEM, now_ms=NOW_MS)
        with pytest.raises(NotFoundError):
            await service.set_expected(session, OTHER, "plant", "a", "m", 1.0, actor=SYSTEM, now_ms=NOW_MS)
    report = await world.report()
    assert report.presses["plant", "a"].oee.effectiveness == pytest.approx(0.8)
    assert report.expected["plant", "a", "m"].is_set


@pytest.mark.parametrize("press_id", ["", "a"])
async def test_a_planned_downtime_costs_no_availability(world: World, press_id: str) -> None:
    world.run_for(180)  # one hour
    start_ms = NOW_MS - 3 * HOUR_MS
    async with world.database.transaction() as session:
        planned = await service.plan_downtime(
            session,
            DEFAULT_TENANT,
            plant_id="plant",
            press_id=press_id,
            start_ms=start_ms,
            end_ms=start_ms + HOUR_MS,
            reason="no orders",
            actor=SYSTEM,
            now_ms=NOW_MS,
        )
    assert (await world.press()).oee.availability == pytest.approx(0.5)
    async with world.database.transaction() as session:
        with pytest.raises(NotFoundError):
            await service.drop_downtime(session, OTHER, planned.downtime_id, actor=SYSTEM, now_ms=NOW_MS)
        await service.drop_downtime(session, DEFAULT_TENANT, planned.downtime_id, actor=SYSTEM, now_ms=NOW_MS)
    assert (await world.press()).oee.availability == pytest.approx(1 / 3)


async def test_nonsense_is_not_planned(world: World) -> None:
    plan = {"press_id": "", "reason": "", "actor": SYSTEM, "now_ms": NOW_MS}
    async with world.database.transaction() as session:
        with pytest.raises(InvalidFieldError, match="after start_ms"):
            await service.plan_downtime(session, DEFAULT_TENANT, plant_id="plant", start_ms=5, end_ms=5, **plan)
        with pytest.raises(NotFoundError):
            await service.plan_downtime(session, OTHER, plant_id="plant", start_ms=5, end_ms=6, **plan)
        with pytest.raises(NotFoundError):
            await service.drop_downtime(session, DEFAULT_TENANT, uuid4(), actor=SYSTEM, now_ms=NOW_MS)


async def test_time_out_of_reach_is_not_a_standstill(world: World) -> None:
    world.run_for(180, until_ms=NOW_MS - HOUR_MS)
    async with world.database.transaction() as session:
        await world.fleet.node_died(session, "plant", "gw", now_ms=NOW_MS - HOUR_MS)
    figures = await world.press()
    assert figures.unheard_ms == HOUR_MS
    assert figures.oee.availability == pytest.approx(0.5)


async def test_a_report_is_made_once_for_all_and_renewed_while_somebody_looks(world: World) -> None:
    first = await world.board.report(DEFAULT_TENANT, "day")
    assert await world.board.report(DEFAULT_TENANT, "day") is first
    await world.board.renew()
    assert await world.board.report(DEFAULT_TENANT, "day") is first, "it is new enough"
    world.clock.advance(RENEW_AFTER_S["day"])
    await world.board.renew()
    second = await world.board.report(DEFAULT_TENANT, "day")
    assert second is not first
    world.clock.advance(KEPT * RENEW_AFTER_S["day"])
    assert await world.board.report(DEFAULT_TENANT, "day") is not second
    world.clock.advance(LOOKED_AT_S + 1)
    version = world.live.fleet.version
    await world.board.renew()
    assert world.live.fleet.version == version, "nobody looks, nothing is made"


async def test_old_counts_are_let_go_and_a_store_that_begins_again_is_counted_anew(world: World) -> None:
    world.run_for(10)
    world.shot(NOW_MS - jobs.KEPT_MS - HOUR_MS)
    await world.report()
    await world.consumer.prune()
    async with world.database.reading() as session:
        assert await session.scalar(select(func.min(HourRow.hour_ms))) > NOW_MS - jobs.KEPT_MS
    await world.consumer.begin_again()
    assert (await world.press()).account.shots == 10
