"""A press through its plan: what is planned acts when it should, and what the plant notes reaches the baselines."""

from dataclasses import replace

import numpy as np
import pytest

from models.features.schema import FEATURES, index
from simulators.history.calendar import HOUR_MS, START_MS
from simulators.history.inspection import START_UP_SHOTS, Inspection
from simulators.history.moulds import JOBS
from simulators.history.plan import Event, PlannedFault, PressPlan
from simulators.history.press_record import Part, run
from simulators.history.supply import Climate, Lot
from simulators.history.upsets import PlannedUpset
from simulators.press.process import Process

QUIET = PressPlan(
    press_id="a",
    number=0,
    end_ms=START_MS + 8 * HOUR_MS,
    jobs=((START_MS, 0),),
    set_points=(),
    stops=((START_MS + 3 * HOUR_MS, START_MS + 5 * HOUR_MS),),
    faults=(),
    upsets=(),
    lots=(Lot(START_MS, 0.0),),
    climate=Climate((0.0, 0.0, 0.0)),
    events=(
        Event(START_MS + 3 * HOUR_MS, "standstill", ""),
        Event(START_MS + 5 * HOUR_MS, "start_up", ""),
    ),
)


def ended_ms(parts: list[Part]) -> np.ndarray:
    return np.concatenate([part.block.ended_ms for part in parts])


def values(parts: list[Part]) -> np.ndarray:
    return np.concatenate([part.values for part in parts])


def after(parts: list[Part], at_ms: int, shots: int = 30) -> np.ndarray:
    return values(parts)[ended_ms(parts) > at_ms][:shots]


def value(parts: list[Part], name: str) -> np.ndarray:
    return values(parts)[:, index(name)]


def test_a_press_makes_shots_while_it_runs_and_none_while_it_stands() -> None:
    found = ended_ms(list(run(QUIET, 1)))
    gaps = np.diff(found)
    assert (gaps > HOUR_MS).sum() == 1
    assert gaps.max() == pytest.approx(2 * HOUR_MS, abs=60_000)
    assert found[-1] == pytest.approx(QUIET.end_ms, abs=30_000)
    assert len(found) == pytest.approx(6 * HOUR_MS / 17_578, rel=0.03)


@pytest.mark.parametrize("noted", [True, False])
def test_maintenance_within_a_longer_stop_lets_the_baseline_be_learnt_anew(noted: bool) -> None:  # noqa: FBT001
    work = Event(START_MS + 4 * HOUR_MS, "maintenance", "planned")
    parts = list(run(replace(QUIET, events=(*QUIET.events, work) if noted else QUIET.events), 1))
    restarted = after(parts, START_MS + 5 * HOUR_MS)
    before = values(parts)[ended_ms(parts) <= START_MS + 3 * HOUR_MS][-30:]
    assert np.isfinite(before[:, len(FEATURES) :]).all()
    assert np.isfinite(restarted[:, len(FEATURES) :]).any() != noted, "residuals need a reference, and that is gone"


def test_a_fault_grows_while_the_press_runs_and_is_gone_after_its_repair() -> None:
    onset, repaired = START_MS + HOUR_MS, START_MS + 7 * HOUR_MS
    fault = PlannedFault(
        "check_ring_wear", onset, repaired - HOUR_MS, repaired, repaired + HOUR_MS, HOUR_MS, 3 * HOUR_MS
    )
    parts = list(run(replace(QUIET, faults=(fault,)), 1))
    truth = [part.block.truth.severities.get("check_ring_wear", np.zeros(len(part.block))) for part in parts]
    severity, at = np.concatenate(truth), ended_ms(parts)
    assert (severity[at < onset] == 0).all()
    inside = severity[(at > onset + 60_000) & (at < repaired)]
    assert (np.diff(inside) >= 0).all()
    assert np.abs(np.diff(inside)).max() < 0.05, "the standstill is no step"
    assert inside[-1] == 1.0
    assert (severity[at > repaired + 60_000] == 0).all()
    cushion = value(parts, "CushionStroke")
    assert cushion[(at > repaired - HOUR_MS) & (at < repaired)].mean() < 0.6 * cushion[at < onset].mean()


