"""The way of a company from nothing to its first press: steps with their state, from what is there. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cloud.core.access import Right
from cloud.fleet.domain import Beginnings

StepName = Literal["claim", "gateway", "source", "shot", "tell", "people"]
StepState = Literal["done", "now", "open", "needless"]
STEPS: Final[tuple[StepName, ...]] = ("claim", "gateway", "source", "shot", "tell", "people")
NEEDS: Final[Mapping[StepName, Right]] = {
    "claim": Right.MANAGE_GATEWAYS,
    "tell": Right.CONFIGURE,
    "people": Right.MANAGE_PEOPLE,
}
"""The other steps are taken at the gateway, not on a page."""


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What there is of a company's beginning."""

    is_claiming: bool
    """Whether this installation knows claims; where it does not, a gateway connects without one."""
    has_identity: bool
    fleet: Beginnings
    endpoints: int
    """Receivers of alarms that are switched on."""
    own_rules: int
    people: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `ask` are people who may take it where the reader may not, `needs` the right that is missing."""

    number: int
    name: StepName
    state: StepState
    may: bool
    needs: Right | None
    ask: tuple[str, ...]


def steps_of(facts: StartFacts, rights: frozenset[Right], able: Mapping[Right, Sequence[str]]) -> list[Step]:
    """The steps in order; the first that is not done is `now`. `able` names who has a right."""
    done = _done(facts)
    needless = () if facts.is_claiming else ("claim",)
    first = next((name for name in STEPS if not done[name] and name not in needless), None)
    steps: list[Step] = []
    for number, name in enumerate(STEPS, 1):
        right = NEEDS.get(name)
        may = right is None or right in rights
        state: StepState = "now" if name == first else "open"
        state = "done" if done[name] else "needless" if name in needless else state
        ask = () if may or right is None else tuple(able.get(right, ()))
        steps.append(Step(number, name, state, may, None if may else right, ask))
    return steps


def has_first_shot(steps: Sequence[Step]) -> bool:
    """Whether the way is done as far as the first press: the rest makes it useful."""
    return any(step.name == "shot" and step.state == "done" for step in steps)


def _done(facts: StartFacts) -> dict[StepName, bool]:
    fleet = facts.fleet
    return {
        "claim": facts.has_identity or (facts.is_claiming and fleet.gateways > 0),
        "gateway": fleet.gateways > 0,
        "source": fleet.presses > 0,
        "shot": fleet.presses_with_shots > 0,
        "tell": facts.endpoints > 0,
        "people": facts.people > 1,
    }
