"""What a press's charts draw: curves over their envelope, values with limits and marks, choices in the URL, CSV."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from cloud.telemetry.store import Moved, PressKey, StoredChange, StoredShot
from cloud.web.curve_charts import CURVE_POINTS, curves_chart
from cloud.web.feature_charts import features_chart, features_of, shown_features, value_of
from cloud.web.happenings import Happening
from cloud.web.numbers import deviation
from cloud.web.press_choices import Place, choices_of
from cloud.web.press_history import Reference
from cloud.web.press_log import LogLine, page_of_lines
from cloud.web.press_query import COMPARED_MAX, SPANS, PressQuery, query_of
from cloud.web.production_view import SetPoint, production_of
from cloud.web.reference import REFERENCE_SHOTS_MIN, envelope_of, healthy_of
from cloud.web.shots_csv import attachment, csv_lines
from cloud.web.translation import load_catalogues
from contract.shot import NOT_TOLD, ProductionDataset, ScoredShot, Scores, Shot
from models.features.schema import FEATURES, FEATURES_HASH, index

T = load_catalogues()["en"]
THRESHOLD = 0.8
NOW_MS = 1_700_000_000_000
SET = ProductionDataset("-d", set_points=(("HoldTime", 4.5),))


def stored(row_id=1, *, curves=None, parameters=None, mould="M-1", values=None, quality=None, features=None, **of_shot):
    curves = curves or {}
    parameters = parameters or {"CycleTime": 18.0}
    of_shot.setdefault("ended_ms", NOW_MS + row_id)
    shot = Shot("p", parameters=parameters, curves=curves, sample_interval_s=0.01, mould_id=mould, **of_shot)
    vector = np.zeros(0, np.float32) if features is None else features
    scored = ScoredShot(shot, vector, FEATURES_HASH, Scores("bundle", values or {}, quality))
    return StoredShot(row_id, PressKey("plant", "p"), "gateway", NOW_MS, False, scored)


def roles(panel) -> list[str]:
    return [line["role"] for line in panel["series"]]


@given(st.integers(1, 20_000), st.integers(0, 5))
@settings(deadline=None, max_examples=15)
def test_curves_of_any_length_share_their_axis_and_are_json(length, missing):
    wave = np.sin(np.arange(length, dtype=np.float32))
    wave[:missing] = np.nan
    row = stored(curves={"InjectionPressure": wave, "ScrewPosition": wave[: length // 2 + 1], "Odd": wave})
    other = stored(2, curves={"InjectionPressure": wave[: length // 3 + 1], "ClampForce": wave})
    shots = [each.scored.shot for each in [row] * REFERENCE_SHOTS_MIN]
    chart = curves_chart(T, row, others=[other], letters={2: "C"}, envelope=envelope_of(shots))
    assert [panel["title"] for panel in chart["panels"]] == [
        "Injection pressure", "Screw position", "Clamp force", "Odd",
    ]  # fmt: skip
    assert len(chart["x"]["values"]) <= CURVE_POINTS + 2
    for panel in chart["panels"]:
        assert "C" in [line["label"] for line in panel["series"]]
        for line in panel["series"]:
            assert len(line["values"]) == len(chart["x"]["values"])
    json.dumps(chart, allow_nan=False)


def test_a_shot_without_curves_gives_a_chart_without_panels():
    assert curves_chart(T, stored())["panels"] == []
    assert curves_chart(T, None)["panels"] == []


def test_the_envelope_is_of_the_shots_and_each_signal_stands_alone():
    rng = np.random.default_rng(1)
    base = np.linspace(0, 500, 400, dtype=np.float32)
    shots = [
        stored(at, curves={"InjectionPressure": base + np.float32(rng.normal(0, 10)), "Odd": base}).scored.shot
        for at in range(50)
    ]
    envelope = envelope_of(shots)
    assert envelope is not None
    assert envelope.shots == 50
    band = envelope.bands["InjectionPressure"]
    inside = np.isfinite(band.middle)
    assert (band.low[inside] <= band.middle[inside]).all()
    assert (band.middle[inside] <= band.high[inside]).all()
    assert 25 < float(np.median(band.high - band.low)) < 45, "5 to 95 % of a spread of 10"
    chart = curves_chart(T, stored(99, curves={"InjectionPressure": base}), envelope=envelope, wanted=["Nothing"])
    assert roles(chart["panels"][0]) == ["high", "low", "reference", "value"]
    assert "50" in chart["note"]
    assert envelope_of(shots[: REFERENCE_SHOTS_MIN - 1]) is None


def test_an_envelope_ends_where_half_of_the_shots_have_ended():
    long, short = np.ones(1_000, np.float32), np.ones(100, np.float32)
    shots = [stored(at, curves={"Odd": long if at < 3 else short}).scored.shot for at in range(REFERENCE_SHOTS_MIN)]
    envelope = envelope_of(shots)
    assert envelope is not None
    known_s = envelope.time_s[np.isfinite(envelope.bands["Odd"].middle)]
    assert 0.9 < known_s.max() <= 1.0


def test_only_healthy_shots_of_the_mould_make_the_reference():
    rows = [
        stored(1),
        stored(2, mould="M-2"),
        stored(3, values={"FailureProbability/check_ring_wear": 0.5}),
        stored(4, values={"Novelty/T2": 1.2}),
        stored(5, quality="Waste"),
        stored(6, values={"FailureProbability/check_ring_wear": 0.1, "Novelty/T2": 0.7}, quality="Target"),
    ]
    assert [row.row_id for row in healthy_of(rows, "M-1", threshold=THRESHOLD)] == [1, 6]


def trend(values, **options):
    rows = [stored(at + 1, parameters={"CushionStroke": value}, **options) for at, value in enumerate(values)]
    return rows, Reference("M-1", None, rows, 0.0)


def test_a_value_far_from_its_own_run_is_ringed_and_marks_stand_at_their_time():
    values = 6 + 0.1 * np.random.default_rng(2).normal(size=100)
    rows, reference = trend(values.tolist())
    wild = stored(101, parameters={"CushionStroke": 3.0})
    marks = [Happening(NOW_MS + 50, "mould", "M-1", "M-0"), Happening(NOW_MS + 60, "maintenance", "check_ring_wear")]
    marks.append(Happening(NOW_MS + 70, "material", "ABS", "PP"))
    marks.append(Happening(NOW_MS + 80, "dataset", "cap 2", "cap"))
    moved = Moved("HoldTime", 4.0, 4.32), Moved("BarrelTemperature1", 195.0, 199.6), Moved("Odd", 1.0, 2.0)
    marks.append(Happening(NOW_MS + 90, "set_point", moved=moved))
    chart = features_chart(T, [wild, *reversed(rows)], ["CushionStroke"], reference=reference, marks=marks)
    [panel] = chart["panels"]
    assert roles(panel) == ["value", "centre", "limit", "limit", "outside"]
    ringed = [value for value in panel["series"][-1]["values"] if value is not None]
    assert ringed[-1] == 3.0
    assert len(ringed) <= 4
    assert chart["x"]["values"] == sorted(chart["x"]["values"])
    assert [(mark["letter"], mark["label"]) for mark in chart["marks"]] == [
        ("M", "Mould M-1, before M-0"),
        ("W", "Repaired: Check-ring wear"),
        ("R", "Material ABS, before PP"),
        ("D", "Production dataset cap 2, before cap"),
        (
            "S",
            "Set: Hold time 4.32\u202fs (before 4\u202fs); Barrel temperature, zone 1 199.6\u202f°C"
            " (before 195\u202f°C); Odd 2 (before 1)",
        ),
    ]
    assert "100" in panel["note"]
    json.dumps(chart, allow_nan=False)


def test_limits_hold_for_the_mould_of_the_reference_alone():
    rows, reference = trend((6 + 0.1 * np.random.default_rng(2).normal(size=60)).tolist())
    strange = [stored(200 + at, parameters={"CushionStroke": 30.0}, mould="M-2") for at in range(5)]
    chart = features_chart(T, [*rows, *strange], ["CushionStroke"], reference=reference)
    drawn = {line["role"]: line["values"] for line in chart["panels"][0]["series"]}
    assert drawn["limit"][-5:] == drawn["outside"][-5:] == [None] * 5
    assert drawn["limit"][0] is not None


def test_without_a_run_there_are_no_limits_and_the_panel_says_so():
    rows, reference = trend([6.0] * 30)
    chart = features_chart(T, rows, ["CushionStroke", "NoSuch"], reference=reference)
    assert [roles(panel) for panel in chart["panels"]] == [["value"], ["value"]]
    assert all("No limits yet" in panel["note"] for panel in chart["panels"])
    assert features_chart(T, [], [], reference=None)["panels"] == []


def test_features_of_curves_can_be_followed_where_their_schema_is_ours():
    vector = np.full(len(FEATURES), np.nan, np.float32)
    vector[index("InjectionPressure.HoldMean")] = 444.0
    row = stored(features=vector)
    assert features_of(row) == ["CycleTime", "InjectionPressure.HoldMean"]
    assert value_of(row, "InjectionPressure.HoldMean") == 444.0
    assert math.isnan(value_of(stored(features=vector[:3]), "InjectionPressure.HoldMean"))
    assert shown_features(features_of(row), ["NoSuch"]) == ["CycleTime", "InjectionPressure.HoldMean"]


NAMES = st.lists(st.text(min_size=1, max_size=20), max_size=4, unique=True).map(tuple)
QUERIES = st.builds(
    PressQuery,
    compare=st.lists(st.integers(1, 10**12), max_size=COMPARED_MAX, unique=True).map(tuple),
    signals=NAMES,
    features=NAMES,
    span=st.sampled_from(SPANS),
)


@given(QUERIES, st.integers(1, 10**12))
@settings(max_examples=40)
def test_choices_come_back_from_their_url_and_stay_within_their_bounds(query, row_id):
    assert query_of(QueryParams(query.query())) == query
    other = query.compared(row_id)
    assert len(other.compare) <= COMPARED_MAX
    assert (row_id in other.compare) != (row_id in query.compare)
    assert len(set(other.letters.values())) == len(other.compare)


@given(st.lists(st.tuples(st.sampled_from(["compare", "signal", "feature", "span", "x"]), st.text(max_size=200))))
def test_a_url_that_nobody_made_is_read_as_far_as_it_makes_sense(pairs):
    query = query_of(QueryParams(pairs))
    assert len(query.compare) <= COMPARED_MAX
    assert query.span in SPANS
    choices = choices_of(T, Place("/p"), query, signals=["A", "B"], features=["CycleTime"], others=[])
    assert any(choice.is_on for choice in choices.signals)


async def written(rows) -> list[list[str]]:
    async def pages():
        yield rows[:2]
        yield rows[2:]

    text = "".join([part async for part in csv_lines(pages())])
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.anyio
async def test_csv_has_units_in_its_head_and_runs_no_formula():
    rows = [
        stored(
            1, parameters={"CycleTime": 18.25, "CushionStroke": math.nan}, job_name="=HYPERLINK(1)", cycle_counter=7
        ),
        replace(
            stored(
                2, mould="@m", material="=1+1", cavities=4, quality="Waste", values={"Novelty/T2": -0.5}, dataset=SET
            ),
            is_historical=True,
        ),
        stored(3, parameters={"CycleTime": -1.0, "Later": 5.0}),
    ]
    head, first, second, third = await written(rows)
    assert "CycleTime [s]" in head
    assert "CushionStroke [mm]" in head
    assert "Later" not in head, "the columns are those of the first page"
    cells = dict(zip(head, first, strict=True))
    assert (cells["CycleTime [s]"], cells["CushionStroke [mm]"], cells["job"]) == ("18.25", "", "'=HYPERLINK(1)")
    made = dict(zip(head, second, strict=True))
    assert (made["mould"], made["material"], made["product"], made["cavities"]) == ("'@m", "'=1+1", "", "4")
    assert dict(zip(head, second, strict=True))["Novelty/T2"] == "-0.5"
    assert (made["dataset"], made["set HoldTime [s]"], cells["set HoldTime [s]"]) == ("'-d", "4.5", "")
    assert dict(zip(head, third, strict=True))["CycleTime [s]"] == "-1"


def test_a_file_name_from_outside_stays_a_file_name():
    name = attachment('p"\r\nX: 1/../注塑')["Content-Disposition"]
    assert "\n" not in name
    assert name.count('"') == 2
    assert "/" not in name


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 10))
def test_pages_of_the_log_tell_each_line_once_in_its_order(times, shown):
    """As long as no moment has more lines than a page."""
    lines = [LogLine(at_ms, "done", str(at)) for at, at_ms in enumerate(times) if times[:at].count(at_ms) < shown]
    told, until_ms = [], 99
    while True:
        page = page_of_lines([line for line in lines if line.at_ms <= until_ms], shown=shown)
        told += page.lines
        if page.older_ms is None:
            break
        until_ms = page.older_ms - 1
    assert [line.at_ms for line in told] == sorted((line.at_ms for line in lines), reverse=True)
    assert {line.text for line in told} == {line.text for line in lines}


def test_the_dataset_says_since_when_and_energy_is_of_a_part_where_the_cavities_are_told():
    settings_of = [("", None), ("ABS", None), ("ABS", 4), ("PP", 4), ("PP", 2)]
    rows = [
        stored(at, material=material, product_name="cap", cavities=cavities, parameters={"EnergyPerCycle": at / 10})
        for at, (material, cavities) in enumerate(settings_of, 1)
    ]
    told = production_of(rows)
    assert told is not None
    assert [(line.name, line.text, line.since_ms) for line in told.dataset] == [
        ("job", "", None),
        ("product", "cap", None),
        ("mould", "M-1", None),
        ("material", "PP", NOW_MS + 4),
        ("cavities", "2", NOW_MS + 5),
    ]
    assert (told.part_energy_kwh, told.usual_part_energy_kwh) == (pytest.approx(0.25), pytest.approx(0.1))
    untold = production_of(rows[:2])
    assert untold is not None
    assert (untold.energy_kwh, untold.part_energy_kwh, untold.usual_part_energy_kwh) == (0.2, None, None)
    assert [line.since_ms for line in untold.dataset if line.name == "material"] == [None], "nothing was told before"


def test_set_points_stand_beside_the_last_shot_with_since_when_and_what_was_moved():
    def told(**set_points: float) -> ProductionDataset:
        return ProductionDataset("cap", "first", "4 cavities", tuple(sorted(set_points.items())))

    datasets = [
        NOT_TOLD,
        told(HoldTime=4.0, CycleTime=18.0),
        told(HoldTime=4.5, CycleTime=18.0),
        told(HoldTime=4.5, CycleTime=18.0, NozzleTemperature=230.0),
        replace(told(HoldTime=5.0, CycleTime=18.0, NozzleTemperature=230.0), name="cap 2"),
        replace(told(HoldTime=5.0, CycleTime=17.5, NozzleTemperature=230.0), name="cap 2"),
    ]
    parameters = {"CycleTime": 18.25, "HoldTime": math.nan}
    production = production_of(
        [stored(at, dataset=dataset, parameters=parameters) for at, dataset in enumerate(datasets, 1)]
    )
    assert production is not None
    assert production.set_points == (
        SetPoint("CycleTime", 17.5, 18.25, NOW_MS + 6),
        SetPoint("HoldTime", 5.0, None, NOW_MS + 5),
        SetPoint("NozzleTemperature", 230.0, None, None),
    )
    assert [(line.name, line.text, line.since_ms) for line in production.dataset[:2]] == [
        ("dataset", "cap 2", NOW_MS + 5),
        ("dataset_description", "first", None),
    ]
    assert list(production.changes) == [
        Happening(NOW_MS + 6, "set_point", moved=(Moved("CycleTime", 18.0, 17.5),)),
        Happening(NOW_MS + 5, "dataset", "cap 2", "cap"),
        Happening(NOW_MS + 3, "set_point", moved=(Moved("HoldTime", 4.0, 4.5),)),
    ]
    untold = production_of([stored(1)])
    assert untold is not None
    assert (untold.set_points, untold.changes) == ((), ())


def test_what_changed_before_the_shots_that_are_looked_at_is_told_from_the_store():
    def told(hold_s: float, cool_s: float, name: str = "cap") -> ProductionDataset:
        return ProductionDataset(name, set_points=(("CoolingTime", cool_s), ("HoldTime", hold_s)))

    rows = [stored(at, dataset=told(4.5, 9.0), job_name="new", material="PP") for at in (8, 9)]
    changes = [
        StoredChange(9, NOW_MS + 9, "new", "M-1", "newer than the rows", "M-1"),
        StoredChange(7, NOW_MS + 7, "new", "M-1", "new", "M-1", "PP", "PP", told(4.5, 9.0), told(4.5, 8.0)),
        StoredChange(5, NOW_MS + 5, "new", "M-1", "old", "M-1", "PP", "PP", told(4.5, 8.0), told(4.0, 8.0, "lid")),
        StoredChange(3, NOW_MS + 3, "old", "M-1", "old", "M-0", "PP", "", told(4.0, 8.0, "lid"), NOT_TOLD),
    ]
    production = production_of(rows, changes)
    assert production is not None
    assert [(each.name, each.since_ms) for each in production.set_points] == [
        ("HoldTime", NOW_MS + 5),
        ("CoolingTime", NOW_MS + 7),
    ]
    since = {line.name: line.since_ms for line in production.dataset}
    assert since == {"dataset": NOW_MS + 5, "job": NOW_MS + 5, "mould": NOW_MS + 3, "material": None}
    assert [(each.at_ms - NOW_MS, each.kind) for each in production.changes] == [
        (7, "set_point"),
        (5, "job"),
        (5, "dataset"),
        (3, "mould"),
    ]
    later = production_of([*rows, stored(10, dataset=told(5.0, 9.0), job_name="new", material="PP")], changes)
    assert later is not None
    assert [each.since_ms for each in later.set_points] == [NOW_MS + 10, NOW_MS + 7]


@pytest.mark.parametrize(
    ("actual", "wanted", "unit", "text"),
    [
        (379.2, 380.0, "bar", "−0.8\u202fbar"),
        (231.4, 230.0, "°C", "+1.4\u202fK"),
        (4.0001, 4.0, "s", "±0\u202fs"),
        (0.5, 0.0, "", "+0.5"),
        (None, 4.0, "s", "–"),
        (math.nan, 4.0, "s", "–"),
        (12_345.0, 20_000.0, "kN", "−7655\u202fkN"),
    ],
)
def test_a_deviation_is_as_exact_as_the_set_value_it_is_from(actual, wanted, unit, text):
    assert deviation(actual, wanted, unit) == text


def test_production_is_told_of_the_running_job_alone():
    rows = [
        stored(at, job_name="old" if at < 4 else "new", parameters={"CycleTime": 18.0 + at, "EnergyPerCycle": at / 100})
        for at in range(1, 10)
    ]
    told = production_of(rows)
    assert told is not None
    assert [(line.name, line.text, line.since_ms) for line in told.dataset] == [
        ("job", "new", NOW_MS + 4),
        ("mould", "M-1", None),
    ]
    assert (told.shots, told.since_ms, told.is_open) == (6, NOW_MS + 4, False)
    assert (told.cycle_s, told.energy_kwh, told.usual_energy_kwh) == (24.5, 0.09, pytest.approx(0.065))
    alone = production_of([stored(1)])
    assert alone is not None
    assert (alone.is_open, alone.energy_kwh, alone.usual_energy_kwh) == (True, None, None)
    assert production_of([]) is None
