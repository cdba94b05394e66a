"""The steps from nothing to the first press: what is done comes from facts, and who may not is told whom to ask."""

from dataclasses import replace

from cloud.core.access import RIGHTS, Right, Role
from cloud.fleet.domain import Beginnings
from cloud.web.start_view import StartFacts, has_first_shot, steps_of

NOTHING = StartFacts(True, False, Beginnings(), 0, 0, 1)
ADMIN = RIGHTS[Role.TENANT_ADMIN]


def states(facts: StartFacts, rights: frozenset[Right] = ADMIN) -> list[str]:
    return [step.state for step in steps_of(facts, rights, {})]


def test_the_first_step_that_is_not_done_is_the_next() -> None:
    assert states(NOTHING) == ["now", "open", "open", "open", "open", "open"]
    claimed = replace(NOTHING, has_identity=True)
    assert states(claimed) == ["done", "now", "open", "open", "open", "open"]
    seen = replace(claimed, fleet=Beginnings(gateways=1))
    assert states(seen) == ["done", "done", "now", "open", "open", "open"]
    known = replace(seen, fleet=Beginnings(gateways=1, presses=2))
    assert states(known) == ["done", "done", "done", "now", "open", "open"]
    makes = replace(known, fleet=Beginnings(gateways=1, presses=2, presses_with_shots=1), people=2)
    assert states(makes) == ["done", "done", "done", "done", "now", "done"]
    assert has_first_shot(steps_of(makes, ADMIN, {}))
    assert not has_first_shot(steps_of(known, ADMIN, {}))
    assert states(replace(makes, endpoints=1)) == ["done"] * 6


def test_where_nothing_is_claimed_the_first_step_is_none() -> None:
    assert states(replace(NOTHING, is_claiming=False))[:2] == ["needless", "now"]


def test_who_may_not_take_a_step_is_told_who_may() -> None:
    able = {Right.MANAGE_GATEWAYS: ["Li Na"], Right.MANAGE_PEOPLE: ["Wu"]}
    steps = {step.name: step for step in steps_of(NOTHING, RIGHTS[Role.VIEWER], able)}
    assert (steps["claim"].may, steps["claim"].ask) == (False, ("Li Na",))
    assert (steps["tell"].needs, steps["tell"].ask) == (Right.CONFIGURE, ())
    assert steps["people"].ask == ("Wu",)
    assert steps["gateway"].may
    assert steps["source"].needs is None
    assert all(step.may for step in steps_of(NOTHING, ADMIN, able))
