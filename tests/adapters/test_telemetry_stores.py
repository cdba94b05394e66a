"""Every telemetry store passes this one suite."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.entitlements.sight import Sight
from cloud.telemetry.datasets import KEPT_MAX, Datasets, dataset_id
from cloud.telemetry.duckdb_store import DuckDBStore, shots_in
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import (
    FeatureRows,
    FeatureSet,
    GapFilter,
    GatewayKey,
    IncomingGap,
    IncomingShot,
    Missing,
    Moved,
    PressKey,
    Span,
    StoredChange,
    StoredCycle,
    StoredGap,
    TelemetryError,
    TelemetryStore,
)
from contract.shot import NOT_TOLD, ProductionDataset, Reason, ScoredShot, Scores, Shot

GATEWAY = GatewayKey("plant-1", "gw-1")
ALL = frozenset({"plant-1", "plant-2"})
EVERYWHERE = GapFilter(frozenset({"plant-1"}))
Opened = Callable[[], TelemetryStore]
DATASET = ProductionDataset("生产 1", "first", "4 cavities", (("CoolingTime", 8.0), ("HoldTime", 0.1 + 0.2)))


def arrival(
    record_id: int, *, press_id: str = "press-01", ended_ms: int | None = None, epoch: str = "e1"
) -> IncomingShot:
    shot = Shot(
        press_id=press_id,
        ended_ms=1_000 * record_id if ended_ms is None else ended_ms,
        parameters={"CycleTime": 17.5 + record_id, "CushionStroke": float("nan")},
        curves={"InjectionPressure": np.arange(2_500, dtype=np.float32), "ClampForce": np.ones(3, np.float32)},
        sample_interval_s=0.005,
        cycle_counter=record_id,
        job_name="job",
        mould_id="mould",
        material="PP",
        product_name="cap",
        cavities=record_id if record_id % 2 else None,
        dataset=DATASET if record_id % 2 else NOT_TOLD,
    )
    scores = Scores("b1", {"FailureProbability/check_ring_wear": 0.25}, "target", (Reason("CushionStroke", 5.0, -3.5),))
    scored = ScoredShot(shot, np.arange(4, dtype=np.float32), "hash", scores)
    return IncomingShot(GATEWAY, epoch, record_id, 2_000 + record_id, False, scored)


def gap(record_id: int, reason: str = "thinned") -> IncomingGap:
    return IncomingGap(GATEWAY, "e1", record_id, 9, "press-01", 1_000 * record_id, reason)


@pytest.fixture(params=["memory", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TelemetryStore]:
    opened: TelemetryStore = MemoryStore() if request.param == "memory" else DuckDBStore(tmp_path / "t.duckdb")
    yield opened
    opened.close()


def test_a_shot_comes_back_as_it_was(store: TelemetryStore) -> None:
    [row_id] = store.write([arrival(7)])
    assert row_id == 1
    row = store.shot(ALL, 1)
    assert row is not None
    sent, got = arrival(7).scored, row.scored
    assert (got.shot.ended_ms, got.shot.cycle_counter, got.shot.job_name, got.shot.mould_id) == (
        7_000,
        7,
        "job",
        "mould",
    )
    assert (got.shot.material, got.shot.product_name, got.shot.cavities) == ("PP", "cap", 7)
    assert got.shot.dataset == DATASET
    assert got.shot.parameters["CycleTime"] == 24.5
    assert np.isnan(got.shot.parameters["CushionStroke"])
    assert got.scores == sent.scores
    assert got.shot.sample_interval_s == 0.005
    assert {name: list(c) for name, c in got.shot.curves.items()} == {n: list(c) for n, c in sent.shot.curves.items()}
    np.testing.assert_array_equal(got.features, sent.features)
    assert (row.press, row.gateway_id, row.received_ms, row.is_historical) == (
        PressKey("plant-1", "press-01"), "gw-1", 2_007, False,
    )  # fmt: skip
    assert store.shot(ALL, 2) is None


def test_a_record_is_stored_once_however_often_it_arrives(store: TelemetryStore) -> None:
    assert store.write([arrival(1), arrival(2), arrival(1)]) == [1, 2, None]
    assert store.write([arrival(2), arrival(3)]) == [None, 3]
    assert store.write([arrival(1, epoch="e2")]) == [4], "another epoch is another journal"
    assert store.counts(ALL) == {PressKey("plant-1", "press-01"): 4}
    assert list(store.committed(GATEWAY, "e1")) == [(1, 3)]
    assert list(store.committed(GATEWAY, "e2")) == [(1, 1)]
    assert list(store.committed(GatewayKey("plant-1", "gw-2"), "e1")) == []


def test_cycles_are_what_shots_say_of_production(store: TelemetryStore) -> None:
    timeless = arrival(2)
    shot = replace(timeless.scored.shot, parameters={"CushionStroke": 5.0})
    timeless = replace(timeless, scored=replace(timeless.scored, shot=shot))
    store.write([arrival(1), timeless, arrival(3)])
    press = PressKey("plant-1", "press-01")
    assert store.cycles(0, limit=2) == [
        StoredCycle(1, press, 1_000, "mould", 18.5, "target"),
        StoredCycle(2, press, 2_000, "mould", None, "target"),
    ]
    assert [cycle.row_id for cycle in store.cycles(2, limit=9)] == [3]


def test_shots_of_one_press_come_with_their_curves_and_no_others(store: TelemetryStore) -> None:
    store.write([arrival(1), arrival(2, press_id="press-02"), arrival(3)])
    press = PressKey("plant-1", "press-01")
    found = store.shots(ALL, press, [3, 1, 2, 3, 99])
    assert [row.row_id for row in found] == [1, 3]
    for row in found:
        alone = store.shot(ALL, row.row_id)
        assert alone is not None
        assert row.scored.shot.sample_interval_s == 0.005
        for name, curve in alone.scored.shot.curves.items():
            np.testing.assert_array_equal(row.scored.shot.curves[name], curve)
    assert store.shots(frozenset({"plant-2"}), press, [1]) == []
    assert store.shots(ALL, press, []) == []


def test_shots_between_two_times_are_read_in_pages_by_the_press_s_own_time(store: TelemetryStore) -> None:
    times = [5_000, 1_000, 4_000, 4_000, 9_000, 2_000]
    store.write([arrival(at, ended_ms=ended_ms) for at, ended_ms in enumerate(times, 1)])
    press, before, seen = PressKey("plant-1", "press-01"), (5_000, 1 << 62), []
    while page := store.between(ALL, press, from_ms=2_000, before=before, limit=2):
        before = page[-1].scored.shot.ended_ms, page[-1].row_id
        seen += [(row.scored.shot.ended_ms, row.row_id) for row in page]
    assert seen == [(5_000, 1), (4_000, 4), (4_000, 3), (2_000, 6)]
    assert store.between(frozenset(), press, from_ms=0, before=(9_999, 1 << 62), limit=9) == []
    assert store.between(ALL, PressKey("plant-1", "other"), from_ms=0, before=(9_999, 1 << 62), limit=9) == []


def test_a_change_of_job_or_mould_stands_at_the_first_shot_after_it(store: TelemetryStore) -> None:
    settings_of = [("a", "m1"), ("a", "m1"), ("b", "m1"), ("b", "m2"), ("", "m2")]
    records = []
    for at, (job_name, mould_id) in enumerate(settings_of, 1):
        record = arrival(at)
        shot = replace(record.scored.shot, job_name=job_name, mould_id=mould_id, material="", dataset=NOT_TOLD)
        records.append(replace(record, scored=replace(record.scored, shot=shot)))
    store.write([*reversed(records), arrival(9, press_id="press-02")])
    press = PressKey("plant-1", "press-01")
    found = store.changes(ALL, press, from_ms=0, until_ms=99_000, limit=9)
    assert found == [
        StoredChange(1, 5_000, "", "m2", "b", "m2"),
        StoredChange(2, 4_000, "b", "m2", "b", "m1"),
        StoredChange(3, 3_000, "b", "m1", "a", "m1"),
    ]
    assert store.changes(ALL, press, from_ms=0, until_ms=4_000, limit=1) == found[1:2]
    assert store.changes(ALL, press, from_ms=4_000, until_ms=4_500, limit=9) == found[1:2]
    assert store.changes(frozenset({"plant-2"}), press, from_ms=0, until_ms=99_000, limit=9) == []


def test_a_change_of_material_is_from_one_that_was_told_to_one_that_is(store: TelemetryStore) -> None:
    records = []
    for at, material in enumerate(["", "PP", "PP", "ABS", "", "PP"], 1):
        record = arrival(at)
        shot = replace(record.scored.shot, material=material, mould_id="late" if at == 6 else "mould")
        shot = replace(shot, dataset=NOT_TOLD)
        records.append(replace(record, scored=replace(record.scored, shot=shot)))
    store.write(records)
    found = store.changes(ALL, PressKey("plant-1", "press-01"), from_ms=0, until_ms=99_000, limit=9)
    assert found == [
        StoredChange(6, 6_000, "job", "late", "job", "mould", "PP", ""),
        StoredChange(4, 4_000, "job", "mould", "job", "mould", "ABS", "PP"),
    ]
    assert [change.is_other_material for change in found] == [False, True]


def test_a_change_of_dataset_or_set_point_is_from_a_told_one_to_a_told_one(store: TelemetryStore) -> None:
    def told(name: str, **set_points: float) -> ProductionDataset:
        return ProductionDataset(name, set_points=tuple(sorted(set_points.items())))

    datasets = [
        NOT_TOLD,
        told("a", HoldTime=4.0),
        told("a", HoldTime=4.5, CoolingTime=8.0),
        told("a", CoolingTime=8.0),
        told("a", CoolingTime=8.0, HoldTime=4.5),
        told("b", CoolingTime=9.0, HoldTime=4.5),
        told("b", CoolingTime=9.5, HoldTime=4.5),
        told("b", CoolingTime=10.0, HoldTime=4.5),
        NOT_TOLD,
    ]
    records = []
    for at, dataset in enumerate(datasets, 1):
        record = arrival(at)
        shot = replace(record.scored.shot, dataset=dataset, material="", mould_id="late" if at == 8 else "mould")
        records.append(replace(record, scored=replace(record.scored, shot=shot)))
    store.write(records[:5])
    store.write(records[5:])
    found = store.changes(ALL, PressKey("plant-1", "press-01"), from_ms=0, until_ms=99_000, limit=9)
    assert [change.row_id for change in found] == [9, 8, 7, 6, 3], "a set point that is told anew has not moved"
    assert [change.is_other_dataset for change in found] == [False, False, False, True, False]
    assert [change.moved for change in found] == [
        (),
        (),
        (Moved("CoolingTime", 9.0, 9.5),),
        (),
        (Moved("HoldTime", 4.0, 4.5),),
    ], "another mould or dataset brings set points of its own"
    assert [row.scored.shot.dataset for row in reversed(store.after(0, limit=9))] == datasets[::-1]


def test_a_dataset_is_stored_once_and_found_again_by_who_never_saw_it(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    for at in (1, 3, 5):
        store = DuckDBStore(path)
        store.write([arrival(at), arrival(at + 1)])
        store.close()
    with duckdb.connect(str(path)) as connection:
        [[stored]] = connection.execute("SELECT count(*) FROM datasets").fetchall()
    store = DuckDBStore(path)
    latest = store.recent(ALL, PressKey("plant-1", "press-01"), limit=2)
    store.close()
    assert (stored, [row.scored.shot.dataset for row in latest]) == (1, [NOT_TOLD, DATASET])


def test_of_more_datasets_than_are_remembered_each_has_its_id_and_the_newest_are_known() -> None:
    kept = Datasets()
    told = [ProductionDataset(str(number)) for number in range(KEPT_MAX + 1)]
    for dataset in told:
        number = dataset_id(dataset)
        assert number is not None
        kept.keep(number, dataset)
    ids = [kept.id_of(dataset) for dataset in told]
    assert ids == [dataset_id(dataset) for dataset in told]
    assert len(set(ids)) == KEPT_MAX + 1
    assert kept.known(number for number in ids[:2] if number is not None) == {ids[1]: told[1]}


def test_a_file_of_before_materials_is_read_checked_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    store = DuckDBStore(path)
    store.write([arrival(1)])
    store.close()
    with duckdb.connect(str(path)) as connection:
        for column in ("material", "product_name", "cavities", "dataset_id"):
            connection.execute(f"ALTER TABLE shots DROP COLUMN {column}")
        connection.execute("DROP TABLE datasets")
    assert shots_in(path) == 1, "what opening adds is no other version"
    store = DuckDBStore(path)
    store.write([arrival(3)])
    old, new = (store.shot(ALL, row_id) for row_id in (1, 2))
    store.close()
    assert old is not None
    assert new is not None
    told = [(s.material, s.product_name, s.cavities, s.dataset) for s in (old.scored.shot, new.scored.shot)]
    assert told == [("", "", None, NOT_TOLD), ("PP", "cap", 3, DATASET)]


def test_a_gap_is_durable_and_stands_in_the_ledger(store: TelemetryStore) -> None:
    assert store.write([arrival(1), gap(2), gap(3), arrival(4), gap(4)]) == [1, None, None, 2, None]
    assert list(store.committed(GATEWAY, "e1")) == [(1, 4)]
    press = PressKey("plant-1", "press-01")
    assert store.gaps(EVERYWHERE, limit=5) == [StoredGap(2, "shot", press, "gw-1", "thinned", 2, 2_000, 3_000)]


def test_a_shot_without_its_curves_is_stored_and_its_curves_stand_in_the_ledger(store: TelemetryStore) -> None:
    poorer = [replace(arrival(n), curves_dropped="full") for n in (1, 2)]
    assert store.write([*poorer, arrival(3), poorer[0]]) == [1, 2, 3, None]
    press = PressKey("plant-1", "press-01")
    assert store.gaps(EVERYWHERE, limit=5) == [StoredGap(2, "curves", press, "gw-1", "full", 2, 1_000, 2_000)]
    assert store.counts(ALL) == {press: 3}


def test_what_is_missing_of_a_time_is_summed_by_press_kind_and_reason(store: TelemetryStore) -> None:
    elsewhere = replace(gap(9), gateway=GatewayKey("plant-3", "gw-1"))
    poorer = replace(arrival(6), curves_dropped="full")
    lost = IncomingGap(GATEWAY, "e1", 20, 9, "", 4_000, "lost_at_host", last_record_id=24)
    store.write([gap(2), gap(3), gap(4), gap(5, "damaged"), poorer, lost, elsewhere])
    press, nobodys = PressKey("plant-1", "press-01"), PressKey("plant-1", "")
    assert store.missing(ALL, from_ms=3_000, until_ms=6_001) == [
        Missing(nobodys, "shot", "lost_at_host", 5),
        Missing(press, "curves", "full", 1),
        Missing(press, "shot", "damaged", 1),
        Missing(press, "shot", "thinned", 2),
    ]
    assert store.missing(ALL, from_ms=3_000, until_ms=3_000) == []
    assert store.missing(frozenset(), from_ms=0, until_ms=9_000) == []


def test_a_range_of_lost_ids_counts_those_that_are_not_stored(store: TelemetryStore) -> None:
    lost = IncomingGap(GATEWAY, "e1", 1, 9, "", 7_000, "lost_at_host", last_record_id=9)
    assert store.write([arrival(4), lost, lost, arrival(5)]) == [1, None, None, None]
    assert list(store.committed(GATEWAY, "e1")) == [(1, 9)]
    nobodys = PressKey("plant-1", "")
    assert store.gaps(EVERYWHERE, limit=5) == [StoredGap(2, "shot", nobodys, "gw-1", "lost_at_host", 8, 7_000, 7_000)]


def test_the_ledger_is_read_by_plant_press_and_reason_a_page_at_a_time(store: TelemetryStore) -> None:
    elsewhere = replace(gap(1), gateway=GatewayKey("plant-2", "gw-1"))
    store.write([gap(1), replace(gap(2, "damaged"), ended_ms=1_000), replace(gap(3), press_id="press-02"), elsewhere])
    everything = store.gaps(EVERYWHERE, limit=9)
    assert [(line.to_ended_ms, line.gap_id) for line in everything] == [(3_000, 3), (1_000, 2), (1_000, 1)]
    paged, before = [], None
    while page := store.gaps(EVERYWHERE, limit=1, before=before):
        paged += page
        before = page[0].to_ended_ms, page[0].gap_id
    assert paged == everything
    assert store.gaps(replace(EVERYWHERE, press_id="press-02"), limit=9) == everything[:1]
    assert store.gaps(replace(EVERYWHERE, reason="damaged"), limit=9) == everything[1:2]
    assert store.gaps(replace(EVERYWHERE, press_id="press-02", reason="damaged"), limit=9) == []
    assert store.gaps(GapFilter(frozenset()), limit=9) == []
    assert len(store.gaps(GapFilter(frozenset({"plant-1", "plant-2"})), limit=9)) == 4


def test_no_reader_gets_at_a_plant_that_is_not_his(store: TelemetryStore) -> None:
    """Whatever press or row was asked for: a check that was forgotten further up shows nothing of another tenant."""
    theirs = replace(arrival(2), gateway=GatewayKey("plant-2", "gw-1"))
    store.write([arrival(1), theirs, replace(gap(3), gateway=theirs.gateway)])
    own, foreign = frozenset({"plant-1"}), PressKey("plant-2", "press-01")
    for plants in (own, frozenset[str]()):
        assert store.recent(plants, foreign, limit=9) == []
        assert store.shot(plants, 2) is None
        assert ids(store.features(plants, foreign, FOUR, after=(0, EVER), until_ms=EVER, limit=9)) == []
        assert store.gaps(GapFilter(plants), limit=9) == []
        for found in (store.latest(plants), store.counts(plants), store.spans(plants, "hash", after_ms=0)):
            assert found.keys() == ({PRESS} if plants else set())
    assert [row.row_id for row in store.recent(own, PRESS, limit=9)] == [1]
    assert store.shot(own, 1) is not None
    both = frozenset({"plant-1", "plant-2"})
    assert store.total() == 2
    assert store.counts(both).keys() == store.latest(both).keys() == {PRESS, foreign}
    assert store.shot(both, 2) is not None
    assert store.features(both, foreign, FOUR, after=(0, EVER), until_ms=EVER, limit=9).features.shape == (1, 4)
    assert len(store.gaps(GapFilter(both), limit=9)) == 1


def test_readers_page_by_row_id(store: TelemetryStore) -> None:
    store.write([arrival(n, press_id=f"press-{n % 2}") for n in range(1, 8)])
    newest = store.recent(ALL, PressKey("plant-1", "press-1"), limit=2)
    assert [row.row_id for row in newest] == [7, 5]
    assert [row.row_id for row in store.recent(ALL, PressKey("plant-1", "press-1"), limit=9, before=5)] == [3, 1]
    assert [row.row_id for row in store.after(4, limit=2)] == [5, 6]
    assert store.after(7, limit=2) == []
    assert store.recent(ALL, PressKey("plant-2", "press-1"), limit=2) == []
    assert all(not row.scored.shot.curves for row in newest)


def test_latest_goes_by_the_time_of_the_press_not_of_arrival(store: TelemetryStore) -> None:
    store.write([arrival(2, ended_ms=9_000), arrival(1, ended_ms=4_000)])
    assert store.latest(ALL)[PressKey("plant-1", "press-01")].scored.shot.ended_ms == 9_000


FOUR = FeatureSet("hash", 4)
PRESS = PressKey("plant-1", "press-01")
EVER = 1 << 62


def ids(rows: FeatureRows) -> list[int]:
    assert len(rows.row_ids) == len(rows.ended_ms) == len(rows.mould_ids) == len(rows.features)
    return list(rows.row_ids)


def of_features(shot: IncomingShot, features_hash: str, width: int) -> IncomingShot:
    features = np.full(width, shot.record_id, np.float32)
    return replace(shot, scored=replace(shot.scored, features=features, features_hash=features_hash))


def test_features_come_in_the_order_of_the_press_s_own_time(store: TelemetryStore) -> None:
    late = [arrival(1, ended_ms=5_000), arrival(2, ended_ms=1_000), arrival(3, ended_ms=5_000)]
    store.write([*late, arrival(4, ended_ms=9_000), arrival(5, press_id="press-02", ended_ms=2_000)])
    found = store.features(ALL, PRESS, FOUR, after=(0, EVER), until_ms=EVER, limit=9)
    assert (ids(found), list(found.ended_ms), set(found.mould_ids)) == (
        [2, 1, 3, 4],
        [1_000, 5_000, 5_000, 9_000],
        {"mould"},
    )
    assert found.features.dtype == np.float32
    np.testing.assert_array_equal(found.features, [[0, 1, 2, 3]] * 4)
    assert ids(store.features(ALL, PRESS, FOUR, after=(1_000, EVER), until_ms=8_999, limit=9)) == [1, 3]
    assert ids(store.features(ALL, PRESS, FOUR, after=(5_000, 1), until_ms=EVER, limit=9)) == [3, 4], (
        "times may be equal"
    )


def test_features_of_another_kind_are_left_out(store: TelemetryStore) -> None:
    strange = [of_features(arrival(2), "other", 4), of_features(arrival(3), "hash", 5), of_features(arrival(4), "x", 0)]
    store.write([arrival(1), *strange, arrival(5)])
    found = store.features(ALL, PRESS, FOUR, after=(0, EVER), until_ms=EVER, limit=9)
    assert ids(found) == [1, 3, 5]
    np.testing.assert_array_equal(found.features, [[0, 1, 2, 3], [np.nan] * 4, [0, 1, 2, 3]], "five are not four")
    nothing = store.features(ALL, PressKey("plant-2", "press-01"), FOUR, after=(0, EVER), until_ms=EVER, limit=9)
    assert nothing.features.shape == (0, 4)
    assert store.features(ALL, PRESS, FeatureSet("x", 4), after=(0, EVER), until_ms=EVER, limit=9).features.shape == (
        1,
        4,
    )


def test_a_missing_feature_stays_missing(store: TelemetryStore) -> None:
    shot = arrival(1)
    store.write([replace(shot, scored=replace(shot.scored, features=np.array([1, np.nan, 3, np.inf], np.float32)))])
    found = store.features(ALL, PRESS, FOUR, after=(0, EVER), until_ms=EVER, limit=1)
    np.testing.assert_array_equal(found.features, [[1, np.nan, 3, np.inf]])


def test_spans_say_what_there_is_of_each_press(store: TelemetryStore) -> None:
    more = [arrival(4, press_id="press-02"), of_features(arrival(5), "other", 4)]
    store.write([*(arrival(n) for n in (3, 1, 2)), *more])
    assert store.spans(ALL, "hash", after_ms=0) == {
        PRESS: Span(3, 1_000, 3_000),
        PressKey("plant-1", "press-02"): Span(1, 4_000, 4_000),
    }
    assert store.spans(ALL, "hash", after_ms=2_000)[PRESS] == Span(1, 3_000, 3_000)
    assert store.spans(ALL, "hash", after_ms=4_000) == {}
    assert store.spans(ALL, "none", after_ms=0) == {}


@settings(max_examples=15, deadline=None)
@given(times=st.lists(st.integers(0, 6), max_size=30), limit=st.integers(1, 8), until_ms=st.integers(-1, 7))
def test_pages_of_features_join_to_the_whole_however_equal_the_times(
    times: list[int], limit: int, until_ms: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shots = [
        arrival(n, ended_ms=at, press_id="press-01" if n % 3 else "press-02") for n, at in enumerate(times, start=1)
    ]
    wanted = sorted((at, n) for n, at in enumerate(times, start=1) if n % 3 and at <= until_ms)
    for store in (MemoryStore(), DuckDBStore(tmp_path_factory.mktemp("pages") / "t.duckdb")):
        store.write(shots)
        found: list[tuple[int, int]] = []
        while True:
            after = found[-1] if found else (-1, EVER)
            page = store.features(ALL, PRESS, FOUR, after=after, until_ms=until_ms, limit=limit)
            found += zip(page.ended_ms.tolist(), page.row_ids.tolist(), strict=True)
            if len(page.row_ids) < limit:
                break
        assert found == wanted
        store.close()


@settings(max_examples=15, deadline=None)
@given(batches=st.lists(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 6)), max_size=8), max_size=8))
def test_duckdb_agrees_with_its_memory_twin_and_accounts_for_every_id(
    batches: list[list[tuple[int, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("twin") / "t.duckdb"
    twin, real = MemoryStore(), DuckDBStore(path)
    for batch in batches:
        records = [
            replace(gap(n), last_record_id=n + more)
            if n % 5 == 0
            else replace(arrival(n), curves_dropped="full" if more == 1 else "")
            for n, more in batch
        ]
        assert real.write(records) == twin.write(records)
        real.close()
        real = DuckDBStore(path)
    assert real.committed(GATEWAY, "e1") == twin.committed(GATEWAY, "e1")
    assert real.counts(ALL) == twin.counts(ALL)
    assert {k: v.row_id for k, v in real.latest(ALL).items()} == {k: v.row_id for k, v in twin.latest(ALL).items()}
    lines = real.gaps(EVERYWHERE, limit=9)
    assert lines == twin.gaps(EVERYWHERE, limit=9)
    given_up = sum(line.count for line in lines if line.kind == "shot")
    assert given_up + sum(real.counts(ALL).values()) == real.committed(GATEWAY, "e1").count()
    real.close()


def test_a_second_opener_in_another_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    store = DuckDBStore(path)
    code = "import pathlib, sys, cloud.telemetry.duckdb_store as s; s.DuckDBStore(pathlib.Path(sys.argv[1]))"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    store.close()
    assert result.returncode != 0
    assert "TelemetryError" in result.stderr


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(TelemetryError, match=r"t\.duckdb"):
        DuckDBStore(path)


def test_what_ended_before_a_sight_begins_is_kept_and_not_shown(store: TelemetryStore) -> None:
    press = PressKey("plant-1", "press-01")
    order = (3, 1, 5, 2, 4)  # arrival is not the order of the press's own time
    store.write([arrival(number) for number in order])
    sight = Sight(ALL, 3_000)
    seen = [order.index(number) + 1 for number in (3, 4, 5)]
    assert sorted(row.row_id for row in store.recent(sight, press, limit=9)) == sorted(seen)
    assert [row.row_id for row in store.recent(sight, press, limit=2)] == sorted(seen, reverse=True)[:2]
    assert [i for i in range(1, 6) if store.shot(sight, i)] == sorted(seen)
    assert [row.row_id for row in store.shots(sight, press, [1, 2, 3, 4, 5])] == sorted(seen)
    end = (1 << 60, 0)
    assert len(store.between(sight, press, from_ms=0, before=end, limit=9)) == 3
    span = store.spans(sight, "hash", after_ms=0)[press]
    assert (span.shots, span.first_ms, span.last_ms) == (3, 3_000, 5_000)
    rows = store.features(sight, press, FeatureSet("hash", 4), after=(0, 0), until_ms=9_000, limit=9)
    assert list(rows.ended_ms) == [3_000, 4_000, 5_000]
    assert store.latest(Sight(ALL, 9_000)).keys() == {press}, "the newest shot is always seen"
    assert len(store.recent(ALL, press, limit=9)) == 5, "nothing was deleted"
