"""A recorded file becomes shots by its mapping, and a file or mapping that does not fit is refused by name."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.shot import NOT_TOLD, ProductionDataset
from edge_agent.sources.mapping import Mapping, MappingError, read_mapping
from edge_agent.sources.recorded import count_rows, read_shots

GOOD = """
press = "press-01"
[file]
delimiter = ";"
[time]
column = "when"
timezone = "Asia/Shanghai"
[columns]
"p max" = { name = "SpecificPressureMaximum", unit = "MPa" }
"t" = { name = "CycleTime", unit = "ms" }
"melt" = { name = "MeltTemperature", unit = "°F" }
"""
ROWS = "when;p max;t;melt;extra\n2026-03-01 08:00:00;90.5;17500;446;x\n2026-03-01T08:00:18+08:00;;abc;32;y\n"


def mapping_of(text: str, tmp_path: Path) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


def data_of(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_shots_in_the_vocabulary_s_units_and_in_utc(tmp_path: Path) -> None:
    mapping, data = mapping_of(GOOD, tmp_path), data_of(ROWS, tmp_path)
    assert count_rows(data, mapping) == 2
    (one, first), (two, second) = read_shots(data, mapping)
    assert (one, two) == (1, 2)
    assert first.press_id == "press-01"
    assert first.ended_ms == 1_772_323_200_000
    assert second.ended_ms - first.ended_ms == 18_000
    assert first.parameters == pytest.approx(
        {"SpecificPressureMaximum": 905.0, "CycleTime": 17.5, "MeltTemperature": 230.0}
    )
    assert math.isnan(second.parameters["SpecificPressureMaximum"]), "an empty cell is a missing reading, not a zero"
    assert math.isnan(second.parameters["CycleTime"])
    assert [row for row, _ in read_shots(data, mapping, after_row=1)] == [2]


def test_what_the_mapping_says_of_the_job_stands_in_every_shot_and_a_number_of_cavities_is_one(tmp_path: Path) -> None:
    text = 'material = "PP"\nproduct = "cap"\ncavities = 4\n' + GOOD
    shots = [shot for _, shot in read_shots(data_of(ROWS, tmp_path), mapping_of(text, tmp_path))]
    assert {(shot.material, shot.product_name, shot.cavities) for shot in shots} == {("PP", "cap", 4)}
    with pytest.raises(MappingError, match="cavities"):
        mapping_of("cavities = 0\n" + GOOD, tmp_path)


def test_a_column_of_set_values_is_of_the_production_dataset(tmp_path: Path) -> None:
    text = 'dataset = "cap 2"\n' + GOOD + '"extra" = { name = "CycleTime", unit = "ms", is_set_value = true }\n'
    rows = ROWS.replace(";x\n", ";18000\n")
    first, second = (shot for _, shot in read_shots(data_of(rows, tmp_path), mapping_of(text, tmp_path)))
    assert first.dataset == ProductionDataset("cap 2", set_points=(("CycleTime", 18.0),))
    assert first.parameters["CycleTime"] == 17.5, "what was is another column"
    assert second.dataset == ProductionDataset("cap 2"), "a cell that is no number tells nothing"
    with pytest.raises(MappingError, match="'CushionStroke' is no set point"):
        mapping_of(text.replace('"CycleTime", unit = "ms", is_set', '"CushionStroke", unit = "mm", is_set'), tmp_path)
    plain = [shot for _, shot in read_shots(data_of(ROWS, tmp_path), mapping_of(GOOD, tmp_path))]
    assert all(shot.dataset is NOT_TOLD for shot in plain)


def test_rows_without_times_are_laid_end_to_end(tmp_path: Path) -> None:
    text = GOOD.replace(
        'column = "when"\ntimezone = "Asia/Shanghai"',
        'start = 2026-01-01T00:00:00Z\nstep_column = "t"\nstep_unit = "ms"',
    )
    data = data_of("p max;t;melt\n1;1000;1\n1;2000;1\n1;3000;1\n", tmp_path)
    times = [shot.ended_ms for _, shot in read_shots(data, mapping_of(text, tmp_path))]
    assert [t - times[0] for t in times] == [0, 2_000, 5_000]


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    table = pa.table({"when": ["2026-03-01T00:00:00Z"], "p max": [90.5], "t": [17_500], "melt": [None]})
    parquet.write_table(table, tmp_path / "data.parquet")
    mapping = mapping_of(GOOD.replace('delimiter = ";"', 'kind = "parquet"'), tmp_path)
    [(_, shot)] = read_shots(tmp_path / "data.parquet", mapping)
    assert shot.parameters["SpecificPressureMaximum"] == pytest.approx(905.0)
    assert math.isnan(shot.parameters["MeltTemperature"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("SpecificPressureMaximum", "Pressure"), "'Pressure' is no parameter"),
        (GOOD.replace('unit = "MPa"', 'unit = "kN"'), "kN measures force, bar measures pressure"),
        (GOOD.replace('unit = "MPa"', 'unit = "furlong"'), "unit 'furlong' is unknown"),
        (
            GOOD.replace("CycleTime", "MeltTemperature").replace('"ms"', '"K"'),
            "MeltTemperature is given by more than one",
        ),
        (GOOD.replace("Asia/Shanghai", "Mars/Base"), "time zone 'Mars/Base' is unknown"),
        (GOOD.replace('column = "when"', ""), "give either column, or start and step_column"),
        (GOOD + "\n[surprise]\nx = 1\n", "surprise"),
        (GOOD.replace('press = "press-01"', 'press = "press 01"'), "press"),
        ("not toml [", "is not TOML"),
    ],
)
def test_a_senseless_mapping_is_refused_and_says_where(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=complaint):
        mapping_of(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("when;t;melt\n1;2;3\n", "column 'p max' is missing; the file has 'when', 't', 'melt'"),
        ("", "column 'p max', 't', 'melt', 'when' is missing"),
        (ROWS.replace("2026-03-01 08:00:00", "yesterday"), "row 1: when is 'yesterday', no time"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_says_what_is_missing(
    text: str, complaint: str, tmp_path: Path
) -> None:
    mapping, data = mapping_of(GOOD, tmp_path), data_of(text, tmp_path)
    with pytest.raises(MappingError, match=complaint):
        list(read_shots(data, mapping))


@pytest.mark.parametrize("time", ["-1", "inf", "nan", "1e300", "253402300800"])
def test_a_time_that_no_record_can_have_is_refused(time: str, tmp_path: Path) -> None:
    text = GOOD.replace('timezone = "Asia/Shanghai"', 'format = "unix_s"')
    with pytest.raises(MappingError, match="row 1: when is"):
        list(read_shots(data_of(f"when;p max;t;melt\n{time};1;2;3\n", tmp_path), mapping_of(text, tmp_path)))


def test_no_reading_is_infinite_however_it_is_written(tmp_path: Path) -> None:
    mapping = mapping_of(GOOD, tmp_path)
    [(_, shot)] = read_shots(data_of("when;p max;t;melt\n2026-03-01;1e308;-inf;nan\n", tmp_path), mapping)
    assert all(math.isnan(value) for value in shot.parameters.values())
    rows = {"when": ["2026-03-01"], "p max": [math.inf], "t": [-math.inf], "melt": [10**18]}
    parquet.write_table(pa.table(rows), tmp_path / "data.parquet")
    mapping = mapping_of(GOOD.replace('delimiter = ";"', 'kind = "parquet"'), tmp_path)
    [(_, shot)] = read_shots(tmp_path / "data.parquet", mapping)
    assert [name for name, value in shot.parameters.items() if not math.isnan(value)] == ["MeltTemperature"]


def test_a_missing_file_and_a_parquet_that_is_none_are_refused(tmp_path: Path) -> None:
    mapping = mapping_of(GOOD, tmp_path)
    with pytest.raises(MappingError, match="No such file"):
        count_rows(tmp_path / "nowhere.csv", mapping)
    mapping = mapping_of(GOOD.replace('delimiter = ";"', 'kind = "parquet"'), tmp_path)
    with pytest.raises(MappingError, match="is not Parquet"):
        count_rows(data_of(ROWS, tmp_path), mapping)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_are_rows_or_a_mapping_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    data = folder / "data.csv"
    data.write_bytes(b"when;p max;t;melt\n" + content)
    try:
        for row, shot in read_shots(data, mapping_of(GOOD, folder)):
            assert row >= 1
            assert shot.ended_ms is not None
    except MappingError:
        pass


def test_the_real_data_set_is_read_whole(shared_data: Path, root: Path) -> None:
    mapping = read_mapping(root / "deploy/mappings/polenta.toml")
    shots = [shot for _, shot in read_shots(shared_data / "polenta/data.csv", mapping)]
    assert len(shots) == 1_451
    assert all(len(shot.parameters) == 13 and not any(map(math.isnan, shot.parameters.values())) for shot in shots)
    times = [shot.ended_ms for shot in shots]
    assert times == sorted(times)
