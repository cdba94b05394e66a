"""What the page of gateways shows of each: certificate, figures of its own, and what scores its presses. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cloud.fleet.domain import Gateway
from cloud.gateways.domain import DAY_MS, Identity
from cloud.rollouts.shapes import GatewayModelsOut
from cloud.web.drift_view import PressDrift, drift_rows

CertificateState = Literal["none", "good", "soon", "expired", "revoked"]
SOON_MS: Final = 14 * DAY_MS
"""A running gateway renews long before: one whose certificate ends so soon does not get through."""
PRESSES_SHOWN: Final = 500
"""Of all gateways on a page; each has at most 200."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A gateway that has introduced itself."""

    gateway: Gateway
    certificate: CertificateState
    expires_ms: int | None
    bundles: tuple[tuple[str, int], ...]
    """Which bundles score, and how many presses each; an empty name: none does."""
    moved: int
    """Presses of which something drifted or is missing."""
    presses: tuple[PressDrift, ...]
    left_out: int

    def figure(self, name: str) -> float | None:
        """What it last told of itself by this name."""
        return self.gateway.health.get(name)


def at_work(
    gateway: Gateway, identity: Identity | None, models: GatewayModelsOut | None, now_ms: int, *, presses_max: int
) -> AtWork:
    """One gateway's line, with at most so many presses."""
    presses = sorted(drift_rows([models]), key=lambda press: press.press_id) if models is not None else []
    counts = Counter(press.champion for press in presses)
    return AtWork(
        gateway,
        certificate_state(identity, now_ms),
        identity.expires_ms if identity is not None else None,
        tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        sum(press.state == "moved" for press in presses),
        tuple(presses[:presses_max]),
        max(0, len(presses) - presses_max),
    )


def lines(found: Sequence[tuple[Gateway, Identity | None, GatewayModelsOut | None]], now_ms: int) -> tuple[AtWork, ...]:
    """The lines of a page, with at most PRESSES_SHOWN presses in all."""
    made: list[AtWork] = []
    left = PRESSES_SHOWN
    for gateway, identity, models in found:
        line = at_work(gateway, identity, models, now_ms, presses_max=left)
        made.append(line)
        left -= len(line.presses)
    return tuple(made)


def certificate_state(identity: Identity | None, now_ms: int) -> CertificateState:
    """How a gateway's certificate stands; `none`: it was never claimed."""
    if identity is None:
        return "none"
    if identity.revoked_ms is not None:
        return "revoked"
    if identity.expires_ms <= now_ms:
        return "expired"
    return "soon" if identity.expires_ms - now_ms < SOON_MS else "good"
