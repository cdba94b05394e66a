"""The telemetry store that forgets when the program ends: for tests, simulations and trials."""

import itertools
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cloud.entitlements.sight import ALL_TIME, seen_from_ms
from cloud.telemetry.deduplication import EpochKey, Record, admit
from cloud.telemetry.gap_ledger import Drop, Shots, drops, ledger, missing
from cloud.telemetry.store import (
    CURVE_SHOTS_MAX,
    CYCLE_TIME,
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
    change_between,
)
from contract.gaps import THINNED
from contract.ranges import RangeSet


class MemoryStore:
    """`TelemetryStore` in plain lists; row ids are list positions plus one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[StoredShot] = []
        self._names: list[tuple[GatewayKey, str, int]] = []
        self._by_press: dict[PressKey, list[int]] = {}
        self._latest: dict[PressKey, StoredShot] = {}
        self._drops: list[Drop] = []
        self._durable: dict[EpochKey, RangeSet] = {}

    def write(self, records: Sequence[Record]) -> list[int | None]:
        """Store what is new; see the port."""
        with self._lock:
            new_ids, after = admit(records, self._ranges)
            self._drops += drops(records, new_ids, len(self._drops) + 1, self._known)
            row_ids = [
                self._keep(record) if ids and isinstance(record, IncomingShot) else None
                for record, ids in zip(records, new_ids, strict=True)
            ]
            self._durable |= after
            return row_ids

    def _known(self, gateway: GatewayKey, epoch: str, first: int, last: int) -> Shots:
        shots: Counter[tuple[str, str]] = Counter()
        for (of, of_epoch, record_id), row in zip(self._names, self._rows, strict=True):
            if (of, of_epoch) == (gateway, epoch) and first <= record_id <= last:
                shots[row.press.press_id, THINNED] += 1
        for drop in self._drops:
            is_here = (drop.press.plant_id, drop.gateway_id, drop.epoch, drop.kind) == (
                gateway.plant_id,
                gateway.gateway_id,
                epoch,
                "shot",
            )
            if is_here and first <= drop.first_id and drop.last_id <= last:
                shots[drop.press.press_id, drop.reason] += drop.count
        return shots

    def _keep(self, record: IncomingShot) -> int:
        row = as_stored(record, len(self._rows) + 1)
        self._rows.append(row)
        self._names.append((record.gateway, record.epoch, record.record_id))
        self._by_press.setdefault(row.press, []).append(row.row_id)
        self._latest[row.press] = newest(without_curves(row), self._latest.get(row.press))
        return row.row_id

    def _ids(self, plants: Plants, press: PressKey) -> list[int]:
        if press.plant_id not in plants:
            return []
        ids, from_ms = self._by_press.get(press, []), seen_from_ms(plants)
        return [i for i in ids if self._rows[i - 1].scored.shot.ended_ms >= from_ms] if from_ms > ALL_TIME else ids

    def _ranges(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        return self._durable.get((gateway, epoch), RangeSet())

    def committed(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        """The durable record ids of one epoch."""
        with self._lock:
            return self._ranges(gateway, epoch).copy()

    def recent(self, plants: Plants, press: PressKey, *, limit: int, before: int | None = None) -> list[StoredShot]:
        """The newest shots of a press, newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        with self._lock:
            ids = [i for i in self._ids(plants, press) if before is None or i < before]
            return [without_curves(self._rows[i - 1]) for i in reversed(ids[-limit:])]

    def after(self, row_id: int, *, limit: int) -> list[StoredShot]:
        """The shots that arrived after `row_id`."""
        assert 0 < limit <= PAGE_ROWS_MAX
        with self._lock:
            return [without_curves(row) for row in self._rows[row_id : row_id + limit]]

    def cycles(self, row_id: int, *, limit: int) -> list[StoredCycle]:
        """The cycles of the shots that arrived after `row_id`."""
        assert 0 < limit <= PAGE_ROWS_MAX
        with self._lock:
            return [_cycle(row) for row in self._rows[row_id : row_id + limit]]

    def shot(self, plants: Plants, row_id: int) -> StoredShot | None:
        """One shot with its curves."""
        with self._lock:
            row = self._rows[row_id - 1] if 0 < row_id <= len(self._rows) else None
        if row is None or row.scored.shot.ended_ms < seen_from_ms(plants):
            return None
        return row if row.press.plant_id in plants else None

    def shots(self, plants: Plants, press: PressKey, row_ids: Sequence[int]) -> list[StoredShot]:
        """Those of these shots that are the press's, with their curves."""
        assert len(row_ids) <= CURVE_SHOTS_MAX
        with self._lock:
            return [self._rows[row_id - 1] for row_id in sorted({*row_ids} & {*self._ids(plants, press)})]

    def between(
        self, plants: Plants, press: PressKey, *, from_ms: int, before: tuple[int, int], limit: int
    ) -> list[StoredShot]:
        """The shots of a press in a time, the newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        rows = [row for row in self._in_order(plants, press) if (from_ms, 0) <= _place(row) < before]
        return [without_curves(row) for row in reversed(rows[-limit:])]

    def changes(
        self, plants: Plants, press: PressKey, *, from_ms: int, until_ms: int, limit: int
    ) -> list[StoredChange]:
        """Where a press's job, mould, material, dataset or set points changed, the newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        from_ms = max(from_ms, seen_from_ms(plants))
        rows = self._in_order(frozenset(plants), press)  # the first one seen may have changed from one that is not
        pairs = [(row, last, change_between(last, row)) for last, row in itertools.pairwise(rows)]
        found = [change for row, last, change in pairs if _has_changed(change) or _setting(row) != _setting(last)]
        return [change for change in reversed(found) if from_ms <= change.ended_ms <= until_ms][:limit]

    def _in_order(self, plants: Plants, press: PressKey) -> list[StoredShot]:
        with self._lock:
            return sorted((self._rows[row_id - 1] for row_id in self._ids(plants, press)), key=_place)

    def latest(self, plants: Plants) -> dict[PressKey, StoredShot]:
        """The newest shot of each press."""
        with self._lock:
            return {press: row for press, row in self._latest.items() if press.plant_id in plants}

    def counts(self, plants: Plants) -> Mapping[PressKey, int]:
        """How many shots are stored of each press."""
        with self._lock:
            return {press: len(ids) for press, ids in self._by_press.items() if press.plant_id in plants}

    def total(self) -> int:
        """How many shots are stored of all plants: a figure of the program, not of a tenant."""
        with self._lock:
            return len(self._rows)

    def spans(self, plants: Plants, features_hash: str, *, after_ms: int) -> dict[PressKey, Span]:
        """How many shots there are with features of this schema."""
        times: dict[PressKey, list[int]] = {}
        after_ms = max(after_ms, seen_from_ms(plants) - 1)
        with self._lock:
            for row in (row for row in self._rows if row.press.plant_id in plants):
                if row.scored.features_hash == features_hash and row.scored.shot.ended_ms > after_ms:
                    times.setdefault(row.press, []).append(row.scored.shot.ended_ms)
        return {press: Span(len(ended_ms), min(ended_ms), max(ended_ms)) for press, ended_ms in times.items()}

    def features(
        self, plants: Plants, press: PressKey, wanted: FeatureSet, *, after: tuple[int, int], until_ms: int, limit: int
    ) -> FeatureRows:
        """The shots of a press with the wanted features, the earliest first."""
        assert 0 < limit <= FEATURE_ROWS_MAX
        with self._lock:
            rows = [self._rows[row_id - 1] for row_id in self._ids(plants, press)]
        rows = [row for row in rows if after < _place(row) and row.scored.shot.ended_ms <= until_ms]
        rows = [row for row in rows if row.scored.features_hash == wanted.features_hash]
        rows = sorted(rows, key=_place)[:limit]
        nothing = np.full(wanted.width, np.nan, np.float32)
        vectors = [row.scored.features if len(row.scored.features) == wanted.width else nothing for row in rows]
        return FeatureRows(
            np.array([row.row_id for row in rows], np.int64),
            np.array([row.scored.shot.ended_ms for row in rows], np.int64),
            tuple(row.scored.shot.mould_id for row in rows),
            np.array(vectors, np.float32).reshape(len(rows), wanted.width),
        )

    def gaps(self, wanted: GapFilter, *, limit: int, before: tuple[int, int] | None = None) -> list[StoredGap]:
        """The gap ledger, newest first."""
        assert 0 < limit <= PAGE_ROWS_MAX
        with self._lock:
            return ledger(self._drops, wanted, limit=limit, before=before)

    def missing(self, plants: Plants, *, from_ms: int, until_ms: int) -> list[Missing]:
        """What was given up in a time."""
        with self._lock:
            return missing(self._drops, plants, from_ms, until_ms)[:PAGE_ROWS_MAX]

    def close(self) -> None:
        """Nothing to let go of."""


