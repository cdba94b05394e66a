"""The commands of `zhisan cloud` about accounts, for who administers the machine: they need no running cloud."""

import argparse
import sys
from collections.abc import Awaitable, Callable

import anyio

from cloud.core.access import Right
from cloud.core.database import Database
from cloud.identity import domain, offline, setup_file
from cloud.identity.parts import IdentityParts, parts
from cloud.migrations.upgrade import upgrade
from cloud.settings import CloudSettings
from kit.clock import Clock, SystemClock
from kit.errors import ZhisanError

Work = Callable[[Database, IdentityParts, Clock], Awaitable[str]]


def add_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    add("setup-link", "print the link that makes the first account")
    reset = add("reset-password", "print a link with which somebody sets a new password; the cloud must be stopped")
    reset.add_argument("--login", required=True, help="whose password")
    key = add("key", "make an API key and print it; the cloud must be stopped")
    key.add_argument("--name", required=True, help="what the key is for")
    key.add_argument("--right", action="append", choices=sorted(Right), help="may be given again (default: read)")
    key.add_argument("--days", type=int, default=domain.KEY_DAYS_DEFAULT, help="ends after (default: %(default)s)")


def run(arguments: argparse.Namespace, settings: CloudSettings) -> int:
    """Run one of them; 0 done, 1 not."""
    if arguments.command == "setup-link":
        return _setup_link(settings)
    if arguments.command == "reset-password":
        login, url = arguments.login, settings.web.url()
        return _offline(settings, lambda database, made, clock: offline.reset_link(database, made, clock, login, url))
    rights = {Right(right) for right in arguments.right or [Right.READ]}
    days = max(1, min(arguments.days, domain.KEY_DAYS_MAX))
    name = arguments.name
    return _offline(
        settings,
        lambda database, made, clock: offline.make_key(database, made, clock, name=name, rights=rights, days=days),
    )


def _setup_link(settings: CloudSettings) -> int:
    link = setup_file.read(settings.storage.dir)
    if link is None:
        print("there is no setup link: somebody has an account already, or the cloud never ran", file=sys.stderr)
        return 1
    print(link)
    return 0


def _offline(settings: CloudSettings, work: Work) -> int:
    try:
        with offline.exclusive(settings.storage.dir):
            print(anyio.run(_with_database, settings, work))
    except ZhisanError as error:
        print(f"ERROR   {error}", file=sys.stderr)
        return 1
    return 0


async def _with_database(settings: CloudSettings, work: Work) -> str:
    database, clock = Database(settings.storage.database_url()), SystemClock()
    try:
        await upgrade(database)
        return await work(database, parts(database, clock, settings.accounts.rules()), clock)
    finally:
        await database.close()
