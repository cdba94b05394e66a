"""How far a claim has come: from the token to the gateway that delivers. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from cloud.fleet.domain import Gateway
from cloud.gateways.domain import Claim

Stage = Literal["ended", "waiting", "claimed", "connected", "done"]
STAGES: Final[tuple[Stage, ...]] = ("waiting", "claimed", "connected", "done")
"""The way of a claim whose token was spent."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A claim with what has come of it; `gateway` is what introduced itself with the claim's certificate."""

    claim: Claim
    stage: Stage
    gateway: Gateway | None
    presses: int

    @property
    def is_open(self) -> bool:
        """Whether the token still opens."""
        return self.stage == "waiting"

    def is_past(self, stage: Stage) -> bool:
        """Whether the claim is beyond this stage."""
        return self.stage in STAGES and STAGES.index(self.stage) > STAGES.index(stage)


def progress_of(claim: Claim, gateway: Gateway | None, presses: int, now_ms: int) -> Progress:
    """What of a gateway came before the token was spent is of an earlier machine."""
    if claim.used_ms is None:
        return Progress(claim, "waiting" if claim.expires_ms > now_ms else "ended", None, 0)
    if gateway is None or gateway.last_seen_ms < claim.used_ms:
        return Progress(claim, "claimed", None, 0)
    return Progress(claim, "done" if presses else "connected", gateway, presses)
