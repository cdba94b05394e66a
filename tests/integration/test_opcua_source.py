"""The gateway's OPC UA source against simulated presses on real sockets: shots, losses, certificates, odd clocks."""

import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import numpy as np
import pytest
from asyncua import Client, Node, Server, ua

from cloud.telemetry.store import moved_between
from contract.shot import NOT_TOLD
from contract.vocabulary import PARAMETERS, SET_POINTS, SIGNALS
from deploy.local.processes import free_port
from edge_agent import check
from edge_agent.health import Health
from edge_agent.settings import EdgeSettings, OpcUaSource
from edge_agent.sources.opcua.dataset import find_dataset
from edge_agent.sources.opcua.discovery import _job
from edge_agent.sources.opcua.press import OpcUaPress, _read_job, _utc_ms
from edge_agent.sources.source import Delivery, Missed
from kit.clock import Clock, ManualClock, SystemClock
from kit.mqtt import BrokerSettings
from simulators.plant.certificates import make_certificate
from simulators.plant.plant import PlantOptions, running_plant
from simulators.press.process import PROCESSES

pytestmark = pytest.mark.anyio


class Collector:
    """Takes what the source delivers."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.health = Health()

    async def __call__(self, delivery: Delivery, *, can_wait: bool) -> bool:
        assert not can_wait, "a press is never held back"
        self.deliveries.append(delivery)
        return True

    async def until(self, count: int, timeout_s: float = 40.0) -> None:
        with anyio.fail_after(timeout_s):
            while len(self.deliveries) < count:
                await anyio.sleep(0.02)

    def counters(self) -> list[int]:
        return [delivery.shot.cycle_counter or 0 for delivery in self.deliveries]


@asynccontextmanager
async def source(
    settings: OpcUaSource, collector: Collector, *, clock: Clock | None = None, position: str | None = None
) -> AsyncIterator[OpcUaPress]:
    press = OpcUaPress(
        settings, collector, collector.health, clock or SystemClock(), position=position, randomness=random.Random(1)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(press.run)
        yield press
        tasks.cancel_scope.cancel()


async def test_cycles_become_shots_in_the_vocabulary_s_units() -> None:
    collector = Collector()
    async with running_plant(PlantOptions(presses=1, speed=20)) as plant:
        [url] = plant.urls
        async with source(OpcUaSource(press="press-01", url=url), collector):
            await collector.until(3)
    counters = collector.counters()
    assert counters == list(range(counters[0], counters[0] + len(counters)))
    shot = collector.deliveries[-1].shot
    assert set(shot.parameters) == set(PARAMETERS)
    assert not any(map(math.isnan, shot.parameters.values()))
    assert 10 < shot.parameters["CycleTime"] < 40, "milliseconds became seconds"
    assert 0.3 < shot.parameters["InjectionTime"] < 4
    assert set(shot.curves) == set(SIGNALS)
    assert shot.sample_interval_s == pytest.approx(0.002)
    lengths = {len(samples) for samples in shot.curves.values()}
    assert len(lengths) == 1
    assert max(shot.curves["InjectionPressure"]) == pytest.approx(shot.parameters["SpecificPressureMaximum"], rel=0.05)
    assert shot.mould_id
    assert shot.job_name
    process = PROCESSES[shot.product_name]
    assert (shot.material, shot.cavities) == (process.material.name, process.mould.cavities)
    assert (shot.dataset.name, shot.dataset.mould_description) == (process.name, "4 cavities, 74 cm³")
    set_points = dict(shot.dataset.set_points)
    assert set(set_points) == set(SET_POINTS)
    assert set_points["HoldTime"] == pytest.approx(process.hold_s)
    assert set_points["HoldSpecificPressureAverage"] == process.hold_bar
    assert set_points["MouldTemperature"] == process.mould_degc
    zones = [set_points[name] for name in (*(f"BarrelTemperature{n}" for n in range(1, 5)), "NozzleTemperature")]
    assert zones == [process.melt_degc + step_k for step_k in process.machine.zone_steps_k]
    for name, value in set_points.items():
        assert shot.parameters[name] == pytest.approx(value, rel=0.12), f"{name} is not held at what it is set to"
    assert all(samples.dtype == np.float32 for samples in shot.curves.values())


async def test_a_press_that_restarts_with_other_namespace_indexes_is_found_again() -> None:
    collector, port = Collector(), free_port()
    settings = OpcUaSource(press="press-01", url=f"opc.tcp://127.0.0.1:{port}/press-01")
    async with source(settings, collector):
        async with running_plant(PlantOptions(presses=1, speed=20, base_port=port)):
            await collector.until(2)
            assert collector.health.presses == {"press-01": True}
        first = len(collector.deliveries)
        async with running_plant(PlantOptions(presses=1, speed=20, base_port=port, namespace_shift=5, first_cycle=50)):
            await collector.until(first + 2)
        with anyio.fail_after(20):
            while collector.health.presses["press-01"]:
                await anyio.sleep(0.05)
    assert collector.counters()[first] >= 50
    assert collector.deliveries[-1].shot.curves, "curves were found anew too"
    assert collector.health.missed_cycles >= 50 - first - 1, "cycles that no one recorded are counted"
    [missed] = [delivery.missed for delivery in collector.deliveries if delivery.missed is not None]
    assert missed.count == collector.health.missed_cycles
    assert missed.from_ms == collector.deliveries[first - 1].shot.ended_ms
    assert missed.to_ms == collector.deliveries[first].shot.ended_ms


async def test_a_cycle_that_was_taken_before_a_restart_of_the_gateway_is_not_taken_again() -> None:
    collector = Collector()
    async with running_plant(PlantOptions(presses=1, speed=20)) as plant:
        settings = OpcUaSource(press="press-01", url=plant.urls[0])
        async with source(settings, collector) as press:
            await collector.until(2)
            last = collector.deliveries[-1]
            counter, ended_ms = (int(part) for part in last.position.split(":"))
            assert counter == last.shot.cycle_counter
        again = OpcUaPress(
            settings, collector, collector.health, SystemClock(), position=last.position, randomness=random.Random(1)
        )
        assert not again._is_new(counter, ended_ms)
        assert again._is_new(counter + 1, ended_ms + 1)
        assert again._missed_before(counter + 1, ended_ms + 1, ended_ms + 1) is None
        assert again._missed_before(counter + 4, ended_ms + 90, ended_ms + 40) == Missed(
            3, ended_ms + 50, ended_ms + 90, f"{counter + 3}:{ended_ms}"
        ), "in the time of the gateway's clock, where the press's is not believed"
        assert press.source_id == again.source_id


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), datetime(2026, 1, 1, 8, tzinfo=ZoneInfo("Asia/Shanghai"))])  # noqa: DTZ001
async def test_a_press_s_time_is_utc_also_where_the_gateway_s_zone_is_another(
    moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as place:
        place.setenv("TZ", "America/New_York")
        time.tzset()
        found = _utc_ms(moment)
    time.tzset()
    assert found == 1_767_225_600_000


@pytest.mark.parametrize("off_s", [86_400, -86_400])
async def test_a_press_whose_clock_is_a_day_off_is_not_believed(off_s: int) -> None:
    """The gateway's clock is set apart from the press's by a day; the shot gets the gateway's time."""
    collector, clock = Collector(), ManualClock(utc_ms=SystemClock().utc_ms() + off_s * 1000)
    async with (
        running_plant(PlantOptions(presses=1, speed=20)) as plant,
        source(OpcUaSource(press="press-01", url=plant.urls[0]), collector, clock=clock),
    ):
        await collector.until(1)
    assert collector.deliveries[0].shot.ended_ms == clock.utc_ms()


