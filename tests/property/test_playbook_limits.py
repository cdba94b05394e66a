"""Nobody is nagged: whatever facts come, a customer's open tasks and the time between two starts keep their limits."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.entitlements.domain import Tier
from cloud.tiering.playbooks import UNREAD_MAX, Message, OwnerRole, Playbook, Shelf, Step, Trigger, due

FIGURES = st.dictionaries(st.sampled_from(Trigger), st.floats(-400, 400), max_size=5)
DAYS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4), st.sampled_from(Tier), FIGURES), max_size=60)


@st.composite
def shelves(draw: st.DrawFn) -> Shelf:
    most = draw(st.integers(1, 6))
    playbooks = [
        Playbook(
            f"book-{number}",
            draw(st.sampled_from(Trigger)),
            draw(st.floats(0, 100)),
            tuple(draw(st.sets(st.sampled_from(Tier), min_size=1))),
            draw(st.integers(1, 200)),
            (Step("call", OwnerRole.SUCCESS, 7),) * draw(st.integers(1, min(5, most))),
            message=draw(st.sampled_from((None, Message("一句话", "a word")))),
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    shelf = Shelf(most, tuple(playbooks))
    shelf.check()
    return shelf


@given(shelves(), DAYS)
def test_open_tasks_and_repeats_keep_their_limits_whatever_facts_come(
    shelf: Shelf, days: list[tuple[int, int, Tier, dict[Trigger, float]]]
) -> None:
    today, open_tasks, unread, started = 0, 0, 0, dict[str, int]()
    for pass_days, closed, tier, facts in days:
        today += pass_days
        open_tasks = max(0, open_tasks - closed)
        unread = max(0, unread - closed)
        for playbook in due(shelf, tier, facts, open_tasks=open_tasks, started=started, today=today, unread=unread):
            assert playbook.fires(tier, facts)
            assert today - started.get(playbook.code, -(10**6)) >= playbook.again_days
            started[playbook.code] = today
            open_tasks += len(playbook.steps)
            unread += playbook.message is not None
        assert open_tasks <= shelf.open_tasks_max
        assert unread <= UNREAD_MAX


@given(shelves(), st.sampled_from(Tier), FIGURES)
def test_what_fires_is_started_where_there_is_room_and_it_was_not_started_before(
    shelf: Shelf, tier: Tier, facts: dict[Trigger, float]
) -> None:
    wide = Shelf(10**6, shelf.playbooks)
    found = due(wide, tier, facts, open_tasks=0, started={}, today=0, unread=None)
    assert found == [playbook for playbook in shelf.playbooks if playbook.fires(tier, facts)]


@given(st.integers(0, 400), st.floats(-30, 400), st.sampled_from(Trigger))
def test_a_task_is_due_before_what_it_prepares_and_never_in_the_past(
    due_days: int, figure: float, trigger: Trigger
) -> None:
    step = Step("call", OwnerRole.SALES, due_days)
    due_day = Playbook("renewal", trigger, 90, (Tier.VALUE,), 180, (step,)).due_day(step, figure, today=1_000)
    assert 1_000 <= due_day <= 1_000 + due_days
    if trigger == Trigger.RENEWAL_NEAR and figure >= 0:
        assert due_day <= 1_000 + figure
