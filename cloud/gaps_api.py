"""The gap ledger as JSON: what gateways gave up or never had, for the plants of who asks."""

from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of, slice_of
from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.fleet import reading
from cloud.telemetry.store import GapFilter, GapKind, StoredGap, TelemetryStore

READ_THREADS_MAX = 2
FILTER_CHARACTERS_MAX = 128

PlantFilter = Annotated[str, Query(max_length=FILTER_CHARACTERS_MAX, description="Only of this plant.")]
PressFilter = Annotated[str, Query(max_length=FILTER_CHARACTERS_MAX, description="Only of presses with this id.")]
ReasonFilter = Annotated[str, Query(max_length=FILTER_CHARACTERS_MAX, description="Only for this reason.")]


class GapOut(BaseModel):
    """What is missing of a press at a gateway for one reason, as one line."""

    kind: GapKind = Field(description="`shot`: whole shots; `curves`: the curves of shots that are stored.")
    plant_id: str
    press_id: str = Field(description="Empty where nobody knows whose shots they were.")
    gateway_id: str
    reason: str = Field(
        description="`thinned`, `full`, `damaged`, `refused`, `missed_cycles`, `unreadable`, `lost_at_host` or other."
    )
    count: int = Field(description="Of shots, or of shots without their curves.")
    from_ended_ms: int = Field(description="The first of them, by the press's clock.")
    to_ended_ms: int = Field(description="The last of them, by the press's clock.")


def router(ledger: "GapLedger") -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["shots"])

    @routes.get("/gaps", responses=responses(422), summary="What gateways had to give up, newest first")
    async def gaps(
        tenant: Tenant,
        plant: PlantFilter = "",
        press: PressFilter = "",
        reason: ReasonFilter = "",
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[GapOut]:
        before = position_of(cursor)
        lines = await ledger.lines(tenant, plant=plant, press=press, reason=reason, before=before, limit=limit + 1)
        return page_of(slice_of(lines, limit), gap_out, position)

    return routes


class GapLedger:
    """The ledger of one tenant's plants; the store is read in a few threads."""

    def __init__(self, database: Database, store: TelemetryStore) -> None:
        self._database = database
        self._store = store
        self._threads = anyio.CapacityLimiter(READ_THREADS_MAX)

    async def lines(
        self,
        tenant: TenantId,
        *,
        plant: str = "",
        press: str = "",
        reason: str = "",
        before: tuple[int, int] | None = None,
        limit: int,
    ) -> list[StoredGap]:
        """The lines behind the position `before`, newest first; an empty text does not narrow."""
        async with self._database.reading() as session:
            own = await reading.plant_ids(session, tenant)
        plant_ids = own & {plant} if plant else own
        if not plant_ids:
            return []
        wanted = GapFilter(plant_ids, press, reason)
        return await anyio.to_thread.run_sync(
            lambda: self._store.gaps(wanted, limit=limit, before=before), limiter=self._threads
        )


def position(line: StoredGap) -> tuple[int, int]:
    """Where the page behind this line begins."""
    return line.to_ended_ms, line.gap_id


def position_of(cursor: str | None) -> tuple[int, int] | None:
    """The position in a cursor; None for the first page.

    Raises:
        InvalidFieldError: it is none of ours.
    """
    parts = decode_cursor(cursor, int, int)
    return None if parts is None else (int(parts[0]), int(parts[1]))


def gap_out(line: StoredGap) -> GapOut:
    """A line of the ledger as an answer."""
    return GapOut(
        kind=line.kind,
        plant_id=line.press.plant_id,
        press_id=line.press.press_id,
        gateway_id=line.gateway_id,
        reason=line.reason,
        count=line.count,
        from_ended_ms=line.from_ended_ms,
        to_ended_ms=line.to_ended_ms,
    )
