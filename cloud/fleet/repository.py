"""All SQL of the fleet."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, delete, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.fleet.tables import BirthRow, GatewayRow, PlantRow, PressRow

KEYS_PER_QUERY_MAX = 400
DUE_MAX = 1_000

Row = TypeVar("Row", GatewayRow, PressRow)
PresenceColumns = tuple[str, str, str, str, int, int]


async def plant(session: AsyncSession, plant_id: str) -> PlantRow | None:
    """A plant of any tenant."""
    return await session.get(PlantRow, plant_id)


async def gateway(session: AsyncSession, plant_id: str, gateway_id: str) -> GatewayRow | None:
    """A gateway of any tenant."""
    return await session.get(GatewayRow, (plant_id, gateway_id))


async def press(session: AsyncSession, plant_id: str, press_id: str) -> PressRow | None:
    """A press of any tenant."""
    return await session.get(PressRow, (plant_id, press_id))


async def presses_by_key(session: AsyncSession, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PressRow]:
    """The known ones of these (plant, press)."""
    found: dict[tuple[str, str], PressRow] = {}
    for start in range(0, len(keys), KEYS_PER_QUERY_MAX):
        chunk = keys[start : start + KEYS_PER_QUERY_MAX]
        statement = select(PressRow).where(tuple_(PressRow.plant_id, PressRow.press_id).in_(chunk))
        found |= {(row.plant_id, row.press_id): row for row in await session.scalars(statement)}
    return found


async def press_like(session: AsyncSession, plant_id: str, press_id: str) -> PressRow | None:
    """Another press of the plant, the oldest, whose id differs in upper and lower case alone (of ASCII letters)."""
    statement = select(PressRow).where(
        PressRow.plant_id == plant_id, PressRow.press_id != press_id, func.lower(PressRow.press_id) == press_id.lower()
    )
    return (await session.scalars(statement.order_by(PressRow.registered_ms).limit(1))).first()


async def presses_of_gateway(session: AsyncSession, plant_id: str, gateway_id: str) -> Sequence[PressRow]:
    """Every press that this gateway serves."""
    statement = select(PressRow).where(PressRow.plant_id == plant_id, PressRow.gateway_id == gateway_id)
    return (await session.scalars(statement)).all()


async def has_silent(session: AsyncSession, now_ms: int) -> bool:
    """Whether any online gateway or press has passed its time."""
    gateway = await session.scalar(_silent(GatewayRow, now_ms).limit(1))
    return gateway is not None or await session.scalar(_silent(PressRow, now_ms).limit(1)) is not None


async def silent_gateways(session: AsyncSession, now_ms: int) -> Sequence[GatewayRow]:
    """Online gateways that have passed their time, at most DUE_MAX."""
    return (await session.scalars(_silent(GatewayRow, now_ms).limit(DUE_MAX))).all()


async def silent_presses(session: AsyncSession, now_ms: int) -> Sequence[PressRow]:
    """Online presses that have passed their time, at most DUE_MAX."""
    return (await session.scalars(_silent(PressRow, now_ms).limit(DUE_MAX))).all()


def _silent(table: type[Row], now_ms: int) -> Select[Row]:
    return select(table).where(table.state == "online", table.stale_at_ms <= now_ms)


async def plants(
    session: AsyncSession, tenant_id: TenantId, *, after: str | None, limit: int | None
) -> Sequence[PlantRow]:
    """The tenant's plants by id."""
    statement = select(PlantRow).where(PlantRow.tenant_id == tenant_id).order_by(PlantRow.plant_id).limit(limit)
    if after is not None:
        statement = statement.where(PlantRow.plant_id > after)
    return (await session.scalars(statement)).all()


async def plant_names(session: AsyncSession) -> dict[str, str]:
    """The display names of all plants of all tenants that have one."""
    statement = select(PlantRow.plant_id, PlantRow.display_name).where(PlantRow.display_name != "")
    return {row.plant_id: row.display_name for row in await session.execute(statement)}


async def is_called_so(session: AsyncSession, tenant_id: TenantId, name: str, *, but: str) -> bool:
    """Whether another plant of the tenant has this display name or id."""
    statement = select(PlantRow.plant_id).where(
        PlantRow.tenant_id == tenant_id,
        PlantRow.plant_id != but,
        or_(PlantRow.display_name == name, PlantRow.plant_id == name),
    )
    return await session.scalar(statement.limit(1)) is not None


