"""What an operator of the simulated plant sets: one set point at a time, by its step, the same for the same seed."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.plant.operator import Operator
from simulators.plant.set_points import set_values
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, SET_POINT_STEPS, Process


def moved(before: Process, now: Process) -> list[str]:
    return [each.name for each in fields(Process) if getattr(before, each.name) != getattr(now, each.name)]


@given(st.lists(st.floats(0, 500), max_size=12), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_at_most_one_set_point_moves_at_a_time_and_never_further_than_its_step(waits: list[float], seed: int) -> None:
    one, twin = (Operator(PP_CAP_4CAV, every_s=100, started_s=0.0, seed=str(seed)) for _ in range(2))
    now_s, before = 0.0, PP_CAP_4CAV
    for wait_s in waits:
        now_s += wait_s
        process = one.process(now_s)
        assert process == twin.process(now_s), "the same seed moves the same"
        assert len(moved(before, process)) <= 1
        for name in moved(PP_CAP_4CAV, process):
            own, step = getattr(PP_CAP_4CAV, name), SET_POINT_STEPS[name]
            assert abs(getattr(process, name) / own - 1) < step * 1.001
        before = process


def test_before_the_first_wait_is_over_nothing_is_moved_and_later_something_is() -> None:
    operator = Operator(ABS_HOUSING_2CAV, every_s=10, started_s=5.0, seed="1")
    assert operator.process(5.0) == ABS_HOUSING_2CAV
    assert moved(ABS_HOUSING_2CAV, operator.process(5_000.0))


def test_a_warmer_melt_is_a_warmer_zone_each_and_a_longer_cooling_a_longer_time() -> None:
    own = set_values(PP_CAP_4CAV)
    assert own["SetPoints/CoolingTime"] == 8_000.0, "milliseconds"
    expected_ms = own["Jobs/ActiveJob/ExpectedCycleTime"]
    assert 17_000 < expected_ms < 19_000
    longer = set_values(replace(PP_CAP_4CAV, cool_s=9.5))
    assert longer["SetPoints/CoolingTime"] == 9_500.0
    assert longer["Jobs/ActiveJob/ExpectedCycleTime"] == pytest.approx(expected_ms + 1_500, abs=100)
    assert set_values(replace(PP_CAP_4CAV, name="another")) == own
    zones = {path: value for path, value in own.items() if path.startswith("InjectionUnits")}
    assert sorted(zones.values()) == [195.0, 210.0, 222.0, 230.0, 230.0]
