"""What tiles, boards, tables and charts show, before any template sees it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cloud.alarms.naming import quality_name
from cloud.production.oee import Account, oee_of
from cloud.production.reading import Figures
from cloud.production.windows import WINDOWS
from cloud.telemetry.store import PressKey, StoredShot
from cloud.web import numbers
from cloud.web.charts import POINTS_MAX, thinned, trend_chart
from cloud.web.feature_charts import marks_of
from cloud.web.fleet_page import _strip
from cloud.web.fleet_view import (
    CONDITIONS,
    DENSITIES,
    SORTS,
    AlarmLine,
    FleetFacts,
    FleetFilter,
    GatewayLine,
    PressFacts,
    board_of,
    failure_gauge,
    filter_of,
    novelty_gauge,
    oee_line,
    tile_of,
)
from cloud.web.happenings import Happening
from cloud.web.press_view import COLUMNS_MAX, columns_of, parameters_of, quality_of, shot_table
from cloud.web.translation import load_catalogues
from contract.shot import ScoredShot, Scores, Shot

T = load_catalogues()["en"]
THRESHOLD = 0.8
SCORE = st.one_of(st.floats(), st.just(math.nan))


def stored(row_id=1, *, values=None, quality=None, parameters=None, curves=None, ended_ms=1_700_000_000_000, press="p"):
    curves = curves or {}
    shot = Shot(press, ended_ms, parameters or {"CycleTime": 18.0}, curves, 0.002 if curves else 0.0)
    scores = Scores("bundle", values or {}, quality)
    scored = ScoredShot(shot, np.zeros(0, np.float32), "hash", scores)
    return StoredShot(row_id, PressKey("plant", press), "gateway", ended_ms, False, scored)


def facts(press="p", *, plant="plant", connection="online", alarms=(), **shot):
    row = stored(press=press, **shot) if shot.pop("has_shot", True) else None
    return PressFacts(plant, press, "gateway", connection, row, tuple(alarms))


FACTS = st.builds(
    lambda press, plant, connection, alarms, value, novelty: facts(
        press,
        plant=plant,
        connection=connection,
        alarms=[AlarmLine(f"a{at}", "check_ring_wear", at, at % 2 == 0) for at in range(alarms)],
        values={"FailureProbability/check_ring_wear": value, "Novelty/T2": novelty},
    ),
    press=st.text(min_size=1, max_size=8),
    plant=st.sampled_from(["north", "south"]),
    connection=st.sampled_from(["online", "stale", "offline"]),
    alarms=st.integers(0, 3),
    value=SCORE,
    novelty=SCORE,
)


@given(st.lists(FACTS, max_size=30), st.sampled_from(["", *CONDITIONS]), st.integers(1, 40))
def test_a_board_shows_each_press_once_worst_first_and_says_what_it_leaves_out(presses, state, tiles_max):
    tiles = [tile_of(press, threshold=THRESHOLD) for press in presses]
    board = board_of(tiles, FleetFilter(state=state), tiles_max=tiles_max)
    shown = [tile for _, tiles in board.plants for tile in tiles]
    assert sum(board.counts.values()) == board.total == len(presses)
    expected = board.counts[state] if state else board.total
    assert len(shown) + board.left_out == expected
    assert len(shown) <= tiles_max
    for plant, plant_tiles in board.plants:
        assert {tile.plant_id for tile in plant_tiles} == {plant}
        ranks = [CONDITIONS.index(tile.condition) for tile in plant_tiles]
        assert ranks == sorted(ranks)


@given(FACTS)
def test_what_is_not_online_or_has_an_alarm_never_reads_normal(press):
    tile = tile_of(press, threshold=THRESHOLD)
    if press.alarms:
        assert tile.condition == "alarm"
    elif press.connection != "online":
        assert tile.condition == press.connection
    assert (tile.alarm is None) == (not press.alarms)


@given(
    st.dictionaries(
        st.sampled_from(["FailureProbability/a", "FailureProbability/b", "Novelty/T2", "Novelty/SPE"]), SCORE
    )
)
def test_gauges_stay_within_their_bar_and_never_speak_of_what_is_no_number(values):
    scores = Scores("bundle", values)
    for gauge in (failure_gauge(scores, threshold=THRESHOLD), novelty_gauge(scores)):
        if gauge is not None:
            assert 0 <= gauge.share <= 1
            assert 0 <= gauge.limit_share <= 1
            assert math.isfinite(gauge.value)


@pytest.mark.parametrize(("value", "level"), [(0.1, "normal"), (0.4, "watch"), (0.79, "watch"), (0.8, "alarm")])
def test_a_probability_is_watched_from_half_the_threshold(value, level):
    gauge = failure_gauge(Scores("b", {"FailureProbability/check_ring_wear": value}), threshold=THRESHOLD)
    assert gauge is not None
    assert gauge.level == level


def test_a_change_below_whole_percent_leaves_the_tile_equal():
    one, two = (tile_of(facts(values={"FailureProbability/x": v}), threshold=THRESHOLD) for v in (0.1201, 0.1219))
    assert one == two


def test_the_newest_unacknowledged_alarm_is_named_and_the_others_counted():
    alarms = [AlarmLine("old", "x", 1, True), AlarmLine("new", "y", 9, False), AlarmLine("older", "z", 5, False)]
    tile = tile_of(facts(alarms=alarms), threshold=THRESHOLD)
    assert tile.alarm == alarms[2]
    assert tile.more_alarms == 2


FILTERS = st.builds(
    FleetFilter,
    plant=st.sampled_from(["", "north"]),
    state=st.sampled_from(["", *CONDITIONS]),
    search=st.sampled_from(["", "imm 1"]),
    mould=st.sampled_from(["", "M-1"]),
    sort=st.sampled_from(SORTS),
    window=st.sampled_from(WINDOWS),
    density=st.sampled_from(DENSITIES),
    view=st.sampled_from(["", "wall"]),
)


@given(FILTERS)
def test_a_filter_comes_back_from_its_url(wanted):
    assert filter_of(wanted.query()) == wanted
    assert filter_of(wanted.query(window="week")) == replace(wanted, window="week")
    assert FleetFilter().query() == {}


@given(
    st.dictionaries(st.sampled_from(["plant", "state", "q", "mould", "sort", "window", "density", "view"]), st.text())
)
def test_any_url_is_a_filter(query):
    wanted = filter_of(query)
    assert filter_of(wanted.query()) == wanted


@pytest.mark.parametrize(
    ("sort", "first"), [("worst", "a"), ("name", "a"), ("pace", "c"), ("health", "b"), ("age", "b")]
)
def test_presses_stand_in_the_wanted_order_and_the_unknown_last(sort, first):
    presses = [
        replace(facts("a", values={}, ended_ms=3_000), expected_s=None),
        replace(facts("b", values={"FailureProbability/x": 0.3}, ended_ms=1_000), expected_s=18.0),
        replace(facts("c", values={"FailureProbability/x": 0.1}, ended_ms=2_000), expected_s=15.0),
    ]
    tiles = [tile_of(press, threshold=THRESHOLD) for press in presses]
    [(_, shown)] = board_of(tiles, FleetFilter(sort=sort)).plants
    assert shown[0].press_id == first
    assert sort in ("worst", "name", "age") or shown[-1].press_id == "a"


def test_a_cycle_is_told_beside_the_expected_one_and_marked_when_far_off():
    slow, usual = (replace(facts(parameters={"CycleTime": s}), expected_s=20.0) for s in (22.0, 20.5))
    slow_tile, usual_tile = (tile_of(press, threshold=THRESHOLD) for press in (slow, usual))
    assert (slow_tile.pace, slow_tile.is_off_pace) == (0.1, True)
    assert (usual_tile.pace, usual_tile.is_off_pace) == (0.02, False)
    assert tile_of(facts(), threshold=THRESHOLD).pace is None, "nothing is expected yet"


def test_an_oee_line_keeps_apart_what_is_not_known():
    account = Account(planned_ms=1_000, produced_ms=800.0, ideal_ms=760.0, paced_ms=800, shots=4)
    line = oee_line(Figures(account, oee_of(account), unheard_ms=5))
    assert line is not None
    assert (line.index, line.availability, line.effectiveness, line.quality) == (None, 0.8, 0.95, None)
    assert (line.known_product, line.unknown, line.is_unheard) == (0.76, ("quality",), True)


def test_of_many_gateways_those_are_shown_of_which_something_is_to_be_said():
    lines = [GatewayLine("p", f"g{n}", "online", 0, 0, 0.5, None) for n in range(20)]
    odd = [
        GatewayLine("p", "off", "offline", 0, 0, 0.5, None),
        GatewayLine("p", "behind", "online", 0, 9_000, 3_600.0, None),
        GatewayLine("p", "clock", "online", 0, 0, None, 900.0),
    ]
    strip = _strip(FleetFacts([], [*lines, *odd], THRESHOLD), FleetFilter())
    assert [line.gateway_id for line in strip.shown] == ["off", "behind", "clock"]
    assert strip.others == 20
    assert len(_strip(FleetFacts([], lines[:4], THRESHOLD), FleetFilter()).shown) == 4


def test_a_search_finds_press_job_and_mould_in_any_case():
    tiles = [tile_of(facts(press), threshold=THRESHOLD) for press in ("IMM-01", "IMM-02")]
    assert board_of(tiles, FleetFilter(search="imm-02")).total == 1
    assert board_of(tiles, FleetFilter(search="nothing")).total == 0


@given(npst.arrays(np.float32, st.integers(1, 6_000), elements=st.floats(-1e6, 1e6, width=32)))
def test_thinning_keeps_the_greatest_and_the_least_and_the_bound(values):
    points = thinned(values, len(values))
    assert len(points) <= POINTS_MAX + 2
    present = [point for point in points if point is not None]
    assert max(present) == pytest.approx(float(values.max()), rel=1e-4)
    assert min(present) == pytest.approx(float(values.min()), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, 10**12), SCORE), max_size=20))
def test_a_trend_runs_forward_in_time_whatever_order_shots_arrived_in(shots):
    rows = [
        stored(at + 1, ended_ms=ended_ms, values={"FailureProbability/x": value})
        for at, (ended_ms, value) in enumerate(shots)
    ]
    chart = trend_chart(T, rows, threshold=THRESHOLD)
    assert chart["x"]["values"] == sorted(chart["x"]["values"])
    json.dumps(chart, allow_nan=False)
    for panel in chart["panels"]:
        assert panel["limits"][0]["value"] == 80.0


def test_the_trend_of_a_press_with_a_quality_head_has_a_line_a_class_and_its_marks():
    values = {"QualityProbability/Target": 0.7, "QualityProbability/Waste": 0.3, "Novelty/T2": 0.5}
    rows = [stored(at, ended_ms=at * 1000, values=values) for at in (1, 2)]
    marks = marks_of(T, [Happening(1500, "job", "JOB-2", "JOB-1")])
    chart = trend_chart(T, rows, threshold=THRESHOLD, marks=marks)
    quality = chart["panels"][-1]
    assert [(line["label"], line["values"]) for line in quality["series"]] == [
        (quality_name(T, "Target"), [70.0, 70.0]),
        (quality_name(T, "Waste"), [30.0, 30.0]),
    ]
    assert [(mark["at"], mark["kind"]) for mark in chart["marks"]] == [(1.5, "job")]
    assert chart["version"] != trend_chart(T, rows, threshold=THRESHOLD)["version"]


@given(st.lists(st.sampled_from([None, "Target", "Waste"]), max_size=80))
def test_quality_shares_sum_to_one_over_the_judged_shots(classes):
    quality = quality_of([stored(at + 1, quality=name) for at, name in enumerate(classes)])
    judged = [name for name in classes if name]
    if not judged:
        assert quality is None
        return
    assert quality is not None
    assert quality.shots == len(judged)
    assert sum(share.share for share in quality.shares) == pytest.approx(1)
    assert [name for _, name, _ in quality.strip] == judged[:60][::-1]


def test_a_shot_table_has_the_usual_columns_first_and_dashes_for_what_is_missing():
    rows = [stored(2, parameters={"MeltTemperature": 230.0}), stored(1, parameters={"CycleTime": 18.0})]
    table = shot_table(rows)
    assert table.columns == ("CycleTime", "MeltTemperature")
    assert [values for _, values in table.rows] == [(None, 230.0), (18.0, None)]


@given(st.sets(st.text(min_size=1, max_size=5), max_size=30))
def test_columns_are_bounded_and_present(names):
    columns = columns_of([dict.fromkeys(names, 1.0)])
    assert set(columns) <= names
    assert len(columns) == min(len(names), COLUMNS_MAX)


def test_parameters_stand_in_the_vocabulary_s_order_then_the_unknown():
    row = stored(parameters={"zz": 1.0, "ShotVolume": 2.0, "CycleTime": 3.0, "aa": 4.0})
    assert [name for name, _ in parameters_of(row)] == ["CycleTime", "ShotVolume", "aa", "zz"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (18.2, "s", "18.2\u202fs"),
        (1234.5, "bar", "1234\u202fbar"),
        (0.004123, "", "0.004123"),
        (0.0, "", "0"),
        (-6.24, "", "−6.24"),
        (None, "s", "–"),
        (math.nan, "s", "–"),
        (123456.0, "", "123,456"),
    ],
)
def test_numbers_read_short_with_their_unit(value, unit, text):
    assert numbers.number(value, unit) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_s_text_is_the_number(value):
    text = numbers.number(value).replace("−", "-").replace(",", "")
    assert float(text) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(("share", "text"), [(0.0, "0"), (0.0004, "<1"), (0.12, "12"), (0.9999, ">99"), (1.0, "100")])
def test_percent_never_rounds_to_a_certainty(share, text):
    assert numbers.percent(share) == f"{text}\u202f%"


def test_times_are_utc_and_say_so():
    assert numbers.iso(1_767_225_600_123) == "2026-01-01T00:00:00.123Z"
    assert numbers.utc_text(1_767_225_600_123) == "2026-01-01 00:00:00 UTC"


def test_of_many_modes_and_horizons_the_one_nearest_to_its_own_threshold_is_shown() -> None:
    values = {
        "FailureProbability/pump_leakage@8h": 0.01,
        "FailureProbability/pump_leakage@72h": 0.3,
        "FailureThreshold/pump_leakage": 0.2,
        "FailureProbability/check_ring_wear@8h": 0.02,
        "FailureProbability/check_ring_wear@72h": 0.5,
        "FailureThreshold/check_ring_wear": 0.9,
    }
    gauge = failure_gauge(Scores("b", values), threshold=THRESHOLD)
    assert gauge is not None
    assert (gauge.subject, gauge.value, gauge.limit_share, gauge.level) == ("pump_leakage", 0.3, 0.2, "alarm")
