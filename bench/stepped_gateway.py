"""The real gateway with a wall clock that steps: `python -m bench.stepped_gateway --config FILE --offset-file FILE`.

The offset file holds milliseconds, positive or negative, that are added to the wall clock; it is read again and again.
"""

import argparse
import signal
from pathlib import Path

import anyio

from edge_agent import app
from edge_agent.settings import ENVIRONMENT_PREFIX, EdgeSettings
from kit import logging
from kit.clock import SystemClock
from kit.settings import load

READ_EVERY_S = 0.05


class SteppedClock:
    """`Clock` whose wall time is off by what a file says; the monotonic clock is the system's."""

    def __init__(self, offset_file: Path) -> None:
        self._system = SystemClock()
        self._offset_file = offset_file
        self._offset_ms = 0
        self._read_s = float("-inf")

    def utc_ms(self) -> int:
        """The system's wall time, stepped."""
        if self.monotonic_s() - self._read_s >= READ_EVERY_S:
            self._read_s = self.monotonic_s()
            self._offset_ms = int(self._offset_file.read_text(encoding="ascii"))
        return self._system.utc_ms() + self._offset_ms

    def monotonic_s(self) -> float:
        """The system's."""
        return self._system.monotonic_s()


def set_offset(offset_file: Path, offset_ms: int) -> None:
    """Step the clock of whoever reads this file, in one piece."""
    draft = offset_file.with_name(f".{offset_file.name}")
    draft.write_text(str(offset_ms), encoding="ascii")
    draft.replace(offset_file)


def main() -> None:
    """Run until SIGTERM, as `zhisan edge run` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--offset-file", type=Path, required=True)
    arguments = parser.parse_args()
    settings = load(EdgeSettings, arguments.config, prefix=ENVIRONMENT_PREFIX)
    logging.configure(settings.log.style, settings.log.level)
    anyio.run(_run, settings, SteppedClock(arguments.offset_file))


async def _run(settings: EdgeSettings, clock: SteppedClock) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope, name="signals")
        await app.run(settings, clock)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


if __name__ == "__main__":
    main()
