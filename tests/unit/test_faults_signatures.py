"""The laws of failure modes and upsets: severity 0 is healthy, n cycles are as one by one, progressions have shapes.

How far each mode moves its signals, and that it grows, is proved by test_faults_severities.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.press_signatures import SEEDS, measured
from contract.vocabulary import FAILURE_MODES
from simulators.faults import upsets
from simulators.faults.catalogue import DAY_MS, MODES, growth_ms, law_of
from simulators.faults.fault import Fouling, Progression, Steps
from simulators.press.condition import Condition
from simulators.press.process import PROCESSES

PP = PROCESSES["PP_cap_4cav"]


@pytest.mark.parametrize("process", list(PROCESSES))
@pytest.mark.parametrize(("mode", "low", "high"), [("heater_band_open", 3, 35), ("thermocouple_drift", -15, -2)])
def test_melt_of_another_temperature_takes_another_pressure(mode: str, low: float, high: float, process: str) -> None:
    """What an engineer sees of a heater; the tables have it a kelvin of melt."""
    healthy, condemned = (measured(process, SEEDS[0], mode, severity) for severity in (0.0, 1.0))
    assert low <= 100 * (condemned["SpecificPressureMaximum"] / healthy["SpecificPressureMaximum"] - 1) <= high


def values_of(condition: Condition, count: int) -> np.ndarray:
    """All quantities of a condition, (quantities, count)."""
    rows = []
    for name in Condition.__slots__:
        value = getattr(condition, name)
        rows += [np.broadcast_to(each, (count,)) for each in (value if isinstance(value, tuple) else (value,))]
    return np.array(rows, float)


@pytest.mark.parametrize("mode", list(MODES))
def test_severity_0_changes_nothing_and_n_cycles_are_as_one_by_one(mode: str) -> None:
    effect = MODES[mode].effect
    assert np.array_equal(values_of(effect(Condition(), 0.0, PP), 1), values_of(Condition(), 1))
    severities = np.array([0.0, 0.2, 0.99, 1.0])
    whole = values_of(effect(Condition(), severities, PP), 4)
    alone = [values_of(effect(Condition(), float(severity), PP), 1)[:, 0] for severity in severities]
    assert np.allclose(whole, np.stack(alone, axis=1))


@given(
    st.sampled_from(list(MODES)),
    st.integers(0, 2**31),
    st.floats(0.5, 50),
    st.lists(st.integers(-10, 900), max_size=20),
)
def test_a_progression_begins_at_0_never_falls_and_ends_at_1(
    mode: str, seed: int, time_factor: float, days: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    onset, grows = 5 * DAY_MS, growth_ms(mode, rng, time_factor=time_factor)
    law = law_of(mode, onset, grows, rng)
    found = [law.at(day * DAY_MS) for day in sorted(days)]
    assert found == sorted(found)
    assert all(0 <= severity <= 1 for severity in found)
    assert law.at(onset) == 0.0
    assert law.at(onset + grows) == pytest.approx(1.0)


def test_the_laws_have_their_shapes() -> None:
    wear_law, fouling = Progression(0, 100, 2.0), Fouling(0, 100, 0.5)
    assert wear_law.at(50) == 0.25
    assert fouling.at(50) > 0.6, "fast at first"
    steps = Steps(Progression(0, 100, 1.0), (0.3, 0.6, 1.0))
    assert [steps.at(t) for t in (29, 30, 59, 60, 99, 100)] == [0.0, 0.3, 0.3, 0.6, 0.6, 1.0]


def test_upsets_come_and_go_and_leave_the_press_as_it_was() -> None:
    lot = upsets.lot_change(100, 1_000, 0.1, 200)
    assert [lot.severity(t) for t in (99, 100, 200, 300, 800, 900, 1_000, 1_001)] == [0, 0, 0.5, 1, 1, 0.5, 0, 0]
    assert lot.apply(Condition(), 1.0, PP).viscosity_factor == pytest.approx(1.1)
    for upset in (lot, upsets.moisture(0, 9, 0.5), upsets.heat_wave(0, 9, 8.0), upsets.dropout(0, 9)):
        assert upset.mode in upsets.UPSETS
        assert upset.mode not in FAILURE_MODES
