"""Seeds of the deterministic simulation: no law is broken; and a simulation of a broken system says so."""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation import planted
from tests.simulation.faults import RARE, STRIKES, Fault, plan
from tests.simulation.run import Outcome, run_seed
from tests.simulation.world import Gateway, Host, TinyGateway

SEEDS = int(os.environ.get("ZHISAN_SIM_SEEDS", "200"))
REGRESSIONS = (100, 270, 869)
"""Seeds that once broke a law: a lost birth spent a record; a host restarted between twins refused the wrong one."""
BUG_SEEDS_MAX = 150
DISASTERS = ("reimage", "backup_restore", "host_restore", "host_loss", "twin")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor() as processes:
        yield processes


def broken(outcomes: list[Outcome]) -> list[str]:
    return [f"seed {o.seed}: {o.violation}\n  {' '.join(o.faults)}" for o in outcomes if o.violation]


@pytest.mark.timeout(600)
def test_no_seed_breaks_a_law(pool: ProcessPoolExecutor) -> None:
    outcomes = list(pool.map(run_seed, [*range(1, SEEDS + 1), *REGRESSIONS], chunksize=4))
    assert not broken(outcomes)
    assert all(o.accepted for o in outcomes)
    struck = {fault.split("@")[0] for o in outcomes for fault in o.faults}
    assert SEEDS < 200 or struck == set(STRIKES), "every kind of fault is in some plan"
    print(
        f"{len(outcomes)} seeds, {sum(o.accepted for o in outcomes)} shots, "
        f"{sum(len(o.faults) for o in outcomes)} faults"
    )


def test_without_faults_each_shot_travels_once_and_is_there_at_once() -> None:
    for seed in range(3):
        outcome = run_seed(seed, faults=[])
        assert not outcome.violation
        assert outcome.stored == outcome.accepted > 20
        assert outcome.settled_s < 2


def test_a_tiny_journal_in_long_outages_gives_up_what_the_ledger_counts() -> None:
    """Among other faults; presses go on, the newest shot is always taken, and it settles.

    As the first outage begins, the word about what has arrived is on its way: gaps reach over shots that are stored.
    """
    given_up = 0
    for seed in range(12):
        drawn = plan(random.Random(seed), until_s=60.0)
        common = [fault for fault in drawn if fault.kind not in RARE]
        outages = [
            Fault("delay", 1.0, 8.0, 1.0),
            Fault("partition", 6.0, 22.0, 0.1),
            Fault("host_crash", 34.0, 90.0, 0.5),
        ]
        outcome = run_seed(seed, faults=[*common, *outages], gateway=TinyGateway)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"
        given_up += outcome.accepted - outcome.stored
    assert given_up > 300


def test_a_seed_is_the_whole_story() -> None:
    for seed in (3, 4):
        assert run_seed(seed) == run_seed(seed)


@pytest.mark.parametrize("kind", DISASTERS)
def test_disks_that_are_replaced_or_put_back_break_no_promise(kind: str) -> None:
    for seed in range(5):
        outcome = run_seed(seed, faults=[Fault(kind, 10.0 + seed, 8.0 + seed, 0.2 * seed)])
        assert not outcome.violation, (kind, seed)


@pytest.mark.parametrize(
    ("host", "gateway"),
    [
        (planted.AcknowledgesBeforeCommit, Gateway),
        (Host, planted.ForgetsOnPublish),
        (planted.LosesTheEpoch, Gateway),
        (planted.ForgetsWhatItHas, Gateway),
        (Host, planted.TrustsAnyCommit),
        (Host, planted.KeepsNoBound),
        (Host, planted.AppendsBackwards),
        (planted.StoresBackwards, Gateway),
    ],
    ids=lambda part: part.__name__,
)
def test_a_planted_bug_is_found(host: type[Host], gateway: type[Gateway]) -> None:
    for seed in range(1, BUG_SEEDS_MAX):
        outcome = run_seed(seed, host=host, gateway=gateway)
        if outcome.violation:
            print(f"found by seed {seed}: {outcome.violation}")
            return
    pytest.fail(f"not found in {BUG_SEEDS_MAX} seeds")
