"""Units convert there and back, and what a press reports becomes a shot or a missing reading, never an exception."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import units
from contract.shot import CAVITIES_MAX, CURVE_SAMPLES_MAX, PRODUCT_CHARACTERS_MAX
from contract.units import UnitError, conversion, from_unece, known
from contract.vocabulary import PARAMETERS, SIGNALS
from edge_agent.shots import (
    CLOCK_OFF_MS_MAX,
    assemble,
    curve,
    parameter_converter,
    signal_converter,
    trusted_time_ms,
)

UNITS = sorted(units._UNITS)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.floats(), max_size=4),
    st.binary(),
)


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(-1e6, 1e6))
def test_a_conversion_and_its_reverse_give_the_value_back(one: str, other: str, value: float) -> None:
    if units._UNITS[one][0] != units._UNITS[other][0]:
        with pytest.raises(UnitError, match="measures"):
            conversion(one, other)
        return
    factor, offset = conversion(one, other)
    back_factor, back_offset = conversion(other, one)
    there = value * factor + offset
    assert there * back_factor + back_offset == pytest.approx(value, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "wanted"),
    [
        (1.0, "MPa", "bar", 10.0),
        (1.0, "psi", "bar", 0.0689475729),
        (212.0, "°F", "°C", 100.0),
        (273.15, "K", "°C", 0.0),
        (17_500.0, "ms", "s", 17.5),
        (3.6, "MJ", "kW·h", 1.0),
        (1.0, "t", "kN", 9.80665),
    ],
)
def test_known_conversions(value: float, from_unit: str, to_unit: str, wanted: float) -> None:
    factor, offset = conversion(from_unit, to_unit)
    assert value * factor + offset == pytest.approx(wanted, abs=1e-9)


def test_every_unit_of_the_vocabulary_is_known_or_a_plain_word() -> None:
    for quantity in [*PARAMETERS.values(), *SIGNALS.values()]:
        assert known(quantity.unit) == quantity.unit


def test_opc_ua_units_go_by_code_and_else_by_name() -> None:
    assert from_unece(4342098, "anything") == "bar"
    assert from_unece(-1, "kWh") == "kW·h"
    with pytest.raises(UnitError, match="furlong"):
        from_unece(-1, "furlong")


@given(st.dictionaries(st.sampled_from(["a/CushionStroke", "CycleTime", "b"]), ANYTHING))
def test_whatever_a_press_reports_becomes_numbers_or_missing_readings(fields: dict[str, object]) -> None:
    cycle_time, cushion = parameter_converter("CycleTime", "ms"), parameter_converter("CushionStroke", "")
    assert cycle_time is not None
    assert cushion is not None
    shot = assemble(
        "p",
        ended_ms=1,
        fields=fields,
        converters={"CycleTime": cycle_time, "a/CushionStroke": cushion},
        curves={},
        sample_interval_s=0.002,
        cycle_counter=None,
        job_name="",
        mould_id="",
    )
    assert set(shot.parameters) <= {"CycleTime", "CushionStroke"}
    assert not any(math.isinf(v) for v in shot.parameters.values())
    reported = fields.get("CycleTime")
    if isinstance(reported, float) and math.isfinite(reported):
        assert shot.parameters["CycleTime"] == pytest.approx(reported / 1000)


@given(ANYTHING | st.lists(ANYTHING | st.text()) | st.integers())
def test_whatever_a_press_tells_of_its_job_is_bounded(told: object) -> None:
    shot = assemble(
        "p",
        ended_ms=1,
        fields={},
        converters={},
        curves={},
        sample_interval_s=0.0,
        cycle_counter=None,
        job_name="",
        mould_id="",
        material=told,
        product_name=["cap\x00\x00", "", None, " lid "],
        cavities=told,
    )
    assert len(shot.material) <= PRODUCT_CHARACTERS_MAX
    assert "\x00" not in shot.material
    assert shot.product_name == "cap, lid"
    is_count = type(told) is int and 0 < told <= CAVITIES_MAX
    assert shot.cavities == (told if is_count else None)


@pytest.mark.parametrize("reported", [1e308, -1e308, 10**400, math.inf, -math.inf, math.nan, True, "12", None])
def test_a_reading_beyond_all_numbers_is_missing_even_when_only_its_unit_makes_it_so(reported: object) -> None:
    converter = parameter_converter("SpecificPressureMaximum", "MPa")
    assert converter is not None
    assert math.isnan(converter.value(reported))


@pytest.mark.parametrize("reported", [[], [1.0] * (CURVE_SAMPLES_MAX + 1), np.zeros(100_000), [[1.0]], ["x"]])
def test_a_curve_without_samples_or_with_too_many_is_missing(reported: object) -> None:
    converter = signal_converter("InjectionPressure", "bar")
    assert converter is not None
    assert curve(reported, converter) is None


@given(ANYTHING)
def test_a_curve_is_float32_or_nothing(reported: object) -> None:
    converter = signal_converter("InjectionPressure", "MPa")
    assert converter is not None
    samples = curve(reported, converter)
    assert samples is None or (samples.dtype == np.float32 and samples.ndim == 1 and len(samples) > 0)


def test_names_that_the_vocabulary_lacks_have_no_converter() -> None:
    assert parameter_converter("Surprise", "bar") is None
    assert signal_converter("Surprise", "bar") is None


@given(st.integers(0, 2**45), st.integers(-(2**40), 2**40))
def test_a_press_is_believed_about_the_time_only_near_our_own(now_ms: int, off_ms: int) -> None:
    wanted = now_ms + off_ms if abs(off_ms) <= CLOCK_OFF_MS_MAX else now_ms
    assert trusted_time_ms(now_ms + off_ms, now_ms) == wanted
    assert trusted_time_ms(None, now_ms) == now_ms
