"""Are many cycles solved at once the same cycles as one by one, and do changes, repairs and standstills act at once?"""

from dataclasses import replace

import numpy as np
import pytest

from contract.vocabulary import PARAMETERS, SIGNALS
from simulators.faults.catalogue import wear
from simulators.faults.fault import Constant
from simulators.press.block import Block
from simulators.press.condition import Condition, Value
from simulators.press.press import PAGE, Press
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, PROCESSES, Process

BEGIN_MS = 1_700_000_000_000
BOTH = pytest.mark.parametrize("process", [PP_CAP_4CAV, ABS_HOUSING_2CAV], ids=list(PROCESSES))


class Afflicted:
    """A fault of fixed fields."""

    mode = "afflicted"

    def __init__(self, severity: float = 1.0, **fields: object) -> None:
        self._severity, self._fields = severity, fields

    def severity(self, utc_ms: int) -> float:
        return self._severity

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        return replace(condition, **self._fields)  # type: ignore[arg-type]


class Growing:
    """A fault that grows by the hour, through scalars and arrays alike."""

    mode = "growing"

    def severity(self, utc_ms: int) -> float:
        return min(max((utc_ms - BEGIN_MS) / 7_200_000, 0.0), 1.0)

    def apply(self, condition: Condition, severity: Value, process: Process) -> Condition:
        share = np.asarray(severity)
        heaters = (1.0, 1.0, 1.0 - share, 1.0, 1.0)
        return replace(condition, screw_clearance_factor=1 + share, zone_heater_share=heaters)


def press_of(process: Process = PP_CAP_4CAV, **options: object) -> Press:
    faults = [wear("check_ring_wear", Constant(0.4))]
    return Press("p", process=process, seed=5, started_ms=BEGIN_MS, **{"faults": faults} | options)  # type: ignore[arg-type]


def mean(block: Block, name: str) -> float:
    return float(block.parameters[:, list(PARAMETERS).index(name)].mean())


