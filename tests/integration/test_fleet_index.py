"""The overview's memory of the fleet is at each moment what a fresh look at the database would find."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.jobs import AlarmConsumer
from cloud.alarms.service import AlarmService
from cloud.core import events
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.domain import FleetRules, SeenShot
from cloud.fleet.service import FleetService
from cloud.migrations.upgrade import upgrade
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from cloud.web.facts import PageFacts
from cloud.web.fleet_view import FleetFacts
from contract.alarming import AlarmRules
from contract.shot import ScoredShot, Scores, Shot
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
PRESSES, GATEWAYS = ("a", "b", "c", "d", "e"), ("g1", "g2")
STEPS = 60


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.live = Live()
        self.database = Database(sqlite_url(folder / "cloud.sqlite"))
        self.store = MemoryStore()
        log = EventLog(self.live)
        self.fleet = FleetService(log, self.live, FleetRules())
        self.alarms = AlarmService(log, self.live, AlarmDefaults(AlarmRules(on_delay_shots=2, off_delay_shots=2)))
        self.consumer = AlarmConsumer(self.database, self.store, self.alarms, self.live, self.clock)
        self.pages = self.page_facts()
        self._record_id = 0

    def page_facts(self) -> PageFacts:
        return PageFacts(self.database, self.store, self.alarms, self.live, self.clock)

    async def step(self, chance: random.Random) -> None:
        self.clock.advance(chance.choice([1, 5, 40]))
        now_ms, press, gateway = self.clock.utc_ms(), chance.choice(PRESSES), chance.choice(GATEWAYS)
        what = chance.choice(["born", "shot", "shot", "shot", "died", "node died", "node born", "silent", "nothing"])
        async with self.database.transaction() as session:
            match what:
                case "born":
                    await self.fleet.device_born(session, "p", gateway, press, now_ms=now_ms)
                case "shot":
                    self.shoot(press, gateway, chance.choice([0.1, 0.95]))
                    await self.fleet.shots_seen(session, [SeenShot("p", gateway, press, now_ms, now_ms)])
                case "died":
                    await self.fleet.device_died(session, "p", gateway, press, now_ms=now_ms)
                case "node died":
                    await self.fleet.node_died(session, "p", gateway, now_ms=now_ms)
                case "node born":
                    await self.fleet.node_born(session, "p", gateway, epoch="e", metrics={}, now_ms=now_ms)
                case "silent":
                    await self.fleet.mark_silent(session, now_ms)
        self.live.shots.publish()
        if chance.random() < 0.7:
            await self.consumer.consume_batch()

    def shoot(self, press: str, gateway: str, probability: float) -> None:
        self._record_id += 1
        shot = Shot(press, self.clock.utc_ms(), {"CycleTime": 20.0}, mould_id="m")
        scored = ScoredShot(
            shot, np.zeros(1, np.float32), "h", Scores("b", {"FailureProbability/check_ring_wear": probability})
        )
        now_ms = self.clock.utc_ms()
        self.store.write([IncomingShot(GatewayKey("p", gateway), "e", self._record_id, now_ms, False, scored)])


def told(facts: FleetFacts) -> list[tuple[object, ...]]:
    return [
        (p.plant_id, p.press_id, p.gateway_id, p.connection, p.shot and p.shot.row_id, p.alarms) for p in facts.presses
    ]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await upgrade(world.database)
    yield world
    await world.database.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_index_shows_what_a_fresh_one_does(world: World, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(STEPS):
        await world.step(chance)
        if chance.random() < 0.6:
            kept, fresh = await world.pages.fleet(DEFAULT_TENANT), await world.page_facts().fleet(DEFAULT_TENANT)
            assert told(kept) == told(fresh)
            assert kept.gateways == fresh.gateways
    kept, fresh = await world.pages.fleet(DEFAULT_TENANT), await world.page_facts().fleet(DEFAULT_TENANT)
    assert told(kept) == told(fresh)
    assert len(kept.presses) >= 4
    assert not (await world.pages.fleet(TenantId("other"))).presses


async def test_more_events_than_one_look_takes_are_no_loss(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SINCE_EVENTS_MAX", 3)
    chance = random.Random(9)
    await world.pages.fleet(DEFAULT_TENANT)
    for _ in range(STEPS):
        await world.step(chance)
    assert told(await world.pages.fleet(DEFAULT_TENANT)) == told(await world.page_facts().fleet(DEFAULT_TENANT))


async def test_a_press_of_which_nothing_changed_is_the_same_object_and_one_out_of_reach_is_offline(
    world: World,
) -> None:
    async with world.database.transaction() as session:
        for press in ("a", "b"):
            world.shoot(press, "g1", 0.1)
            await world.fleet.shots_seen(session, [SeenShot("p", "g1", press, 1, world.clock.utc_ms())])
    first = await world.pages.fleet(DEFAULT_TENANT)
    world.clock.advance(5)
    world.shoot("b", "g1", 0.1)
    world.live.shots.publish()
    second = await world.pages.fleet(DEFAULT_TENANT)
    assert second.presses[0] is first.presses[0]
    assert second.presses[1] is not first.presses[1]
    world.clock.advance(40)  # the gateway is silent, its presses are not yet
    async with world.database.transaction() as session:
        await world.fleet.mark_silent(session, world.clock.utc_ms())
    assert [press.connection for press in (await world.pages.fleet(DEFAULT_TENANT)).presses] == ["offline", "offline"]
