"""When a trial ends, who scores what in each stage, and what is left when a bundle may not run."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.rollouts.domain import (
    STAGES,
    Plan,
    RolloutError,
    assignments,
    chosen_canaries,
    may_go_on,
    next_stage,
    trial_of,
)
from contract.model_orders import (
    Assignment,
    Bounds,
    BundleFile,
    Desired,
    Figures,
    ModelOrderError,
    PressReport,
    Report,
    desired_of,
    report_of,
    to_metric,
)
from edge_agent.models.lineup import Lineup, following
from models.registry.guards import SOON_SHOTS, breaches, summed

NEW, OLD = "a" * 12, "b" * 12
GOOD = Figures(shots=200, over=2, latency_p99_ms=1.0)


def plan(**more: object) -> Plan:
    fields = {"rollout_id": UUID(int=1), "bundle_id": NEW, "previous_id": OLD, "stage": "shadow"} | more
    return Plan(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("figures", "other", "said"),
    [
        (Figures(shots=10, errors=1), None, "errors"),
        (Figures(shots=10, latency_p99_ms=21.0), None, "latency"),
        (Figures(shots=100, over=30), None, "over the threshold"),
        (Figures(shots=100, over=30), Figures(shots=100, over=10), "over the threshold"),
        (Figures(shots=100, silent=60), Figures(shots=100, silent=10), "without a score"),
        (Figures(shots=100, alarms=6), Figures(shots=100, alarms=3), "alarms"),
        (Figures(shots=100, strange_share=0.6), None, "beyond all that training has seen"),
    ],
)
def test_each_guard_has_a_bound(figures: Figures, other: Figures | None, said: str) -> None:
    [what] = breaches(figures, other, Bounds())
    assert said in what


@pytest.mark.parametrize(
    ("figures", "other"),
    [
        (GOOD, None),
        (Figures(), None),
        (Figures(shots=SOON_SHOTS - 1, errors=4, latency_p99_ms=1_000.0), None),
        (Figures(shots=49, over=49, silent=49, alarms=9), None),
        (Figures(shots=100, over=90, alarms=9), Figures(shots=100, over=90, alarms=9)),
        (Figures(shots=100, silent=90), Figures(shots=500, silent=450)),
    ],
)
def test_what_few_shots_say_and_what_the_other_says_too_is_no_breach(figures: Figures, other: Figures | None) -> None:
    assert breaches(figures, other, Bounds()) == ()


@given(st.lists(st.builds(Figures, shots=st.integers(0, 99), errors=st.integers(0, 9), latency_p99_ms=st.floats(0, 9))))
def test_sums_keep_counts_and_the_worst(parts: list[Figures]) -> None:
    whole = summed(parts)
    assert whole.shots == sum(part.shots for part in parts)
    assert whole.errors == sum(part.errors for part in parts)
    assert whole.latency_p99_ms == max((part.latency_p99_ms for part in parts), default=0.0)


def test_in_each_stage_the_new_bundle_has_its_place() -> None:
    canaries = frozenset({("north", "p-1"), ("south", "p-9")})
    assert assignments(None, OLD, "north") == (Assignment(champion=OLD), {})
    shadow, none = assignments(plan(canaries=canaries), OLD, "north")
    assert (shadow.champion, shadow.shadow, none) == (OLD, NEW, {})
    others, tried = assignments(plan(stage="canary", canaries=canaries), OLD, "north")
    assert (others.champion, list(tried)) == (OLD, ["p-1"])
    assert tried["p-1"] == Assignment(champion=NEW, shadow=OLD, is_guarded=True)
    everywhere, none = assignments(plan(stage="champion", canaries=canaries), OLD, "north")
    assert (everywhere, none) == (Assignment(champion=NEW, shadow=OLD, is_guarded=True), {})


def test_stages_follow_one_another_and_end() -> None:
    assert [next_stage(stage) for stage in STAGES] == ["canary", "champion", None]


def _report(new: Figures, old: Figures = GOOD, champion: str = OLD, shadow: str = NEW) -> Report:
    press = PressReport(champion=champion, shadow=shadow, figures={NEW: new, OLD: old})
    return Report(revision=1, tried_revision=1, presses={"p-1": press, "p-2": press})


def test_only_canaries_are_judged_in_their_stage() -> None:
    bad = _report(Figures(shots=200, over=150))
    canary = plan(stage="canary", canaries=frozenset({("north", "p-2")}))
    trial = trial_of(canary, [("north", "gw", bad), ("south", "gw", bad)])
    assert list(trial.new) == [("north", "p-2")]
    assert len(trial.wrong) == 1
    assert len(trial_of(plan(), [("north", "gw", bad)]).wrong) == 2


def test_an_automatic_trial_needs_enough_shots_and_nothing_wrong() -> None:
    automatic = plan(is_automatic=True, stage_shots=300)
    few = trial_of(automatic, [("n", "g", _report(Figures(shots=100)))])
    enough = trial_of(automatic, [("n", "g", _report(Figures(shots=150)))])
    bad = trial_of(automatic, [("n", "g", _report(Figures(shots=900, errors=90)))])
    assert [may_go_on(automatic, trial) for trial in (few, enough, bad)] == [False, True, False]
    assert not may_go_on(plan(stage_shots=1), enough)


@given(st.integers(1, 500))
def test_a_tenth_of_the_presses_are_canaries(count: int) -> None:
    presses = [("p", f"m{number:03}") for number in range(count)]
    chosen = chosen_canaries([], presses)
    assert len(chosen) == len(set(chosen)) == max(1, round(count / 10))
    assert set(chosen) <= set(presses)


def test_canaries_must_be_known() -> None:
    with pytest.raises(RolloutError, match="no press"):
        chosen_canaries([], [])
    with pytest.raises(RolloutError, match="p/m9"):
        chosen_canaries([("p", "m9")], [("p", "m1")])


IDS = st.sampled_from([NEW, OLD, "c" * 12])
ASSIGNMENTS = st.builds(Assignment, champion=st.none() | IDS, shadow=st.none() | IDS, is_guarded=st.booleans())


class Named:
    """Stands for a loaded bundle where only its name counts."""

    def __init__(self, bundle_id: str) -> None:
        self.bundle_id = bundle_id


@st.composite
def orders(draw: st.DrawFn) -> Desired:
    default, press = draw(ASSIGNMENTS), draw(ASSIGNMENTS)
    ids = {one for each in (default, press) for one in (each.champion, each.shadow)} - {None}
    files = tuple(BundleFile(bundle_id=i, path="/x", size_bytes=1, sha256="0" * 64) for i in sorted(ids))  # type: ignore[type-var]
    return Desired(revision=draw(st.integers(1, 9)), default=default, presses={"p-1": press}, files=files)


@given(st.lists(orders(), min_size=1, max_size=4), st.sets(IDS), st.sampled_from(["p-1", "p-2"]))
def test_a_press_that_had_a_champion_never_loses_all(given_orders: list[Desired], good: set[str], press: str) -> None:
    """Whatever is refused on the way: what runs is loaded, or is the gateway's own bundle."""
    own = Named("own")
    lineup = Lineup(own=own)  # type: ignore[arg-type]
    for order in given_orders:
        loaded = {name: Named(name) for name in order.bundle_ids() & good}
        lineup = following(lineup, order, loaded, ["p-1", "p-2"])  # type: ignore[arg-type]
        champion, wanted = lineup.champion(press), order.assignment(press).champion
        assert champion is not None
        if wanted in good or wanted is None:
            assert champion.bundle_id == (wanted or "own")
        assert champion.bundle_id in good | {"own"}
        taken = lineup.without(press, "a test")
        fallback = taken.champion(press)
        assert fallback is not None
        assert wanted is None or fallback.bundle_id != wanted
        shadow = lineup.shadow(press)
        assert shadow is None or shadow is not champion


@given(orders())
def test_an_order_survives_the_wire(order: Desired) -> None:
    assert desired_of([to_metric(order)]) == order


@given(st.text(max_size=200) | st.integers() | st.binary(max_size=20))
def test_garbage_is_no_order_and_no_report(value: object) -> None:
    metric = to_metric(Desired(revision=1))._replace(value=value)
    with pytest.raises(ModelOrderError):
        desired_of([metric])
    if value != "{}":
        with pytest.raises(ModelOrderError):
            report_of(value)


def test_an_order_without_a_file_for_its_bundle_makes_no_sense() -> None:
    metric = to_metric(Desired(revision=1))
    text = f'{{"revision": 1, "default": {{"champion": "{NEW}"}}}}'
    with pytest.raises(ModelOrderError, match="no file"):
        desired_of([metric._replace(value=text)])


def test_a_newer_cloud_may_say_more() -> None:
    metric = to_metric(Desired(revision=1))
    assert desired_of([metric._replace(value='{"revision": 1, "mood": "good"}')]) == Desired(revision=1)
