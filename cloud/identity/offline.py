"""What an administrator does on the machine itself while the cloud is stopped: a new password, a first API key."""

import fcntl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cloud.core.access import Right
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity.parts import IdentityParts
from kit.clock import Clock
from kit.errors import ZhisanError

LOCK_FILE: Final = "lock"
CONSOLE: Final = Actor("system", name="console")


class InUseError(ZhisanError):
    """The folder is used by a running cloud."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the cloud's folder: two programs on one database would damage it.

    Raises:
        InUseError: another program holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(f"{folder} is used by a running cloud: stop it first") from error
        yield


async def make_key(
    database: Database, parts: IdentityParts, clock: Clock, *, name: str, rights: Collection[Right], days: int
) -> str:
    """An API key of the company that runs this installation; its text."""
    async with database.transaction() as session:
        _, text = await parts.keys.make(
            session, DEFAULT_TENANT, CONSOLE, name=name, rights=rights, days=days, now_ms=clock.utc_ms()
        )
    return text


async def reset_link(database: Database, parts: IdentityParts, clock: Clock, login: str, web_url: str) -> str:
    """A one-time link with which somebody sets a new password.

    Raises:
        NotFoundError: nobody has this login.
    """
    async with database.transaction() as session:
        token = await parts.people.reset_link(session, login, clock.utc_ms(), actor=CONSOLE)
    return f"{web_url}/welcome?token={token}"
