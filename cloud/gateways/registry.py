"""Which gateways are refused at this moment, kept in memory: the ingest asks for each batch."""

from collections.abc import Iterable


class GatewayRegistry:
    """What `load` was given last; a gateway that nobody claimed is taken unless `claimed_only`."""

    def __init__(self, *, claimed_only: bool) -> None:
        self._claimed_only = claimed_only
        self._claimed: frozenset[tuple[str, str]] = frozenset()
        self._revoked: frozenset[tuple[str, str]] = frozenset()

    def load(self, standing: Iterable[tuple[str, str, bool]]) -> None:
        """Take (plant, gateway, is_revoked) of every claimed gateway."""
        known = list(standing)
        self._revoked = frozenset((plant, gateway) for plant, gateway, is_revoked in known if is_revoked)
        self._claimed = frozenset((plant, gateway) for plant, gateway, _ in known)

    def is_refused(self, plant_id: str, gateway_id: str) -> bool:
        """Whether nothing of this gateway may be stored: it is revoked, or not claimed where it must be."""
        key = (plant_id, gateway_id)
        return key in self._revoked or (self._claimed_only and key not in self._claimed)
