"""The system under simulation: a gateway and a host that run unmodified, each on a machine that can fail."""

import copy
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import UUID

import anyio
import numpy as np
from anyio.abc import TaskGroup

from cloud.ingest.gate import Gate
from cloud.ingest.memory_registry import MemoryRegistry
from cloud.ingest.presence import Presence
from cloud.ingest.service import Ingest
from cloud.telemetry.store import GatewayKey
from contract.shot import Shot
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.host import HostSession
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.giving_up import MakeMetrics
from edge_agent.journal.journal import Record
from edge_agent.journal.thread import JournalThread
from edge_agent.pipeline import Pipeline, gap_body
from edge_agent.sources.source import Delivery
from edge_agent.uplink.uplink import Confirmation, Uplink
from edge_agent.uplink.window import Window
from kit.ids import uuid7
from kit.mqtt import Will
from tests.simulation.laws import JudgedJournal, JudgedStore, Truth
from tests.simulation.network import SimBroker, SimLink
from tests.simulation.runtime import MACHINE, Machine
from tests.simulation.virtual_loop import VirtualLoop

PLANT, HOST = "plant", "zhisan"
RECORDS_MAX, BYTES_MAX = 60, 45_000
RECORD_BYTES_MAX = 2_000
TINY_RECORDS_MAX = 66
HEALTH_EVERY_S = 10.0


class Node:
    """A program on a machine: it can be started, and killed between any two steps."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.links: list[SimLink] = []
        self.is_running = False
        self.may_start = anyio.Event()
        self.dead = anyio.Event()
        self._scope = anyio.CancelScope()

    async def program(self) -> None:
        """One life of the program; it ends only when it is killed."""
        raise NotImplementedError

    async def lives(self) -> None:
        """Run the program again and again; after a death it waits to be started."""
        MACHINE.set(self.machine)
        while True:
            self.may_start, self.dead = anyio.Event(), anyio.Event()
            self._scope = anyio.CancelScope()
            self.is_running = True
            with self._scope:
                await self.program()
            self.is_running = False
            self.dead.set()
            await self.may_start.wait()

    def kill(self) -> None:
        """No farewell: its links are dead before any of its code can run again."""
        for link in self.links:
            link.kill()
        self._scope.cancel()


class Source:
    """A press that keeps its last cycles until they are taken: its counter goes on whatever the gateway does."""

    def __init__(self, press_id: str, machine: Machine, *, interval_s: float, until_s: float) -> None:
        self.press_id = press_id
        self.source_id = f"sim:{press_id}"
        self._machine = machine
        self._interval_s = interval_s
        self._until_s = until_s
        self.taken_elsewhere = 0
        """Up to here cycles were taken by a gateway that no longer exists."""

    async def run(self, deliver: Callable[..., Awaitable[bool]], position: str | None) -> None:
        """Deliver every cycle behind `position`, as it is made."""
        number = max(int(position or 0), self.taken_elsewhere)
        while True:
            number += 1
            made_s = number * self._interval_s
            if made_s > self._until_s:
                await anyio.sleep_forever()
            await anyio.sleep(max(0.0, made_s - self._machine.monotonic_s()))
            shot = Shot(
                press_id=self.press_id,
                ended_ms=self._machine.utc_ms(),
                parameters={"CycleTime": self._interval_s, "CushionStroke": float(number % 7)},
                curves={"InjectionPressure": np.full(20, number, np.float32)},
                sample_interval_s=0.1,
                cycle_counter=number,
                job_name="job",
                mould_id="mould",
            )
            await deliver(Delivery(shot, self.source_id, str(number)), can_wait=True)


class Gateway(Node):
    """Pipeline, journal and uplink as `edge_agent.app` wires them, without a scorer."""

    uplink_type: type[Uplink] = Uplink
    window_type: type[Window] = Window
    pipeline_type: type[Pipeline] = Pipeline
    confirmation: Confirmation = "commit"

    def __init__(self, world: "World", name: str, sources: list[Source]) -> None:
        super().__init__(world.machine(name))
        self.world = world
        self.sources = sources
        self.journal = world.new_journal(self.machine)
        self.window: Window | None = None
        self.health = Health()
        self.aliases = AliasTable(())

    async def program(self) -> None:
        """One life of the program."""
        thread, machine, world = JournalThread(self.journal), self.machine, self.world
        aliases = self.aliases = AliasTable(self.journal.aliases())
        self.health = Health(presses={source.press_id: True for source in self.sources})
        session = EdgeNodeSession(PLANT, "gw", primary_host_id=HOST)

        def make_will() -> Will:
            will = session.connect(thread.next_bd_seq())
            return Will(will.topic, will.payload, will.qos, will.retain)

        window = self.window = self.window_type(
            thread.epoch,
            self.journal.bounds()[1],
            records_max=RECORDS_MAX,
            bytes_max=BYTES_MAX,
            resend_after_s=5.0 if self.confirmation == "commit" else math.inf,
        )
        link = SimLink(world.loop, world.broker, f"{PLANT}:gw", make_will)
        self.links = [link]
        uplink = self.uplink_type(
            link,
            session,
            thread,
            aliases,
            window,
            self.health,
            machine,
            instance=str(world.new_id()),
            new_epoch=world.new_id,
            health_every_s=HEALTH_EVERY_S,
            node_properties=[],
            confirmation=self.confirmation,
        )
        pipeline = self.pipeline_type(
            thread, aliases, None, self.health, uplink.appended, curve_interval_s=0.1, curve_samples_max=100
        )
        positions = self.journal.positions()
        async with link, anyio.create_task_group() as tasks:
            tasks.start_soon(uplink.run, name="uplink")
            tasks.start_soon(pipeline.run, name="pipeline")
            for source in self.sources:
                aliases.add_press(source.press_id)
                tasks.start_soon(source.run, pipeline.deliver, positions.get(source.source_id), name=source.source_id)


class TinyGateway(Gateway):
    """One whose journal is full in moments and gives up what is oldest; a commit in time is not waited for."""

    def __init__(self, world: "World", name: str, sources: list[Source]) -> None:
        super().__init__(world, name, sources)
        self.journal = world.new_journal(self.machine, records_max=TINY_RECORDS_MAX, make_gap=self._gap)

    def _gap(self, record: Record, reason: str) -> bytes:
        return gap_body(record, reason, self.aliases.of(record.press_id))


class Host(Node):
    """Ingest and presence as `cloud.app` wires them, over a registry and a store in memory."""

    ingest_type: type[Ingest] = Ingest
    store_type: type[JudgedStore] = JudgedStore

    def __init__(self, world: "World") -> None:
        super().__init__(world.machine("host"))
        self.world = world
        self.wipe()
        self.inbox_max = 20_000
        self.presence: Presence | None = None

    async def program(self) -> None:
        """One life of the program."""
        world, machine = self.world, self.machine
        link = SimLink(world.loop, world.broker, "ingest", lambda: None)
        link.inbox_max = self.inbox_max
        ingest = self.ingest_type(link, HostSession(HOST), self.store, self.registry, Gate(), machine)

        self.links = [link]

        def state_link(make_will: Callable[[], Will]) -> SimLink:
            self.links[1:] = [SimLink(world.loop, world.broker, "state", make_will)]
            return self.links[1]

        presence = self.presence = Presence(state_link, HOST, ingest.listening, machine)
        async with AsyncExitStack() as running, anyio.create_task_group() as tasks:
            await running.enter_async_context(link)
            tasks.start_soon(ingest.run, name="ingest")
            tasks.start_soon(presence.run, name="presence")

    def wipe(self) -> None:
        """An empty disk."""
        self.store, self.registry = self.store_type(), MemoryRegistry()
        self.store.truth, self.store.machine = self.world.truth, self.machine

    def snapshot(self) -> tuple[JudgedStore, MemoryRegistry]:
        """A backup of the host's disk."""
        return self.store.image(), copy.deepcopy(self.registry)


