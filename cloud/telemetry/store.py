"""The port of the telemetry store: every shot once, with the ranges of record ids that are durable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from contract.gaps import GapLine
from contract.ranges import RangeSet
from contract.shot import NOT_TOLD, FloatArray, ProductionDataset, ScoredShot
from kit.errors import ZhisanError

PAGE_ROWS_MAX = 1_000
CYCLE_TIME = "CycleTime"
FEATURE_ROWS_MAX = 20_000
"""Shots of one call of `TelemetryStore.features`: some 7 MB."""
CURVE_SHOTS_MAX = 64
"""Shots of one call of `TelemetryStore.shots`: some 8 MB of curves of 5,000 samples."""

Plants = frozenset[str]
"""The plants of who asks, from `cloud.fleet.reading.plant_ids`: no reader gets at what is of any other.

Given as a `Sight`, they hide what ended before its `from_ms`; the newest shot of a press is always seen.
"""
GapKind = Literal["shot", "curves"]
"""What was given up: a whole record, or the curves of a shot that was stored without them."""


class TelemetryError(ZhisanError):
    """The store could not do what was asked; nothing of the call was kept."""


@dataclass(frozen=True, slots=True, order=True)
class GatewayKey:
    """A gateway's identity: Sparkplug group (plant) and edge node."""

    plant_id: str
    gateway_id: str


@dataclass(frozen=True, slots=True, order=True)
class PressKey:
    """A press's identity: Sparkplug group (plant) and device."""

    plant_id: str
    press_id: str


@dataclass(frozen=True, slots=True, eq=False)
class IncomingShot:
    """One journal record as it arrived; (gateway, epoch, record_id) is its identity, never time or seq.

    `curves_dropped` says why its gateway gave up the curves; empty when it did not.
    """

    gateway: GatewayKey
    epoch: str
    record_id: int
    received_ms: int
    is_historical: bool
    scored: ScoredShot
    curves_dropped: str = ""


@dataclass(frozen=True, slots=True)
class IncomingGap:
    """A record that will not come: its id is spent, its content gone, its reason kept.

    With `last_record_id` it stands for all ids from `record_id` to that one. `lines` say whose shots they were, how
    many and why; without them each id is one shot of the press, which is empty where nobody knows it any more.
    """

    gateway: GatewayKey
    epoch: str
    record_id: int
    received_ms: int
    press_id: str
    ended_ms: int
    reason: str
    last_record_id: int | None = None
    lines: tuple[GapLine, ...] = ()

    @property
    def last_id(self) -> int:
        """The last id that it stands for."""
        return self.record_id if self.last_record_id is None else self.last_record_id


@dataclass(frozen=True, slots=True, eq=False)
class StoredShot:
    """A shot as stored; `row_id` rises by arrival and is the cursor of every reader. Curves come only from `shot`."""

    row_id: int
    press: PressKey
    gateway_id: str
    received_ms: int
    is_historical: bool
    scored: ScoredShot


@dataclass(frozen=True, slots=True)
class StoredCycle:
    """What a stored shot says of production; `cycle_s` is the press's own word, None where it gave none."""

    row_id: int
    press: PressKey
    ended_ms: int
    mould_id: str
    cycle_s: float | None
    quality_class: str | None


@dataclass(frozen=True, slots=True)
class StoredGap:
    """What is missing of one press of a gateway for one reason, as one line; `count` is of shots, or of shots' curves.

    `gap_id` is that of the last drop in the line; with `to_ended_ms` it says where the next page begins. The press is
    empty where nobody knows whose records they were.
    """

    gap_id: int
    kind: GapKind
    press: PressKey
    gateway_id: str
    reason: str
    count: int
    from_ended_ms: int
    to_ended_ms: int


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """How many shots of a press, or shots' curves, are missing for one reason in a time."""

    press: PressKey
    kind: GapKind
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class GapFilter:
    """Which lines of the gap ledger are wanted; an empty text does not narrow, no plant at all lets nothing through."""

    plant_ids: frozenset[str]
    press_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Feature vectors of one kind: the hash of their schema, and how many numbers each has."""

    features_hash: str
    width: int


@dataclass(frozen=True, slots=True)
class Span:
    """How many shots of a press there are, and when the first and the last one ended, by the press's clock."""

    shots: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Shots of one press in the order of its own time: ids, times and moulds (n,), features (n, width), NaN if missing.

    All of a shot's are missing where its gateway sent another number of them than their schema has.
    """

    row_ids: npt.NDArray[np.int64]
    ended_ms: npt.NDArray[np.int64]
    mould_ids: tuple[str, ...]
    features: FloatArray


@dataclass(frozen=True, slots=True)
class Moved:
    """One set point of a press that has another value than before, by the name of its parameter."""

    name: str
    before: float
    now: float


def moved_between(before: ProductionDataset, now: ProductionDataset) -> tuple[Moved, ...]:
    """The set points that both tell and that differ, by their names."""
    if before.set_points == now.set_points:
        return ()
    known = dict(before.set_points)
    return tuple(Moved(name, known[name], value) for name, value in now.set_points if known.get(name, value) != value)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """The first shot of a press with another job, mould, material, dataset or set point than the shot before it.

    Before it is by the press's own time. Where either shot does not tell one of these, that is no change of it.
    """

    row_id: int
    ended_ms: int
    job_name: str
    mould_id: str
    job_before: str
    mould_before: str
    material: str = ""
    material_before: str = ""
    dataset: ProductionDataset = NOT_TOLD
    dataset_before: ProductionDataset = NOT_TOLD

    @property
    def is_other_material(self) -> bool:
        """Whether the material is another one than before, both being told."""
        return bool(self.material and self.material_before) and self.material != self.material_before

    @property
    def is_other_dataset(self) -> bool:
        """Whether the production dataset has another name than before, both being told."""
        now, before = self.dataset.name, self.dataset_before.name
        return bool(now and before) and now != before

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The set points that somebody moved: none where another job, mould or dataset brought its own."""
        is_other_job = (self.job_name, self.mould_id) != (self.job_before, self.mould_before)
        return () if is_other_job or self.is_other_dataset else moved_between(self.dataset_before, self.dataset)


