"""The gateway's baselines in trouble: what fails on one press costs that press its states, and no press a shot."""

from pathlib import Path

import numpy as np
import pytest

from contract.shot import FloatArray, Shot
from contract.vocabulary import PARAMETERS
from edge_agent.models.baselines import FILE_BYTES_MAX, BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import load
from edge_agent.models.roster import Roster
from models.features.extract import extract
from models.features.schema import index
from models.runtime.baseline import Baselines, Options, Standings, state_index
from models.runtime.bundle import write_bundle
from tests.rollout_bundles import MODE, many_heads

OPTIONS = Options(settle_shots=0, learn_shots=20, recentre_shots=5, ripen_every=0)
LEARNT = 20
CYCLE_MS = 20_000
POISON = 1e20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaselineStore:
    """Learns fast; fails on a poisoned shot as a bug would: with the shot half taken in."""
    observe = Baselines.observe

    def failing(self: Baselines, press: str, mould: str, ended_ms: int, vector: FloatArray, *more: object) -> Standings:
        found = observe(self, press, mould, ended_ms, vector, *more)  # type: ignore[arg-type]
        if vector[index("CoolingTime")] == np.float32(POISON):
            raise ZeroDivisionError("a bug")
        return found

    monkeypatch.setattr(Baselines, "observe", failing)
    return BaselineStore(tmp_path / "baselines", Baselines(options=OPTIONS))


def shot(press: str, number: int, *, is_poisoned: bool = False) -> Shot:
    rng = np.random.default_rng(number)
    parameters = {name: float(50 + rng.standard_normal()) for name in PARAMETERS}
    return Shot(press, number * CYCLE_MS, parameters | ({"CoolingTime": POISON} if is_poisoned else {}), mould_id="M")


def silent(store: BaselineStore, *shots: Shot) -> list[bool]:
    """Of each shot of a batch, whether it has no state."""
    return [bool(np.isnan(state).all()) for state in store.states(shots, [extract(each) for each in shots])]


def learn(store: BaselineStore, *presses: str) -> None:
    for number in range(LEARNT):
        silent(store, *(shot(press, number) for press in presses))


def test_a_failing_baseline_costs_a_shot_its_state_and_other_presses_nothing(store: BaselineStore) -> None:
    learn(store, "p-1", "p-2")
    batch = [shot("p-1", 30), shot("p-2", 30, is_poisoned=True), shot("p-1", 31), shot("p-2", 31)]
    assert silent(store, *batch) == [False, True, False, False], "one bad shot is no reason to learn anew"
    assert store.failures == 1


def test_a_baseline_that_fails_twice_in_a_row_is_broken_and_begins_anew(store: BaselineStore) -> None:
    learn(store, "p-1", "p-2")
    batch = [shot(press, 30 + n, is_poisoned=press == "p-2") for n in range(2) for press in ("p-1", "p-2")]
    assert silent(store, *batch) == [False, True, False, True]
    after = [silent(store, shot("p-2", 40 + n))[0] for n in range(LEARNT + 1)]
    assert after == [True] * LEARNT + [False], "learnt anew, and in force again"
    assert silent(store, shot("p-1", 70)) == [False]


def test_every_shot_is_scored_while_a_baseline_fails(tmp_path: Path, store: BaselineStore) -> None:
    write_bundle(tmp_path / "b.zip", *many_heads())
    roster = Roster(Lineup(own=load(tmp_path / "b.zip", None, slow_ms=10_000)), store)
    learn(store, "p-1", "p-2")
    shots = [shot("p-1", 30), shot("p-2", 30, is_poisoned=True)]
    first, second = roster.score(shots, [extract(each) for each in shots])
    of_states = f"FailureProbability/{MODE}@24h"
    assert of_states in first.values
    assert second.values.keys() == first.values.keys() - {of_states}
    assert "QualityProbability/ok" in second.values


def test_curves_on_another_grid_are_measured_on_that_of_the_references(tmp_path: Path) -> None:
    """A gateway may be set to keep its curves every 20 ms."""

    def ramp(number: int, interval_s: float) -> Shot:
        curves = {"InjectionPressure": np.arange(0, 3, interval_s, dtype=np.float32) * (100 + number % 3)}
        parameters = shot("p", number).parameters | {"InjectionTime": 1.0, "HoldTime": 1.5}
        return Shot("p", number * CYCLE_MS, parameters, curves, interval_s, mould_id="M")

    options = Options(settle_shots=0, learn_shots=120, recentre_shots=5, ripen_every=0)
    found = []
    for interval_s in (0.005, 0.02):
        store = BaselineStore(tmp_path, Baselines(options=options))
        for number in range(125):
            one = ramp(number, interval_s)
            (state,) = store.states([one], [extract(ramp(number, 0.005))])
        found.append(state)
    residual = state_index("InjectionPressure.HoldResidual@z")
    assert np.isfinite(found[0][residual])
    np.testing.assert_allclose(found[1], found[0], rtol=0.1, atol=0.1)


def test_a_file_that_no_baseline_fills_is_left_unread(tmp_path: Path, store: BaselineStore) -> None:
    learn(store, "p-1")
    store.save()
    folder = tmp_path / "baselines"
    with (folder / "p-0.baseline").open("wb") as huge:
        huge.truncate(FILE_BYTES_MAX + 1)
    (folder / "p-2.baseline").mkdir()
    again = BaselineStore(folder, Baselines(options=OPTIONS))
    again.restore()
    assert silent(again, shot("p-1", 30)) == [False]


def test_a_baseline_that_cannot_be_stored_keeps_no_other_from_the_disk(
    store: BaselineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(store, "p-1", "p-2")
    dump = Baselines.dump

    def failing(self: Baselines, press_id: str) -> bytes:
        if press_id == "p-1":
            raise ValueError("cannot reshape")
        return dump(self, press_id)

    monkeypatch.setattr(Baselines, "dump", failing)
    store.save()
    monkeypatch.undo()
    again = BaselineStore(tmp_path / "baselines", Baselines(options=OPTIONS))
    again.restore()
    assert silent(again, shot("p-1", 30), shot("p-2", 30)) == [True, False]
    store.save()
    assert len(list((tmp_path / "baselines").iterdir())) == 2, "it is tried again"
