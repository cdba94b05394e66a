"""Baselines: what each stage does, and what a stop, another job, other set points and maintenance do to them."""

from collections.abc import Callable
from itertools import groupby

import numpy as np
import pytest

from models.features.schema import FEATURES, VALUES, index
from models.runtime.baseline import (
    STATE_INPUTS,
    BaselineError,
    Baselines,
    Options,
    Stage,
    Standings,
    state_index,
    tracks_block,
)
from models.runtime.baseline_tracks import KINDS

OPTIONS = Options(settle_shots=3, learn_shots=20, recentre_shots=10, ripen_every=2, pause_s=900)
IN_FORCE = 3 + 20
RIPE = IN_FORCE + 40
CYCLE_MS = 20_000
PEAK, CUSHION, HOLD_TIME = index("SpecificPressureMaximum"), index("CushionStroke"), index("HoldTime")


def _rows(shots: int, *, seed: int = 0, noise: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (100 + np.arange(len(FEATURES)) + noise * rng.standard_normal((shots, len(FEATURES)))).astype(np.float32)


class _Plant:
    """Presses that run on one clock."""

    def __init__(self, *, options: Options = OPTIONS, entries_max: int = 400) -> None:
        self.baselines = Baselines(options=options, entries_max=entries_max)
        self.now_ms = 0

    def run(
        self, rows: np.ndarray, *, mould: str = "A", press: str = "p", curves: np.ndarray | None = None
    ) -> Standings:
        ended_ms = self.now_ms + CYCLE_MS * np.arange(1, len(rows) + 1)
        self.now_ms = int(ended_ms[-1])
        return self.baselines.observe_block(press, mould, ended_ms, rows, curves)

    def kinds(self, press: str = "p") -> list[str]:
        return [note.kind for state in self.baselines.states() if state.press_id == press for note in state.notes]


def _counts(found: Standings) -> dict[Stage, int]:
    return {stage: int((found.stages == stage).sum()) for stage in Stage if (found.stages == stage).any()}


def test_a_press_settles_is_learnt_ripens_and_is_watched() -> None:
    found = _Plant().run(_rows(RIPE + 7))
    assert _counts(found) == {Stage.SETTLING: 3, Stage.LEARNING: 20, Stage.RIPENING: 40, Stage.WATCHING: 7}
    assert found.in_force.tolist() == [False] * IN_FORCE + [True] * 47
    assert np.isnan(found.z[:IN_FORCE]).all()
    assert np.isnan(found.inputs[:IN_FORCE]).all()
    features = found.z[IN_FORCE:, : len(FEATURES)]
    assert np.isfinite(features).all()
    assert 0.8 < features.std() < 1.6


def test_state_inputs_are_named_by_value_and_kind() -> None:
    assert len(STATE_INPUTS) == len(set(STATE_INPUTS)) == len(KINDS) * len(VALUES)
    found = _Plant().run(_rows(RIPE))
    for kind in KINDS:
        assert found.inputs.shape[1] > state_index(f"CushionStroke@{kind}")
    np.testing.assert_array_equal(found.inputs[:, state_index("CushionStroke@z")], found.z[:, CUSHION])
    with pytest.raises(KeyError):
        state_index("Luck@z")


def test_running_means_and_spread_are_those_of_their_formulas() -> None:
    plant = _Plant(options=Options(settle_shots=0, learn_shots=20, ripen_every=0))
    rows = _rows(90)
    found = plant.run(rows)
    normal = plant.baselines.normal("p", "A")
    assert normal is not None
    z = (rows[:, CUSHION].astype(float) - normal.centre[CUSHION]) / normal.scale[CUSHION]
    for shots in (20, 200):
        weights = (1 - 2 / (shots + 1)) ** np.arange(90)[::-1]
        mean = (weights * z).sum() / weights.sum()
        assert found.inputs[-1, state_index(f"CushionStroke@ewma{shots}")] == pytest.approx(mean, rel=1e-5)
    weights = (1 - 2 / 21) ** np.arange(90)[::-1]
    mean = (weights * z).sum() / weights.sum()
    sd = np.sqrt((weights * z**2).sum() / weights.sum() - mean**2)
    expected = np.log((sd + 0.05) / (normal.typical_sd[CUSHION] + 0.05))
    assert found.inputs[-1, state_index("CushionStroke@sd20")] == pytest.approx(expected, rel=1e-4)


def test_a_third_of_wild_shots_while_learning_bends_neither_centre_nor_scale_much() -> None:
    wild = _rows(IN_FORCE)
    wild[3::3] = 1e4
    plants = _Plant(), _Plant()
    for plant, rows in zip(plants, (_rows(IN_FORCE), wild), strict=True):
        plant.run(rows)
    whole, bent = (plant.baselines.normal("p", "A") for plant in plants)
    assert whole is not None and bent is not None  # noqa: PT018
    followed = slice(0, len(FEATURES))
    assert (np.abs(bent.centre - whole.centre)[followed] < 3 * whole.scale[followed]).all()
    assert (bent.scale / whole.scale)[followed].max() < 8


def test_a_missing_channel_is_not_followed_and_a_constant_one_is_as_long_as_it_is_not_zero() -> None:
    rows = _rows(RIPE + 30)
    rows[:, PEAK] = np.nan
    rows[:, CUSHION] = 7.0
    rows[:, index("HoldTime")] = 0.0
    found = _Plant().run(rows)
    assert np.isnan(found.z[:, PEAK]).all()
    assert (found.z[IN_FORCE:, CUSHION] == 0).all()
    assert np.abs(found.inputs[IN_FORCE:, state_index("CushionStroke@sd20")]).max() < 1e-6
    assert np.isnan(found.z[:, HOLD_TIME]).all()


def test_lost_readings_leave_the_running_mean_where_it_was_until_too_many_are_lost() -> None:
    plant = _Plant()
    plant.run(_rows(RIPE))
    rows = _rows(120, seed=1)
    rows[:, CUSHION] = np.nan
    means = plant.run(rows).inputs[:, state_index("CushionStroke@ewma20")]
    assert np.ptp(means[:30]) < 1e-5
    assert np.isnan(means[-1])


def test_distances_saturate() -> None:
    plant = _Plant()
    plant.run(_rows(RIPE))
    rows = _rows(1)
    rows[0, CUSHION] = 1e30
    assert plant.run(rows).z[0, CUSHION] == 50


def test_after_a_standstill_nothing_is_taken_in_until_the_press_has_settled() -> None:
    plant = _Plant()
    before = plant.run(_rows(RIPE + 1))
    plant.now_ms += 3_600_000
    cold = _rows(4, seed=1)
    cold[:3] += 20
    after = plant.run(cold)
    assert list(after.stages) == [Stage.SETTLING] * 3 + [Stage.WATCHING]
    mean = state_index("CushionStroke@ewma20")
    np.testing.assert_array_equal(after.inputs[:3, mean], before.inputs[-1, mean])
    assert after.z[:3, CUSHION].min() > 5


def test_back_at_a_known_mould_its_set_up_is_taken_out_and_what_it_had_drifted_stays() -> None:
    plant = _Plant()
    worn = np.zeros(len(FEATURES), np.float32)
    worn[CUSHION] = -4
    plant.run(_rows(RIPE))
    left = plant.run(_rows(600, seed=1) + worn)
    plant.run(_rows(30), mould="B")
    back = _rows(60, seed=2) + worn
    back[:, PEAK] += 30  # set up otherwise
    found = plant.run(back)
    assert _counts(found) == {Stage.SETTLING: 3, Stage.RECENTRING: 10, Stage.WATCHING: 47}
    slow, fast = (state_index(f"CushionStroke@ewma{shots}") for shots in (200, 20))
    assert left.inputs[-1, slow] < -2
    assert found.inputs[-1, fast] == pytest.approx(left.inputs[-1, slow], abs=1.0)
    assert abs(found.inputs[-1, state_index("SpecificPressureMaximum@ewma20")]) < 1.5
    assert found.notes[0].kind == "recentred"
    assert found.notes[0].values == ("SpecificPressureMaximum",)


def test_a_mould_that_left_before_it_was_learnt_begins_again() -> None:
    plant = _Plant()
    plant.run(_rows(15))
    plant.run(_rows(2), mould="B")
    assert _counts(plant.run(_rows(24))) == {Stage.SETTLING: 3, Stage.LEARNING: 20, Stage.RIPENING: 1}


def test_a_step_of_set_points_is_seen_and_said_and_the_level_found_anew() -> None:
    plant = _Plant()
    plant.run(_rows(RIPE + 100))
    turned = _rows(60, seed=1)
    turned[:, HOLD_TIME] += 20
    turned[:, PEAK] -= 15
    found = plant.run(turned)
    assert _counts(found) == {Stage.WATCHING: 5 + 42, Stage.SETTLING: 3, Stage.RECENTRING: 10}
    assert [(note.kind, note.values[:1]) for note in found.notes] == [
        ("set_points", ("HoldTime",)),
        ("recentred", ("HoldTime",)),
    ]
    assert abs(found.inputs[-1, state_index("HoldTime@ewma20")]) < 1.5
    assert abs(found.inputs[-1, state_index("SpecificPressureMaximum@ewma20")]) < 1.5


@pytest.mark.parametrize("kind", ["one shot", "creep", "no set value"])
def test_what_is_no_step_of_set_points_stays_to_be_seen(kind: str) -> None:
    plant = _Plant()
    plant.run(_rows(RIPE + 100))
    rows = _rows(60, seed=1)
    if kind == "one shot":
        rows[30, HOLD_TIME] += 40
    elif kind == "creep":
        rows[:, HOLD_TIME] += np.arange(60)
    else:
        rows[20:, PEAK] += 40
    found = plant.run(rows)
    assert found.in_force.all()
    assert not found.notes


def test_maintenance_makes_every_mould_learn_anew_and_says_what_changed() -> None:
    plant = _Plant()
    plant.run(_rows(RIPE))
    plant.run(_rows(RIPE), mould="B")
    plant.baselines.relearn("p")
    repaired = _rows(IN_FORCE + 1, seed=1)
    repaired[:, CUSHION] += 25
    found = plant.run(repaired, mould="B")
    assert _counts(found) == {Stage.SETTLING: 3, Stage.LEARNING: 20, Stage.RIPENING: 1}
    assert abs(found.z[-1, CUSHION]) < 5
    assert [(note.kind, note.values) for note in found.notes] == [("changed", ("CushionStroke",))]
    assert Stage.LEARNING in _counts(plant.run(_rows(IN_FORCE, seed=2)))


def test_maintenance_of_one_mould_leaves_the_others() -> None:
    plant = _Plant()
    plant.run(_rows(RIPE))
    plant.run(_rows(RIPE), mould="B")
    plant.baselines.relearn("p", "A")
    assert plant.baselines.normal("p", "A") is None
    assert plant.run(_rows(1), mould="B").in_force.all()


def test_a_baseline_unlike_the_same_mould_elsewhere_says_so() -> None:
    plant = _Plant()
    for number in range(8):
        plant.run(_rows(RIPE, seed=number), press=f"q{number}")
    assert plant.kinds("q7") == []
    odd = _rows(RIPE, seed=9)
    odd[:, CUSHION] += 40
    odd[:, PEAK] += 10 * np.random.default_rng(0).standard_normal(RIPE).astype(np.float32)
    notes = plant.run(odd).notes
    assert [(note.kind, note.values) for note in notes] == [
        ("level_odd", ("CushionStroke",)),
        ("scale_odd", ("SpecificPressureMaximum",)),
    ]


def test_a_press_that_is_still_on_the_move_is_learnt_longer_and_then_with_a_note() -> None:
    shots = 3 + 20 + 10 + 10 + 1
    warming = _rows(shots) - 40 * np.exp(-np.arange(shots) / 60).astype(np.float32)[:, None]
    found = _Plant().run(warming)
    assert _counts(found) == {Stage.SETTLING: 3, Stage.LEARNING: 40, Stage.RIPENING: 1}
    assert [note.kind for note in found.notes] == ["restless"]


def test_a_value_that_runs_away_on_the_first_day_keeps_its_first_normal() -> None:
    plant = _Plant()
    rows = _rows(RIPE)
    rows[IN_FORCE:, CUSHION] += 3 * np.arange(RIPE - IN_FORCE, dtype=np.float32)
    notes = plant.run(rows).notes
    assert [(note.kind, note.values) for note in notes] == [("moved", ("CushionStroke",))]
    normal = plant.baselines.normal("p", "A")
    assert normal is not None
    assert normal.centre[CUSHION] == pytest.approx(100 + CUSHION, abs=2)


def test_the_day_widens_a_scale_that_an_hour_made_too_narrow() -> None:
    rows = _rows(RIPE)
    rows[:IN_FORCE, CUSHION] = 100 + (rows[:IN_FORCE, CUSHION] - 100 - CUSHION) / 3 + CUSHION
    plant = _Plant()
    plant.run(rows[:IN_FORCE])
    narrow = plant.baselines.normal("p", "A")
    plant.run(rows[IN_FORCE:])
    wide = plant.baselines.normal("p", "A")
    assert narrow is not None and wide is not None  # noqa: PT018
    assert wide.scale[CUSHION] > 1.8 * narrow.scale[CUSHION]


def test_the_number_of_baselines_is_bounded_and_the_longest_unused_goes() -> None:
    plant = _Plant(entries_max=2)
    for mould in ("A", "B", "A", "C"):
        plant.run(_rows(1), mould=mould)
    assert [state.mould_id for state in plant.baselines.states()] == ["A", "C"]
    plant.baselines.forget("p")
    assert plant.baselines.states() == []


def test_whole_histories_are_followed_through_jobs_repairs_and_other_set_points() -> None:
    rows = np.concatenate([_rows(80), _rows(80, seed=1), _rows(80, seed=2)])
    moulds, ended_ms = ["A"] * 80 + ["B"] * 80 + ["A"] * 80, CYCLE_MS * np.arange(1, 241)
    baselines = Baselines(options=OPTIONS)
    found = tracks_block(
        baselines, "p", moulds, ended_ms, rows, relearn_ms=[int(ended_ms[119])], recentre_ms=[int(ended_ms[210])]
    )
    runs = [(stage.value, len(list(run))) for stage, run in groupby(found.stages)]
    anew = [("settling", 3), ("learning", 20)]
    assert runs == [
        *(*anew, ("ripening", 40), ("watching", 17)),
        *(*anew, ("ripening", 17)),
        *(*anew, ("ripening", 17)),
        *(*anew, ("ripening", 28)),
        *(("settling", 3), ("recentring", 10), ("ripening", 16)),
    ]
    few = tracks_block(
        Baselines(options=OPTIONS),
        "p",
        moulds,
        ended_ms,
        rows,
        relearn_ms=[int(ended_ms[119])],
        recentre_ms=[int(ended_ms[210])],
        rows=np.array([5, 50, 239]),
        at_once=7,
    )
    np.testing.assert_allclose(few.inputs, found.inputs[[5, 50, 239]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "cut off"),
        (lambda data: data[:40], "cut off"),
        (lambda data: b"X" + data[1:], "none"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:8] + b"\x09\x00" + data[10:], "version 9"),
        (lambda data: data[:10] + b"0" * 16 + data[26:], "other values"),
    ],
)
def test_stored_baselines_that_do_not_fit_are_refused_and_nothing_changes(
    damage: Callable[[bytes], bytes], reason: str
) -> None:
    plant = _Plant()
    plant.run(_rows(RIPE))
    before = plant.baselines.states()
    with pytest.raises(BaselineError, match=reason):
        plant.baselines.load(damage(plant.baselines.dump("p")))
    assert plant.baselines.states() == before


def test_a_restart_with_fewer_shots_to_learn_from_goes_on() -> None:
    plant, later = _Plant(), _Plant(options=Options(settle_shots=0, learn_shots=20, ripen_every=0))
    long = _Plant(options=Options(settle_shots=0, learn_shots=60))
    long.run(_rows(50))
    later.baselines.load(long.baselines.dump("p"))
    later.now_ms = long.now_ms
    assert _counts(later.run(_rows(2))) == {Stage.LEARNING: 1, Stage.WATCHING: 1}
    assert plant.baselines.states() == []
