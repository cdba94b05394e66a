"""The registry that forgets when the program ends: for simulations and benches of the ingest."""

from collections.abc import Sequence

from cloud.ingest.digest import Digest, GatewayBorn, GatewayDied, PressBorn, PressDied
from cloud.ingest.registry import Birth
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot


class MemoryRegistry:
    """`Registry` in a dict; like the fleet's tables it keeps births until the death that voids them."""

    def __init__(self) -> None:
        self._births: dict[GatewayKey, dict[str | None, bytes]] = {}
        self._known: dict[GatewayKey, None] = {}

    async def births(self) -> list[Birth]:
        """See the port."""
        return [
            (gateway, press_id, raw)
            for gateway, told in self._births.items()
            if None in told
            for press_id, raw in sorted(told.items(), key=lambda birth: birth[0] or "")
        ]

    async def gateways(self) -> list[GatewayKey]:
        """See the port."""
        return list(self._known)

    async def take(self, result: Digest, records: Sequence[IncomingShot | IncomingGap], now_ms: int) -> None:
        """See the port."""
        del records, now_ms
        for news in result.news:
            match news:
                case GatewayBorn(gateway, _, _, raw):
                    self._births[gateway] = {None: raw}
                    self._known.setdefault(gateway)
                case PressBorn(gateway, press_id, _, raw):
                    self._births.setdefault(gateway, {})[press_id] = raw
                case GatewayDied(gateway):
                    self._births.pop(gateway, None)
                case PressDied(gateway, press_id):
                    self._births.get(gateway, {}).pop(press_id, None)
                case _:
                    pass  # health is for people
