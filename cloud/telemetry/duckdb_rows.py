"""Shots as Arrow batches for DuckDB, and DuckDB's rows as shots: no SQL connection here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from cloud.telemetry.datasets import Datasets
from cloud.telemetry.gap_ledger import Drop
from cloud.telemetry.store import (
    CYCLE_TIME,
    FeatureRows,
    GapFilter,
    GatewayKey,
    IncomingShot,
    Plants,
    PressKey,
    StoredChange,
    StoredCycle,
    StoredGap,
    StoredShot,
)
from contract.gaps import THINNED
from contract.shot import NOT_TOLD, ProductionDataset, Reason, ScoredShot, Scores, Shot

SELECT = """SELECT row_id, plant_id, press_id, gateway_id, ended_ms, received_ms, is_historical, cycle_counter,
  job_name, mould_id, bundle_id, quality_class, features_hash, features, layout_id, scalars,
  reason_features, reason_values, reason_sigmas, coalesce(material, ''), coalesce(product_name, ''), cavities,
  dataset_id FROM shots"""
"""Rows of an earlier version have neither material nor product."""

CYCLES = """SELECT row_id, plant_id, press_id, ended_ms, mould_id, quality_class, layout_id, scalars FROM shots
  WHERE row_id > ? ORDER BY row_id LIMIT ?"""
_MOVED = """len(list_filter(list_zip(now.names, now.set_values), lambda pair:
    list_contains(old.names, pair[1]) AND NOT list_contains(list_zip(old.names, old.set_values), pair))) > 0"""
CHANGES = f"""SELECT row_id, ended_ms, job_name, mould_id, job_before, mould_before, material, material_before,
    shot.dataset_id, dataset_before FROM (
    SELECT row_id, ended_ms, job_name, mould_id, lag(job_name) OVER shots_in_order AS job_before,
      lag(mould_id) OVER shots_in_order AS mould_before, coalesce(material, '') AS material,
      coalesce(lag(shots.material) OVER shots_in_order, '') AS material_before,
      dataset_id, lag(dataset_id) OVER shots_in_order AS dataset_before
    FROM shots WHERE press_id = ? AND plant_id = ? WINDOW shots_in_order AS (ORDER BY ended_ms, row_id)) AS shot
  LEFT JOIN datasets AS now ON now.dataset_id = shot.dataset_id AND shot.dataset_id <> dataset_before
  LEFT JOIN datasets AS old ON old.dataset_id = dataset_before AND shot.dataset_id <> dataset_before
  WHERE job_before IS NOT NULL AND ended_ms BETWEEN ? AND ? AND ((job_name, mould_id) <> (job_before, mould_before)
    OR (material <> '' AND material_before <> '' AND material <> material_before)
    OR (now.name <> '' AND old.name <> '' AND now.name <> old.name) OR {_MOVED})
  ORDER BY ended_ms DESC, row_id DESC LIMIT ?"""  # noqa: S608 - words of ours, values apart
AMONG = "row_id BETWEEN ? AND ? AND list_contains(?, row_id)"
"""The bounds let whole row groups be passed over."""
SHOTS_AMONG = f"{SELECT} WHERE {AMONG} AND press_id = ? AND plant_id = ? ORDER BY row_id"
CURVES_AMONG = f"SELECT row_id, sample_interval_s, signal, first_sample, samples FROM curves WHERE {AMONG}"  # noqa: S608
PIECE_SAMPLES = 1_000
"""4,000 bytes: DuckDB keeps strings of up to 4,096 bytes in their block and spills longer ones."""
SHOTS_OF_GAP = "coalesce(shots, last_id - first_id + 1)"
"""Rows of an earlier version have no count: each of their ids was one shot."""
_SCORE = "Scores/"


class Layouts:
    """The lists of scalar names in use: a shot stores its numbers and the id of its list, not the names."""

    def __init__(self, stored: Iterable[tuple[int, list[str]]]) -> None:
        self._names = {layout_id: tuple(names) for layout_id, names in stored}
        self._ids = {names: layout_id for layout_id, names in self._names.items()}

    def admit(self, shots: Sequence[IncomingShot]) -> list[tuple[int, list[str]]]:
        """Give each unknown list of names an id; the rows to insert."""
        new = []
        for names in dict.fromkeys(map(_scalar_names, shots)):
            if names not in self._ids:
                layout_id = len(self._ids) + 1
                self._ids[names], self._names[layout_id] = layout_id, names
                new.append((layout_id, list(names)))
        return new

    def id_of(self, shot: IncomingShot) -> int:
        """The id of an admitted shot's list."""
        return self._ids[_scalar_names(shot)]

    def names(self, layout_id: int) -> tuple[str, ...]:
        """The names behind an id."""
        return self._names[layout_id]


