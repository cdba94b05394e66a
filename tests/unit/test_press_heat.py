"""Do barrel, mould and oil keep their balances? Steady states, time constants and what the controllers do."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.press.barrel import Duty, cooled, run, set_points, settled
from simulators.press.condition import Condition
from simulators.press.cycle import duty_of
from simulators.press.hydraulics import oil_balance, oil_mm2_s
from simulators.press.mould import WATER_J_LK, coolant_rise_k, heat_w, mould_balance
from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, PROCESSES, Process

BOTH = pytest.mark.parametrize("process", [PP_CAP_4CAV, ABS_HOUSING_2CAV], ids=list(PROCESSES))
SOUND = Condition()


@BOTH
def test_the_controllers_hold_their_set_points_with_power_to_spare(process: Process) -> None:
    job = duty_of(process)
    state = settled(process, job, SOUND)
    _, trace = run(process, job, state, SOUND, 50)
    np.testing.assert_allclose(trace.indicated_degc, np.tile(set_points(process), (50, 1)), atol=0.1)
    assert trace.duty.min() > 0.03
    assert trace.duty.max() < 0.85
    heaters_kw = float((trace.duty[-1] * process.machine.heater_kw).sum())
    assert 1.5 < heaters_kw < 4.5
    assert abs(trace.melt_k).max() < 0.3


@BOTH
def test_a_zone_without_heat_falls_within_half_an_hour_and_its_neighbours_work_harder(process: Process) -> None:
    job = duty_of(process)
    state = settled(process, job, SOUND)
    half_an_hour = round(1_800 / job.cycle_s)
    open_band = replace(SOUND, zone_heater_share=(1.0, 1.0, 0.0, 1.0, 1.0))
    _, sound = run(process, job, state, SOUND, half_an_hour)
    _, broken = run(process, job, state, open_band, half_an_hour)
    fell_k = sound.indicated_degc[:, 2] - broken.indicated_degc[:, 2]
    assert 3 < fell_k[round(300 / job.cycle_s)] < fell_k[-1]
    assert 10 < fell_k[-1] < 45
    assert broken.duty[-1, 2] == 1.0
    assert broken.duty[-1, 1] > 1.05 * sound.duty[-1, 1]
    assert broken.duty[-1, 3] > 1.1 * sound.duty[-1, 3]
    assert broken.melt_k[-1] < -3


@BOTH
def test_a_drifted_thermocouple_shows_its_set_point_and_hides_the_truth(process: Process) -> None:
    job = duty_of(process)
    drifted = replace(SOUND, zone_sensor_offset_k=(0.0, 0.0, 0.0, -10.0, 0.0))
    state = settled(process, job, drifted)
    _, trace = run(process, job, state, drifted, 20)
    assert trace.indicated_degc[-1, 3] == pytest.approx(set_points(process)[3], abs=0.1)
    assert state.wall_degc[3] - set_points(process)[3] == pytest.approx(10.0, abs=0.2)
    assert trace.melt_k[-1] > 3


@BOTH
def test_steady_heat_in_is_heat_out(process: Process) -> None:
    """Without throughput and shear, each watt of the heaters leaves through the hall and the throat."""
    idle = Duty(30.0, 0.0, 0.0)
    state = settled(process, idle, SOUND)
    _, trace = run(process, idle, state, SOUND, 400)
    given_w = float((trace.duty[-1] * np.array(process.machine.heater_kw) * 1e3).sum())
    wall = set_points(process)
    lost_w = float((np.array([1.6, 1.6, 1.6, 1.6, 0.7]) * (wall - 23.0)).sum() + 3.0 * (wall[0] - 40.0))
    assert given_w == pytest.approx(lost_w, rel=0.02)


@BOTH
def test_a_barrel_cools_towards_the_hall_and_is_heated_again(process: Process) -> None:
    job = duty_of(process)
    warm = settled(process, job, SOUND)
    cold = cooled(warm, process, SOUND, off_s=12 * 3_600.0, heat_s=0.0)
    hour = cooled(warm, process, SOUND, off_s=3_600.0, heat_s=0.0)
    assert 23 < cold.wall_degc.max() < 50
    assert cold.wall_degc.mean() < hour.wall_degc.mean() < warm.wall_degc.mean() - 50
    ready = cooled(warm, process, SOUND, off_s=12 * 3_600.0, heat_s=4_500.0)
    np.testing.assert_allclose(ready.wall_degc, set_points(process), atol=12)


@BOTH
def test_the_coolant_carries_what_the_parts_bring(process: Process) -> None:
    job = duty_of(process)
    for share in (1.0, 0.5):
        flow, rise_k = coolant_rise_k(process, job, replace(SOUND, coolant_flow_share=share), 1)
        assert flow[0] / 60 * WATER_J_LK * rise_k[0] == pytest.approx(heat_w(process, job))
    assert 1.5 < coolant_rise_k(process, job, SOUND, 1)[1][0] < 2.5
    assert 3 < rise_k[0] < 5


@BOTH
def test_scale_low_flow_and_fast_cycles_warm_the_mould(process: Process) -> None:
    job = duty_of(process)

    def off_k(condition: Condition, now: Duty = job) -> float:
        return float(mould_balance(process, now, condition, 1, job)[0][0])

    assert off_k(SOUND) == pytest.approx(0.0, abs=1e-9)
    assert 1 < off_k(replace(SOUND, scale_mm=0.1)) < 5
    assert off_k(replace(SOUND, coolant_flow_share=0.5)) > 1
    assert off_k(SOUND, replace(job, melt_g_s=job.melt_g_s * 1.3)) > 1
    assert mould_balance(process, job, SOUND, 1, job)[1][0] == pytest.approx(1 / 600, rel=0.5)


def test_the_oil_settles_where_losses_and_cooling_meet() -> None:
    warm, rate = oil_balance(SOUND, 1)
    assert warm[0] == pytest.approx(45.0, abs=0.1)
    assert 1 / rate[0] == pytest.approx(69 * 60, rel=0.05)
    assert oil_balance(replace(SOUND, pump_leak_share=0.06), 1)[0][0] - warm[0] == pytest.approx(4.2, abs=1)
    assert oil_balance(replace(SOUND, ambient_degc=33.0), 1)[0][0] > warm[0] + 3


def test_oil_is_of_its_class() -> None:
    found = oil_mm2_s(np.array([40.0, 45.0, 100.0]))
    assert found[0] == pytest.approx(46.0, rel=1e-6)
    assert 34 < found[1] < 40
    assert found[2] == pytest.approx(6.8, rel=1e-6)
