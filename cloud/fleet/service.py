"""The fleet as it introduces itself: births, deaths, health, shots seen, and who has fallen silent.

Every method works in the caller's transaction and commits nothing. Each change of a state is an event in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import announce
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements import repository as entitlements
from cloud.fleet import plan, repository
from cloud.fleet.domain import (
    Cadence,
    FleetRules,
    SeenShot,
    State,
    by_press,
    gateway_stale_at_ms,
    health_of,
    press_stale_at_ms,
    text_of,
)
from cloud.fleet.tables import BirthRow, GatewayRow, PlantRow, PressRow
from contract.shot_wire import BUNDLE

GATEWAY_VERSION = "Gateway/Version"

GATEWAY_REGISTERED = "gateway.registered"
PRESS_REGISTERED = "press.registered"
GATEWAY_STATE_CHANGED = "gateway.state_changed"
PRESS_STATE_CHANGED = "press.state_changed"
PRESS_MOVED = "press.moved"
PRESS_BEYOND_PLAN = "press.beyond_plan"
PRESS_NAMED_ALIKE = "press.named_alike"
GATEWAY_REFUSED = "gateway.refused"
REFUSED_AGAIN_MS = 10 * 60 * 1000
"""A refused gateway knocks again and again: one event in this time tells of it."""
REFUSED_AT = "RefusedAtMs"
STRANGERS_MAX = 1_000
"""Refused programs that were never let in, of which it is known when they were told of; one beyond goes untold."""


class FleetService:
    """Keeps the fleet's tables; what is not known yet is registered under the plant's tenant, else the default one."""

    def __init__(self, events: EventLog, live: Live, rules: FleetRules) -> None:
        self._events = events
        self._live = live
        self._rules = rules
        self._strangers_ms: dict[tuple[str, str], int] = {}

    async def node_born(
        self,
        session: AsyncSession,
        plant_id: str,
        gateway_id: str,
        *,
        epoch: str,
        metrics: Mapping[str, Any],
        now_ms: int,
    ) -> None:
        """NBIRTH: the gateway is online. Its presses keep their state until each is born, dies or falls silent."""
        row = await self._gateway(session, plant_id, gateway_id, now_ms)
        row.epoch, row.born_ms = epoch, now_ms
        row.bundle_id, row.version = text_of(metrics, BUNDLE), text_of(metrics, GATEWAY_VERSION)
        row.health = {**row.health, **health_of(metrics)}
        self._heard(session, row, now_ms)
        announce(session, self._live.fleet)

    async def device_born(
        self, session: AsyncSession, plant_id: str, gateway_id: str, press_id: str, *, now_ms: int
    ) -> None:
        """DBIRTH: the press is online, and served by this gateway from now on."""
        gateway = await self._gateway(session, plant_id, gateway_id, now_ms)
        self._heard(session, gateway, now_ms)
        row = await self._press(session, gateway, press_id, now_ms)
        if row.gateway_id != gateway_id:
            payload = {"plant_id": plant_id, "press_id": press_id, "gateway_id": gateway_id, "before": row.gateway_id}
            self._events.record(session, TenantId(row.tenant_id), PRESS_MOVED, payload, now_ms)
            announce(session, self._live.fleet)
        row.gateway_id, row.born_ms = gateway_id, now_ms
        row.stale_at_ms = press_stale_at_ms(now_ms, row.expected_cycle_s, self._rules)
        self._set_press(session, row, "online", now_ms)

    async def node_died(self, session: AsyncSession, plant_id: str, gateway_id: str, *, now_ms: int) -> None:
        """NDEATH: the gateway and all its presses are offline, and their births are void."""
        row = await repository.gateway(session, plant_id, gateway_id)
        if row is None:
            return
        self._set_gateway(session, row, "offline", now_ms)
        for press in await repository.presses_of_gateway(session, plant_id, gateway_id):
            self._set_press(session, press, "offline", now_ms)
        await repository.drop_births(session, plant_id, gateway_id)

    async def device_died(
        self, session: AsyncSession, plant_id: str, gateway_id: str, press_id: str, *, now_ms: int
    ) -> None:
        """DDEATH: the press is offline, unless another gateway serves it by now."""
        row = await repository.press(session, plant_id, press_id)
        if row is not None and row.gateway_id == gateway_id:
            self._set_press(session, row, "offline", now_ms)
        await repository.drop_births(session, plant_id, gateway_id, press_id)

    async def node_health(
        self,
        session: AsyncSession,
        plant_id: str,
        gateway_id: str,
        *,
        metrics: Mapping[str, Any],
        now_ms: int,
        clock_offset_s: float | None = None,
    ) -> None:
        """NDATA: the gateway's own figures; what it does not repeat keeps its value."""
        row = await self._gateway(session, plant_id, gateway_id, now_ms)
        row.health = {**row.health, **health_of(metrics)}
        row.clock_offset_s = clock_offset_s if clock_offset_s is not None else row.clock_offset_s
        row.bundle_id = text_of(metrics, BUNDLE) if BUNDLE in metrics else row.bundle_id
        self._heard(session, row, now_ms)
        announce(session, self._live.fleet)

    async def node_refused(
        self, session: AsyncSession, plant_id: str, gateway_id: str, *, reason: str, now_ms: int
    ) -> None:
        """A program that says it is this gateway is not let in; people must know."""
        row = await repository.gateway(session, plant_id, gateway_id)
        told_ms = self._strangers_ms.get((plant_id, gateway_id), 0) if row is None else row.health.get(REFUSED_AT, 0)
        if now_ms - told_ms < REFUSED_AGAIN_MS:
            return
        if row is not None:
            row.health = {**row.health, REFUSED_AT: now_ms}
            tenant_id = TenantId(row.tenant_id)
        elif told_ms or len(self._strangers_ms) < STRANGERS_MAX:
            self._strangers_ms[plant_id, gateway_id] = now_ms
            plant = await repository.plant(session, plant_id)  # not registered here: a stranger makes no plants
            tenant_id = DEFAULT_TENANT if plant is None else TenantId(plant.tenant_id)
        else:
            return
        payload = {"plant_id": plant_id, "gateway_id": gateway_id, "reason": reason}
        self._events.record(session, tenant_id, GATEWAY_REFUSED, payload, now_ms)
        announce(session, self._live.fleet)

    async def shots_seen(self, session: AsyncSession, shots: Sequence[SeenShot]) -> None:
        """A batch of stored shots, in order; only live ones are a sign of life, history says nothing of now."""
        groups = by_press(shots)
        known = await repository.presses_by_key(session, list(groups))
        gateways: dict[tuple[str, str], GatewayRow] = {}
        for (plant_id, press_id), seen in groups.items():
            newest = max(seen, key=lambda shot: shot.received_ms)
            gateway = gateways.get((plant_id, newest.gateway_id))
            if gateway is None:
                gateway = await self._gateway(session, plant_id, newest.gateway_id, newest.received_ms)
                gateways[plant_id, newest.gateway_id] = gateway
            self._heard(session, gateway, newest.received_ms)
            row = known.get((plant_id, press_id)) or await self._press(session, gateway, press_id, newest.received_ms)
            self._take_shots(session, row, seen)

    async def mark_silent(self, session: AsyncSession, now_ms: int) -> None:
        """Turn stale what is online and has passed its time."""
        for gateway in await repository.silent_gateways(session, now_ms):
            self._set_gateway(session, gateway, "stale", now_ms)
        for press in await repository.silent_presses(session, now_ms):
            self._set_press(session, press, "stale", now_ms)

    async def save_birth(
        self, session: AsyncSession, plant_id: str, gateway_id: str, press_id: str | None, raw: bytes, *, now_ms: int
    ) -> None:
        """Keep a birth for the host's next start; a gateway's own voids those of its presses."""
        if press_id is None:
            await repository.drop_births(session, plant_id, gateway_id)
        await session.merge(
            BirthRow(plant_id=plant_id, gateway_id=gateway_id, press_id=press_id or "", raw=raw, born_ms=now_ms)
        )

    async def load_births(self, session: AsyncSession) -> list[tuple[str, str, str | None, bytes]]:
        """All kept births as (plant, gateway, press or None, raw), a gateway's own before those of its presses."""
        rows = await repository.births(session)
        return [(row.plant_id, row.gateway_id, row.press_id or None, row.raw) for row in rows]

    async def load_gateways(self, session: AsyncSession) -> list[tuple[str, str]]:
        """All gateways as (plant, gateway), the oldest first."""
        return [(row.plant_id, row.gateway_id) for row in await repository.all_gateways(session)]

    async def own_plant(self, session: AsyncSession, plant_id: str, tenant_id: TenantId, *, now_ms: int) -> bool:
        """Whether the plant is the tenant's; one that nobody knows becomes it."""
        return await _tenant_of(session, plant_id, now_ms, otherwise=tenant_id) == tenant_id

    async def presses_count(self, session: AsyncSession, tenant_id: TenantId) -> int:
        """How many presses a tenant has."""
        return await repository.presses_count(session, tenant_id)

    async def _gateway(self, session: AsyncSession, plant_id: str, gateway_id: str, now_ms: int) -> GatewayRow:
        row = await repository.gateway(session, plant_id, gateway_id)
        if row is not None:
            return row
        tenant_id = await _tenant_of(session, plant_id, now_ms)
        row = GatewayRow(
            plant_id=plant_id,
            gateway_id=gateway_id,
            tenant_id=tenant_id,
            state="offline",
            state_since_ms=now_ms,
            stale_at_ms=gateway_stale_at_ms(now_ms, self._rules),
            registered_ms=now_ms,
            born_ms=now_ms,
            last_seen_ms=now_ms,
            epoch="",
            bundle_id="",
            version="",
            clock_offset_s=None,
            health={},
        )
        session.add(row)
        await session.flush()
        payload = {"plant_id": plant_id, "gateway_id": gateway_id}
        self._events.record(session, tenant_id, GATEWAY_REGISTERED, payload, now_ms)
        announce(session, self._live.fleet)
        return row

    async def _press(self, session: AsyncSession, gateway: GatewayRow, press_id: str, now_ms: int) -> PressRow:
        row = await repository.press(session, gateway.plant_id, press_id)
        if row is not None:
            return row
        row = PressRow(
            plant_id=gateway.plant_id,
            press_id=press_id,
            tenant_id=gateway.tenant_id,
            gateway_id=gateway.gateway_id,
            state="offline",
            state_since_ms=now_ms,
            stale_at_ms=press_stale_at_ms(now_ms, None, self._rules),
            registered_ms=now_ms,
            born_ms=now_ms,
            last_shot_ms=None,
            expected_cycle_s=None,
            cycle_gaps_ms=[],
            is_beyond_plan=await plan.is_full(session, TenantId(gateway.tenant_id), now_ms),
        )
        session.add(row)
        await session.flush()
        payload = {"plant_id": row.plant_id, "press_id": press_id, "gateway_id": row.gateway_id}
        self._events.record(session, TenantId(row.tenant_id), PRESS_REGISTERED, payload, now_ms)
        if row.is_beyond_plan:
            await entitlements.count_change(session)
            self._events.record(session, TenantId(row.tenant_id), PRESS_BEYOND_PLAN, payload, now_ms)
        like = await repository.press_like(session, row.plant_id, press_id)
        if like is not None:  # taken all the same: what it has sent would stop its gateway's other presses
            payload = {**payload, "other_press_id": like.press_id, "other_gateway_id": like.gateway_id}
            self._events.record(session, TenantId(row.tenant_id), PRESS_NAMED_ALIKE, payload, now_ms)
        announce(session, self._live.fleet)
        return row

    def _heard(self, session: AsyncSession, row: GatewayRow, now_ms: int) -> None:
        row.last_seen_ms = max(row.last_seen_ms, now_ms)
        row.stale_at_ms = gateway_stale_at_ms(row.last_seen_ms, self._rules)
        self._set_gateway(session, row, "online", now_ms)

    def _take_shots(self, session: AsyncSession, row: PressRow, seen: Sequence[SeenShot]) -> None:
        """Take the shots of one press, in order."""
        live = [shot for shot in seen if not shot.is_historical]
        if not live:
            row.last_shot_ms = max(row.last_shot_ms or 0, *(shot.ended_ms for shot in seen))
            return
        cadence = Cadence(row.last_shot_ms, tuple(row.cycle_gaps_ms))
        for shot in live:
            cadence = cadence.after(shot.ended_ms)
        row.last_shot_ms, row.cycle_gaps_ms = cadence.last_ended_ms, list(cadence.gaps_ms)
        row.expected_cycle_s = cadence.typical_s()
        newest_ms = max(shot.received_ms for shot in live)
        row.stale_at_ms = press_stale_at_ms(newest_ms, row.expected_cycle_s, self._rules)
        self._set_press(session, row, "online", newest_ms)

    def _set_gateway(self, session: AsyncSession, row: GatewayRow, state: State, now_ms: int) -> None:
        if row.state == state:
            return
        payload = {"plant_id": row.plant_id, "gateway_id": row.gateway_id, "before": row.state, "state": state}
        row.state, row.state_since_ms = state, now_ms
        self._events.record(session, TenantId(row.tenant_id), GATEWAY_STATE_CHANGED, payload, now_ms)
        announce(session, self._live.fleet)

    def _set_press(self, session: AsyncSession, row: PressRow, state: State, now_ms: int) -> None:
        if row.state == state:
            return
        payload = {
            "plant_id": row.plant_id,
            "press_id": row.press_id,
            "gateway_id": row.gateway_id,
            "before": row.state,
            "state": state,
        }
        row.state, row.state_since_ms = state, now_ms
        self._events.record(session, TenantId(row.tenant_id), PRESS_STATE_CHANGED, payload, now_ms)
        announce(session, self._live.fleet)


async def _tenant_of(
    session: AsyncSession, plant_id: str, now_ms: int, *, otherwise: TenantId = DEFAULT_TENANT
) -> TenantId:
    """The tenant of a plant; a plant that nobody knows becomes that of `otherwise`."""
    row = await repository.plant(session, plant_id)
    if row is None:
        row = PlantRow(plant_id=plant_id, tenant_id=otherwise, registered_ms=now_ms)
        session.add(row)
        await session.flush()
    return TenantId(row.tenant_id)