def _scalar_names(record: IncomingShot) -> tuple[str, ...]:
    return (*record.scored.shot.parameters, *(_SCORE + name for name in record.scored.scores.values))


def shot_table(shots: Sequence[IncomingShot], first_row_id: int, layouts: Layouts, datasets: Datasets) -> pa.Table:
    """The batch in the column order of the table `shots`."""
    scored = [record.scored for record in shots]
    plain = [item.shot for item in scored]
    scores = [item.scores for item in scored]
    scalars = [[*s.parameters.values(), *c.values.values()] for s, c in zip(plain, scores, strict=True)]
    return pa.table(
        {
            "row_id": pa.array(range(first_row_id, first_row_id + len(shots)), pa.int64()),
            "plant_id": pa.array([record.gateway.plant_id for record in shots]),
            "press_id": pa.array([shot.press_id for shot in plain]),
            "gateway_id": pa.array([record.gateway.gateway_id for record in shots]),
            "epoch": pa.array([record.epoch for record in shots]),
            "record_id": pa.array([record.record_id for record in shots], pa.uint64()),
            "ended_ms": pa.array([shot.ended_ms for shot in plain], pa.int64()),
            "received_ms": pa.array([record.received_ms for record in shots], pa.int64()),
            "is_historical": pa.array([record.is_historical for record in shots], pa.bool_()),
            "cycle_counter": pa.array([shot.cycle_counter for shot in plain], pa.int64()),
            "job_name": pa.array([shot.job_name for shot in plain], pa.string()),
            "mould_id": pa.array([shot.mould_id for shot in plain], pa.string()),
            "bundle_id": pa.array([score.bundle_id for score in scores], pa.string()),
            "quality_class": pa.array([score.quality_class for score in scores], pa.string()),
            "features_hash": pa.array([item.features_hash for item in scored], pa.string()),
            "features": _lists([item.features for item in scored], np.float32),
            "layout_id": pa.array([layouts.id_of(record) for record in shots], pa.int32()),
            "scalars": _lists(scalars, np.float64),
            "reason_features": pa.array([[r.feature for r in c.reasons] for c in scores], pa.list_(pa.string())),
            "reason_values": pa.array([[r.value for r in c.reasons] for c in scores], pa.list_(pa.float64())),
            "reason_sigmas": pa.array([[r.sigma for r in c.reasons] for c in scores], pa.list_(pa.float64())),
            "material": pa.array([shot.material for shot in plain], pa.string()),
            "product_name": pa.array([shot.product_name for shot in plain], pa.string()),
            "cavities": pa.array([shot.cavities for shot in plain], pa.int32()),
            "dataset_id": pa.array([datasets.id_of(shot.dataset) for shot in plain], pa.int64()),
        }
    )


def _lists(parts: Sequence[Any], dtype: Any) -> pa.ListArray:
    """One Arrow list a part from one flat buffer: a copy, not an object a number."""
    arrays = [np.asarray(part, dtype) for part in parts]
    offsets = np.zeros(len(arrays) + 1, np.int32)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(arrays)))


def curve_table(shots: Sequence[IncomingShot], first_row_id: int) -> pa.Table:
    """The curves of those shots that have any, cut in pieces, in the column order of the table `curves`."""
    pieces = [
        (row_id, record.scored.shot.sample_interval_s, signal, start, samples[start : start + PIECE_SAMPLES])
        for row_id, record in enumerate(shots, first_row_id)
        for signal, samples in record.scored.shot.curves.items()
        for start in range(0, max(1, len(samples)), PIECE_SAMPLES)
    ]
    row_ids, intervals, signals, starts, parts = zip(*pieces, strict=True) if pieces else ((),) * 5
    return pa.table(
        {
            "row_id": pa.array(row_ids, pa.int64()),
            "sample_interval_s": pa.array(intervals, pa.float64()),
            "signal": pa.array(signals, pa.string()),
            "first_sample": pa.array(starts, pa.int32()),
            "samples": pa.array([np.asarray(part, "<f4").tobytes() for part in parts], pa.binary()),
        }
    )


