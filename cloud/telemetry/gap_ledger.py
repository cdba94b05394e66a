"""From single drops to the ledger that people read: one line a run. Pure, shared by every store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cloud.telemetry.deduplication import Ids, Record
from cloud.telemetry.store import GapFilter, GapKind, IncomingGap, PressKey, StoredGap

RunKey = tuple[PressKey, str, str, str, GapKind]


@dataclass(frozen=True, slots=True)
class Drop:
    """What one arrival tells of as given up: the ids `first_id`..`last_id`, none of them told of before."""

    gap_id: int
    kind: GapKind
    press: PressKey
    gateway_id: str
    epoch: str
    first_id: int
    last_id: int
    ended_ms: int
    received_ms: int
    reason: str


def drops(records: Sequence[Record], new_ids: Sequence[Ids], first_gap_id: int) -> list[Drop]:
    """The drops that the new ids of a batch tell of, numbered from `first_gap_id`."""
    told = (
        (record, first, last)
        for record, ids in zip(records, new_ids, strict=True)
        for first, last in ids
        if _why(record)
    )
    return [_drop(gap_id, *item) for gap_id, item in enumerate(told, first_gap_id)]


def ledger(
    found: Iterable[Drop], wanted: GapFilter, *, limit: int, before: tuple[int, int] | None = None
) -> list[StoredGap]:
    """Join the drops of one press, gateway, epoch, reason and kind into one line each, newest first."""
    kept = sorted(_let_through(found, wanted), key=_run)
    lines = [_line(key, list(run)) for key, run in groupby(kept, key=_run)]
    lines.sort(key=_position, reverse=True)
    return [line for line in lines if before is None or _position(line) < before][:limit]


def _why(record: Record) -> str:
    return record.reason if isinstance(record, IncomingGap) else record.curves_dropped


def _drop(gap_id: int, record: Record, first: int, last: int) -> Drop:
    is_gap = isinstance(record, IncomingGap)
    source = record if isinstance(record, IncomingGap) else record.scored.shot
    return Drop(
        gap_id=gap_id,
        kind="shot" if is_gap else "curves",
        press=PressKey(record.gateway.plant_id, source.press_id),
        gateway_id=record.gateway.gateway_id,
        epoch=record.epoch,
        first_id=first,
        last_id=last,
        ended_ms=source.ended_ms,
        received_ms=record.received_ms,
        reason=_why(record),
    )


def _let_through(found: Iterable[Drop], wanted: GapFilter) -> Iterator[Drop]:
    for drop in found:
        is_here = drop.press.plant_id in wanted.plant_ids and wanted.press_id in ("", drop.press.press_id)
        if is_here and wanted.reason in ("", drop.reason):
            yield drop


def _run(drop: Drop) -> RunKey:
    return drop.press, drop.gateway_id, drop.epoch, drop.reason, drop.kind


def _position(line: StoredGap) -> tuple[int, int]:
    return line.to_ended_ms, line.gap_id


def _line(key: RunKey, run: list[Drop]) -> StoredGap:
    press, gateway_id, _, reason, kind = key
    return StoredGap(
        gap_id=max(drop.gap_id for drop in run),
        kind=kind,
        press=press,
        gateway_id=gateway_id,
        reason=reason,
        count=sum(drop.last_id - drop.first_id + 1 for drop in run),
        from_ended_ms=min(drop.ended_ms for drop in run),
        to_ended_ms=max(drop.ended_ms for drop in run),
    )
