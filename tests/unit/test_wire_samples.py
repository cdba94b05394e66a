"""What was once sent is read for ever: golden samples of each wire message, as bytes in contract/samples/.

A sample is never changed: a new field gets a new sample. `ZHISAN_NEW_SAMPLES=1` writes those that are not there yet.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract import commit, shot_wire, standing
from contract.commit import Commit
from contract.gaps import FULL, MISSED_CYCLES, THINNED, GapLine
from contract.shot import NOT_TOLD, SET_POINTS_MAX, ProductionDataset, Reason, ScoredShot, Scores, Shot
from contract.shot_wire import GapRecord, ShotRecord, WireError
from contract.sparkplug.codec import Metric, decode, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.standing import Refusal, Replay, Standing
from edge_agent.aliases import AliasTable

SAMPLES = Path(__file__).parents[2] / "contract" / "samples"
EPOCH, INSTANCE = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
PRESS, ENDED_MS = "IMM-01", 1_764_000_000_123
CURVE = np.array([0.0, 12.5, 700.25, -1.0], np.float32)
SHOT = Shot(
    PRESS,
    ENDED_MS,
    {"CycleTime": 17.25, "CushionStroke": float("nan")},
    {"InjectionPressure": CURVE},
    0.005,
    4711,
    "job 7",
    "mould-3",
)
OF_JOB = replace(SHOT, material="PP MFR 12, 色母 3 %", product_name="cap", cavities=4)
SET = ProductionDataset(
    "Kappe 4-fach", "Anlauf 盖子", "4 cavities", (("BarrelTemperature1", 195.0), ("HoldTime", 4.25))
)
OF_DATASET = replace(OF_JOB, dataset=SET)
SCORES = Scores(
    "bundle-1",
    {"FailureProbability/check_ring_wear@24h": 0.125, "Novelty/T2": 0.5},
    "good",
    (Reason("cushion_stroke", 5.5, -3.25),),
)
SCORED = ScoredShot(SHOT, np.array([1.5, np.nan], np.float32), "f00d", SCORES)
SCORED_OF_JOB = replace(SCORED, shot=OF_JOB)
SCORED_OF_DATASET = replace(SCORED, shot=OF_DATASET)
LINES = (
    GapLine("IMM-01", THINNED, 3, ENDED_MS - 60_000, ENDED_MS),
    GapLine("IMM-02", MISSED_CYCLES, 2, ENDED_MS - 9, ENDED_MS - 1),
)


def aliases() -> AliasTable:
    """Aliases are numbered in the order in which they are asked for: the same ones in each run."""
    table = AliasTable(())
    table.add_press(PRESS)
    shot_wire.body_metrics(SCORED, table.of(PRESS))
    shot_wire.curve_metrics(SHOT, table.of(PRESS))
    return table


def record_bytes(*parts: list[Metric], record_id: int) -> bytes:
    head = shot_wire.head_metrics(EPOCH, record_id, ENDED_MS, aliases().of(PRESS))
    return b"".join(encode_metrics(part) for part in (head, *parts))


def aliases_of_job() -> AliasTable:
    """The same table after a shot that tells its material, product and cavities: the old aliases stay."""
    table = aliases()
    shot_wire.body_metrics(SCORED_OF_JOB, table.of(PRESS))
    return table


def aliases_of_dataset() -> AliasTable:
    """The same table after a shot that tells its production dataset."""
    table = aliases_of_job()
    shot_wire.body_metrics(SCORED_OF_DATASET, table.of(PRESS))
    return table


def known(birth_name: str) -> dict[int | str, tuple[str, DataType | None]]:
    """What a sample of a birth tells a host of aliases."""
    birth = decode(stored(birth_name))
    return {m.alias: (m.name, m.datatype) for m in birth.metrics if m.alias is not None and m.name is not None}


def stored(name: str) -> bytes:
    return bytes.fromhex((SAMPLES / f"{name}.hex").read_text(encoding="ascii"))


def encoded() -> dict[str, bytes]:
    alias_of = aliases().of(PRESS)
    body, curves = shot_wire.body_metrics(SCORED, alias_of), shot_wire.curve_metrics(SHOT, alias_of)
    of_job = shot_wire.body_metrics(SCORED_OF_JOB, aliases_of_job().of(PRESS))
    of_dataset = shot_wire.body_metrics(SCORED_OF_DATASET, aliases_of_dataset().of(PRESS))
    dropped = shot_wire.curves_dropped_metrics(ENDED_MS, FULL, alias_of)
    joined = shot_wire.gap_metrics(ENDED_MS, THINNED, alias_of, lines=LINES, last_id=14)
    stands = Standing(INSTANCE, EPOCH, 1, 5, 9, 12)
    word = Commit(EPOCH, 100, ((105, 109), (120, 120)))
    return {
        "press_birth": encode_metrics(aliases().birth_metrics(PRESS, ENDED_MS)),
        "record_shot": record_bytes(body, curves, record_id=7),
        "record_shot_without_curves": record_bytes(body, dropped, record_id=8),
        "press_birth_with_material": encode_metrics(aliases_of_job().birth_metrics(PRESS, ENDED_MS)),
        "record_shot_with_material": record_bytes(of_job, curves, record_id=11),
        "press_birth_with_dataset": encode_metrics(aliases_of_dataset().birth_metrics(PRESS, ENDED_MS)),
        "record_shot_with_dataset": record_bytes(of_dataset, curves, record_id=12),
        "record_gap": record_bytes(shot_wire.gap_metrics(ENDED_MS, FULL, alias_of), record_id=9),
        "record_gap_joined": record_bytes(joined, record_id=10),
        "gateway_standing": encode_metrics(standing.birth_metrics(stands)),
        "gateway_words_of_the_host": encode_metrics(standing.words_of_the_host()),
        "order_commit": encode_metrics(commit.to_metrics(word)),
        "order_replay": encode_metrics(standing.order_metrics(Replay(EPOCH, 42))),
        "order_refusal": encode_metrics(standing.order_metrics(Refusal(INSTANCE, "another was here before"))),
    }


def record(name: str, birth_name: str = "press_birth") -> ShotRecord | GapRecord | None:
    return shot_wire.record_of(PRESS, decode(stored(name), known(birth_name)).metrics)


@pytest.mark.parametrize("name", sorted(encoded()))
def test_today_the_same_bytes_are_written(name: str) -> None:
    file = SAMPLES / f"{name}.hex"
    if os.environ.get("ZHISAN_NEW_SAMPLES") and not file.exists():
        file.write_text(encoded()[name].hex() + "\n", encoding="ascii")
    assert encoded()[name] == stored(name)


def test_every_sample_is_read_by_a_test() -> None:
    assert {file.stem for file in SAMPLES.glob("*.hex")} == set(encoded())


def test_a_shot_of_that_time_is_read_whole() -> None:
    found = record("record_shot")
    assert isinstance(found, ShotRecord)
    assert (found.epoch, found.record_id, found.curves_dropped) == (EPOCH, 7, "")
    shot, scores = found.scored.shot, found.scored.scores
    assert (shot.press_id, shot.ended_ms, shot.cycle_counter) == (PRESS, ENDED_MS, 4711)
    assert (shot.job_name, shot.mould_id, shot.sample_interval_s) == ("job 7", "mould-3", 0.005)
    assert shot.parameters["CycleTime"] == 17.25
    assert np.isnan(shot.parameters["CushionStroke"])
    np.testing.assert_array_equal(shot.curves["InjectionPressure"], CURVE)
    np.testing.assert_array_equal(found.scored.features, SCORED.features)
    assert (found.scored.features_hash, scores) == ("f00d", SCORES)
    assert (shot.material, shot.product_name, shot.cavities) == ("", "", None), "it was sent before these were"


def test_a_shot_says_what_of_and_how_many_parts_it_makes() -> None:
    found = record("record_shot_with_material", "press_birth_with_material")
    assert isinstance(found, ShotRecord)
    shot = found.scored.shot
    assert (shot.material, shot.product_name, shot.cavities) == ("PP MFR 12, 色母 3 %", "cap", 4)
    assert (shot.mould_id, shot.cycle_counter, found.scored.scores) == ("mould-3", 4711, SCORES)
    assert shot.dataset is NOT_TOLD, "it was sent before this was"


def test_a_shot_says_what_the_press_is_set_to_with_the_unit_of_each_set_point_in_the_birth() -> None:
    found = record("record_shot_with_dataset", "press_birth_with_dataset")
    assert isinstance(found, ShotRecord)
    assert (found.scored.shot.dataset, found.scored.shot.material) == (SET, OF_JOB.material)
    units = {metric.name: metric.properties for metric in decode(stored("press_birth_with_dataset")).metrics}
    told = units["SetPoints/BarrelTemperature1"]
    assert told is not None
    assert told["engUnit"].value == "°C"
    assert units["Dataset/Name"] is None


def test_a_set_point_without_a_number_is_not_told_and_a_dataset_without_anything_is_none() -> None:
    metrics = decode(stored("record_shot_with_dataset"), known("press_birth_with_dataset")).metrics
    holes = [metric._replace(value=None) if metric.name == "SetPoints/HoldTime" else metric for metric in metrics]
    found = shot_wire.record_of(PRESS, holes)
    assert isinstance(found, ShotRecord)
    assert found.scored.shot.dataset.set_points == (("BarrelTemperature1", 195.0),)
    groups = ("SetPoints/", "Dataset/")
    nothing = [m._replace(value=None) if (m.name or "").startswith(groups) else m for m in metrics]
    found = shot_wire.record_of(PRESS, nothing)
    assert isinstance(found, ShotRecord)
    assert found.scored.shot.dataset is NOT_TOLD


@pytest.mark.parametrize(
    ("name", "value"),
    [(shot_wire.CAVITIES, 0), (shot_wire.CAVITIES, 10**6), (shot_wire.MATERIAL, "P" * 257), (shot_wire.MATERIAL, 3)],
)
def test_a_material_or_number_of_cavities_beyond_its_bound_is_refused_by_name(name: str, value: object) -> None:
    metrics = decode(stored("record_shot_with_material"), known("press_birth_with_material")).metrics
    changed = [metric._replace(value=value) if metric.name == name else metric for metric in metrics]
    with pytest.raises(WireError, match=name):
        shot_wire.record_of(PRESS, changed)


@pytest.mark.parametrize(("name", "value"), [(shot_wire.DATASET_NAME, "P" * 257), ("SetPoints/HoldTime", "4")])
def test_a_production_dataset_of_another_kind_is_refused_by_name(name: str, value: object) -> None:
    metrics = decode(stored("record_shot_with_dataset"), known("press_birth_with_dataset")).metrics
    changed = [metric._replace(value=value) if metric.name == name else metric for metric in metrics]
    with pytest.raises(WireError, match=name):
        shot_wire.record_of(PRESS, changed)
    many = [*metrics, *(Metric(f"SetPoints/{number}", 1.0, DataType.Double) for number in range(SET_POINTS_MAX))]
    with pytest.raises(WireError, match="at most"):
        shot_wire.record_of(PRESS, many)


def test_a_shot_without_its_curves_says_why() -> None:
    found = record("record_shot_without_curves")
    assert isinstance(found, ShotRecord)
    assert (found.curves_dropped, dict(found.scored.shot.curves)) == (FULL, {})


def test_gaps_of_that_time_are_accounted_for() -> None:
    alone = GapLine(PRESS, FULL, 1, ENDED_MS, ENDED_MS)
    assert record("record_gap") == GapRecord(EPOCH, 9, 9, ENDED_MS, FULL, (alone,))
    assert record("record_gap_joined") == GapRecord(EPOCH, 10, 14, ENDED_MS, THINNED, LINES)


def test_what_gateway_and_host_said_of_the_journal_is_understood() -> None:
    birth = {metric.name or "": metric.value for metric in decode(stored("gateway_standing")).metrics}
    assert standing.from_birth(birth) == Standing(INSTANCE, EPOCH, 1, 5, 9, 12)
    words = [metric.name for metric in decode(stored("gateway_words_of_the_host")).metrics]
    assert words == [commit.COMMITTED, commit.RANGES, standing.REPLAY_FROM, standing.REFUSED]
    word = commit.from_metrics(decode(stored("order_commit")).metrics)
    assert word == Commit(EPOCH, 100, ((105, 109), (120, 120)))
    assert standing.order_of(decode(stored("order_replay")).metrics) == Replay(EPOCH, 42)
    refusal = standing.order_of(decode(stored("order_refusal")).metrics)
    assert refusal == Refusal(INSTANCE, "another was here before")
