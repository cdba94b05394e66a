"""`zhisan cloud ...`: run the cloud, or say what is wrong with its settings."""

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from cloud import cli_accounts
from cloud.identity.offline import InUseError, exclusive
from cloud.settings import ENVIRONMENT_PREFIX, CloudSettings
from kit import logging
from kit.settings import SettingsError, load

GC_THRESHOLDS = (10_000, 5, 200)
"""With 10,000 presses a full collection stops the program for 0.2 s; it is put off where Python would not."""
SIGNS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when all is well, 1 when something is wrong, 2 when the settings cannot be used."""
    parser = argparse.ArgumentParser(prog="zhisan cloud", description="Ingest, alarms, webhooks, pages and API.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, what: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's TOML file")
        return command

    add("run", "run the cloud until it is told to stop")
    add("check", "say what is wrong, and run nothing")
    cli_accounts.add_commands(add)
    arguments = parser.parse_args(argv)
    try:
        settings = load(CloudSettings, arguments.config, prefix=ENVIRONMENT_PREFIX)
    except SettingsError as error:
        for problem in error.problems:
            print(f"{SIGNS['error']} {error.path}: {problem}")
        return 2
    if arguments.command == "check":
        return anyio.run(_check, settings)
    if arguments.command == "run":
        return _run(settings)
    return cli_accounts.run(arguments, settings)


def _run(settings: CloudSettings) -> int:
    gc.set_threshold(*GC_THRESHOLDS)
    logging.configure(settings.log.style, settings.log.level)
    try:
        with exclusive(settings.storage.dir):
            from cloud import server  # two seconds of imports, which the other commands need not wait for

            try:
                return 0 if server.run(settings) else 1
            except server.StartError as error:
                print(f"{SIGNS['error']} {error}", file=sys.stderr)
    except InUseError as error:
        print(f"{SIGNS['error']} {error}", file=sys.stderr)
    return 1


async def _check(settings: CloudSettings) -> int:
    from cloud import check

    worst = 0
    async for finding in check.findings(settings):
        print(f"{SIGNS[finding.level]} {finding.subject}: {finding.text}", flush=True)
        worst = max(worst, int(finding.level == "error"))
    return worst
