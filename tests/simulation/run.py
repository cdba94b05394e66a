"""One seed, one run: `python -m tests.simulation.run --seeds 1000` prints the seeds that break a law, and the pace."""

import argparse
import hashlib
import logging
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from tests.simulation.faults import STRIKES, Fault, plan
from tests.simulation.laws import Truth, ViolationError, judge_the_end
from tests.simulation.runtime import run_sync
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.world import GATEWAY, Gateway, Host, Source, World

FAULTS_S = 60.0
SETTLE_S_MAX = 240.0
"""After the last fault: two waits of a minute before a resend, a reconnection after 30 s, and some."""
STEPS_MAX = 3_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed; `trace` is the same whenever the same seed is run."""

    seed: int
    faults: tuple[str, ...]
    accepted: int
    stored: int
    sent: int
    doubled_on_the_wire: int
    settled_s: float
    steps: int
    trace: str
    violation: str = ""


def run_seed(
    seed: int,
    *,
    faults: Sequence[Fault] | None = None,
    host: type[Host] = Host,
    gateway: type[Gateway] = Gateway,
) -> Outcome:
    """Run one seed, with the faults that it draws or with those given; a broken law is in `violation`."""
    rng = random.Random(seed)
    drawn = plan(rng, until_s=FAULTS_S) if faults is None else list(faults)
    loop, truth, state = VirtualLoop(), Truth(), _State()

    async def main() -> None:
        try:
            await _scenario(World(loop, rng, truth, host), gateway, drawn, state)
        except* ViolationError:
            pass  # noted in truth

    try:
        with virtual_machine():
            anyio.run(main, backend="asyncio", backend_options={"loop_factory": lambda: loop})
    except* Exception as errors:  # noqa: BLE001 - a program that dies by itself breaks a law as well
        truth.thrown.append(ViolationError(f"a program died: {_innermost(errors)!r}"))
    trace = hashlib.sha256(repr([sorted(truth.stored.items()), state.sent, loop.steps, loop.now_s]).encode())
    return Outcome(
        seed=seed,
        faults=tuple(f"{f.kind}@{f.start_s:.1f}+{f.length_s:.1f}({f.strength:.2f})" for f in drawn),
        accepted=len(truth.accepted),
        stored=len(truth.stored),
        sent=state.sent,
        doubled_on_the_wire=state.doubled,
        settled_s=state.settled_s,
        steps=loop.steps,
        trace=trace.hexdigest(),
        violation=str(truth.thrown[0]) if truth.thrown else "",
    )


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass(slots=True)
class _State:
    sent: int = 0
    doubled: int = 0
    settled_s: float = 0.0


async def _scenario(world: World, make_gateway: type[Gateway], faults: Sequence[Fault], state: _State) -> None:
    rng = world.rng
    machine_of_presses = world.machine("presses")
    sources = [
        Source(f"press-{number}", machine_of_presses, interval_s=rng.uniform(0.2, 2.0), until_s=0.9 * FAULTS_S)
        for number in range(rng.randint(1, 3))
    ]
    gateway = make_gateway(world, "gateway", sources)
    world.gateways.append(gateway)
    async with anyio.create_task_group() as tasks:
        world.tasks = tasks
        tasks.start_soon(world.host.lives, name="host")
        tasks.start_soon(gateway.lives, name="gateway")
        for fault in faults:
            tasks.start_soon(_strike, world, gateway, fault, name=fault.kind)
        await anyio.sleep(FAULTS_S)
        state.settled_s = await _settle(world, gateway)
        if world.truth.lost_at_host:  # what is lost for good is told at a birth
            gateway.kill()
            await gateway.dead.wait()
            gateway.may_start.set()
            await _settle(world, gateway)
        tasks.cancel_scope.cancel()
    waiting = {(twin.journal.epoch, r.record_id) for twin in world.gateways for r in twin.journal.kept()}
    judge_the_end(world.truth, world.host.store, GATEWAY, waiting)
    state.sent, state.doubled = world.broker.delivered, world.broker.doubled


async def _strike(world: World, gateway: Gateway, fault: Fault) -> None:
    await anyio.sleep(fault.start_s)
    await STRIKES[fault.kind](world, gateway, fault)


async def _settle(world: World, gateway: Gateway) -> float:
    """Wait until the journal is empty; how long it took."""
    started_s = world.loop.now_s
    while not gateway.is_running or not world.host.is_running or gateway.journal.counts().records:
        if world.loop.now_s - started_s > SETTLE_S_MAX or world.loop.steps > STEPS_MAX:
            world.truth.broken(
                f"not settled {SETTLE_S_MAX:g} s after the last fault: {gateway.journal.counts().records} records wait"
            )
        await anyio.sleep(0.5)
    return world.loop.now_s - started_s


@contextmanager
def virtual_machine() -> Iterator[None]:
    """Threads of the programs are moments of the loop; their logs go nowhere, unless SIM_LOG asks for them."""
    real = anyio.to_thread.run_sync
    anyio.to_thread.run_sync = run_sync  # type: ignore[assignment]
    before = structlog.get_config()
    level = logging.DEBUG if os.environ.get("SIM_LOG") else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        anyio.to_thread.run_sync = real
        structlog.configure(**before)


def main() -> int:
    """Run a range of seeds on all cores; 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    began_s, outcomes = time.perf_counter(), list[Outcome]()
    with ProcessPoolExecutor(options.processes) as pool:
        for outcome in pool.map(run_seed, range(options.seed, options.seed + options.seeds), chunksize=4):
            outcomes.append(outcome)
            if outcome.violation:
                print(f"seed {outcome.seed}: {outcome.violation}\n  {' '.join(outcome.faults)}", flush=True)
    broken = [outcome.seed for outcome in outcomes if outcome.violation]
    wall_s = time.perf_counter() - began_s
    print(
        f"{len(outcomes)} seeds, {len(outcomes) / wall_s:.1f} seeds/s, {len(broken)} violations {broken[:20]}; "
        f"{sum(o.accepted for o in outcomes)} shots, {sum(len(o.faults) for o in outcomes)} faults, "
        f"longest to settle {max(o.settled_s for o in outcomes):.0f} s"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