class World:
    """Everything of one run; all chance comes from `rng`."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, truth: Truth, host: "type[Host]" = Host) -> None:
        self.loop = loop
        self.rng = rng
        self.truth = truth
        self.broker = SimBroker(loop, random.Random(rng.random()))
        self.host = host(self)
        self.gateways: list[Gateway] = []
        self.tasks: TaskGroup
        self._doomed: list[tuple[int, Node]] = []
        loop.on_step = self.on_step

    def kill_after(self, node: Node, steps: int) -> anyio.Event:
        """Kill a running program after so many steps of the loop; the event tells when it is dead."""
        assert node.is_running
        self._doomed.append((self.loop.steps + steps, node))
        return node.dead

    def on_step(self) -> None:
        """Between any two rounds of callbacks: who is to die now, and is every bound kept?"""
        due = [node for step, node in self._doomed if step <= self.loop.steps]
        self._doomed = [(step, node) for step, node in self._doomed if step > self.loop.steps]
        for node in due:
            node.kill()
        for gateway in self.gateways:
            window = gateway.window
            if window is not None and (
                window.in_flight > RECORDS_MAX or window.in_flight_bytes > BYTES_MAX + RECORD_BYTES_MAX
            ):
                self.truth.broken(f"{window.in_flight} records, {window.in_flight_bytes} bytes are in flight")

    def machine(self, name: str) -> Machine:
        """A machine with chance of its own."""
        return Machine(name, random.Random(self.rng.random()), self.loop)

    async def start_twin(self, length_s: float) -> None:
        """Another gateway by the same name, for a while."""
        source = Source("press-twin", self.machine("press-twin"), interval_s=1.0, until_s=self.loop.now_s + length_s)
        source.taken_elsewhere = int(self.loop.now_s)
        twin = Gateway(self, "twin", [source])
        self.gateways.append(twin)
        self.tasks.start_soon(twin.lives, name="twin")
        await anyio.sleep(length_s)
        if twin.is_running:
            twin.kill()

    def new_id(self) -> UUID:
        """A UUID that the seed alone decides."""
        return uuid7(round(self.loop.now_s * 1000), self.rng.getrandbits(74))

    def new_journal(
        self, machine: Machine, *, records_max: int = 1_000_000, make_gap: MakeMetrics | None = None
    ) -> JudgedJournal:
        """An empty disk for a gateway."""
        journal = JudgedJournal(epoch=self.new_id(), grace_records=30, records_max=records_max, make_gap=make_gap)
        journal.truth, journal.machine = self.truth, machine
        return journal


GATEWAY = GatewayKey(PLANT, "gw")