async def state_counts(session: AsyncSession, table: type[Row], plant_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many rows each plant has in each state."""
    found: dict[str, dict[str, int]] = {plant_id: {} for plant_id in plant_ids}
    statement = (
        select(table.plant_id, table.state, func.count())
        .where(table.plant_id.in_(plant_ids))
        .group_by(table.plant_id, table.state)
    )
    for plant_id, state, count in await session.execute(statement):
        found[plant_id][state] = count
    return found


async def gateways(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None,
    state: str | None,
    after: tuple[str, str] | None,
    limit: int | None,
) -> Sequence[GatewayRow]:
    """The tenant's gateways by plant and id."""
    statement = select(GatewayRow).where(GatewayRow.tenant_id == tenant_id)
    statement = _filtered(statement, GatewayRow, plant_id, state).order_by(GatewayRow.plant_id, GatewayRow.gateway_id)
    if after is not None:
        statement = statement.where(tuple_(GatewayRow.plant_id, GatewayRow.gateway_id) > tuple_(*after))
    return (await session.scalars(statement.limit(limit))).all()


async def all_gateways(session: AsyncSession) -> Sequence[GatewayRow]:
    """The gateways of all tenants, the oldest first."""
    order = (GatewayRow.registered_ms, GatewayRow.plant_id, GatewayRow.gateway_id)
    return (await session.scalars(select(GatewayRow).order_by(*order))).all()


async def presses(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None,
    state: str | None,
    after: tuple[str, str] | None,
    limit: int | None,
) -> Sequence[PressRow]:
    """The tenant's presses by plant and id."""
    statement = select(PressRow).where(PressRow.tenant_id == tenant_id)
    statement = _filtered(statement, PressRow, plant_id, state).order_by(PressRow.plant_id, PressRow.press_id)
    if after is not None:
        statement = statement.where(tuple_(PressRow.plant_id, PressRow.press_id) > tuple_(*after))
    return (await session.scalars(statement.limit(limit))).all()


async def presences(session: AsyncSession, tenant_id: TenantId, *, limit: int) -> Sequence[PresenceColumns]:
    """The few columns of `domain.Presence`, by plant and id: whole rows of 10,000 presses would cost half a second."""
    row = PressRow
    columns = (row.plant_id, row.press_id, row.gateway_id, row.state, row.state_since_ms, row.registered_ms)
    statement = select(*columns).where(row.tenant_id == tenant_id).order_by(row.plant_id, row.press_id).limit(limit)
    return (await session.execute(statement)).all()


async def presses_count(session: AsyncSession, tenant_id: TenantId) -> int:
    """How many presses a tenant has."""
    statement = select(func.count()).select_from(PressRow).where(PressRow.tenant_id == tenant_id)
    return await session.scalar(statement) or 0


async def beyond_plan(session: AsyncSession, tenant_id: TenantId) -> list[tuple[str, str]]:
    """The (plant, press) for which there was no room, in the order in which they came."""
    row = PressRow
    statement = select(row.plant_id, row.press_id).where(row.tenant_id == tenant_id, row.is_beyond_plan)
    found = await session.execute(statement.order_by(row.registered_ms, row.plant_id, row.press_id))
    return [(str(plant_id), str(press_id)) for plant_id, press_id in found]


async def gateway_counts(session: AsyncSession, tenant_id: TenantId) -> tuple[int, int]:
    """How many gateways the tenant has, and how many of them are online."""
    row = GatewayRow
    statement = select(func.count(), func.count().filter(row.state == "online")).where(row.tenant_id == tenant_id)
    gateways, online = (await session.execute(statement)).one()
    return gateways, online


async def press_counts(session: AsyncSession, tenant_id: TenantId) -> tuple[int, int]:
    """How many presses the tenant has, and how many of them have made a shot."""
    statement = select(func.count(), func.count(PressRow.last_shot_ms)).where(PressRow.tenant_id == tenant_id)
    presses, with_shots = (await session.execute(statement)).one()
    return presses, with_shots


async def first_gateway(session: AsyncSession, tenant_id: TenantId) -> tuple[str, str] | None:
    """Plant and id of the gateway that introduced itself first."""
    row = GatewayRow
    statement = select(row.plant_id, row.gateway_id).where(row.tenant_id == tenant_id)
    found = (
        await session.execute(statement.order_by(row.registered_ms, row.plant_id, row.gateway_id).limit(1))
    ).first()
    return None if found is None else (found[0], found[1])


async def first_press(session: AsyncSession, tenant_id: TenantId) -> tuple[str, str] | None:
    """Plant and id of the press that was known first, those that have made a shot before all others."""
    row = PressRow
    order = (row.last_shot_ms.is_(None), row.registered_ms, row.plant_id, row.press_id)
    statement = select(row.plant_id, row.press_id).where(row.tenant_id == tenant_id).order_by(*order).limit(1)
    found = (await session.execute(statement)).first()
    return None if found is None else (found[0], found[1])


def _filtered(statement: Select[Row], table: type[Row], plant_id: str | None, state: str | None) -> Select[Row]:
    if plant_id is not None:
        statement = statement.where(table.plant_id == plant_id)
    if state is not None:
        statement = statement.where(table.state == state)
    return statement


async def births(session: AsyncSession) -> Sequence[BirthRow]:
    """All kept births, each gateway's own before its presses'."""
    order = (BirthRow.plant_id, BirthRow.gateway_id, BirthRow.press_id)
    return (await session.scalars(select(BirthRow).order_by(*order))).all()


async def drop_births(session: AsyncSession, plant_id: str, gateway_id: str, press_id: str | None = None) -> None:
    """Forget a press's birth, or with no press the gateway's own and those of all its presses."""
    statement = delete(BirthRow).where(BirthRow.plant_id == plant_id, BirthRow.gateway_id == gateway_id)
    if press_id is not None:
        statement = statement.where(BirthRow.press_id == press_id)
    await session.execute(statement)