async def test_signed_and_encrypted_with_certificates(tmp_path: Path) -> None:
    now, collector = datetime.now(UTC), Collector()
    mine = make_certificate(tmp_path, "gateway", "urn:zhisan:gateway:test", now)
    async with running_plant(PlantOptions(presses=1, speed=20, certificates=tmp_path / "plant")) as plant:
        settings = OpcUaSource(
            press="press-01",
            url=plant.urls[0],
            security="basic256sha256",
            certificate_file=mine.certificate,
            private_key_file=mine.private_key,
        )
        async with source(settings, collector):
            await collector.until(1)
        plain = OpcUaSource(press="press-01", url=plant.urls[0])
        finding = await check._press(plain)
        assert finding.level == "error", "the press takes no plain connection"


async def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    expired = make_certificate(tmp_path, "old", "urn:zhisan:gateway:old", now - timedelta(days=30), days=10)
    (tmp_path / "text.der").write_text("no certificate")
    async with running_plant(PlantOptions(presses=1, speed=20)) as plant:
        sources = [
            {"press": "good", "url": plant.urls[0]},
            {"press": "nobody", "url": f"opc.tcp://127.0.0.1:{free_port()}"},
            {
                "press": "expired",
                "url": plant.urls[0],
                "security": "basic256sha256",
                "certificate_file": expired.certificate,
                "private_key_file": expired.private_key,
                "server_certificate_file": tmp_path / "text.der",
            },
        ]
        settings = EdgeSettings.model_validate(
            {
                "gateway": {"plant": "p", "id": "g", "state_dir": tmp_path / "state"},
                "broker": BrokerSettings(port=free_port()),
                "models": {"bundle": tmp_path / "nowhere.zip"},
                "sources": {"opcua": sources},
            }
        )
        found = {f.subject: f for f in [finding async for finding in check.findings(settings, SystemClock())]}
    assert found["gateway.state_dir"].level == "ok"
    assert found["sources.opcua good"].level == "ok"
    assert f"{len(PARAMETERS)} parameters, {len(SET_POINTS)} set points and curves" in found["sources.opcua good"].text
    for subject, words in (
        ("models.bundle", "nowhere.zip"),
        ("broker", "127.0.0.1"),
        ("sources.opcua nobody", "cannot be reached"),
        ("sources.opcua expired certificate_file", "expired on"),
        ("sources.opcua expired server_certificate_file", "neither DER nor PEM"),
    ):
        assert found[subject].level == "error"
        assert words in found[subject].text


