"""Many presses at once: one a process, with a common word to stop, and what each has come to."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Final

from kit.errors import ZhisanError
from simulators.history.files import Counts, PressWriter
from simulators.history.plan import PressPlan
from simulators.history.press_record import run

LOOK_EVERY_S: Final = 0.5
THREADS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A worker uses one core, so that as many as there are cores do not stand in each other's way."""


class WorkerLostError(ZhisanError):
    """A worker process ended without a word; what it had not finished is to be made again."""


@dataclass(frozen=True, slots=True)
class Order:
    """How every press is to be recorded."""

    folder: Path
    seed: int
    every: int
    curves_every: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What has come of it so far.

    Attributes:
        share: of all presses' running time.
        shots: made, of presses that are not done too.
        presses_done: whose files are whole.
    """

    share: float
    shots: int
    presses_done: int


def carry_out(
    order: Order, plans: Sequence[PressPlan], *, workers: int, tell: Callable[[Progress], None]
) -> dict[str, Counts]:
    """Record the presses; the same files whatever the number of workers.

    What ends it early (a full disk, an interruption) lets the workers take back their unfinished files; those of
    presses that are done stay.

    Raises:
        OSError: a file could not be written.
        WorkerLostError: a worker was killed from outside.
    """
    if not plans:
        return {}
    at_work = _AtWork(get_context("spawn"), len(plans))
    running_ms = [plan.running.ran_ms(plan.end_ms) for plan in plans]
    longest_first = sorted(range(len(plans)), key=lambda place: -running_ms[place])
    with (
        _threads_limited(),
        ProcessPoolExecutor(
            min(workers, len(plans)), mp_context=at_work.context, initializer=_begin, initargs=at_work.shared
        ) as pool,
    ):
        futures = {pool.submit(_one, order, plans[place], place): plans[place].press_id for place in longest_first}
        try:
            return _followed(futures, at_work, running_ms, tell)
        except BrokenProcessPool as error:
            raise WorkerLostError("a worker process was ended from outside; out of memory?") from error
        finally:
            at_work.stop.set()
            pool.shutdown(cancel_futures=True)


class _AtWork:
    """What the workers share: a word to stop, and how far each press has come."""

    def __init__(self, context: SpawnContext, presses: int) -> None:
        self.context = context
        self.stop = context.Event()
        self.ran_ms: Any = context.Array("q", presses, lock=False)
        self.shots: Any = context.Array("q", presses, lock=False)
        self.shared = (os.getpid(), self.stop, self.ran_ms, self.shots)


def _followed(
    futures: dict[Future[Counts], str], at_work: _AtWork, running_ms: Sequence[int], tell: Callable[[Progress], None]
) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, LOOK_EVERY_S, return_when="FIRST_COMPLETED")
        found |= {futures[future]: future.result() for future in done}
        share = sum(at_work.ran_ms) / max(sum(running_ms), 1)
        tell(Progress(min(share, 1.0), sum(at_work.shots), len(found)))
    return dict(sorted(found.items()))


@contextmanager
def _threads_limited() -> Iterator[None]:
    """New processes read these as they begin; what stood here before comes back."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Stopped(Exception):  # noqa: N818 - no error: somebody asked for it
    """The run is over before this press was."""


@dataclass(slots=True)
class _Here:
    """What this worker process was given at its start."""

    shared: tuple[Any, Any, Any] | None = None


_HERE: Final = _Here()


def _begin(parent: int, stop: Any, ran_ms: Any, shots: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with, args=(parent,), daemon=True, name="parent-watch").start()
    _HERE.shared = stop, ran_ms, shots


def _end_with(parent: int) -> None:
    """A parent that was killed cannot say so, and a worker would wait for its next order for ever."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os._exit(1)


def _one(order: Order, plan: PressPlan, place: int) -> Counts:
    assert _HERE.shared is not None
    stop, ran_ms, shots = _HERE.shared
    running = plan.running
    writer = PressWriter(order.folder, plan.press_id, every=order.every, curves_every=order.curves_every)
    try:
        for part in run(plan, order.seed):
            if stop.is_set():
                raise _Stopped
            writer.write(part)
            shots[place] += len(part.block)
            ran_ms[place] = running.ran_ms(int(part.block.ended_ms[-1]))
        counts = writer.finish()
    except BaseException:
        writer.abandon()
        raise
    ran_ms[place] = running.ran_ms(plan.end_ms)
    return counts
