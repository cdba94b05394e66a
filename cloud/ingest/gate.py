"""Whose records are taken: not of a program under another's name, a name like another's, a gateway shut out. Pure."""

from collections.abc import Callable, Iterable

from cloud.ingest.spellings import Spellings
from cloud.ingest.twins import Twins
from cloud.telemetry.store import GatewayKey
from contract.standing import Refusal

TWIN = "another program goes by this gateway's name and was here first"
BARRED = "this gateway's certificate was revoked, or it was never claimed"
SPELLED = "its id differs in upper and lower case alone from {other}, which was here first: give it another id"


class Gate:
    """Asked for every message; `is_barred` is the word of whoever manages gateways."""

    def __init__(self, is_barred: Callable[[GatewayKey], bool] = lambda _gateway: False) -> None:
        self._is_barred = is_barred
        self._twins = Twins()
        self._spellings = Spellings()

    def load(self, gateways: Iterable[GatewayKey]) -> None:
        """The gateways that were let in before this program's start, the oldest first."""
        self._spellings.load(gateways)

    def born(self, gateway: GatewayKey, instance: str, now_s: float) -> None:
        """A gateway was born as `instance` (empty: another maker's edge node, of which nothing can be told)."""
        if not self._is_barred(gateway):
            self._spellings.born(gateway)
        if instance:
            self._twins.born(gateway, instance, now_s)

    def refusal(self, gateway: GatewayKey, now_s: float) -> Refusal | None:
        """Why nothing is taken of this gateway now; None when it is let in."""
        if self._is_barred(gateway):
            return Refusal(self._twins.current(gateway), BARRED)
        other = self._spellings.other(gateway)
        if other is not None:
            return Refusal(self._twins.current(gateway), SPELLED.format(other=other))
        if self._twins.is_refused(gateway, now_s):
            return Refusal(self._twins.current(gateway), TWIN)
        return None
