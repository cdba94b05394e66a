"""What is known of the fleet, for one tenant: plants, gateways and presses as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.paging import Slice, slice_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet import repository
from cloud.fleet.domain import STATES, Beginnings, Gateway, Plant, Presence, Press, State
from cloud.fleet.tables import GatewayRow, PlantRow, PressRow

FLEET_MAX = 20_000
"""Most presses, and most gateways, of one tenant that an overview has."""


async def plants(session: AsyncSession, tenant_id: TenantId, *, after: str | None = None, limit: int) -> Slice[Plant]:
    """Plants by id, with the states of what is in them."""
    rows = await repository.plants(session, tenant_id, after=after, limit=limit + 1)
    plant_ids = [row.plant_id for row in rows]
    gateway_counts = await repository.state_counts(session, GatewayRow, plant_ids)
    press_counts = await repository.state_counts(session, PressRow, plant_ids)
    found = [_plant(row, gateway_counts[row.plant_id], press_counts[row.plant_id]) for row in rows]
    return slice_of(found, limit)


async def gateways(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None = None,
    state: State | None = None,
    after: tuple[str, str] | None = None,
    limit: int,
) -> Slice[Gateway]:
    """Gateways by plant and id; `after` is a (plant, gateway)."""
    rows = await repository.gateways(session, tenant_id, plant_id=plant_id, state=state, after=after, limit=limit + 1)
    return slice_of([_gateway(row) for row in rows], limit)


async def gateway(session: AsyncSession, tenant_id: TenantId, plant_id: str, gateway_id: str) -> Gateway | None:
    """One gateway; None until it has introduced itself to this tenant."""
    row = await repository.gateway(session, plant_id, gateway_id)
    return _gateway(row) if row is not None and row.tenant_id == tenant_id else None


async def presses_of(session: AsyncSession, plant_id: str, gateway_id: str) -> int:
    """How many presses a gateway serves."""
    return len(await repository.presses_of_gateway(session, plant_id, gateway_id))


async def presses(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    plant_id: str | None = None,
    state: State | None = None,
    after: tuple[str, str] | None = None,
    limit: int,
) -> Slice[Press]:
    """Presses by plant and id; `after` is a (plant, press)."""
    rows = await repository.presses(session, tenant_id, plant_id=plant_id, state=state, after=after, limit=limit + 1)
    return slice_of([_press(row) for row in rows], limit)


async def press(session: AsyncSession, tenant_id: TenantId, plant_id: str, press_id: str) -> Press:
    """One press.

    Raises:
        NotFoundError: the tenant has none of this name.
    """
    row = await repository.press(session, plant_id, press_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFoundError("press", f"{plant_id}/{press_id}")
    return _press(row)


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """What a gateway last told of itself, by the metrics' names without `Health/`."""

    tenant_id: TenantId
    plant_id: str
    gateway_id: str
    health: Mapping[str, Any]


async def health_of_all_gateways(session: AsyncSession) -> list[GatewayHealth]:
    """Every gateway of every tenant: for the platform's own jobs, never for a request."""
    rows = await repository.all_gateways(session)
    return [GatewayHealth(TenantId(row.tenant_id), row.plant_id, row.gateway_id, row.health) for row in rows]


async def beginnings(session: AsyncSession, tenant_id: TenantId) -> Beginnings:
    """How far the tenant has come from nothing to its first shot."""
    gateways, online = await repository.gateway_counts(session, tenant_id)
    presses, with_shots = await repository.press_counts(session, tenant_id)
    return Beginnings(
        gateways=gateways,
        gateways_online=online,
        first_gateway=await repository.first_gateway(session, tenant_id) if gateways else None,
        presses=presses,
        presses_with_shots=with_shots,
        first_press=await repository.first_press(session, tenant_id) if presses else None,
    )


async def plant_ids(session: AsyncSession, tenant_id: TenantId) -> frozenset[str]:
    """The ids of a tenant's plants, at most FLEET_MAX."""
    return frozenset(row.plant_id for row in await repository.plants(session, tenant_id, after=None, limit=FLEET_MAX))


async def names_of_plants(session: AsyncSession, plant_ids: Sequence[str]) -> dict[str, str]:
    """The display names of these plants, of those that have one."""
    rows = [await repository.plant(session, plant_id) for plant_id in plant_ids]
    return {row.plant_id: row.display_name for row in rows if row is not None and row.display_name}


async def tenants_of_plants(session: AsyncSession, plant_ids: Sequence[str]) -> dict[str, TenantId]:
    """Whose plants these are; a plant that has not introduced itself yet is left out."""
    rows = [await repository.plant(session, plant_id) for plant_id in plant_ids]
    return {row.plant_id: TenantId(row.tenant_id) for row in rows if row is not None}


async def whole_fleet(session: AsyncSession, tenant_id: TenantId) -> tuple[list[Gateway], list[Press]]:
    """All gateways and presses by plant and id, at most FLEET_MAX of each."""
    everything = {"plant_id": None, "state": None, "after": None}
    gateway_rows = await repository.gateways(session, tenant_id, **everything, limit=FLEET_MAX)
    press_rows = await repository.presses(session, tenant_id, **everything, limit=FLEET_MAX)
    return [_gateway(row) for row in gateway_rows], [_press(row) for row in press_rows]


async def whole_gateways(session: AsyncSession, tenant_id: TenantId) -> list[Gateway]:
    """All gateways by plant and id, at most FLEET_MAX: what the overview shows."""
    rows = await repository.gateways(session, tenant_id, plant_id=None, state=None, after=None, limit=FLEET_MAX)
    return [_gateway(row) for row in rows]


async def presences(session: AsyncSession, tenant_id: TenantId) -> list[Presence]:
    """Every press by plant and id, at most FLEET_MAX."""
    rows = await repository.presences(session, tenant_id, limit=FLEET_MAX)
    return [
        Presence(plant_id, press_id, gateway_id, _state(state), since_ms, registered_ms)
        for plant_id, press_id, gateway_id, state, since_ms, registered_ms in rows
    ]


def _state(text: str) -> State:
    return next(state for state in STATES if state == text)


def _plant(row: PlantRow, gateways: dict[str, int], presses: dict[str, int]) -> Plant:
    return Plant(
        row.plant_id,
        row.registered_ms,
        gateways={state: gateways.get(state, 0) for state in STATES},
        presses={state: presses.get(state, 0) for state in STATES},
        display_name=row.display_name,
    )


def _gateway(row: GatewayRow) -> Gateway:
    return Gateway(
        plant_id=row.plant_id,
        gateway_id=row.gateway_id,
        state=_state(row.state),
        state_since_ms=row.state_since_ms,
        registered_ms=row.registered_ms,
        born_ms=row.born_ms,
        last_seen_ms=row.last_seen_ms,
        epoch=row.epoch,
        bundle_id=row.bundle_id,
        version=row.version,
        clock_offset_s=row.clock_offset_s,
        health=row.health,
    )


def _press(row: PressRow) -> Press:
    return Press(
        plant_id=row.plant_id,
        press_id=row.press_id,
        gateway_id=row.gateway_id,
        state=_state(row.state),
        state_since_ms=row.state_since_ms,
        registered_ms=row.registered_ms,
        born_ms=row.born_ms,
        last_shot_ms=row.last_shot_ms,
        expected_cycle_s=row.expected_cycle_s,
    )
