"""From the journal to the store over a real broker: every record once, whatever the broker and the link do."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import numpy as np
import pytest

from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tables import Base
from cloud.fleet.domain import FleetRules
from cloud.fleet.service import FleetService
from cloud.ingest.gate import Gate
from cloud.ingest.presence import Presence
from cloud.ingest.registry import FleetRegistry
from cloud.ingest.service import Ingest
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, PressKey
from contract import shot_wire
from contract.shot import ProductionDataset, Reason, ScoredShot, Scores, Shot
from contract.sparkplug.codec import encode_metrics
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.host import HostSession
from deploy.local.broker import mosquitto_program, start_mosquitto, start_nats
from deploy.local.processes import Child, free_port
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.thread import JournalThread
from edge_agent.uplink.uplink import Uplink
from edge_agent.uplink.window import Window
from kit.clock import SystemClock
from kit.mqtt import BrokerSettings, PahoLink, Will

EPOCH = UUID(int=5)
PRESS = PressKey("plant-1", "press-01")
GATEWAY = GatewayKey("plant-1", "gw-1")
PLANTS = frozenset({"plant-1"})
StartBroker = Callable[[], Child]


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BrokerSettings, StartBroker]:
    port = free_port()
    if request.param == "mosquitto" and mosquitto_program() is None:
        pytest.skip("mosquitto is not installed")
    start = start_nats if request.param == "nats" else start_mosquitto
    return BrokerSettings(port=port), lambda: start(tmp_path / "broker", port)


def scored(number: int) -> ScoredShot:
    shot = Shot(
        press_id=PRESS.press_id,
        ended_ms=1_767_225_600_000 + number,
        parameters={"CycleTime": float(number), "CushionStroke": float("nan")},
        curves={"InjectionPressure": np.full(100, number, np.float32)},
        sample_interval_s=0.005,
        cycle_counter=number,
        job_name="job",
        mould_id="mould",
        material="PP",
        product_name="cap",
        cavities=4,
        dataset=ProductionDataset("cap", "first", "", (("HoldTime", 4.0 + number % 2),)),
    )
    scores = Scores("b", {"Novelty/T2": 0.5}, "target", (Reason("CycleTime", 1.0, 2.0),))
    return ScoredShot(shot, np.arange(3, dtype=np.float32), "hash", scores)


class Gateway:
    """The uplink half of a gateway over a journal that the test fills."""

    def __init__(self, broker: BrokerSettings, journal: MemoryJournal, **window: float) -> None:
        self.journal = journal
        self.thread = JournalThread(journal)
        self.aliases = AliasTable(journal.aliases())
        self.health = Health()
        session = EdgeNodeSession(GATEWAY.plant_id, GATEWAY.gateway_id, primary_host_id="zhisan")

        def make_will() -> Will:
            will = session.connect(self.thread.next_bd_seq())
            return Will(will.topic, will.payload, will.qos, will.retain)

        self.link = PahoLink(broker, "gw-1", make_will)
        self.uplink = Uplink(
            self.link,
            session,
            self.thread,
            self.aliases,
            Window(str(EPOCH), journal.bounds()[1], **window),  # type: ignore[arg-type]
            self.health,
            SystemClock(),
            instance=str(uuid4()),
            new_epoch=uuid4,
            health_every_s=1.0,
            node_properties=[],
        )

    async def append(self, first: int, count: int) -> None:
        alias_of = self.aliases.of(PRESS.press_id)
        self.aliases.add_press(PRESS.press_id)
        records = []
        for number in range(first, first + count):
            item = scored(number)
            body = encode_metrics(shot_wire.body_metrics(item, alias_of))
            curves = encode_metrics(shot_wire.curve_metrics(item.shot, alias_of))
            records.append(NewRecord(PRESS.press_id, item.shot.ended_ms, body, curves))
        await self.thread.save_aliases(self.aliases.take_unsaved())
        start = await self.thread.append(records)
        self.uplink.appended(start + count)


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    async with gateway.link, anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.uplink.run)
        yield gateway
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def cloud(broker: BrokerSettings, store: MemoryStore, folder: Path) -> AsyncIterator[Ingest]:
    clock, live = SystemClock(), Live()
    database = Database(sqlite_url(folder / "cloud.sqlite"))
    async with database.schema_change() as connection:
        await connection.run_sync(Base.metadata.create_all)
    link = PahoLink(broker, "ingest", lambda: None)
    fleet = FleetService(EventLog(live), live, FleetRules())
    ingest = Ingest(link, HostSession("zhisan"), store, FleetRegistry(database, fleet, live), Gate(), clock)
    presence = Presence(lambda make_will: PahoLink(broker, "state", make_will), "zhisan", ingest.listening, clock)
    async with link, anyio.create_task_group() as tasks:
        tasks.start_soon(ingest.run)
        tasks.start_soon(presence.run)
        yield ingest
        tasks.cancel_scope.cancel()
    await database.close()


async def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    with anyio.fail_after(timeout_s):
        while not condition():
            await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_shots_arrive_as_they_were_and_the_journal_is_emptied(
    broker: tuple[BrokerSettings, StartBroker], tmp_path: Path
) -> None:
    settings, start = broker
    child, store, journal = start(), MemoryStore(), MemoryJournal(epoch=EPOCH)
    try:
        async with cloud(settings, store, tmp_path), running(Gateway(settings, journal)) as gateway:
            await gateway.append(1, 300)
            await until(lambda: journal.counts().records == 0)
            assert store.counts(PLANTS) == {PRESS: 300}
            row = store.shot(PLANTS, 1)
            assert row is not None
            sent, got = scored(row.scored.shot.cycle_counter or 0), row.scored
            assert got.scores == sent.scores
            assert got.shot.parameters["CycleTime"] == sent.shot.parameters["CycleTime"]
            assert np.isnan(got.shot.parameters["CushionStroke"])
            np.testing.assert_array_equal(got.shot.curves["InjectionPressure"], sent.shot.curves["InjectionPressure"])
            assert (got.shot.job_name, got.shot.mould_id, got.features_hash) == ("job", "mould", "hash")
            assert (got.shot.material, got.shot.product_name, got.shot.cavities) == ("PP", "cap", 4)
            assert got.shot.dataset == sent.shot.dataset
            assert sorted(r.scored.shot.cycle_counter or 0 for r in store.after(0, limit=999)) == list(range(1, 301))
    finally:
        child.stop()


@pytest.mark.anyio
async def test_a_gateway_that_starts_first_waits_for_the_host(
    broker: tuple[BrokerSettings, StartBroker], tmp_path: Path
) -> None:
    settings, start = broker
    child, store, journal = start(), MemoryStore(), MemoryJournal(epoch=EPOCH)
    try:
        async with running(Gateway(settings, journal)) as gateway:
            await gateway.append(1, 50)
            await anyio.sleep(1.0)
            assert gateway.health.records_sent == 0
            async with cloud(settings, store, tmp_path):
                await until(lambda: journal.counts().records == 0)
    finally:
        child.stop()
    assert store.counts(PLANTS) == {PRESS: 50}


@pytest.mark.anyio
async def test_the_broker_is_killed_in_mid_stream_and_nothing_is_lost_or_doubled(
    broker: tuple[BrokerSettings, StartBroker], tmp_path: Path
) -> None:
    settings, start = broker
    child, store, journal = start(), MemoryStore(), MemoryJournal(epoch=EPOCH)
    try:
        async with cloud(settings, store, tmp_path), running(Gateway(settings, journal, resend_after_s=0.5)) as gateway:
            for round_number in range(3):
                await gateway.append(1 + 400 * round_number, 400)
                await anyio.sleep(0.15)
                child.kill()
                await anyio.sleep(0.3)
                child = start()
            await until(lambda: journal.counts().records == 0, timeout_s=90)
            assert gateway.health.commits_refused == 0
    finally:
        child.stop()
    assert store.counts(PLANTS) == {PRESS: 1_200}
    assert list(store.committed(GATEWAY, str(EPOCH))) == [(1, 1_200)]


@pytest.mark.anyio
async def test_the_cloud_restarts_with_an_empty_or_an_old_state_and_gets_the_rest(
    broker: tuple[BrokerSettings, StartBroker], tmp_path: Path
) -> None:
    settings, start = broker
    child, store, journal = start(), MemoryStore(), MemoryJournal(epoch=EPOCH)
    try:
        async with running(Gateway(settings, journal, resend_after_s=0.5)) as gateway:
            async with cloud(settings, store, tmp_path):
                await gateway.append(1, 100)
                await until(lambda: journal.counts().records == 0)
            await gateway.append(101, 100)
            async with cloud(settings, store, tmp_path):
                await until(lambda: journal.counts().records == 0)
    finally:
        child.stop()
    assert store.counts(PLANTS) == {PRESS: 200}
