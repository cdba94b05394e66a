"""Ids that differ in upper and lower case alone: which spelling was here first. Pure."""

from collections.abc import Iterable

from cloud.telemetry.store import GatewayKey

SPELLINGS_KEPT_MAX = 20_000
"""Gateways whose spelling is known; one beyond is taken as it comes."""


class Spellings:
    """Plants compare with plants, gateways with those of their plant; `load` what is known before the first `born`.

    The specification wants no two ids that are one in lower case: files, other hosts and people take them for the
    same machine. The first keeps its name, also while it is switched off.
    """

    def __init__(self) -> None:
        self._plants: dict[str, str] = {}
        self._gateways: dict[tuple[str, str], GatewayKey] = {}

    def load(self, gateways: Iterable[GatewayKey]) -> None:
        """Gateways of earlier times, the oldest first."""
        for gateway in gateways:
            self.born(gateway)

    def born(self, gateway: GatewayKey) -> None:
        """A gateway shows itself: its spelling is the right one unless another was here first."""
        if self.other(gateway) is None and len(self._gateways) < SPELLINGS_KEPT_MAX:
            self._plants.setdefault(gateway.plant_id.lower(), gateway.plant_id)
            self._gateways.setdefault(_folded(gateway), gateway)

    def other(self, gateway: GatewayKey) -> str | None:
        """The plant or the gateway that has this name in another spelling; None: nothing of the kind."""
        plant = self._plants.get(gateway.plant_id.lower(), gateway.plant_id)
        if plant != gateway.plant_id:
            return f"plant {plant}"
        first = self._gateways.get(_folded(gateway), gateway)
        return None if first == gateway else f"gateway {first.gateway_id}"


def _folded(gateway: GatewayKey) -> tuple[str, str]:
    return gateway.plant_id.lower(), gateway.gateway_id.lower()
