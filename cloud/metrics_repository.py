"""All SQL of the metrics: counts over every tenant, for who runs the platform."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.tables import AlarmRow
from cloud.core.tables import CursorRow, EventRow
from cloud.fleet.tables import GatewayRow, PressRow
from cloud.webhooks.tables import DeliveryRow


@dataclass(frozen=True, slots=True)
class Counts:
    """What the relational database says at one moment."""

    presses: dict[str, int]
    gateways: dict[str, int]
    open_alarms: dict[str, int]
    newest_event: int
    cursors: dict[str, int]
    pending: int
    oldest_pending_ms: int | None
    figures: list[tuple[str, str, dict[str, Any]]]


async def counts(session: AsyncSession, *, gateways_max: int) -> Counts:
    """Everything, and the own figures of `gateways_max` gateways, the oldest first."""
    pending, oldest_ms = (
        await session.execute(
            select(func.count(), func.min(DeliveryRow.created_ms)).where(DeliveryRow.state == "pending")
        )
    ).one()
    order = (GatewayRow.registered_ms, GatewayRow.plant_id, GatewayRow.gateway_id)
    figures = select(GatewayRow.plant_id, GatewayRow.gateway_id, GatewayRow.health).order_by(*order)
    return Counts(
        presses=await _by(session, PressRow.state),
        gateways=await _by(session, GatewayRow.state),
        open_alarms=await _by(session, AlarmRow.state, AlarmRow.state != "normal"),
        newest_event=await session.scalar(select(func.max(EventRow.event_id))) or 0,
        cursors=_pairs(await session.execute(select(CursorRow.name, CursorRow.position))),
        pending=pending,
        oldest_pending_ms=oldest_ms,
        figures=[(*found,) for found in await session.execute(figures.limit(gateways_max))],
    )


async def _by(session: AsyncSession, column: Any, *where: Any) -> dict[str, int]:
    statement = select(column, func.count()).where(*where).group_by(column)
    return _pairs(await session.execute(statement))


def _pairs(rows: Iterable[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in rows}
