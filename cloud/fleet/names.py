"""What people call a plant: a display name, given by who manages its people; the id stays what everything goes by."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import anyio
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.fleet import repository

READ_EVERY_S: Final = 10.0
"""What another program of ours has changed is seen after so long at the latest."""
FIELD: Final = "body.display_name"


class PlantNames:
    """The display names of all plants, for who renders and cannot ask: an id belongs to one plant of one tenant."""

    def __init__(self, database: Database | None = None) -> None:
        self._database = database
        self._names: Mapping[str, str] = MappingProxyType({})

    def of(self, plant_id: str) -> str:
        """What to call a plant: its id where it has no name."""
        return self._names.get(plant_id, plant_id)

    async def read(self) -> None:
        """Take in what is stored now."""
        if self._database is not None:
            async with self._database.reading() as session:
                self._names = MappingProxyType(await repository.plant_names(session))

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:
            await self.read()
            await anyio.sleep(READ_EVERY_S)


async def name_plant(
    session: AsyncSession, tenant_id: TenantId, plant_id: str, name: str, *, actor: Actor, now_ms: int
) -> str:
    """Give a plant a display name, or with an empty one its id again; what it is called now.

    Raises:
        NotFoundError: the tenant has no such plant.
        InvalidFieldError: the name is too long, cannot be shown, or is another plant's.
    """
    row = await repository.plant(session, plant_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFoundError("plant", plant_id)
    name = name.strip()
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise InvalidFieldError(FIELD, f"must be at most {NAME_CHARACTERS_MAX} characters that can be shown.")
    if name and await repository.is_called_so(session, tenant_id, name, but=plant_id):
        raise InvalidFieldError(FIELD, "is what another plant is called.")
    before, row.display_name = row.display_name, name
    if before != name:
        audit.record(
            session,
            tenant_id,
            actor,
            "plant_named",
            f"plant:{plant_id}",
            now_ms=now_ms,
            before={"display_name": before},
            after={"display_name": name},
        )
    return name or plant_id