async def test_check_names_what_a_server_of_another_kind_lacks() -> None:
    port = free_port()
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/other")
    async with server:
        finding = await check._press(OpcUaSource(press="other", url=f"opc.tcp://127.0.0.1:{port}/other"))
    assert finding.level == "error"
    assert "http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/ is missing" in finding.text


async def test_what_an_operator_sets_is_told_with_the_next_shot() -> None:
    collector = Collector()
    options = PlantOptions(presses=1, speed=20, operator_press=1, operator_every_s=0.1)
    async with running_plant(options) as plant:
        [url] = plant.urls
        async with source(OpcUaSource(press="press-01", url=url), collector):
            await collector.until(4)
    told = [delivery.shot.dataset for delivery in collector.deliveries]
    moved = {name for before, now in pairwise(told) for name, _, _ in map(astuple, moved_between(before, now))}
    assert moved, "three moves in three cycles leave something that is set otherwise"
    assert {dataset.name for dataset in told} == {told[0].name}


async def test_zones_are_told_from_the_feeding_to_the_nozzle_and_what_is_unclear_is_noted() -> None:
    server, url = Server(), f"opc.tcp://127.0.0.1:{free_port()}/other"
    await server.init()
    server.set_endpoint(url)
    machine = server.nodes.objects
    unit = await (await machine.add_object(2, "InjectionUnits")).add_object(2, "InjectionUnit_1")
    await add_zones(unit, "Position", [(6, 240.0, True), (1, 200.0, True), (2, 205.0, False), (3, 210.0, True)])
    mould = await (await machine.add_object(2, "Moulds")).add_object(2, "Mould_1")
    await add_zones(mould, "Index", [(1, 140.0, True), (2, 60.0, True)])
    first = await mould.get_child(["2:TemperatureZones", "2:Zone_1", "2:NominalTemperature"])
    fahrenheit = ua.EUInformation("", 4604232, ua.LocalizedText("°F"), ua.LocalizedText("degree Fahrenheit"))
    await first.add_property(0, "EngineeringUnits", fahrenheit)
    own = await machine.add_object(2, "SetPoints")
    await own.add_variable(2, "HoldTime", 2_500.0, datatype=ua.NodeId(ua.ObjectIds.Duration))
    await own.add_variable(2, "Mood", 1.0)
    parrots = ua.EUInformation("", -1, ua.LocalizedText("parrots"), ua.LocalizedText(""))
    await (await own.add_variable(2, "BackPressure", 3.0)).add_property(0, "EngineeringUnits", parrots)
    async with server, Client(url) as client:
        notes: list[str] = []
        nodes = await find_dataset(client.get_node(machine.nodeid), notes)
        told = nodes.dataset_of(await _read_job(client, nodes.nodes))
        assert dict(told.set_points) == {
            "BarrelTemperature1": 200.0,
            "BarrelTemperature2": 210.0,
            "NozzleTemperature": 240.0,
            "MouldTemperature": pytest.approx(60.0),
            "HoldTime": 2.5,
        }
        assert (told.name, told.description, told.mould_description) == ("", "", "")
        assert len(notes) == 3
        for word in ("Mood", "parrots", "2 temperature zones of the mould"):
            assert any(word in note for note in notes), word
        nothing = await find_dataset(client.get_node(own.nodeid), [])
        assert nothing.dataset_of(await _read_job(client, nothing.nodes)) is NOT_TOLD


