"""The fleet as it introduces itself: states follow births, deaths and silence, each change is one event."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, select

from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.problems import NotFoundError
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet import reading
from cloud.fleet.domain import FleetRules, Gateway, Press, SeenShot
from cloud.fleet.jobs import FleetWatcher
from cloud.fleet.service import FleetService
from cloud.migrations.upgrade import upgrade
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
START_MS = ManualClock().utc_ms()


class Fleet:
    """The fleet's tables on a clock that the test moves."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.live = Live()
        self.service = FleetService(EventLog(self.live), self.live, FleetRules())
        self.watcher = FleetWatcher(database, self.service, self.clock)

    async def born(self, *press_ids: str) -> None:
        now_ms = self.clock.utc_ms()
        metrics = {
            "Models/Bundle": "b1",
            "Gateway/Version": "0.1",
            "Health/LagSeconds": 2.0,
            "Health/Odd": float("nan"),
        }
        async with self.database.transaction() as session:
            await self.service.node_born(session, "p", "g", epoch="e", metrics=metrics, now_ms=now_ms)
            await self.service.save_birth(session, "p", "g", None, b"node", now_ms=now_ms)
            for press_id in press_ids:
                await self.service.device_born(session, "p", "g", press_id, now_ms=now_ms)
                await self.service.save_birth(session, "p", "g", press_id, press_id.encode(), now_ms=now_ms)

    async def shots(self, *press_ids: str, is_historical: bool = False, ended_ms: int | None = None) -> None:
        now_ms = self.clock.utc_ms()
        ended_ms = now_ms if ended_ms is None else ended_ms
        async with self.database.transaction() as session:
            seen = [SeenShot("p", "g", press_id, ended_ms, now_ms, is_historical) for press_id in press_ids]
            await self.service.shots_seen(session, seen)

    async def press(self, press_id: str = "m1") -> Press:
        async with self.database.reading() as session:
            return await reading.press(session, DEFAULT_TENANT, "p", press_id)

    async def gateway(self) -> Gateway:
        async with self.database.reading() as session:
            return (await reading.gateways(session, DEFAULT_TENANT, limit=1)).items[0]

    async def births(self) -> list[tuple[str, str, str | None, bytes]]:
        async with self.database.reading() as session:
            return await self.service.load_births(session)

    async def events(self) -> list[tuple[str, str, str]]:
        async with self.database.reading() as session:
            rows = await session.scalars(select(EventRow).order_by(EventRow.event_id))
            return [(row.kind, row.payload.get("press_id", ""), row.payload.get("state", "")) for row in rows]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    yield Fleet(database)
    await database.close()


async def test_what_is_born_is_registered_and_online(fleet: Fleet) -> None:
    await fleet.born("m1", "m2")
    gateway = await fleet.gateway()
    assert (gateway.state, gateway.bundle_id, gateway.version, gateway.epoch) == ("online", "b1", "0.1", "e")
    assert gateway.health == {"LagSeconds": 2.0}
    assert [(await fleet.press(name)).state for name in ("m1", "m2")] == ["online", "online"]
    async with fleet.database.reading() as session:
        [plant] = (await reading.plants(session, DEFAULT_TENANT, limit=9)).items
    assert (plant.plant_id, plant.presses) == ("p", {"online": 2, "stale": 0, "offline": 0})
    assert (await fleet.events())[-2:] == [("press.registered", "m2", ""), ("press.state_changed", "m2", "online")]


async def test_being_born_again_is_no_event(fleet: Fleet) -> None:
    await fleet.born("m1")
    before = await fleet.events()
    await fleet.born("m1")
    assert await fleet.events() == before


async def test_a_press_is_stale_after_three_of_its_cycles_but_not_before_a_minute(fleet: Fleet) -> None:
    await fleet.born("m1", "m2")
    for _ in range(6):
        fleet.clock.advance(40)
        await fleet.shots("m1")
        for _ in range(4):
            await fleet.shots("m2")
            fleet.clock.advance(2)
    assert (await fleet.press("m1")).expected_cycle_s == 48
    fleet.clock.advance(59)
    await fleet.watcher.look()
    assert [(await fleet.press(name)).state for name in ("m1", "m2")] == ["online", "stale"]
    fleet.clock.advance(3 * 48)
    await fleet.watcher.look()
    press = await fleet.press("m1")
    assert (press.state, press.state_since_ms) == ("stale", fleet.clock.utc_ms())
    await fleet.shots("m1")
    assert (await fleet.press("m1")).state == "online"


async def test_a_silent_gateway_is_stale_and_any_message_wakes_it(fleet: Fleet) -> None:
    await fleet.born("m1")
    fleet.clock.advance(31)
    await fleet.watcher.look()
    assert (await fleet.gateway()).state == "stale"
    async with fleet.database.transaction() as session:
        await fleet.service.node_health(
            session,
            "p",
            "g",
            metrics={"Health/JournalRecords": 3, "Other": 1},
            now_ms=fleet.clock.utc_ms(),
            clock_offset_s=1.5,
        )
    gateway = await fleet.gateway()
    assert (gateway.state, gateway.health, gateway.clock_offset_s) == (
        "online",
        {"LagSeconds": 2.0, "JournalRecords": 3.0},
        1.5,
    )


