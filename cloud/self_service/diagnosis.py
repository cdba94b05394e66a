"""Guided diagnosis: a flow of questions about a tenant's own facts, each answered by the program itself. Pure.

The flow goes from the network to the press, as a fault shows itself: what comes later means little while something
before it is wrong, so the first finding is the one to see to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

CERTIFICATE_SOON_MS: Final = 7 * 24 * 3_600_000
CLOCK_OFF_S_MAX: Final = 60.0
PLACES_MAX: Final = 5
"""Places that one finding names; of more it tells how many."""

Step = Literal[
    "claimed",
    "certificate",
    "gateway_seen",
    "gateway_online",
    "clock",
    "press_seen",
    "plan_room",
    "press_online",
    "shots",
    "backlog",
]
STEPS: Final[tuple[Step, ...]] = (
    "claimed",
    "certificate",
    "gateway_seen",
    "gateway_online",
    "clock",
    "press_seen",
    "plan_room",
    "press_online",
    "shots",
    "backlog",
)
ARTICLES: Final[dict[Step, str]] = {
    "claimed": "claim-a-gateway",
    "certificate": "claim-a-gateway",
    "gateway_seen": "claim-a-gateway",
    "gateway_online": "gateway-offline",
    "clock": "gateway-offline",
    "press_seen": "connect-a-press",
    "plan_room": "our-plan",
    "press_online": "connect-a-press",
    "shots": "connect-a-press",
    "backlog": "gateway-offline",
}


@dataclass(frozen=True, slots=True)
class GatewayFact:
    """A gateway: claimed, seen, or both; times are None for what has never been."""

    place: str
    is_claimed: bool
    expires_ms: int | None
    is_revoked: bool
    is_seen: bool
    is_online: bool
    clock_offset_s: float | None
    waiting: float | None


@dataclass(frozen=True, slots=True)
class PressFact:
    """A press."""

    place: str
    is_online: bool
    is_locked: bool
    has_shots: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the flow asks of."""

    now_ms: int
    can_claim: bool
    gateways: Sequence[GatewayFact]
    presses: Sequence[PressFact]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one step of the flow found: fine, wrong at some places, or not asked since there is nothing to ask of."""

    step: Step
    state: Literal["fine", "wrong", "not_asked"]
    places: tuple[str, ...] = ()
    count: int = 0

    @property
    def article(self) -> str:
        """Where it is told what to do."""
        return ARTICLES[self.step]


def diagnose(facts: Facts) -> list[Answer]:
    """The answers to all steps, in their order."""
    return [_answer(step, facts) for step in STEPS]


def first_wrong(answers: Sequence[Answer]) -> Answer | None:
    """What to see to first; None when all is well."""
    return next((answer for answer in answers if answer.state == "wrong"), None)


def _answer(step: Step, facts: Facts) -> Answer:
    if step == "claimed":
        return _of_one(step, is_fine=bool(facts.gateways), is_asked=facts.can_claim or bool(facts.gateways))
    if step == "press_seen":
        return _of_one(step, is_fine=bool(facts.presses), is_asked=any(one.is_online for one in facts.gateways))
    if step in _OF_GATEWAYS:
        asked, is_wrong = _OF_GATEWAYS[step]
        gateways = [one for one in facts.gateways if asked(one)]
        return _of_many(step, [one.place for one in gateways if is_wrong(one, facts.now_ms)], len(gateways))
    presses_asked, press_is_wrong = _OF_PRESSES[step]
    presses = [one for one in facts.presses if presses_asked(one)]
    return _of_many(step, [one.place for one in presses if press_is_wrong(one)], len(presses))


def _of_one(step: Step, *, is_fine: bool, is_asked: bool) -> Answer:
    if not is_asked:
        return Answer(step, "not_asked")
    return Answer(step, "fine") if is_fine else Answer(step, "wrong", (), 1)


def _of_many(step: Step, wrong: Sequence[str], asked: int) -> Answer:
    if not asked:
        return Answer(step, "not_asked")
    return Answer(step, "wrong", tuple(wrong[:PLACES_MAX]), len(wrong)) if wrong else Answer(step, "fine")


def _certificate_is_bad(one: GatewayFact, now_ms: int) -> bool:
    return one.is_revoked or (one.expires_ms is not None and one.expires_ms < now_ms + CERTIFICATE_SOON_MS)


def _clock_is_off(one: GatewayFact, _now_ms: int) -> bool:
    return one.clock_offset_s is not None and abs(one.clock_offset_s) > CLOCK_OFF_S_MAX


_OF_GATEWAYS: Final[dict[Step, tuple[Callable[[GatewayFact], bool], Callable[[GatewayFact, int], bool]]]] = {
    "certificate": (lambda one: one.is_claimed, _certificate_is_bad),
    "gateway_seen": (lambda one: one.is_claimed and not one.is_revoked, lambda one, _: not one.is_seen),
    "gateway_online": (lambda one: one.is_seen and not one.is_revoked, lambda one, _: not one.is_online),
    "clock": (lambda one: one.is_online, _clock_is_off),
    "backlog": (lambda one: one.is_online, lambda one, _: one.waiting is not None and one.waiting > 1_000),
}
_OF_PRESSES: Final[dict[Step, tuple[Callable[[PressFact], bool], Callable[[PressFact], bool]]]] = {
    "plan_room": (lambda _: True, lambda one: one.is_locked),
    "press_online": (lambda _: True, lambda one: not one.is_online),
    "shots": (lambda one: one.is_online, lambda one: not one.has_shots),
}