def gap_table(drops: Sequence[Drop]) -> pa.Table:
    """The drops of a batch in the column order of the table `gaps`."""
    return pa.table(
        {
            "gap_id": pa.array([drop.gap_id for drop in drops], pa.int64()),
            "kind": pa.array([drop.kind for drop in drops], pa.string()),
            "plant_id": pa.array([drop.press.plant_id for drop in drops], pa.string()),
            "press_id": pa.array([drop.press.press_id for drop in drops], pa.string()),
            "gateway_id": pa.array([drop.gateway_id for drop in drops], pa.string()),
            "epoch": pa.array([drop.epoch for drop in drops], pa.string()),
            "first_id": pa.array([drop.first_id for drop in drops], pa.uint64()),
            "last_id": pa.array([drop.last_id for drop in drops], pa.uint64()),
            "ended_ms": pa.array([drop.ended_ms for drop in drops], pa.int64()),
            "received_ms": pa.array([drop.received_ms for drop in drops], pa.int64()),
            "reason": pa.array([drop.reason for drop in drops], pa.string()),
            "shots": pa.array([drop.count for drop in drops], pa.int64()),
            "from_ended_ms": pa.array([drop.from_ms for drop in drops], pa.int64()),
        }
    )


def known_shots(gateway: GatewayKey, epoch: str, first: int, last: int) -> tuple[str, list[Any]]:
    """The query of what is stored of a gateway's epoch in a range of ids: press, reason, how many shots."""
    here = "plant_id = ? AND gateway_id = ? AND epoch = ?"
    sql = f"""SELECT press_id, reason, sum(n)::BIGINT FROM (
                SELECT press_id, '{THINNED}' AS reason, count(*) AS n FROM shots
                WHERE {here} AND record_id BETWEEN ? AND ? GROUP BY ALL
              UNION ALL
                SELECT press_id, reason, sum({SHOTS_OF_GAP}) AS n FROM gaps
                WHERE {here} AND kind = 'shot' AND first_id >= ? AND last_id <= ? GROUP BY ALL)
              GROUP BY ALL"""  # noqa: S608 - columns and a word of ours, values apart
    return sql, [*(parameters := [gateway.plant_id, gateway.gateway_id, epoch, first, last]), *parameters]


def gap_lines(wanted: GapFilter, before: tuple[int, int] | None, limit: int) -> tuple[str, list[Any]]:
    """The query of the gap ledger, a line a run, newest first; the rows are made lines by `stored_gap`."""
    parameters: list[Any] = [sorted(wanted.plant_ids)]
    where = "list_contains(?, plant_id)"
    for column, text in (("press_id", wanted.press_id), ("reason", wanted.reason)):
        if text:
            where, parameters = f"{where} AND {column} = ?", [*parameters, text]
    having = ""
    if before is not None:
        having, parameters = "HAVING (max(ended_ms), max(gap_id)) < (?, ?)", [*parameters, *before]
    sql = f"""SELECT max(gap_id), kind, plant_id, press_id, gateway_id, reason, sum({SHOTS_OF_GAP})::BIGINT,
              min(coalesce(from_ended_ms, ended_ms)), max(ended_ms) FROM gaps WHERE {where}
              GROUP BY plant_id, press_id, gateway_id, epoch, reason, kind {having}
              ORDER BY max(ended_ms) DESC, max(gap_id) DESC LIMIT ?"""  # noqa: S608 - columns of ours, values apart
    return sql, [*parameters, limit]


def missing_query(plants: Plants, from_ms: int, until_ms: int, limit: int) -> tuple[str, list[Any]]:
    """The query of what was given up in a time, by press, kind and reason, in this order."""
    sql = f"""SELECT plant_id, press_id, kind, reason, sum({SHOTS_OF_GAP})::BIGINT FROM gaps
              WHERE list_contains(?, plant_id) AND ended_ms >= ? AND ended_ms < ?
              GROUP BY plant_id, press_id, kind, reason ORDER BY plant_id, press_id, kind, reason
              LIMIT ?"""  # noqa: S608 - columns of ours, values apart
    return sql, [sorted(plants), from_ms, until_ms, limit]


def stored_gap(row: tuple[Any, ...]) -> StoredGap:
    """One row of `gap_lines`."""
    gap_id, kind, plant_id, press_id, gateway_id, reason, count, from_ended_ms, to_ended_ms = row
    press = PressKey(plant_id, press_id)
    return StoredGap(gap_id, kind, press, gateway_id, reason, count, from_ended_ms, to_ended_ms)


def features_query(
    press: PressKey, features_hash: str, after: tuple[int, int], until_ms: int, limit: int
) -> tuple[str, list[Any]]:
    """The query of a page of features; its table is made rows by `feature_rows`.

    First the page's ids, from narrow columns: to sort the features of all that is left of the press as well took three
    times as long (2,000,000 shots of 40 presses), and longer the more there are.
    """
    sql = """SELECT row_id, ended_ms, mould_id, features FROM shots WHERE row_id IN (
               SELECT row_id FROM shots WHERE press_id = ? AND plant_id = ? AND features_hash = ?
               AND ended_ms >= ? AND (ended_ms > ? OR row_id > ?) AND ended_ms <= ? ORDER BY ended_ms, row_id LIMIT ?)
             ORDER BY ended_ms, row_id"""
    ended_ms, row_id = after
    place = [ended_ms, ended_ms, row_id, until_ms, limit]
    return sql, [press.press_id, press.plant_id, features_hash, *place]


