"""`zhisan cloud ...`: run the cloud, or say what is wrong with its settings."""

import argparse
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import anyio
import uvicorn

from cloud import check, cli_accounts
from cloud.app import create_app
from cloud.core.connections import PatientUntil
from cloud.identity.offline import InUseError, exclusive
from cloud.settings import ENVIRONMENT_PREFIX, CloudSettings
from cloud.web.routes import Pages
from kit import logging
from kit.errors import ZhisanError
from kit.settings import SettingsError, load

SIGNS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
BACKLOG_MAX = 2_048
GC_THRESHOLDS = (10_000, 20, 50)
"""With 10,000 presses a full collection stops the program for 0.2 s; it is put off where Python would not."""
GRACE_S_MAX = 5
"""How long requests under way may take to end after a signal."""


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
    if arguments.command != "run":
        return cli_accounts.run(arguments, settings)
    logging.configure(settings.log.style, settings.log.level)
    try:
        with exclusive(settings.storage.dir):
            return _run(settings)
    except InUseError as error:
        print(f"{SIGNS['error']} {error}", file=sys.stderr)
        return 1


async def _check(settings: CloudSettings) -> int:
    worst = 0
    async for finding in check.findings(settings):
        print(f"{SIGNS[finding.level]} {finding.subject}: {finding.text}", flush=True)
        worst = max(worst, int(finding.level == "error"))
    return worst


def _run(settings: CloudSettings) -> int:
    where = f"{settings.web.host}:{settings.web.port}"
    try:
        listener = check.bind(settings)
    except OSError as error:
        print(f"{SIGNS['error']} {where} cannot be listened on: {error.strerror}", file=sys.stderr)
        return 1
    with listener:
        try:
            app = create_app(settings, environ=os.environ)
        except (ZhisanError, OSError) as error:
            print(f"{SIGNS['error']} {error}", file=sys.stderr)
            return 1
        gc.set_threshold(*GC_THRESHOLDS)
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            http=PatientUntil,
            ws="none",
            server_header=False,
            limit_concurrency=settings.limits.connections_max,
            backlog=BACKLOG_MAX,
            timeout_graceful_shutdown=GRACE_S_MAX,
        )
        server = _Server(config, app.state.pages)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stopped)
        server.run(sockets=[listener])
    return 0 if server.started else 1


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """A signal that the server has obeyed is raised once more after it: the program ends as told, not as killed."""


class _Server(uvicorn.Server):
    """Ends live streams before it waits for its connections to close."""

    def __init__(self, config: uvicorn.Config, pages: Pages) -> None:
        super().__init__(config)
        self._pages = pages

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let the requests under way end."""
        self._pages.close()
        await super().shutdown(sockets)