@BOTH
def test_portions_do_not_matter(process: Process) -> None:
    count = PAGE + 40
    whole = press_of(process).block(count, with_curves=True)
    press = press_of(process)
    parts = [press.block(size, with_curves=True) for size in (1, 1, 9, 250, count - 261)]
    for name in ("ended_ms", "cycle_counter", "parameters", "curves"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(joined, getattr(whole, name), equal_nan=True), name
    for name in ("has_closed", "has_bottomed", "part_g", "dimension_mm"):
        joined = np.concatenate([getattr(part.truth, name) for part in parts])
        assert np.array_equal(joined, getattr(whole.truth, name)), name
    assert np.array_equal(whole.cycle_counter, np.arange(1, count + 1))


@BOTH
def test_a_shot_is_a_block_of_one(process: Process) -> None:
    block = press_of(process).block(PAGE + 5, with_curves=True)
    assert block.curves is not None
    press = press_of(process, sample_interval_s=block.sample_interval_s, window_s=5.0)
    for at in range(PAGE + 5):
        if at % 7 == 0:
            announced_s = press.cycle_time_s
            assert announced_s == pytest.approx(float(block.parameters[at, 0]), abs=0.01)
        shot, truth = press.cycle(int(block.ended_ms[at])), press.truth()
        assert np.array_equal(np.array(list(shot.parameters.values()), np.float32), block.parameters[at])
        assert list(shot.parameters) == list(PARAMETERS)
        for row, name in enumerate(SIGNALS):
            length = len(shot.curves[name])
            assert np.array_equal(shot.curves[name], block.curves[at, row, :length])
        assert truth.part_g == block.truth.part_g[at]
        assert truth.severities == {"check_ring_wear": 0.4}


def test_a_fault_that_grows_within_a_page_is_the_same_in_any_portion() -> None:
    whole = press_of(faults=[Growing()]).block(300)
    press = press_of(faults=[Growing()])
    parts = [press.block(size) for size in (1, 2, 150, 147)]
    for name in ("parameters", "ended_ms"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    severity = whole.truth.severities["growing"]
    assert severity[0] == 0.0
    assert (np.diff(severity) > 0).all()
    dosing_s = whole.parameters[:, list(PARAMETERS).index("DosingTime")]
    assert dosing_s[-20:].mean() > 1.1 * dosing_s[:20].mean()


def test_curves_do_not_change_what_happens() -> None:
    with_curves, without = press_of().block(30, with_curves=True), press_of().block(30)
    assert np.array_equal(with_curves.parameters, without.parameters)
    assert without.curves is None


def test_cycles_stand_back_to_back() -> None:
    block = press_of().block(50)
    steps_s = np.diff(np.concatenate(([BEGIN_MS], block.ended_ms))) / 1000
    np.testing.assert_allclose(steps_s, block.parameters[:, 0], atol=0.01)


def test_past_the_cycles_end_a_curve_is_nan() -> None:
    short = replace(PP_CAP_4CAV, hold_s=0.5, cool_s=0.8, handling_s=3.4, dose_mm=52.0, rpm=200.0, vp_mm=9.0)
    short = replace(short, machine=replace(short.machine, can_dose_while_open=True))
    block = Press("p", process=short, seed=1).block(3, with_curves=True)
    assert block.curves is not None
    lengths = np.floor(block.parameters[:, 0] / block.sample_interval_s).astype(int)
    if (lengths < block.curves.shape[2]).any():
        assert np.isnan(block.curves[0, :, lengths[0] + 1 :]).all()
    assert np.isfinite(block.curves[0, :, : min(lengths[0] - 1, 1_000)]).all()


def test_no_cycles_are_an_empty_block() -> None:
    block = press_of().block(0, with_curves=True)
    assert len(block) == 0
    assert block.parameters.shape == (0, len(PARAMETERS))


def test_a_change_acts_from_the_next_cycle_and_temperatures_follow() -> None:
    press, same = press_of(), press_of()
    press.block(50)
    same.block(50)
    assert press.cycle_time_s == same.cycle_time_s  # solved ahead: the change must still reach this cycle
    press.change(process=replace(PP_CAP_4CAV, hold_bar=300.0, melt_degc=215.0))
    first, later, other = press.block(1), press.block(400), same.block(1)
    assert mean(first, "HoldSpecificPressureAverage") == pytest.approx(302, abs=8)
    assert mean(first, "MeltTemperature") == pytest.approx(mean(other, "MeltTemperature"), abs=0.7)
    last_c = float(later.parameters[-50:, list(PARAMETERS).index("MeltTemperature")].mean())
    assert mean(other, "MeltTemperature") - last_c == pytest.approx(15.0, abs=1.5)


def test_a_repair_takes_the_fault_away() -> None:
    press = press_of(faults=[wear("check_ring_wear", Constant(1.0)), Afflicted(coolant_flow_share=0.5)])
    worn = press.block(50)
    press.repair("check_ring_wear")
    repaired = press.block(50)
    assert set(worn.truth.severities) == {"check_ring_wear", "afflicted"}
    assert set(repaired.truth.severities) == {"afflicted"}
    assert [fault.mode for fault in press.faults] == ["afflicted"]
    assert mean(repaired, "CushionStroke") > 2 * mean(worn, "CushionStroke")


@BOTH
@pytest.mark.parametrize(("standstill_h", "oil_k", "mould_k"), [(0.25, -1.0, -0.2), (8.0, -15.0, -3.0)])
def test_after_a_standstill_temperatures_settle(
    process: Process, standstill_h: float, oil_k: float, mould_k: float
) -> None:
    press = press_of(process, faults=[])
    before = press.block(60)
    until_ms = int(before.ended_ms[-1] + standstill_h * 3_600_000)
    press.stop(until_ms)
    start, late = press.block(5), press.block(600)
    assert start.ended_ms[0] == pytest.approx(until_ms + 1000 * mean(start, "CycleTime"), abs=1_500)
    assert mean(start, "OilTemperature") - mean(before, "OilTemperature") < oil_k
    assert mean(start, "MouldTemperature") - mean(before, "MouldTemperature") < mould_k
    assert mean(start, "ClosingForce") < mean(before, "ClosingForce")
    column = list(PARAMETERS).index("OilTemperature")
    assert abs(late.parameters[-100:, column].mean() - mean(before, "OilTemperature")) < 4
    weights = np.concatenate((start.truth.part_g, late.truth.part_g)) / before.truth.part_g.mean() - 1
    assert np.abs(weights).max() < 0.02


def test_gauges_drop_out_with_their_curves() -> None:
    press = press_of(faults=[Afflicted(dropout_probability=0.05)])
    block = press.block(400, with_curves=True)
    assert block.curves is not None
    missing = np.isnan(block.parameters)
    assert 0.2 < missing.any(axis=1).mean() < 0.7
    names, signals = list(PARAMETERS), list(SIGNALS)
    lost = missing[:, names.index("CavityPressureMaximum")]
    assert 0 < lost.sum() < 60
    assert np.array_equal(lost, missing[:, names.index("TransferCavityPressure")])
    assert np.array_equal(lost, np.isnan(block.curves[:, signals.index("CavityPressure"), 0]))
    assert not missing[:, names.index("CushionStroke")].any()


def test_the_truth_is_in_no_reading() -> None:
    assert not any("part" in name.lower() or "severity" in name.lower() for name in (*PARAMETERS, *SIGNALS))