def between_query(press: PressKey, from_ms: int, before: tuple[int, int], limit: int) -> tuple[str, list[Any]]:
    """The query of a page of shots in a time, newest first; ids first, as in `features_query`."""
    ended_ms, row_id = before
    sql = f"""{SELECT} WHERE row_id IN (
               SELECT row_id FROM shots WHERE press_id = ? AND plant_id = ? AND ended_ms >= ? AND ended_ms <= ?
               AND (ended_ms < ? OR row_id < ?) ORDER BY ended_ms DESC, row_id DESC LIMIT ?)
             ORDER BY ended_ms DESC, row_id DESC"""  # noqa: S608 - columns of ours, values apart
    return sql, [press.press_id, press.plant_id, from_ms, ended_ms, ended_ms, row_id, limit]


def feature_rows(table: pa.Table, width: int) -> FeatureRows:
    """The answer to `features_query`."""
    lists = table["features"].combine_chunks()
    fits = np.diff(lists.offsets.to_numpy()) == width
    features = np.full((len(table), width), np.nan, np.float32)
    features[fits] = lists.filter(pa.array(fits)).flatten().to_numpy().reshape(-1, width)
    moulds = tuple(table["mould_id"].to_pylist())
    return FeatureRows(table["row_id"].to_numpy(), table["ended_ms"].to_numpy(), moulds, features)


def no_features(width: int) -> FeatureRows:
    """The answer where there is nothing."""
    nothing = np.empty(0, np.int64)
    return FeatureRows(nothing, nothing, (), np.empty((0, width), np.float32))


def stored_shot(row: tuple[Any, ...], layouts: Layouts, datasets: Mapping[int, ProductionDataset]) -> StoredShot:
    """One row of `SELECT` as a shot without curves."""
    (row_id, plant_id, press_id, gateway_id, ended_ms, received_ms, is_historical, cycle_counter, job_name, mould_id,
     bundle_id, quality_class, features_hash, features, layout_id, scalars, names, values, sigmas,
     material, product_name, cavities, dataset_id) = row  # fmt: skip
    pairs = dict(zip(layouts.names(layout_id), scalars, strict=True))
    scores = Scores(
        bundle_id=bundle_id,
        values={name.removeprefix(_SCORE): value for name, value in pairs.items() if name.startswith(_SCORE)},
        quality_class=quality_class,
        reasons=tuple(map(Reason, names, values, sigmas)),
    )
    shot = Shot(
        press_id=press_id,
        ended_ms=ended_ms,
        parameters={name: value for name, value in pairs.items() if not name.startswith(_SCORE)},
        cycle_counter=cycle_counter,
        job_name=job_name,
        mould_id=mould_id,
        material=material,
        product_name=product_name,
        cavities=cavities,
        dataset=datasets.get(dataset_id, NOT_TOLD),
    )
    scored = ScoredShot(shot, np.asarray(features, np.float32), features_hash, scores)
    return StoredShot(row_id, PressKey(plant_id, press_id), gateway_id, received_ms, is_historical, scored)


def stored_change(row: tuple[Any, ...], datasets: Mapping[int, ProductionDataset]) -> StoredChange:
    """One row of `CHANGES`."""
    *plain, now, before = row
    change = StoredChange(*plain)
    return replace(change, dataset=datasets.get(now, NOT_TOLD), dataset_before=datasets.get(before, NOT_TOLD))


def stored_cycle(row: tuple[Any, ...], layouts: Layouts) -> StoredCycle:
    """One row of `CYCLES`."""
    row_id, plant_id, press_id, ended_ms, mould_id, quality_class, layout_id, scalars = row
    names = layouts.names(layout_id)
    cycle_s = scalars[names.index(CYCLE_TIME)] if CYCLE_TIME in names else None
    return StoredCycle(row_id, PressKey(plant_id, press_id), ended_ms, mould_id, cycle_s, quality_class)


def with_curves(row: StoredShot, pieces: Sequence[tuple[float, str, int, bytes]]) -> StoredShot:
    """The row with its curves joined from their pieces."""
    parts: dict[str, list[tuple[int, bytes]]] = {}
    for _, signal, start, samples in pieces:
        parts.setdefault(signal, []).append((start, samples))
    curves = {
        signal: np.frombuffer(b"".join(samples for _, samples in sorted(found)), "<f4")
        for signal, found in parts.items()
    }
    shot = replace(row.scored.shot, curves=curves, sample_interval_s=pieces[0][0] if pieces else 0.0)
    return replace(row, scored=replace(row.scored, shot=shot))
