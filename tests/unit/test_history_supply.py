"""Lots and climate: they come in gradually, come from the seed, and act as faults do."""

import numpy as np

from simulators.history.calendar import DAY_MS, START_MS
from simulators.history.supply import WASH_MS, Lot, Lots, climate_until, lots_until, reaching
from simulators.press.condition import Condition
from simulators.press.process import PP_CAP_4CAV

END_MS = START_MS + 365 * DAY_MS


def test_a_new_lot_washes_in_and_stays_until_the_next() -> None:
    at = START_MS + DAY_MS
    lots = Lots((Lot(START_MS, 0.02), Lot(at, -0.06)))
    assert lots.severity(START_MS) == 0.02
    assert lots.severity(at) == 0.02
    assert lots.severity(at + WASH_MS // 2) == np.float64(-0.02)
    assert lots.severity(at + WASH_MS) == -0.06
    assert lots.severity(at + 9 * DAY_MS) == -0.06


def test_lots_and_climate_act_on_one_cycle_and_on_many_alike() -> None:
    lots = Lots((Lot(START_MS, 0.1),))
    one = lots.apply(Condition(), 0.1, PP_CAP_4CAV)
    many = lots.apply(Condition(), np.full(3, 0.1), PP_CAP_4CAV)
    assert np.allclose(many.viscosity_factor, one.viscosity_factor)
    assert np.allclose(one.viscosity_factor, 1.1)
    climate = climate_until(np.random.default_rng(1), END_MS)
    assert np.allclose(climate.apply(Condition(), -3.0, PP_CAP_4CAV).ambient_degc, 20.0)


def test_most_lots_are_usual_and_some_are_odd_on_either_side() -> None:
    shares = np.array([lot.share for lot in lots_until(np.random.default_rng(2), START_MS + 3_000 * DAY_MS)])
    assert 0.15 < (np.abs(shares) >= 0.04).mean() < 0.35
    assert shares.min() < -0.04
    assert shares.max() > 0.05
    assert np.abs(shares).max() < 0.16


def test_presses_get_the_same_lots_some_hours_apart_and_in_order() -> None:
    lots = lots_until(np.random.default_rng(3), END_MS)
    a, b = reaching(np.random.default_rng(4), lots), reaching(np.random.default_rng(5), lots)
    assert [lot.share for lot in a] == [lot.share for lot in b] == [lot.share for lot in lots]
    assert a != b
    begins = [lot.begin_ms for lot in a]
    assert begins == sorted(begins)


def test_winter_is_colder_than_summer_and_no_hour_jumps() -> None:
    climate = climate_until(np.random.default_rng(6), END_MS)
    hours = np.array([climate.severity(START_MS + hour * 3_600_000) for hour in range(364 * 24)])
    assert hours[: 50 * 24].mean() < -2
    assert hours[180 * 24 : 230 * 24].mean() > 2
    assert np.abs(np.diff(hours)).max() < 0.5
