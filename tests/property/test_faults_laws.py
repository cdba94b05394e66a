"""What holds for every fault and upset, however far it has come and whatever else is wrong?"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.vocabulary import FAILURE_MODES, PARAMETERS
from simulators.faults.catalogue import DAY_MS, MODES, growth_ms, law_of, wear
from simulators.faults.fault import Constant
from simulators.faults.upsets import Upset, dropout, heat_wave, lot_change, moisture
from simulators.press.condition import Condition
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV, PROCESSES, Process

MODE = st.sampled_from(FAILURE_MODES)
SEED = st.integers(0, 2**31)
SEVERITY = st.floats(0, 1)
STEPS = 200
SHARES = (
    "oil_cooler_share",
    "coolant_flow_share",
    "nozzle_open_share",
    "pump_leak_share",
    "nozzle_leak_share",
    "blocked_cavity_share",
    "valve_stiction_share",
    "non_closing_probability",
    "tie_bar_imbalance_share",
)
POSITIVE = ("valve_lag_s", "accumulator_precharge_bar", "check_ring_gap_mm", "ejector_friction_factor")


def fields(condition: Condition) -> dict[str, list[float]]:
    """Each quantity as a list: five for the zones."""
    found = {}
    for name in Condition.__slots__:
        value = getattr(condition, name)
        found[name] = [float(each) for each in (value if isinstance(value, tuple) else (value,))]
    return found


def afflicted(severities: dict[str, float], order: list[str], process: Process) -> Condition:
    condition = Condition()
    for mode in order:
        condition = MODES[mode].effect(condition, severities[mode], process)
    return condition


@given(st.fixed_dictionaries(dict.fromkeys(FAILURE_MODES, SEVERITY)), st.sampled_from(list(PROCESSES.values())))
def test_any_faults_at_once_leave_a_condition_that_can_be(severities: dict[str, float], process: Process) -> None:
    found = fields(afflicted(severities, list(FAILURE_MODES), process))
    assert np.isfinite(np.concatenate(list(found.values()))).all()
    assert all(0 <= share <= 1 for name in (*SHARES, "zone_heater_share") for share in found[name])
    assert all(found[name][0] > 0 for name in POSITIVE)
    assert all(
        found[name][0] >= 0 for name in ("scale_mm", "parting_gap_mm", "toggle_play_mm", "closing_cm3", "gap_spread")
    )


@given(st.fixed_dictionaries(dict.fromkeys(FAILURE_MODES, SEVERITY)), st.permutations(FAILURE_MODES))
def test_faults_act_the_same_in_whatever_order(severities: dict[str, float], order: list[str]) -> None:
    one = fields(afflicted(severities, list(FAILURE_MODES), PP_CAP_4CAV))
    other = fields(afflicted(severities, order, PP_CAP_4CAV))
    assert all(one[name] == pytest.approx(other[name]) for name in one)


@given(MODE, SEVERITY, SEVERITY)
def test_more_severe_is_further_from_healthy_in_every_field(mode: str, one: float, other: float) -> None:
    healthy = fields(Condition())
    less, more = (fields(MODES[mode].effect(Condition(), severity, PP_CAP_4CAV)) for severity in sorted((one, other)))
    for name, values in healthy.items():
        gone = [np.abs(np.subtract(found[name], values)) for found in (less, more)]
        assert (gone[0] <= gone[1] + 1e-12).all(), name


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(MODE, SEVERITY, min_size=1, max_size=14),
    st.sampled_from(list(PROCESSES.values())),
    st.integers(0, 1000),
)
def test_a_press_with_any_faults_still_makes_finite_shots(
    severities: dict[str, float], process: Process, seed: int
) -> None:
    faults = [wear(mode, Constant(severity)) for mode, severity in severities.items()]
    block = Press("p", process=process, seed=seed, faults=faults).block(5)
    assert np.isfinite(block.parameters).all()
    assert set(block.truth.severities) == set(severities)
    assert not set(severities) & set(PARAMETERS), "no truth among what a press reports"


@given(MODE, SEED, st.floats(0.1, 100))
def test_the_time_factor_compresses_and_nothing_else(mode: str, seed: int, time_factor: float) -> None:
    slow = growth_ms(mode, np.random.default_rng(seed))
    fast = growth_ms(mode, np.random.default_rng(seed), time_factor=time_factor)
    assert fast == pytest.approx(max(slow / time_factor, DAY_MS / 48), rel=1e-3)


@given(MODE, SEED)
def test_each_mode_has_the_shape_of_its_cause(mode: str, seed: int) -> None:
    law = law_of(mode, 0, STEPS, np.random.default_rng(seed))
    found = np.array([law.at(step) for step in range(STEPS + 1)])
    rises = np.diff(found)
    if MODES[mode].shape == "wear":
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(rises)), "it feeds itself"
    elif MODES[mode].shape == "fouling":
        assert all(later <= earlier + 1e-9 for earlier, later in pairwise(rises)), "it saturates"
    else:
        assert 2 <= np.count_nonzero(rises) <= 10, "it stands still between jumps"
        assert np.count_nonzero(rises) < 0.1 * STEPS


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_presses_differ_around_the_mode_s_time(mode: str) -> None:
    rng = np.random.default_rng(1)
    days = np.array([growth_ms(mode, rng) for _ in range(2_000)]) / DAY_MS
    assert np.median(days) == pytest.approx(MODES[mode].growth_days, rel=0.08)
    assert np.log(days).std() == pytest.approx(MODES[mode].spread, rel=0.08)
    halves = {law_of(mode, 0, STEPS, rng).at(STEPS // 2) for _ in range(20)}
    assert len(halves) > 5, "each press has its own course"


@st.composite
def upsets(draw: st.DrawFn) -> Upset:
    begin = draw(st.integers(0, 10**9))
    end = begin + draw(st.integers(1, 10**9))
    kind = draw(st.sampled_from(["lot", "moisture", "hall", "dropout"]))
    if kind == "lot":
        return lot_change(begin, end, draw(st.floats(-0.15, 0.15)), draw(st.integers(1, 10**7)))
    if kind == "moisture":
        return moisture(begin, end, draw(st.floats(0, 1)))
    return heat_wave(begin, end, draw(st.floats(-10, 10))) if kind == "hall" else dropout(begin, end)


@given(upsets(), st.integers(-(10**9), 3 * 10**9))
def test_an_upset_is_there_between_its_begin_and_its_end_only(upset: Upset, at_ms: int) -> None:
    severity = upset.severity(at_ms)
    assert 0 <= severity <= 1
    if not upset.begin_ms < at_ms < upset.end_ms:
        assert severity == 0
    assert fields(upset.apply(Condition(), 0.0, PP_CAP_4CAV)) == fields(Condition())
    assert upset.mode not in FAILURE_MODES
