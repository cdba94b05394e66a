"""A gateway whose journal gives things up: its alarm in the list, in the API, in an event, for its own tenant alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.alarms import reading
from cloud.alarms.domain import Alarm, AlarmDefaults
from cloud.alarms.gateway_watch import GatewayWatch
from cloud.alarms.service import AlarmService
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tables import EventRow
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.domain import FleetRules
from cloud.fleet.service import FleetService
from cloud.fleet.tables import PlantRow
from cloud.migrations.upgrade import upgrade
from contract.trouble import QUIET_MS
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_225_600_000
OTHER = TenantId("other")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    async with database.transaction() as session:
        session.add(PlantRow(plant_id="foreign", tenant_id=OTHER, registered_ms=NOW_MS))
    yield database
    await database.close()


class World:
    def __init__(self, database: Database) -> None:
        live = Live()
        self.database = database
        self.clock = ManualClock(NOW_MS)
        self.fleet = FleetService(EventLog(live), live, FleetRules())
        self.watch = GatewayWatch(database, AlarmService(EventLog(live), live, AlarmDefaults()), self.clock)

    async def tell(self, plant_id: str, **counters: float) -> None:
        async with self.database.transaction() as session:
            metrics = {f"Health/{name}": value for name, value in counters.items()}
            await self.fleet.node_health(session, plant_id, "gw-1", metrics=metrics, now_ms=self.clock.utc_ms())
        await self.watch.look()

    async def alarms(self, tenant_id: TenantId = DEFAULT_TENANT) -> list[Alarm]:
        async with self.database.reading() as session:
            return list((await reading.alarms(session, tenant_id, limit=50)).items)


async def test_a_full_journal_is_one_alarm_until_it_has_been_quiet_for_ten_minutes(database: Database) -> None:
    world = World(database)
    await world.tell("plant-1", CurvesDropped=0.0, RecordsThinned=0.0)
    assert await world.alarms() == []
    await world.tell("plant-1", CurvesDropped=40.0)
    await world.tell("plant-1", CurvesDropped=90.0)
    (alarm,) = await world.alarms()
    assert (alarm.kind, alarm.mode, alarm.gateway_id, alarm.press_id) == (
        "gateway_trouble",
        "journal_curves_dropped",
        "gw-1",
        "",
    )
    assert (alarm.count, alarm.probability, alarm.state) == (40, None, "active_unacknowledged")
    await world.tell("plant-1", RecordsThinned=5.0)
    assert {alarm.mode for alarm in await world.alarms()} == {"journal_curves_dropped", "journal_records_thinned"}
    world.clock.advance(QUIET_MS / 1000)
    await world.watch.look()
    assert {alarm.state for alarm in await world.alarms()} == {"cleared_unacknowledged"}
    await world.tell("plant-1", CurvesDropped=91.0)
    assert len(await world.alarms()) == 3, "new trouble is a new alarm"
    assert (await world.alarms())[0].count == 1, "of what is new, not of all that the journal ever gave up"
    async with database.reading() as session:
        kinds = [row.kind for row in await session.scalars(select(EventRow).order_by(EventRow.event_id))]
    assert [kind for kind in kinds if kind.startswith("alarm.")] == [
        "alarm.raised",
        "alarm.raised",
        "alarm.cleared",
        "alarm.cleared",
        "alarm.raised",
    ]


async def test_two_gateways_of_one_name_in_two_plants_have_alarms_of_their_own_tenants(database: Database) -> None:
    world = World(database)
    await world.tell("plant-1", ShotsRefused=1.0)
    await world.tell("foreign", ShotsRefused=2.0)
    assert [alarm.plant_id for alarm in await world.alarms()] == ["plant-1"]
    assert [alarm.plant_id for alarm in await world.alarms(OTHER)] == ["foreign"]


async def test_what_was_counted_before_the_cloud_restarted_raises_nothing_again(database: Database) -> None:
    await World(database).tell("plant-1", RecordsDamaged=3.0)
    later = World(database)
    await later.watch.look()
    assert len(await later.alarms()) == 1


async def test_a_restarted_gateway_whose_journal_counts_on_raises_nothing_again(database: Database) -> None:
    world = World(database)
    await world.tell("plant-1", RecordsThinned=50.0, ShotsRefused=3.0)
    world.clock.advance(QUIET_MS / 1000)
    await world.watch.look()
    await world.tell("plant-1", RecordsThinned=50.0, ShotsRefused=0.0)
    assert {alarm.state for alarm in await world.alarms()} == {"cleared_unacknowledged"}
    await world.tell("plant-1", RecordsThinned=62.0, ShotsRefused=2.0)
    raised = {alarm.mode: alarm.count for alarm in await world.alarms() if alarm.state == "active_unacknowledged"}
    assert raised == {"journal_records_thinned": 12, "shots_refused": 2}


async def test_a_gateway_that_is_new_to_the_cloud_tells_once_of_what_it_gave_up_before(database: Database) -> None:
    world = World(database)
    await world.tell("plant-1", RecordsThinned=50.0, CurvesDropped=0.0)
    await world.tell("plant-1", RecordsThinned=50.0, CurvesDropped=0.0)
    (alarm,) = await world.alarms()
    assert (alarm.mode, alarm.count) == ("journal_records_thinned", 50)
    world.clock.advance(QUIET_MS / 1000)
    await world.watch.look()
    (alarm,) = await world.alarms()
    assert alarm.state == "cleared_unacknowledged", "and no more, when it is long ago"