def as_stored(record: IncomingShot, row_id: int) -> StoredShot:
    """The stored form of an arrival."""
    return StoredShot(
        row_id=row_id,
        press=PressKey(record.gateway.plant_id, record.scored.shot.press_id),
        gateway_id=record.gateway.gateway_id,
        received_ms=record.received_ms,
        is_historical=record.is_historical,
        scored=record.scored,
    )


def without_curves(row: StoredShot) -> StoredShot:
    """The same row, light enough to keep and to list."""
    shot = replace(row.scored.shot, curves={}, sample_interval_s=0.0)
    return replace(row, scored=replace(row.scored, shot=shot))


def newest(row: StoredShot, other: StoredShot | None) -> StoredShot:
    """The later of two by the press's own time; of equals, the one that arrived later."""
    if other is None or (row.scored.shot.ended_ms, row.row_id) >= (other.scored.shot.ended_ms, other.row_id):
        return row
    return other


def _cycle(row: StoredShot) -> StoredCycle:
    shot, scores = row.scored.shot, row.scored.scores
    cycle_s = shot.parameters.get(CYCLE_TIME)
    return StoredCycle(row.row_id, row.press, shot.ended_ms, shot.mould_id, cycle_s, scores.quality_class)


def _setting(row: StoredShot) -> tuple[str, str]:
    return row.scored.shot.job_name, row.scored.shot.mould_id


def _has_changed(change: StoredChange) -> bool:
    return change.is_other_material or change.is_other_dataset or bool(change.moved)


def _place(row: StoredShot) -> tuple[int, int]:
    return row.scored.shot.ended_ms, row.row_id
