"""Does each upset come, show and go as it does in a plant? None of them is a failure."""

from dataclasses import replace

import numpy as np
import pytest

from contract.vocabulary import PARAMETERS, SIGNALS
from simulators.faults.upsets import DROPOUT_PROBABILITY, Upset, dropout, heat_wave, lot_change, moisture
from simulators.history.supply import WASH_MS
from simulators.press.block import Block
from simulators.press.press import Press
from simulators.press.process import PROCESSES, Process
from simulators.press.recording import GAUGES

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NAMES = list(PARAMETERS)
BOTH = pytest.mark.parametrize("process", list(PROCESSES.values()), ids=list(PROCESSES))


def block_of(process: Process, hours: float, *upsets: Upset) -> Block:
    press = Press("p", process=process, seed=3, faults=list(upsets))
    return press.block(round(hours * HOUR_MS / 1000 / press.cycle_time_s))


def column(block: Block, name: str) -> np.ndarray:
    return block.parameters[:, NAMES.index(name)].astype(float)


def beside(process: Process, hours: float, upset: Upset, name: str, begin_h: float, end_h: float) -> float:
    """By what share a parameter is changed between two hours, beside the same press without the upset."""
    with_it, without = block_of(process, hours, upset), block_of(process, hours)
    inside = (without.ended_ms >= begin_h * HOUR_MS) & (without.ended_ms < end_h * HOUR_MS)
    count = min(len(with_it.ended_ms), len(inside))
    inside = inside[:count]
    return float(np.nanmean(column(with_it, name)[:count][inside]) / column(without, name)[:count][inside].mean() - 1)


@BOTH
def test_a_lot_washes_through_within_20_to_60_shots_and_the_next_one_takes_it_away(process: Process) -> None:
    lot = lot_change(HOUR_MS, 4 * HOUR_MS, 0.15, WASH_MS)
    shots = WASH_MS / 1000 / Press("p", process=process, seed=3).cycle_time_s
    assert 20 <= shots <= 60
    assert beside(process, 5, lot, "SpecificPressureMaximum", 0, 1) == pytest.approx(0, abs=1e-9)
    half_way = beside(process, 5, lot, "SpecificPressureMaximum", 1.08, 1.12)
    whole = beside(process, 5, lot, "SpecificPressureMaximum", 2, 3)
    assert 0.03 < whole < 0.15
    assert 0.3 < half_way / whole < 0.7
    assert beside(process, 5, lot, "SpecificPressureMaximum", 4.1, 5) == pytest.approx(0, abs=1e-3)


@BOTH
def test_moisture_rises_and_falls_over_hours(process: Process) -> None:
    wet = moisture(HOUR_MS, 10 * HOUR_MS, 1.0)
    early = beside(process, 11, wet, "TransferSpecificPressure", 1, 2)
    whole = beside(process, 11, wet, "TransferSpecificPressure", 4, 7)
    late = beside(process, 11, wet, "TransferSpecificPressure", 9, 10)
    assert -0.10 <= whole <= -0.02
    assert whole < early < 0
    assert whole < late < 0
    assert abs(beside(process, 11, wet, "TransferSpecificPressure", 10.1, 11)) < 1e-3


@BOTH
def test_a_hot_hall_warms_the_oil_for_as_long_as_it_lasts(process: Process) -> None:
    hot = heat_wave(0, 40 * HOUR_MS, 8.0)
    assert 0.05 < beside(process, 48, hot, "OilTemperature", 16, 30) < 0.15
    assert abs(beside(process, 48, hot, "SpecificPressureMaximum", 16, 30)) < 0.01
    assert abs(beside(process, 48, hot, "OilTemperature", 47, 48)) < 0.03


@BOTH
def test_a_gauge_that_drops_out_is_missing_in_parameters_and_curves_and_comes_back(process: Process) -> None:
    press = Press("p", process=process, seed=3, faults=[dropout(HOUR_MS, 3 * HOUR_MS)])
    block = press.block(round(4 * 3600 / press.cycle_time_s), with_curves=True)
    assert block.curves is not None
    missing = np.isnan(block.parameters)
    hours = block.ended_ms / HOUR_MS
    assert not missing[(hours < 1) | (hours > 3.05)].any()
    plateau = missing[(hours > 1.2) & (hours < 2.8)]
    share = plateau[:, NAMES.index("OilTemperature")].mean()
    assert share == pytest.approx(DROPOUT_PROBABILITY, abs=0.12)
    lost = {name for name, is_lost in zip(NAMES, plateau.any(axis=0), strict=True) if is_lost}
    assert {"OilTemperature", "ClosingForce", "MeltTemperature"} <= lost
    assert not lost & {"SpecificPressureMaximum", "CushionStroke", "InjectionTime", "CycleTime"}
    # A curve whose gauge is missing is missing whole in that cycle, with the parameter that comes from it.
    row = list(SIGNALS).index("ClampForce")
    whole = np.isnan(block.curves[:, row]).all(axis=1)
    assert (whole == missing[:, NAMES.index("ClosingForce")]).all()
    assert "ClampForce" in GAUGES
    assert np.isfinite(block.truth.part_g).all(), "the truth does not drop out"


@BOTH
def test_a_start_settles_in_half_an_hour_but_for_the_oil(process: Process) -> None:
    press = Press("p", process=process, seed=3)
    before = press.block(300)
    press.stop(press.begins_ms + 8 * HOUR_MS)
    began = press.begins_ms
    after = press.block(400)
    minutes = (after.ended_ms - began) / MINUTE_MS

    def gone(name: str, begin: float, end: float) -> float:
        inside = (minutes >= begin) & (minutes < end)
        return float(column(after, name)[inside].mean() - column(before, name).mean())

    assert gone("MouldTemperature", 0, 3) < -3
    assert abs(gone("MouldTemperature", 20, 40)) < 1.5
    assert gone("BarrelTemperature1", 3, 12) < -3
    assert abs(gone("BarrelTemperature1", 40, 60)) < 1.0
    assert gone("OilTemperature", 0, 10) < -10
    assert gone("OilTemperature", 0, 10) < gone("OilTemperature", 60, 90) < 0
    weight = after.truth.part_g[:20].mean() / before.truth.part_g.mean() - 1
    assert abs(weight) < 0.01


@BOTH
def test_another_set_point_shows_at_once_and_is_no_fault(process: Process) -> None:
    press = Press("p", process=process, seed=3)
    before = press.block(200)
    press.change(process=replace(process, hold_bar=process.hold_bar * 1.06))
    after = press.block(200)
    ratio = column(after, "HoldSpecificPressureAverage") / column(before, "HoldSpecificPressureAverage").mean()
    assert ratio[0] == pytest.approx(1.06, abs=0.015)
    assert ratio.mean() == pytest.approx(1.06, abs=0.01)
    assert after.truth.severities == {}