def test_operators_change_set_points_until_the_job_changes() -> None:
    hour = [START_MS + number * HOUR_MS for number in range(9)]
    plan = replace(
        QUIET,
        stops=(),
        events=(),
        jobs=((hour[0], 0), (hour[4], 1)),
        set_points=((hour[1], "hold_bar", 1), (hour[2], "speed_mm_s", -1), (hour[3], "hold_bar", -1)),
    )
    seen: dict[int, Process] = {}
    for part in run(plan, 1):
        seen.setdefault(int(part.block.ended_ms[0] - START_MS) // HOUR_MS, part.process)
    base = JOBS[0]
    assert seen[0] == base
    assert (seen[1].hold_bar, seen[1].speed_mm_s) == (base.hold_bar * 1.06, base.speed_mm_s)
    assert (seen[2].hold_bar, seen[2].speed_mm_s) == (base.hold_bar * 1.06, base.speed_mm_s * 0.94)
    assert seen[3].hold_bar == pytest.approx(base.hold_bar * 0.94)
    assert seen[5] == JOBS[1]


def test_lots_and_upsets_are_seen_in_the_shots_while_they_last() -> None:
    begin, end = START_MS + 2 * HOUR_MS, START_MS + 6 * HOUR_MS
    calm = replace(QUIET, stops=(), events=())
    usual = list(run(calm, 1))
    odd = list(run(replace(calm, lots=(Lot(START_MS, 0.0), Lot(begin, 0.12), Lot(end, 0.0))), 1))
    at = ended_ms(usual)
    lasts = (at > begin + HOUR_MS) & (at < end)
    ratio = value(odd, "InjectionPressure.FillPeak")[: len(at)] / value(usual, "InjectionPressure.FillPeak")
    assert ratio[lasts].mean() == pytest.approx(1.035, abs=0.015)
    assert ratio[at < begin].mean() == pytest.approx(1, abs=1e-6)
    lost = list(run(replace(calm, upsets=(PlannedUpset("sensor_dropout", begin, end, 1.0),)), 1))
    missing = np.isnan(values(lost)).mean(axis=1)
    assert missing[lasts].mean() > 3 * missing[at < begin][-100:].mean() + 0.05


def test_the_halls_climate_is_in_the_oil() -> None:
    calm = replace(QUIET, stops=(), events=())
    warm = replace(calm, climate=Climate((6.0, 6.0, 6.0)))
    difference = value(list(run(warm, 1)), "OilTemperature").mean() - value(list(run(calm, 1)), "OilTemperature").mean()
    assert 1 < difference < 6


def test_start_up_parts_and_parts_off_their_weight_or_length_are_no_good() -> None:
    inspection, many = Inspection("a", 1), 50
    master = next(run(QUIET, 1))
    weight, length = np.median(master.block.truth.part_g), np.median(master.block.truth.dimension_mm)
    weights, lengths = np.full(many, weight), np.full(many, length)
    assert inspection.is_good(JOBS[0], weights, lengths).all()
    inspection.start_up()
    good = inspection.is_good(JOBS[0], weights, lengths)
    assert not good[:START_UP_SHOTS].any()
    assert good[START_UP_SHOTS:].all()
    assert not inspection.is_good(JOBS[0], weights * 1.02, lengths).any()
    assert not inspection.is_good(JOBS[0], weights, lengths * 0.985).any()


def test_the_same_plan_and_seed_give_the_same_shots() -> None:
    short = replace(QUIET, end_ms=START_MS + HOUR_MS // 2)
    assert np.array_equal(values(list(run(short, 1))), values(list(run(short, 1))), equal_nan=True)
    assert not np.array_equal(values(list(run(short, 1)))[:50], values(list(run(short, 2)))[:50], equal_nan=True)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.mould.mould_id)
def test_every_mould_makes_full_parts_with_a_cushion(job) -> None:  # type: ignore[no-untyped-def]
    plan = replace(QUIET, stops=(), events=(), jobs=((START_MS, JOBS.index(job)),), end_ms=START_MS + HOUR_MS)
    parts = list(run(plan, 3))
    assert 2.5 < np.median(value(parts, "CushionStroke")) < 8
    assert 0.7 < np.median(value(parts, "InjectionTime")) < 2.2
    assert np.concatenate([part.is_good for part in parts]).mean() > 0.9
