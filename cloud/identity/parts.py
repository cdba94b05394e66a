"""The parts of identity, wired: made by the cloud's composition root and by its offline commands."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from cloud.core.database import Database
from cloud.core.live import Topics
from cloud.identity import repository, setup_file
from cloud.identity.desk import FrontDesk
from cloud.identity.domain import SessionRules
from cloud.identity.keys import ApiKeys
from cloud.identity.passwords import Passwords
from cloud.identity.service import IdentityService, Room
from kit.clock import Clock
from kit.ids import uuid7

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IdentityParts:
    """What pages, API, middleware and commands share."""

    people: IdentityService
    keys: ApiKeys
    desk: FrontDesk
    hasher: Passwords
    rules: SessionRules


def parts(
    database: Database,
    clock: Clock,
    rules: SessionRules,
    hasher: Passwords | None = None,
    *,
    room: Room | None = None,
    access: Topics | None = None,
) -> IdentityParts:
    """Wire them; tests give a faster hasher. Who waits for changes of access, if anybody, gives their topics."""
    access = access or Topics()
    people = IdentityService(lambda: uuid7(clock.utc_ms()), rules, access, room)
    keys = ApiKeys(lambda: uuid7(clock.utc_ms()), access)
    hasher = hasher or Passwords()
    return IdentityParts(people, keys, FrontDesk(database, people, hasher, clock), hasher, rules)


async def offer_setup(database: Database, people: IdentityService, clock: Clock, folder: Path, web_url: str) -> None:
    """While nobody has an account: leave a link in a file, with which the first one is made."""
    async with database.transaction() as session:
        token = await people.offer_setup(session, clock.utc_ms())
        await repository.prune(session, clock.utc_ms())
    if token is None:
        setup_file.remove(folder)
        return
    path = setup_file.write(folder, f"{web_url}/setup?token={token}")
    log.warning("nobody_has_an_account", setup_link_in=str(path), valid_h=24)