async def add_zones(holder: Node, place: str, zones: list[tuple[int, float, bool]]) -> None:
    container = await holder.add_object(2, "TemperatureZones")
    for number, degc, is_present in zones:
        zone = await container.add_object(2, f"Zone_{number}")
        await zone.add_property(2, place, ua.Variant(number, ua.VariantType.UInt32))
        await zone.add_property(2, "IsPresent", is_present)
        await zone.add_variable(2, "NominalTemperature", degc)


async def test_what_a_press_cannot_say_of_its_job_is_not_told_and_its_mould_must_be() -> None:
    server, url = Server(), f"opc.tcp://127.0.0.1:{free_port()}/other"
    await server.init()
    server.set_endpoint(url)
    jobs = await server.nodes.objects.add_object(2, "Jobs")
    active = await jobs.add_object(2, "ActiveJob")
    mould = await active.add_property(2, "MouldId", "M-1")
    material = await active.add_property(2, "Material", ["PP", "blue"])
    async with server, Client(url) as client:
        nodes = await _job(client.get_node(server.nodes.objects.nodeid))
        assert await _read_job(client, nodes) == {"MouldId": "M-1", "Material": ["PP", "blue"]}
        bad = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNoData))
        await server.write_attribute_value(material.nodeid, bad)
        assert await _read_job(client, nodes) == {"MouldId": "M-1", "Material": None}
        await server.write_attribute_value(mould.nodeid, bad)
        with pytest.raises(ua.UaStatusCodeError):
            await _read_job(client, nodes)
        assert await _read_job(client, {}) == {}


@pytest.mark.parametrize("counter", [None, 7])
async def test_cycles_whose_events_find_no_room_are_missed_cycles_with_or_without_a_number(counter: int | None) -> None:
    collector, clock = Collector(), ManualClock(utc_ms=5_000)
    settings = OpcUaSource(press="press-01", url="opc.tcp://127.0.0.1:1")
    press = OpcUaPress(settings, collector, collector.health, clock, position=None, randomness=random.Random(1))
    press._drop()
    clock.advance(2.0)
    press._drop()
    missed = press._missed_before(counter, 8_000, 8_000)
    assert missed == Missed(2, 5_000, 7_000, ":"), "before any number is known they are all that is known"
    press._last_counter, press._last_ended_ms = counter, 8_000
    press._drop()
    after = press._missed_before(None if counter is None else counter + 2, 9_000, 9_000)
    assert after is not None
    assert (after.count, collector.health.missed_cycles) == (1, 3), "not once by its event and once by its number"
