"""The telemetry store on one machine: a DuckDB file, a batch a transaction."""

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cloud.entitlements.sight import ALL_TIME, seen_from_ms
from cloud.telemetry import datasets
from cloud.telemetry import duckdb_rows as rows
from cloud.telemetry.deduplication import EpochKey, Record, admit
from cloud.telemetry.gap_ledger import Drop, Shots, drops
from cloud.telemetry.memory_store import as_stored, newest, without_curves
from cloud.telemetry.store import (
    CURVE_SHOTS_MAX,
    FEATURE_ROWS_MAX,
    PAGE_ROWS_MAX,
    FeatureRows,
    FeatureSet,
    GapFilter,
    GatewayKey,
    IncomingShot,
    Missing,
    Plants,
    PressKey,
    Span,
    StoredChange,
    StoredCycle,
    StoredGap,
    StoredShot,
    TelemetryError,
)
from contract.ranges import RangeSet
from contract.shot import ProductionDataset

# Each checkpoint writes the last row group anew; at the default 16 MB half of the file was left-over blocks.
CHECKPOINT_AT = "128MB"

# Curves are float32 noise to a general codec: letting DuckDB try its codecs on them cost 169 us a shot at the
# checkpoint, storing them plain 60 us, and in pieces that fit its 4 kB string blocks 25 us (2 curves of 1,000).
TABLES = """
CREATE TABLE IF NOT EXISTS shots(
  row_id BIGINT, plant_id VARCHAR, press_id VARCHAR, gateway_id VARCHAR, epoch VARCHAR, record_id UBIGINT,
  ended_ms BIGINT, received_ms BIGINT, is_historical BOOLEAN, cycle_counter BIGINT, job_name VARCHAR,
  mould_id VARCHAR, bundle_id VARCHAR, quality_class VARCHAR, features_hash VARCHAR, features FLOAT[],
  layout_id INTEGER, scalars DOUBLE[], reason_features VARCHAR[], reason_values DOUBLE[], reason_sigmas DOUBLE[]);
CREATE TABLE IF NOT EXISTS curves(
  row_id BIGINT, sample_interval_s DOUBLE, signal VARCHAR, first_sample INTEGER,
  samples BLOB USING COMPRESSION UNCOMPRESSED);
CREATE TABLE IF NOT EXISTS layouts(layout_id INTEGER, names VARCHAR[]);
CREATE TABLE IF NOT EXISTS gaps(
  gap_id BIGINT, kind VARCHAR, plant_id VARCHAR, press_id VARCHAR, gateway_id VARCHAR, epoch VARCHAR,
  first_id UBIGINT, last_id UBIGINT, ended_ms BIGINT, received_ms BIGINT, reason VARCHAR);
CREATE TABLE IF NOT EXISTS durable(
  plant_id VARCHAR, gateway_id VARCHAR, epoch VARCHAR, firsts UBIGINT[], lasts UBIGINT[]);
"""
ADDED = """
ALTER TABLE gaps ADD COLUMN IF NOT EXISTS shots BIGINT;
ALTER TABLE gaps ADD COLUMN IF NOT EXISTS from_ended_ms BIGINT;
ALTER TABLE shots ADD COLUMN IF NOT EXISTS material VARCHAR;
ALTER TABLE shots ADD COLUMN IF NOT EXISTS product_name VARCHAR;
ALTER TABLE shots ADD COLUMN IF NOT EXISTS cavities INTEGER;
ALTER TABLE shots ADD COLUMN IF NOT EXISTS dataset_id BIGINT;
CREATE TABLE IF NOT EXISTS datasets(
  dataset_id BIGINT, name VARCHAR, description VARCHAR, mould_description VARCHAR, names VARCHAR[],
  set_values DOUBLE[]);
"""
"""A file that lacks these is given them when it is opened."""


