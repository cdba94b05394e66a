"""A distant broker: each revoked gateway is cut off within a minute of its own revocation, on a virtual clock."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from cloud.gateways import cutting_off
from cloud.gateways.cutting_off import CuttingOff, GatewayName
from cloud.gateways.jobs import DISTANT_EVICTION_AFTER_S, EVICTION_S_MAX
from deploy.mosquitto import watch
from tests.simulation.virtual_loop import VirtualLoop

PROMISED_S = 60.0


@dataclass(frozen=True, slots=True)
class VirtualClock:
    loop: VirtualLoop

    def utc_ms(self) -> int:
        return round(self.loop.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.loop.now_s


def play(
    scenario: Callable[[CuttingOff], Awaitable[None]], takes_s: float, *, fails_first: int = 0
) -> dict[GatewayName, list[float]]:
    """Run a scenario; when each gateway was cut off, each taking `takes_s`."""
    loop = VirtualLoop()
    done: dict[GatewayName, list[float]] = {}
    left = fails_first

    async def cut_off(gateway: GatewayName) -> None:
        nonlocal left
        await anyio.sleep(takes_s)
        if left:
            left -= 1
            raise OSError("no room for the stand-in's certificate")
        done.setdefault(gateway, []).append(loop.now_s)

    async def main() -> None:
        cutting = CuttingOff(cut_off, VirtualClock(loop))

        async def run() -> None:
            for _ in range(fails_first + 1):
                try:
                    await cutting.run()
                except* OSError:
                    await anyio.sleep(1.0)  # as the supervisor does

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await scenario(cutting)
            await anyio.sleep(10 * PROMISED_S)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio", backend_options={"loop_factory": lambda: loop})
    return done


def test_a_revocation_that_follows_another_is_not_later_than_the_first() -> None:
    chance = random.Random(7)
    revoked_s = {("north", f"gw-{n}"): chance.uniform(0, 90) for n in range(60)}

    async def scenario(cutting: CuttingOff) -> None:
        for gateway, at_s in sorted(revoked_s.items(), key=lambda item: item[1]):
            await anyio.sleep(at_s - anyio.current_time())
            cutting.plan([gateway], in_s=DISTANT_EVICTION_AFTER_S)

    done = play(scenario, takes_s=EVICTION_S_MAX)
    took_s = [done[gateway][0] - at_s for gateway, at_s in revoked_s.items()]
    assert all(len(times) == 1 for times in done.values())
    assert min(took_s) >= DISTANT_EVICTION_AFTER_S, "its lists have not reached the broker before"
    assert max(took_s) < PROMISED_S


def test_one_that_is_revoked_again_while_it_waits_is_cut_off_at_both_times() -> None:
    async def scenario(cutting: CuttingOff) -> None:
        cutting.plan([("north", "gw-1")], in_s=40.0)
        await anyio.sleep(30.0)
        cutting.plan([("north", "gw-1")], in_s=40.0)

    assert play(scenario, takes_s=0.0) == {("north", "gw-1"): [40.0, 70.0]}


def test_what_failed_is_tried_again_and_nothing_grows_without_bound() -> None:
    async def scenario(cutting: CuttingOff) -> None:
        cutting.plan([("north", f"gw-{n}") for n in range(2 * cutting_off.PENDING_MAX)], in_s=1.0)

    done = play(scenario, takes_s=0.0, fails_first=1)
    assert len(done) == cutting_off.PENDING_MAX


def test_the_slowest_round_of_the_watcher_is_over_before_the_gateway_is_cut_off() -> None:
    assert watch.EVERY_S + len(watch.NAMES) * watch.TIMEOUT_S < DISTANT_EVICTION_AFTER_S
    assert DISTANT_EVICTION_AFTER_S + EVICTION_S_MAX < PROMISED_S
