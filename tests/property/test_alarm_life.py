"""The laws of an alarm's life: no event lost, no impossible state, silence while withheld, one word afterwards."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloud.alarms.life import (
    ACTIVE_STATES,
    BEGINS,
    ENDS,
    LATCHED_STATES,
    STATES,
    UNACKNOWLEDGED_STATES,
    WITHHOLDINGS,
    Event,
    Life,
    State,
    turn,
)

EVENTS: tuple[Event, ...] = get_args(Event)
LIVES = st.builds(
    Life,
    is_active=st.booleans(),
    is_acknowledged=st.booleans(),
    is_announced=st.booleans(),
    needs_reset=st.booleans(),
    withheld=st.frozensets(st.sampled_from(WITHHOLDINGS)),
)


class AlarmLife(RuleBasedStateMachine):
    """Drives one point as a plant, time and people do, beside a book that counts in plain words what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life()
        self.is_latching = False
        self.cause = False
        self.holding: set[str] = set()
        self.announced_while_withheld = 0

    @initialize(is_latching=st.booleans())
    def begin(self, *, is_latching: bool) -> None:
        self.is_latching = is_latching

    def do(self, event: Event) -> bool:
        """Whether it changed anything."""
        was_withheld = bool(self.life.withheld)
        turned = turn(self.life, event, is_latching=self.is_latching)
        if turned is None:
            return False
        assert turned.life != self.life or turned.is_announcement, "what changes nothing is told as nothing"
        self.life = turned.life
        self.announced_while_withheld += turned.is_announcement and bool(self.life.withheld)
        if turned.is_announcement:
            assert was_withheld == (event in ENDS)
            assert not self.life.is_acknowledged, "who is told must answer"
        return True

    @rule()
    def cause_comes(self) -> None:
        assert self.do("raise") == (not self.cause)
        self.cause = True

    @rule()
    def cause_goes(self) -> None:
        assert self.do("clear") == self.cause
        self.cause = False

    @rule()
    def acknowledge(self) -> None:
        before = self.life.state
        assert self.do("acknowledge") == (before in UNACKNOWLEDGED_STATES)
        assert not self.do("acknowledge"), "once is enough"

    @rule()
    def reset(self) -> None:
        before = self.life.state
        assert self.do("reset") == (before in LATCHED_STATES)
        assert self.life.state not in LATCHED_STATES

    @rule()
    def realarm(self) -> None:
        before = self.life.state
        assert self.do("realarm") == (before == "active_acknowledged")

    @rule(event=st.sampled_from(sorted(BEGINS)))
    def withhold(self, event: Event) -> None:
        assert self.do(event) == (BEGINS[event] not in self.holding)
        self.holding.add(BEGINS[event])

    @precondition(lambda self: self.holding)
    @rule(event=st.sampled_from(sorted(ENDS)))
    def release(self, event: Event) -> None:
        before = self.life
        turned = turn(before, event)
        assert self.do(event) == (ENDS[event] in self.holding)
        self.holding.discard(ENDS[event])
        if turned is None or self.holding:
            assert turned is None or not turned.is_announcement
            return
        unheard_latch = before.needs_reset and not before.is_announced
        assert turned.is_announcement == (self.cause or unheard_latch), "what is there is announced once"
        if self.cause:
            assert self.life.state == "active_unacknowledged"

    @invariant()
    def state_tells_the_truth(self) -> None:
        state = self.life.state
        assert state in STATES
        assert self.life.is_active == self.cause
        assert set(self.life.withheld) == self.holding
        assert self.announced_while_withheld == 0
        if self.cause:
            assert state in ACTIVE_STATES or (self.holding and state in WITHHOLDINGS)
        elif state in ACTIVE_STATES:
            raise AssertionError("nothing is active without its cause")
        if self.holding:
            assert state in (*WITHHOLDINGS, "normal")
        else:
            assert state not in WITHHOLDINGS

    def teardown(self) -> None:
        """Whatever happened: when all is released, gone, answered and reset, the life is over."""
        for event in (*ENDS, "clear", "acknowledge", "reset"):
            turned = turn(self.life, event)
            self.life = turned.life if turned else self.life
        assert self.life.state == "normal"


TestAlarmLife = AlarmLife.TestCase


@given(life=LIVES, event=st.sampled_from(EVENTS), is_latching=st.booleans())
def test_any_event_in_any_life_leads_to_a_life_and_twice_is_once(
    *, life: Life, event: Event, is_latching: bool
) -> None:
    turned = turn(life, event, is_latching=is_latching)
    after = turned.life if turned else life
    assert after.state in STATES
    assert turn(after, event, is_latching=is_latching) is None


@given(life=LIVES, by_hand=st.booleans())
def test_a_shelf_always_ends_and_leaves_other_reasons_alone(*, life: Life, by_hand: bool) -> None:
    shelved = turn(life, "shelve")
    on_shelf = shelved.life if shelved else life
    ended = turn(on_shelf, "unshelve" if by_hand else "expire_shelf")
    assert ended is not None
    assert ended.life.withheld == life.withheld - {"shelved"}
    assert ended.life.is_active == life.is_active


def test_the_states_of_the_standard_follow_each_other() -> None:
    steps: list[tuple[Event, State]] = [
        ("raise", "active_unacknowledged"),
        ("acknowledge", "active_acknowledged"),
        ("realarm", "active_unacknowledged"),
        ("clear", "latched_unacknowledged"),
        ("acknowledge", "latched_acknowledged"),
        ("raise", "active_unacknowledged"),
        ("shelve", "shelved"),
        ("suppress", "suppressed_by_design"),
        ("take_out", "out_of_service"),
        ("unshelve", "out_of_service"),
        ("return_to_service", "suppressed_by_design"),
        ("unsuppress", "active_unacknowledged"),
        ("clear", "latched_unacknowledged"),
        ("reset", "cleared_unacknowledged"),
        ("acknowledge", "normal"),
    ]
    life = Life()
    for event, state in steps:
        turned = turn(life, event, is_latching=True)
        assert turned is not None, event
        life = turned.life
        assert life.state == state, event
