"""The host's STATE under faults of its two connections: online only while the ingest hears, and no quarrel for ever."""

import random
from collections.abc import Awaitable, Callable

import anyio

from contract.sparkplug.state import decode_state
from tests.simulation.laws import Truth
from tests.simulation.run import virtual_machine
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.world import HOST, Host, World

TOPIC = f"spBv1.0/STATE/{HOST}"
FIVE_MINUTES_S = 300.0


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    """Run a host of its own in virtual time, and the scenario beside it."""
    loop = VirtualLoop()

    async def main() -> None:
        world = World(loop, random.Random(1), Truth())
        async with anyio.create_task_group() as tasks:
            world.tasks = tasks
            tasks.start_soon(world.host.lives, name="host")
            await scenario(world)
            tasks.cancel_scope.cancel()

    with virtual_machine():
        anyio.run(main, backend="asyncio", backend_options={"loop_factory": lambda: loop})


def is_online(world: World) -> bool:
    return TOPIC in world.broker.retained and decode_state(world.broker.retained[TOPIC]).is_online


def test_a_host_whose_ingest_is_cut_off_is_offline_until_it_has_subscribed_again() -> None:
    async def scenario(world: World) -> None:
        await anyio.sleep(1.0)
        assert is_online(world)
        world.broker.denies.add("ingest")
        world.broker.cut("ingest")
        await anyio.sleep(0.5)
        assert not is_online(world)
        await anyio.sleep(60.0)
        assert not is_online(world), "connected again, but the broker refuses the subscription"
        before_ms = decode_state(world.broker.retained[TOPIC]).timestamp_ms
        world.broker.denies.clear()
        await anyio.sleep(15.0)
        assert is_online(world), "the subscription is tried again and again"
        assert decode_state(world.broker.retained[TOPIC]).timestamp_ms > before_ms, "or no edge node would take it"

    play(scenario)


def test_a_host_that_is_not_heard_subscribing_is_not_online() -> None:
    async def scenario(world: World) -> None:
        world.broker.denies.add("ingest")
        await anyio.sleep(30.0)
        assert TOPIC not in world.broker.retained

    play(scenario)


def test_two_hosts_under_one_id_do_not_take_each_other_s_connection_every_second() -> None:
    """With one id they have one MQTT client id: each new connection ends the other's, and all gateways begin anew."""

    async def scenario(world: World) -> None:
        await anyio.sleep(5.0)
        changes: list[bytes] = []
        publish = world.broker._route

        def counted(topic: str, payload: bytes, qos: int, retain: bool) -> None:  # noqa: FBT001
            if topic == TOPIC:
                changes.append(payload)
            publish(topic, payload, qos, retain)

        world.broker._route = counted  # type: ignore[method-assign]
        second = Host(world)
        world.tasks.start_soon(second.lives, name="second")
        await anyio.sleep(FIVE_MINUTES_S)
        print(f"{len(changes)} STATE messages in {FIVE_MINUTES_S:g} s")
        assert len(changes) <= 150, "885 when each reconnects after a second"
        presences = [host.presence for host in (world.host, second)]
        assert any(presence is not None and presence.has_rival for presence in presences)

    play(scenario)
