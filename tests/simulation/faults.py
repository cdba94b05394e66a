"""The faults: what each does, and how a seed draws a plan of them."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from tests.simulation.world import Gateway, Node, World

CRASH_STEPS_MAX = 60
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan, in virtual seconds."""

    kind: str
    start_s: float
    length_s: float
    strength: float
    """0 to 1; what it means is the kind's."""


Strike = Callable[[World, Gateway, Fault], Awaitable[None]]


async def _loss(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.broker.weather.loss = 0.5 * fault.strength
    await anyio.sleep(fault.length_s)
    world.broker.weather.loss = 0.0


async def _duplication(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.broker.weather.duplication = fault.strength
    await anyio.sleep(fault.length_s)
    world.broker.weather.duplication = 0.0


async def _reordering(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.truth.is_reordered = True
    world.broker.weather.reordering = 0.5 * fault.strength
    await anyio.sleep(fault.length_s)
    world.broker.weather.reordering = 0.0


async def _delay(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.broker.weather.delay_s = 3.0 * fault.strength
    await anyio.sleep(fault.length_s)
    world.broker.weather.delay_s = 0.01


async def _partition(world: World, gateway: Gateway, fault: Fault) -> None:
    node: Node = gateway if fault.strength < 0.5 else world.host
    links = list(node.links)
    for link in links:
        link.cut_off()
    await anyio.sleep(fault.length_s)
    for link in links:
        link.heal()


async def _cut(world: World, gateway: Gateway, fault: Fault) -> None:
    for link in (gateway if fault.strength < 0.5 else world.host).links:
        world.broker.cut(link.name)


async def _broker_restart(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.broker.stop(keep_state=True)
    await anyio.sleep(0.3 * fault.length_s)
    world.broker.is_up = True


async def _broker_loss(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.broker.stop(keep_state=False)
    await anyio.sleep(0.3 * fault.length_s)
    world.broker.is_up = True


async def _gateway_crash(world: World, gateway: Gateway, fault: Fault) -> None:
    await crash(world, gateway, fault)


async def _host_crash(world: World, _gateway: Gateway, fault: Fault) -> None:
    await crash(world, world.host, fault)


async def _clock_step(_world: World, gateway: Gateway, fault: Fault) -> None:
    gateway.machine.wall_offset_ms += DAY_MS if fault.strength < 0.5 else -DAY_MS


async def _clock_drift(_world: World, gateway: Gateway, fault: Fault) -> None:
    gateway.machine.drift = 0.01 * (fault.strength - 0.5)


async def _slow_disk(world: World, gateway: Gateway, fault: Fault) -> None:
    machine = (gateway if fault.strength < 0.5 else world.host).machine
    machine.disk_s = 2.0 * abs(fault.strength - 0.5)
    await anyio.sleep(fault.length_s)
    machine.disk_s = 0.001


async def _disk_full(world: World, gateway: Gateway, fault: Fault) -> None:
    machine = (gateway if fault.strength < 0.5 else world.host).machine
    machine.is_disk_full = True
    await anyio.sleep(fault.length_s)
    machine.is_disk_full = False


async def _slow_consumer(world: World, _gateway: Gateway, fault: Fault) -> None:
    world.host.inbox_max = world.host.links[0].inbox_max = 1 + int(10 * fault.strength)
    await anyio.sleep(fault.length_s)
    world.host.inbox_max = world.host.links[0].inbox_max = 20_000


async def _reimage(world: World, gateway: Gateway, fault: Fault) -> None:
    """The gateway's disk is replaced by an empty one."""
    old = gateway.journal

    def replace() -> None:
        world.truth.destroyed |= {
            world.truth.records[old.epoch, r.record_id] for r in old.kept()
        } - world.truth.stored.keys()
        gateway.journal = world.new_journal(gateway.machine)
        _take_up(gateway)

    await crash(world, gateway, fault, replace)


async def _backup_restore(world: World, gateway: Gateway, fault: Fault) -> None:
    """The gateway's disk is put back to what it was a while ago; it gives ids again that it had given before."""
    image = gateway.journal.image()
    known = {world.truth.records[image.epoch, record.record_id] for record in image.kept()}
    await anyio.sleep(fault.length_s)
    truth = world.truth

    def replace() -> None:
        if gateway.journal.epoch != image.epoch:
            return  # another fault has replaced the disk meanwhile: that image belongs to nobody
        truth.rewound.add(image.epoch)
        present = {truth.records[image.epoch, record.record_id] for record in gateway.journal.kept()}
        truth.destroyed |= present - known - truth.stored.keys()
        gateway.journal = image
        _take_up(gateway)

    # Messages of the lost time are still on their way for a while; a disk is put back in minutes, not in seconds.
    await crash(world, gateway, fault, replace, pause_s=30.0)


async def _host_restore(world: World, _gateway: Gateway, fault: Fault) -> None:
    """The host's disk is put back to what it was a while ago."""
    store, registry = world.host.snapshot()
    stored = dict(world.truth.stored)
    await anyio.sleep(fault.length_s)

    def replace() -> None:
        world.truth.lost_at_host |= world.truth.stored.keys() - stored.keys()
        world.truth.stored = stored
        world.host.store, world.host.registry = store, registry

    await crash(world, world.host, fault, replace)


async def _host_loss(world: World, _gateway: Gateway, fault: Fault) -> None:
    """The host's disk is replaced by an empty one."""

    def replace() -> None:
        world.truth.lost_at_host |= world.truth.stored.keys()
        world.truth.stored = {}
        world.host.wipe()

    await crash(world, world.host, fault, replace)


async def _twin(world: World, _gateway: Gateway, fault: Fault) -> None:
    """A second gateway is switched on that goes by the same name, with presses and a journal of its own."""
    await world.start_twin(fault.length_s)


STRIKES: dict[str, Strike] = {
    "loss": _loss,
    "duplication": _duplication,
    "reordering": _reordering,
    "delay": _delay,
    "partition": _partition,
    "cut": _cut,
    "broker_restart": _broker_restart,
    "broker_loss": _broker_loss,
    "gateway_crash": _gateway_crash,
    "host_crash": _host_crash,
    "clock_step": _clock_step,
    "clock_drift": _clock_drift,
    "slow_disk": _slow_disk,
    "disk_full": _disk_full,
    "slow_consumer": _slow_consumer,
    "reimage": _reimage,
    "backup_restore": _backup_restore,
    "host_restore": _host_restore,
    "host_loss": _host_loss,
    "twin": _twin,
}
RARE = frozenset({"reimage", "backup_restore", "host_restore", "host_loss", "twin"})
"""At most one of these in a plan: two disasters that destroy disks at once leave nothing to promise."""


def plan(rng: random.Random, *, until_s: float) -> list[Fault]:
    """One to eight faults within `until_s`."""
    common = [kind for kind in STRIKES if kind not in RARE]
    kinds = [rng.choice(common) for _ in range(rng.randint(1, 7))]
    if rng.random() < 0.4:
        kinds.append(rng.choice(sorted(RARE)))
    faults = [
        Fault(kind, rng.uniform(1.0, 0.8 * until_s), rng.uniform(0.5, 0.3 * until_s), rng.random()) for kind in kinds
    ]
    return sorted(faults, key=lambda fault: fault.start_s)


async def crash(
    world: World, node: Node, fault: Fault, replace: Callable[[], None] = lambda: None, *, pause_s: float = 0.0
) -> None:
    """Kill a program between any two steps of the loop, and start it again after a while."""
    if not node.is_running:
        return  # it is down already
    steps = int(fault.strength * CRASH_STEPS_MAX)
    dead = world.kill_after(node, steps)
    await dead.wait()
    replace()
    await anyio.sleep(pause_s + 0.1 + 0.2 * fault.length_s)
    node.may_start.set()


def _take_up(gateway: Gateway) -> None:
    """The presses go on behind the last cycle that any journal of this gateway has taken."""
    truth = gateway.world.truth
    for source in gateway.sources:
        taken = [number for press_id, number in truth.accepted if press_id == source.press_id]
        source.taken_elsewhere = max(taken, default=0)
