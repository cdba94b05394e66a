"""What is a simulated plant? N presses on ports of their own in one process, faster than real time by a factor."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from kit.clock import Clock, SystemClock
from kit.errors import ZhisanError
from simulators.faults.catalogue import wear
from simulators.faults.fault import Fault, Progression
from simulators.plant.companion import load
from simulators.plant.operator import Operator
from simulators.plant.press_server import PressServer, build_press_server
from simulators.press.press import Press
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV

PRESSES_MAX: Final = 100
STOP_S_MAX: Final = 5.0


class PlantError(ZhisanError):
    """The plant cannot start; the message says what to change."""


@dataclass(frozen=True, slots=True)
class PlantOptions:
    """What plant to run.

    `base_port` 0 takes free ports. `fault_press` counts from 1; None is a healthy plant. Onset and growth are in real
    seconds from the start. At `operator_press`, counted likewise, an operator moves a set point every
    `operator_every_s` real seconds on average. `certificates` is a folder and makes the endpoints Basic256Sha256; None
    is policy None.
    """

    presses: int = 6
    host: str = "127.0.0.1"
    base_port: int = 0
    speed: float = 10.0
    seed: int = 1
    fault_press: int | None = None
    fault_onset_s: float = 60.0
    fault_growth_s: float = 120.0
    operator_press: int | None = None
    operator_every_s: float = 120.0
    certificates: Path | None = None
    namespace_shift: int = 0
    first_cycle: int = 1


@dataclass(frozen=True, slots=True)
class RunningPress:
    """One press that can be connected to."""

    press_id: str
    url: str


@dataclass(frozen=True, slots=True)
class RunningPlant:
    """The presses in order."""

    presses: tuple[RunningPress, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where they listen."""
        return tuple(press.url for press in self.presses)


@asynccontextmanager
async def running_plant(options: PlantOptions, clock: Clock | None = None) -> AsyncIterator[RunningPlant]:
    """A plant for as long as the block runs; its ports are closed afterwards, whatever happens.

    Raises:
        PlantError: an option is out of range or a port is taken.
    """
    clock = clock or SystemClock()
    _check(options)
    companion, presses, ports = load(), make_presses(options, clock.utc_ms()), _ports(options)
    servers: list[PressServer] = []
    try:
        for number, (press, port) in enumerate(zip(presses, ports, strict=True), 1):
            server = await build_press_server(
                press,
                companion,
                host=options.host,
                port=port,
                certificates=options.certificates,
                namespace_shift=options.namespace_shift,
                clock=clock,
                operator=_operator(options, press, clock) if number == options.operator_press else None,
            )
            try:
                await server.start()
            except OSError as error:
                raise PlantError(f"{server.url}: {error.strerror}; choose another --base-port") from error
            servers.append(server)
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(server.run, clock, options.speed, name=f"press {server.press_id}")
            try:
                yield RunningPlant(tuple(RunningPress(server.press_id, server.url) for server in servers))
            finally:
                tasks.cancel_scope.cancel()
    finally:
        await _stop(servers)


def make_presses(options: PlantOptions, started_ms: int) -> list[Press]:
    """The presses, `press-01` and so on: odd ones mould PP caps, even ones ABS housings."""
    onset_ms = started_ms + round(options.fault_onset_s * 1000)
    worn: Fault = wear("check_ring_wear", Progression(onset_ms, max(round(options.fault_growth_s * 1000), 1)))
    return [
        Press(
            f"press-{number:02d}",
            process=PP_CAP_4CAV if number % 2 else ABS_HOUSING_2CAV,
            seed=options.seed,
            faults=(worn,) if number == options.fault_press else (),
            first_cycle=options.first_cycle,
            started_ms=started_ms,
        )
        for number in range(1, options.presses + 1)
    ]


def _operator(options: PlantOptions, press: Press, clock: Clock) -> Operator:
    return Operator(
        press.process,
        every_s=options.operator_every_s,
        started_s=clock.monotonic_s(),
        seed=f"{options.seed} {press.press_id}",
    )


async def _stop(servers: list[PressServer]) -> None:
    with anyio.move_on_after(STOP_S_MAX, shield=True):
        async with anyio.create_task_group() as stopping:
            for server in servers:
                stopping.start_soon(server.stop)


def _check(options: PlantOptions) -> None:
    if not 1 <= options.presses <= PRESSES_MAX:
        raise PlantError(f"{options.presses} presses: choose 1 to {PRESSES_MAX}")
    if not options.speed > 0:
        raise PlantError(f"speed {options.speed}: choose a factor above 0")
    if options.fault_press is not None and not 1 <= options.fault_press <= options.presses:
        raise PlantError(f"fault press {options.fault_press}: choose 1 to {options.presses}, or none")
    if options.operator_press is not None and not 1 <= options.operator_press <= options.presses:
        raise PlantError(f"operator press {options.operator_press}: choose 1 to {options.presses}, or none")
    if not options.operator_every_s > 0:
        raise PlantError(f"operator every {options.operator_every_s} s: choose a time above 0")


def _ports(options: PlantOptions) -> list[int]:
    if options.base_port:
        return [options.base_port + number for number in range(options.presses)]
    held = [socket.socket() for _ in range(options.presses)]
    try:
        for each in held:
            each.bind((options.host, 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()