async def test_history_is_no_sign_of_life(fleet: Fleet) -> None:
    await fleet.born("m1")
    fleet.clock.advance(61)
    await fleet.watcher.look()
    await fleet.shots("m1", is_historical=True)
    assert (await fleet.press()).state == "stale"


async def test_a_press_clock_a_day_off_does_not_hide_that_it_lives(fleet: Fleet) -> None:
    await fleet.born("m1")
    for offset_ms in (0, 86_400_000, 10_000, 20_000):
        fleet.clock.advance(10)
        await fleet.shots("m1", ended_ms=START_MS + offset_ms)
    await fleet.watcher.look()
    press = await fleet.press()
    assert (press.state, press.last_shot_ms) == ("online", START_MS + 20_000)
    fleet.clock.advance(300_000)
    await fleet.watcher.look()
    assert (await fleet.press()).state == "stale"


async def test_the_death_of_a_gateway_takes_its_presses_and_births(fleet: Fleet) -> None:
    await fleet.born("m1", "m2")
    assert await fleet.births() == [("p", "g", None, b"node"), ("p", "g", "m1", b"m1"), ("p", "g", "m2", b"m2")]
    async with fleet.database.transaction() as session:
        await fleet.service.device_died(session, "p", "g", "m2", now_ms=1)
    assert [birth[2] for birth in await fleet.births()] == [None, "m1"]
    assert [(await fleet.press(name)).state for name in ("m1", "m2")] == ["online", "offline"]
    async with fleet.database.transaction() as session:
        await fleet.service.node_died(session, "p", "g", now_ms=2)
    assert await fleet.births() == []
    assert (await fleet.gateway()).state == "offline"
    assert [(await fleet.press(name)).state for name in ("m1", "m2")] == ["offline", "offline"]
    await fleet.watcher.look()
    assert (await fleet.press("m1")).state == "offline"


async def test_a_gateways_new_birth_voids_those_of_its_presses(fleet: Fleet) -> None:
    await fleet.born("m1")
    await fleet.born()
    assert [birth[2] for birth in await fleet.births()] == [None]


async def test_a_death_from_the_gateway_that_served_a_press_before_says_nothing(fleet: Fleet) -> None:
    await fleet.born("m1")
    async with fleet.database.transaction() as session:
        await fleet.service.device_born(session, "p", "g2", "m1", now_ms=fleet.clock.utc_ms())
        await fleet.service.device_died(session, "p", "g", "m1", now_ms=fleet.clock.utc_ms())
    press = await fleet.press()
    assert (press.gateway_id, press.state) == ("g2", "online")


async def test_shots_of_unknown_presses_register_them(fleet: Fleet) -> None:
    await fleet.shots("m7", "m8")
    assert (await fleet.press("m8")).state == "online"
    assert (await fleet.gateway()).state == "online"


async def test_a_batch_asks_the_database_a_fixed_number_of_times(fleet: Fleet) -> None:
    presses = [f"m{number}" for number in range(200)]
    await fleet.shots(*presses)
    statements: list[str] = []
    engine = fleet.database._writer.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    fleet.clock.advance(10)
    await fleet.shots(*presses)
    assert len(statements) <= 6


async def test_another_tenant_sees_nothing(fleet: Fleet) -> None:
    await fleet.born("m1")
    async with fleet.database.reading() as session:
        other = TenantId("other")
        assert (await reading.presses(session, other, limit=9)).items == []
        assert await reading.whole_fleet(session, other) == ([], [])
        with pytest.raises(NotFoundError):
            await reading.press(session, other, "p", "m1")


async def test_a_refused_program_that_was_never_let_in_is_told_of_once_and_registers_nothing(fleet: Fleet) -> None:
    await fleet.born()
    for _ in range(3):
        async with fleet.database.transaction() as session:
            for plant_id, gateway_id in (("p", "G"), ("P", "g")):
                await fleet.service.node_refused(
                    session, plant_id, gateway_id, reason="why", now_ms=fleet.clock.utc_ms()
                )
        fleet.clock.advance(60.0)
    assert (await fleet.events()).count(("gateway.refused", "", "")) == 2
    async with fleet.database.reading() as session:
        assert await fleet.service.load_gateways(session) == [("p", "g")]
        assert await reading.plant_ids(session, DEFAULT_TENANT) == {"p"}


async def test_a_press_whose_id_differs_from_another_s_in_case_alone_is_told_of(fleet: Fleet) -> None:
    await fleet.born("m1", "m2")
    await fleet.born("m1", "M1")
    await fleet.born("m1", "M1")
    alike = [found for found in await fleet.events() if found[0] == "press.named_alike"]
    assert alike == [("press.named_alike", "M1", "")]
    assert (await fleet.press("M1")).state == "online"
