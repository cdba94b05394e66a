"""How far is the record? A bar where there is a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from simulators.history.workers import Progress

LINE_EVERY_S: Final = 15.0
Tell = Callable[[Progress], None]


@contextmanager
def shown(presses: int, presses_before: int) -> Iterator[Tell]:
    """What to call with each progress.

    Args:
        presses: of the whole record.
        presses_before: that were there before this run.
    """
    if sys.stderr.isatty() and find_spec("rich") is not None:  # it comes with the extra `demo`
        with _bar(presses, presses_before) as tell:
            yield tell
    else:
        yield _Lines(presses, presses_before)


class _Lines:
    """A line every LINE_EVERY_S and one for each press that is done."""

    def __init__(self, presses: int, presses_before: int) -> None:
        self._presses = presses
        self._before = presses_before
        self._started_s = self._told_s = time.monotonic()
        self._told_presses = 0

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if progress.presses_done == self._told_presses and now_s - self._told_s < LINE_EVERY_S:
            return
        self._told_s, self._told_presses = now_s, progress.presses_done
        seconds = max(now_s - self._started_s, 1e-9)
        left = f"{seconds / progress.share * (1 - progress.share):.0f} s left" if progress.share > 0 else "begins"
        print(
            f"{self._before + progress.presses_done} of {self._presses} presses, {progress.share:.0%}, "
            f"{progress.shots:,} shots, {progress.shots / seconds:,.0f} shots/s, {left}",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def _bar(presses: int, presses_before: int) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task, started_s = bars.add_task("begins", total=1.0), time.monotonic()

        def tell(progress: Progress) -> None:
            rate = progress.shots / max(time.monotonic() - started_s, 1e-9)
            done = f"{presses_before + progress.presses_done} of {presses} presses"
            bars.update(task, completed=progress.share, description=f"{done}, {progress.shots:,} shots, {rate:,.0f}/s")

        yield tell
