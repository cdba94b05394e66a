"""Whose records are taken: not those of a program under another's name, nor of a gateway shut out. Pure."""

from collections.abc import Callable

from cloud.ingest.twins import Twins
from cloud.telemetry.store import GatewayKey
from contract.standing import Refusal

TWIN = "another program goes by this gateway's name and was here first"
BARRED = "this gateway's certificate was revoked, or it was never claimed"


class Gate:
    """Asked for every message; `is_barred` is the word of whoever manages gateways."""

    def __init__(self, is_barred: Callable[[GatewayKey], bool] = lambda _gateway: False) -> None:
        self._is_barred = is_barred
        self._twins = Twins()

    def born(self, gateway: GatewayKey, instance: str, now_s: float) -> None:
        """A gateway was born as `instance` (empty: another maker's edge node, of which nothing can be told)."""
        if instance:
            self._twins.born(gateway, instance, now_s)

    def refusal(self, gateway: GatewayKey, now_s: float) -> Refusal | None:
        """Why nothing is taken of this gateway now; None when it is let in."""
        if self._is_barred(gateway):
            return Refusal(self._twins.current(gateway), BARRED)
        if self._twins.is_refused(gateway, now_s):
            return Refusal(self._twins.current(gateway), TWIN)
        return None
