"""Notices when a tenant's people get more alarms than they can take, and when that is over."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import repository
from cloud.alarms.flood import BEGINS_ABOVE, WINDOW_MS, band_of, is_flood, is_held_back, rate
from cloud.alarms.policy import HOUR_MS
from cloud.alarms.record import Recorder
from cloud.alarms.tables import FloodRow
from cloud.core.access import RIGHTS, Right
from cloud.core.tenants import TenantId
from cloud.identity import repository as identities

FLOOD_BEGAN = "flood_began"
FLOOD_ENDED = "flood_ended"
ANNUNCIATIONS_COUNTED_MAX = 100_000
OPERATOR_SEEN_MS = HOUR_MS // 2
"""Who was seen within it counts as one who answers alarms."""


class Floods:
    """The floods of all tenants, in the caller's transaction."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def count(
        self, session: AsyncSession, tenant_id: TenantId, priority: str, group_order: int
    ) -> FloodRow | None:
        """The flood that runs, in which one alarm more is counted that people are to be told of; None without one."""
        flood = await repository.running_flood(session, tenant_id)
        if flood is not None:
            flood.raised += 1
            flood.held_back += is_held_back(priority, group_order, in_flood=True)
        return flood

    async def look_for_beginning(self, session: AsyncSession, tenant_id: TenantId, now_ms: int) -> None:
        """After an annunciation: begin a flood when it was one too many."""
        at_most = int(BEGINS_ABOVE) + 1
        if await repository.annunciations(session, tenant_id, now_ms - WINDOW_MS, at_most=at_most) < at_most:
            return
        if await repository.running_flood(session, tenant_id) is not None:
            return
        figure = await rate_now(session, tenant_id, now_ms)
        if is_flood(figure, was_flood=False):
            flood = FloodRow(
                tenant_id=tenant_id, began_ms=now_ms, ended_ms=None, raised=0, held_back=0, rate_max=figure
            )
            session.add(flood)
            self._recorder.tell(session, tenant_id, FLOOD_BEGAN, _told(flood, figure), now_ms)

    async def look_for_end(self, session: AsyncSession, flood: FloodRow, now_ms: int) -> None:
        """End a flood whose rate has fallen far enough."""
        tenant_id = TenantId(flood.tenant_id)
        figure = await rate_now(session, tenant_id, now_ms)
        flood.rate_max = max(flood.rate_max, figure)
        if not is_flood(figure, was_flood=True):
            flood.ended_ms = now_ms
            self._recorder.tell(session, tenant_id, FLOOD_ENDED, _told(flood, figure), now_ms)


async def operators(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> int:
    """How many people who may answer alarms are signed in and were seen lately; at least one is on duty."""
    roles = [role.value for role, rights in RIGHTS.items() if Right.ACKNOWLEDGE in rights]
    seen_after_ms = now_ms - OPERATOR_SEEN_MS
    return max(await identities.signed_in(session, tenant_id, roles, now_ms=now_ms, seen_after_ms=seen_after_ms), 1)


async def rate_now(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> float:
    """Alarms per operator in the last ten minutes."""
    told = await repository.annunciations(session, tenant_id, now_ms - WINDOW_MS, at_most=ANNUNCIATIONS_COUNTED_MAX)
    return rate(told, await operators(session, tenant_id, now_ms))


def _told(flood: FloodRow, figure: float) -> dict[str, Any]:
    return {
        "began_ms": flood.began_ms,
        "ended_ms": flood.ended_ms,
        "raised": flood.raised,
        "held_back": flood.held_back,
        "rate": figure,
        "rate_max": flood.rate_max,
        "band": band_of(figure),
    }