def change_between(before: StoredShot, now: StoredShot) -> StoredChange:
    """What differs from one shot of a press to the next one, be it nothing."""
    last, shot = before.scored.shot, now.scored.shot
    return StoredChange(
        now.row_id,
        shot.ended_ms,
        shot.job_name,
        shot.mould_id,
        last.job_name,
        last.mould_id,
        shot.material,
        last.material,
        shot.dataset,
        last.dataset,
    )


class TelemetryStore(Protocol):
    """Blocking; callers run it in a limited thread. One writer, many readers.

    Whoever reads for somebody says whose plants he may see; `after`, `cycles`, `total` and `committed` serve the
    program itself.
    """

    def write(self, records: Sequence[IncomingShot | IncomingGap]) -> list[int | None]:
        """Store what is new and mark all as durable, in one transaction.

        Returns:
            The row id of each record; None for a duplicate and for a gap.

        Raises:
            TelemetryError: nothing was stored and nothing marked; the same call may be made again.
        """

    def committed(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        """The durable record ids of one gateway's epoch; empty when it was never seen."""

    def recent(self, plants: Plants, press: PressKey, *, limit: int, before: int | None = None) -> list[StoredShot]:
        """The newest shots of a press by row id, newest first, older than row id `before`; `limit` <= PAGE_ROWS_MAX."""

    def after(self, row_id: int, *, limit: int) -> list[StoredShot]:
        """The shots that arrived after `row_id`, oldest first, of all plants: how consumers catch up."""

    def cycles(self, row_id: int, *, limit: int) -> list[StoredCycle]:
        """The cycles of the shots that arrived after `row_id`, oldest first: `after`, for a quarter of its cost."""

    def shot(self, plants: Plants, row_id: int) -> StoredShot | None:
        """One shot with its curves."""

    def shots(self, plants: Plants, press: PressKey, row_ids: Sequence[int]) -> list[StoredShot]:
        """Those of these shots that are the press's, with their curves, by row id; at most CURVE_SHOTS_MAX are asked.

        A row id that is not the press's gives nothing.
        """

    def between(
        self, plants: Plants, press: PressKey, *, from_ms: int, before: tuple[int, int], limit: int
    ) -> list[StoredShot]:
        """The shots of a press that ended from `from_ms` on, the newest first by (`ended_ms`, `row_id`).

        Those that stand before the place `before`, at most `limit` <= PAGE_ROWS_MAX.
        """

    def changes(
        self, plants: Plants, press: PressKey, *, from_ms: int, until_ms: int, limit: int
    ) -> list[StoredChange]:
        """Where a press's job, mould, material, dataset or set points changed between two times, the newest first.

        The times are included. Its very first shot is no change; `limit` <= PAGE_ROWS_MAX.
        """

    def latest(self, plants: Plants) -> dict[PressKey, StoredShot]:
        """The newest shot (by the press's own time) of each press: the same object until there is a newer one.

        Presses keep their places in the mapping, new ones come behind.
        """

    def counts(self, plants: Plants) -> Mapping[PressKey, int]:
        """How many shots are stored of each press."""

    def total(self) -> int:
        """How many shots are stored of all plants: a figure of the program, not of a tenant."""

    def spans(self, plants: Plants, features_hash: str, *, after_ms: int) -> dict[PressKey, Span]:
        """By press, its shots with features of this schema that ended after `after_ms`; none, no entry."""

    def features(
        self, plants: Plants, press: PressKey, wanted: FeatureSet, *, after: tuple[int, int], until_ms: int, limit: int
    ) -> FeatureRows:
        """The shots of a press with the wanted features, the earliest first by (`ended_ms`, `row_id`).

        Those behind `after` that ended by `until_ms`, at most `limit` <= FEATURE_ROWS_MAX.
        """

    def gaps(self, wanted: GapFilter, *, limit: int, before: tuple[int, int] | None = None) -> list[StoredGap]:
        """The gap ledger, newest first, behind the (`to_ended_ms`, `gap_id`) `before`; `limit` <= PAGE_ROWS_MAX."""

    def missing(self, plants: Plants, *, from_ms: int, until_ms: int) -> list[Missing]:
        """What was given up of shots that ended from `from_ms` on and before `until_ms`, in order.

        Drops that were told of as one count where the last of them ended; at most PAGE_ROWS_MAX are given.
        """

    def close(self) -> None:
        """Flush and let go of the files."""
