"""Where the ingest tells what it learned of gateways and presses, and finds their last births after a restart."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database, announce
from cloud.core.live import Live
from cloud.fleet.domain import SeenShot
from cloud.fleet.service import FleetService
from cloud.ingest import letters
from cloud.ingest.digest import Digest, FleetNews, GatewayBorn, GatewayDied, GatewayHealth, PressBorn, PressDied
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot

Birth = tuple[GatewayKey, str | None, bytes]
"""Whose birth, of which press (None: the gateway's own), as it came in."""


class Registry(Protocol):
    """Durable: what `take` has returned from is found by `births` and `gateways` after a restart."""

    async def births(self) -> list[Birth]:
        """The births that hold, each gateway's own before those of its presses."""

    async def gateways(self) -> list[GatewayKey]:
        """Every gateway that was ever let in, also those that are off, in the order of their first birth."""

    async def take(self, result: Digest, records: Sequence[IncomingShot | IncomingGap], now_ms: int) -> None:
        """Births, deaths, health, refusals, letters and the stored `records` of one batch, all or nothing."""


class FleetRegistry:
    """`Registry` in the relational database, by the fleet's service; one transaction a batch."""

    def __init__(self, database: Database, fleet: FleetService, live: Live) -> None:
        self._database = database
        self._fleet = fleet
        self._live = live

    async def births(self) -> list[Birth]:
        """See the port."""
        async with self._database.reading() as session:
            found = await self._fleet.load_births(session)
        return [(GatewayKey(plant_id, gateway_id), press_id, raw) for plant_id, gateway_id, press_id, raw in found]

    async def gateways(self) -> list[GatewayKey]:
        """See the port."""
        async with self._database.reading() as session:
            return [GatewayKey(*found) for found in await self._fleet.load_gateways(session)]

    async def take(self, result: Digest, records: Sequence[IncomingShot | IncomingGap], now_ms: int) -> None:
        """See the port."""
        shots = [record for record in records if isinstance(record, IncomingShot)]
        if not (result.news or shots or result.letters or result.refusals):
            return
        async with self._database.transaction() as session:
            for news in result.news:
                await self._tell(session, news, now_ms)
            for gateway, refusal in result.refusals.items():
                await self._fleet.node_refused(
                    session, gateway.plant_id, gateway.gateway_id, reason=refusal.reason, now_ms=now_ms
                )
            if shots:
                await self._fleet.shots_seen(session, [_seen(shot) for shot in shots])
                announce(session, self._live.shots)
            await letters.keep(session, result.letters)

    async def _tell(self, session: AsyncSession, news: FleetNews, now_ms: int) -> None:
        plant_id, gateway_id = news.gateway.plant_id, news.gateway.gateway_id
        fleet = self._fleet
        match news:
            case GatewayBorn(_, stands, metrics, raw):
                epoch = stands.epoch if stands is not None else ""
                await fleet.node_born(session, plant_id, gateway_id, epoch=epoch, metrics=metrics, now_ms=now_ms)
                await fleet.save_birth(session, plant_id, gateway_id, None, raw, now_ms=now_ms)
            case PressBorn(_, press_id, _, raw):
                await fleet.device_born(session, plant_id, gateway_id, press_id, now_ms=now_ms)
                await fleet.save_birth(session, plant_id, gateway_id, press_id, raw, now_ms=now_ms)
            case GatewayDied():
                await fleet.node_died(session, plant_id, gateway_id, now_ms=now_ms)
            case PressDied(_, press_id):
                await fleet.device_died(session, plant_id, gateway_id, press_id, now_ms=now_ms)
            case GatewayHealth(_, metrics, offset_s):
                await fleet.node_health(
                    session, plant_id, gateway_id, metrics=metrics, now_ms=now_ms, clock_offset_s=offset_s
                )


def _seen(record: IncomingShot) -> SeenShot:
    return SeenShot(
        plant_id=record.gateway.plant_id,
        gateway_id=record.gateway.gateway_id,
        press_id=record.scored.shot.press_id,
        ended_ms=record.scored.shot.ended_ms,
        received_ms=record.received_ms,
        is_historical=record.is_historical,
    )
