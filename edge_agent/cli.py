"""`zhisan edge ...`: run a gateway, or say what is wrong with its settings."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio

from edge_agent import app, check
from edge_agent.settings import ENVIRONMENT_PREFIX, EdgeSettings
from kit import logging
from kit.clock import SystemClock
from kit.errors import ZhisanError
from kit.settings import SettingsError, load

SIGNS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when all is well, 1 when something is wrong, 2 when the settings cannot be used."""
    parser = argparse.ArgumentParser(prog="zhisan edge", description="The gateway beside the presses.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("run", "run the gateway until it is told to stop"),
        ("check", "say what is wrong, and run nothing"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="the gateway's TOML file")
    arguments = parser.parse_args(argv)
    try:
        settings = load(EdgeSettings, arguments.config, prefix=ENVIRONMENT_PREFIX)
    except SettingsError as error:
        for problem in error.problems:
            print(f"{SIGNS['error']} {error.path}: {problem}")
        return 2
    if arguments.command == "check":
        return anyio.run(_check, settings)
    logging.configure(settings.log.style, settings.log.level)
    status = 0
    try:
        anyio.run(_run, settings)
    except* ZhisanError as errors:
        for one in _leaves(errors):
            print(f"{SIGNS['error']} {one}", file=sys.stderr)
        status = 1
    return status


def _leaves(errors: BaseExceptionGroup[ZhisanError]) -> Iterator[ZhisanError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _check(settings: EdgeSettings) -> int:
    worst = 0
    async for finding in check.findings(settings, SystemClock()):
        print(f"{SIGNS[finding.level]} {finding.subject}: {finding.text}", flush=True)
        worst = max(worst, int(finding.level == "error"))
    return worst


async def _run(settings: EdgeSettings) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope, name="signals")
        await app.run(settings)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return