class DuckDBStore:
    """`TelemetryStore` in one DuckDB file; one process owns the file, threads share the store.

    Raises:
        TelemetryError: the file cannot be opened (another process has it, no rights, damaged).
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = duckdb.connect(str(path))
            self._connection.execute(f"SET wal_autocheckpoint = '{CHECKPOINT_AT}'")
            self._connection.execute(TABLES + ADDED)
        except duckdb.Error as error:
            raise TelemetryError(f"telemetry store {path} cannot be opened: {error}") from error
        self._lock = threading.Lock()
        self._durable: dict[EpochKey, RangeSet] = self._load_durable()
        self._layouts = rows.Layouts(self._all("SELECT layout_id, names FROM layouts"))
        self._datasets = datasets.Datasets()
        self._next_row_id: int = self._all("SELECT coalesce(max(row_id), 0) + 1 FROM shots")[0][0]
        self._next_gap_id: int = self._all("SELECT coalesce(max(gap_id), 0) + 1 FROM gaps")[0][0]
        self._counts = self._load_counts()
        self._latest = self._load_latest()

    def write(self, records: Sequence[Record]) -> list[int | None]:
        """Store what is new and mark all as durable, in one transaction; see the port."""
        with self._lock:
            new_ids, after = admit(records, self._ranges)
            fresh = [record for record, ids in zip(records, new_ids, strict=True) if ids]
            shots = [record for record in fresh if isinstance(record, IncomingShot)]
            if fresh:
                self._commit(shots, drops(records, new_ids, self._next_gap_id, self._known), after)
            row_ids = iter(range(self._next_row_id - len(shots), self._next_row_id))
            return [
                next(row_ids) if ids and isinstance(record, IncomingShot) else None
                for record, ids in zip(records, new_ids, strict=True)
            ]

    def _commit(self, shots: list[IncomingShot], dropped: list[Drop], after: Mapping[EpochKey, RangeSet]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN")
            if shots:
                new_layouts = self._layouts.admit(shots)
                if new_layouts:
                    connection.executemany("INSERT INTO layouts VALUES (?, ?)", new_layouts)
                new_datasets = self._datasets.admit(shots)
                if new_datasets:
                    connection.executemany(datasets.INSERT, new_datasets)
                shot_table = rows.shot_table(shots, self._next_row_id, self._layouts, self._datasets)
                connection.register("arrived_shots", shot_table)
                connection.execute("INSERT INTO shots BY NAME SELECT * FROM arrived_shots")
                curve_table = rows.curve_table(shots, self._next_row_id)
                connection.register("arrived_curves", curve_table)
                connection.execute("INSERT INTO curves SELECT * FROM arrived_curves")
            if dropped:
                connection.register("arrived_gaps", rows.gap_table(dropped))
                connection.execute("INSERT INTO gaps SELECT * FROM arrived_gaps")
            for (gateway, epoch), ranges in after.items():
                key = [gateway.plant_id, gateway.gateway_id, epoch]
                connection.execute("DELETE FROM durable WHERE plant_id = ? AND gateway_id = ? AND epoch = ?", key)
                firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
                connection.execute("INSERT INTO durable VALUES (?, ?, ?, ?, ?)", [*key, firsts, lasts])
            connection.execute("COMMIT")
        except duckdb.Error as error:
            self._roll_back()
            raise TelemetryError(f"{len(shots)} shots were not stored: {error}") from error
        self._next_gap_id += len(dropped)
        self._remember(shots, after)

    def _roll_back(self) -> None:
        with contextlib.suppress(duckdb.TransactionException):  # a failed COMMIT has already rolled back
            self._connection.execute("ROLLBACK")
        self._layouts = rows.Layouts(self._all("SELECT layout_id, names FROM layouts"))
        self._datasets = datasets.Datasets()

    def _remember(self, shots: list[IncomingShot], after: Mapping[EpochKey, RangeSet]) -> None:
        self._durable |= after
        for record in shots:
            row = without_curves(as_stored(record, self._next_row_id))
            self._next_row_id += 1
            self._counts[row.press] = self._counts.get(row.press, 0) + 1
            self._latest[row.press] = newest(row, self._latest.get(row.press))

    def committed(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        """The durable record ids of one epoch."""
        with self._lock:
            return self._ranges(gateway, epoch).copy()

    def recent(self, plants: Plants, press: PressKey, *, limit: int, before: int | None = None) -> list[StoredShot]:
        """The newest shots of a press, newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        if press.plant_id not in plants:
            return []
        from_ms = seen_from_ms(plants)
        seen, more = ("AND ended_ms >= ?", [from_ms]) if from_ms > ALL_TIME else ("", [])
        sql = f"{rows.SELECT} WHERE press_id = ? AND plant_id = ? AND row_id < ? {seen} ORDER BY row_id DESC LIMIT ?"
        return self._shots(sql, [press.press_id, press.plant_id, before or 1 << 62, *more, limit])

    def after(self, row_id: int, *, limit: int) -> list[StoredShot]:
        """The shots that arrived after `row_id`."""
        assert 0 < limit <= PAGE_ROWS_MAX
        return self._shots(f"{rows.SELECT} WHERE row_id > ? ORDER BY row_id LIMIT ?", [row_id, limit])

    def cycles(self, row_id: int, *, limit: int) -> list[StoredCycle]:
        """The cycles of the shots that arrived after `row_id`."""
        assert 0 < limit <= PAGE_ROWS_MAX
        found = self._all(rows.CYCLES, [row_id, limit])
        with self._lock:
            return [rows.stored_cycle(row, self._layouts) for row in found]

    def shot(self, plants: Plants, row_id: int) -> StoredShot | None:
        """One shot with its curves."""
        found = self._shots(f"{rows.SELECT} WHERE row_id = ? AND list_contains(?, plant_id)", [row_id, sorted(plants)])
        if not found or found[0].scored.shot.ended_ms < seen_from_ms(plants):
            return None
        sql = "SELECT sample_interval_s, signal, first_sample, samples FROM curves WHERE row_id = ?"
        return rows.with_curves(found[0], self._all(sql, [row_id]))

    def shots(self, plants: Plants, press: PressKey, row_ids: Sequence[int]) -> list[StoredShot]:
        """Those of these shots that are the press's, with their curves."""
        assert len(row_ids) <= CURVE_SHOTS_MAX
        if press.plant_id not in plants or not row_ids:
            return []
        wanted = [min(row_ids), max(row_ids), sorted(set(row_ids))]
        found = self._shots(rows.SHOTS_AMONG, [*wanted, press.press_id, press.plant_id])
        found = [row for row in found if row.scored.shot.ended_ms >= seen_from_ms(plants)]
        pieces: dict[int, list[tuple[Any, ...]]] = {}
        for row_id, *piece in self._all(rows.CURVES_AMONG, wanted):
            pieces.setdefault(row_id, []).append(tuple(piece))
        return [rows.with_curves(row, pieces.get(row.row_id, ())) for row in found]

    def between(
        self, plants: Plants, press: PressKey, *, from_ms: int, before: tuple[int, int], limit: int
    ) -> list[StoredShot]:
        """The shots of a press in a time, the newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        if press.plant_id not in plants:
            return []
        return self._shots(*rows.between_query(press, max(from_ms, seen_from_ms(plants)), before, limit))

    def changes(
        self, plants: Plants, press: PressKey, *, from_ms: int, until_ms: int, limit: int
    ) -> list[StoredChange]:
        """Where a press's job, mould, material, dataset or set points changed, the newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        if press.plant_id not in plants:
            return []
        from_ms = max(from_ms, seen_from_ms(plants))
        found = self._all(rows.CHANGES, [press.press_id, press.plant_id, from_ms, until_ms, limit])
        known = self._datasets_of(number for row in found for number in row[-2:])
        return [rows.stored_change(row, known) for row in found]

    def latest(self, plants: Plants) -> dict[PressKey, StoredShot]:
        """The newest shot of each press."""
        with self._lock:
            return {press: row for press, row in self._latest.items() if press.plant_id in plants}

    def counts(self, plants: Plants) -> Mapping[PressKey, int]:
        """How many shots are stored of each press."""
        with self._lock:
            return {press: count for press, count in self._counts.items() if press.plant_id in plants}

    def total(self) -> int:
        """How many shots are stored of all plants: a figure of the program, not of a tenant."""
        with self._lock:
            return sum(self._counts.values())

    def spans(self, plants: Plants, features_hash: str, *, after_ms: int) -> dict[PressKey, Span]:
        """How many shots there are with features of this schema."""
        sql = """SELECT plant_id, press_id, count(*), min(ended_ms), max(ended_ms) FROM shots
                 WHERE features_hash = ? AND ended_ms > ? AND list_contains(?, plant_id) GROUP BY plant_id, press_id"""
        found = self._all(sql, [features_hash, max(after_ms, seen_from_ms(plants) - 1), sorted(plants)])
        return {PressKey(plant, press): Span(*span) for plant, press, *span in found}

    def features(
        self, plants: Plants, press: PressKey, wanted: FeatureSet, *, after: tuple[int, int], until_ms: int, limit: int
    ) -> FeatureRows:
        """The shots of a press with the wanted features, the earliest first."""
        assert 0 < limit <= FEATURE_ROWS_MAX
        if press.plant_id not in plants:
            return rows.no_features(wanted.width)
        after = max(after, (seen_from_ms(plants), -1))
        query = rows.features_query(press, wanted.features_hash, after, until_ms, limit)
        return rows.feature_rows(self._table(*query), wanted.width)

    def gaps(self, wanted: GapFilter, *, limit: int, before: tuple[int, int] | None = None) -> list[StoredGap]:
        """The gap ledger, newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        return [rows.stored_gap(row) for row in self._all(*rows.gap_lines(wanted, before, limit))]

    def missing(self, plants: Plants, *, from_ms: int, until_ms: int) -> list[Missing]:
        """What was given up in a time."""
        found = self._all(*rows.missing_query(plants, from_ms, until_ms, PAGE_ROWS_MAX))
        return [Missing(PressKey(plant, press), kind, reason, count) for plant, press, kind, reason, count in found]

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock:
            self._connection.close()

    def _known(self, gateway: GatewayKey, epoch: str, first: int, last: int) -> Shots:
        found = self._all(*rows.known_shots(gateway, epoch, first, last))
        return {(press_id, reason): count for press_id, reason, count in found}

    def _ranges(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        return self._durable.get((gateway, epoch), RangeSet())

    def _shots(self, sql: str, parameters: list[Any]) -> list[StoredShot]:
        found = self._all(sql, parameters)
        known = self._datasets_of(row[-1] for row in found)
        with self._lock:
            return [rows.stored_shot(row, self._layouts, known) for row in found]

    def _datasets_of(self, numbers: Iterable[int | None]) -> Mapping[int, ProductionDataset]:
        """The datasets behind these ids, which are read where they are not remembered."""
        wanted = {number for number in numbers if number is not None}
        with self._lock:
            known = self._datasets.known(wanted)
        missing = sorted(wanted - known.keys())
        return known | dict(datasets.of_rows(self._all(datasets.BY_ID, [missing]))) if missing else known

    def _all(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()  # a reader of its own: the writer's transaction stays unseen and unblocked
        try:
            return cursor.execute(sql, parameters).fetchall()
        except duckdb.Error as error:
            raise TelemetryError(f"the telemetry store could not be read: {error}") from error
        finally:
            cursor.close()

    def _table(self, sql: str, parameters: list[Any]) -> pa.Table:
        cursor = self._connection.cursor()
        try:
            return cursor.sql(sql, params=parameters).to_arrow_table()
        except duckdb.Error as error:
            raise TelemetryError(f"the telemetry store could not be read: {error}") from error
        finally:
            cursor.close()

    def _load_durable(self) -> dict[EpochKey, RangeSet]:
        found = self._all("SELECT plant_id, gateway_id, epoch, firsts, lasts FROM durable")
        return {
            (GatewayKey(plant, gateway), epoch): RangeSet(zip(firsts, lasts, strict=True))
            for plant, gateway, epoch, firsts, lasts in found
        }

    def _load_counts(self) -> dict[PressKey, int]:
        found = self._all("SELECT plant_id, press_id, count(*) FROM shots GROUP BY ALL")
        return {PressKey(plant, press): count for plant, press, count in found}

    def _load_latest(self) -> dict[PressKey, StoredShot]:
        newest_ids = "SELECT max_by(row_id, (ended_ms, row_id)) FROM shots GROUP BY plant_id, press_id"
        found = self._shots(f"{rows.SELECT} WHERE row_id IN ({newest_ids})", [])
        return {row.press: row for row in found}


def shots_in(path: Path) -> int:
    """How many shots a store's file holds; nothing is written.

    Raises:
        TelemetryError: it cannot be opened (a running cloud has it, no rights, damaged), or is of another version.
    """
    try:
        with duckdb.connect() as empty, duckdb.connect(str(path), read_only=True) as connection:
            empty.execute(TABLES)
            needed = _columns(empty)
            empty.execute(ADDED)
            found = _columns(connection)
            wanted = {place: kind for place, kind in _columns(empty).items() if place in needed or place in found}
            for table, column in wanted:
                if table in {name for name, _ in found} and wanted[table, column] != found.get((table, column)):
                    raise TelemetryError(
                        f"telemetry store {path} is of another version: its table {table} has no column {column}"
                        f" {wanted[table, column]}; move the file away"
                    )
            [[shots]] = connection.execute("SELECT count(*) FROM shots").fetchall() if found else [[0]]
    except duckdb.Error as error:
        raise TelemetryError(f"telemetry store {path} cannot be opened: {error}") from error
    return int(shots)


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    return {(table, column): kind for table, column, kind in connection.execute(sql).fetchall()}
