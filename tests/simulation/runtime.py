"""What the programs stand on in the simulation: worker threads, disks and clocks, all on virtual time."""

import random
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import anyio

from tests.simulation.virtual_loop import VirtualLoop

T = TypeVar("T")
START_MS = 1_767_225_600_000


@dataclass(slots=True)
class Machine:
    """One machine: how slow its disk is, whether it is full, and how its clock runs."""

    name: str
    rng: random.Random
    loop: VirtualLoop
    disk_s: float = 0.001
    is_disk_full: bool = False
    wall_offset_ms: int = 0
    drift: float = 0.0
    """How much faster than true time the wall clock runs, as a share."""

    def utc_ms(self) -> int:
        """See `kit.clock.Clock`; steps and drifts as the fault of the moment says."""
        return START_MS + self.wall_offset_ms + round(self.loop.now_s * (1 + self.drift) * 1000)

    def monotonic_s(self) -> float:
        """See `kit.clock.Clock`."""
        return self.loop.now_s


MACHINE: ContextVar[Machine] = ContextVar("machine")
"""On which machine the running task works."""


async def run_sync(
    work: Callable[..., T],
    *arguments: object,
    abandon_on_cancel: bool = False,
    limiter: anyio.CapacityLimiter | None = None,
) -> T:
    """In place of `anyio.to_thread.run_sync`: the work happens at one moment between two waits of the disk.

    A crash in the first wait finds the work not done, one in the second finds it done and not answered.
    """
    del abandon_on_cancel
    if limiter is None:
        return await _at_one_moment(work, *arguments)
    async with limiter:
        return await _at_one_moment(work, *arguments)


async def _at_one_moment(work: Callable[..., T], *arguments: object) -> T:
    machine = MACHINE.get()
    await anyio.sleep(machine.rng.uniform(0, machine.disk_s))
    result = work(*arguments)
    await anyio.sleep(machine.rng.uniform(0, machine.disk_s))
    return result
