"""From single drops to the ledger that people read: one line a run. Pure, shared by every store."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from cloud.telemetry.deduplication import Ids, Record
from cloud.telemetry.store import (
    GapFilter,
    GapKind,
    GatewayKey,
    IncomingGap,
    IncomingShot,
    Missing,
    Plants,
    PressKey,
    StoredGap,
)
from contract.gaps import THINNED, GapLine

Shots = Mapping[tuple[str, str], int]
"""How many shots of which press, for which reason; a stored shot has the reason for which a gateway gives shots up."""
Known = Callable[[GatewayKey, str, int, int], Shots]
"""What a store has of a gateway's epoch in a range of ids: shots, and gaps that lie in it as a whole."""
RunKey = tuple[PressKey, str, str, str, GapKind]


@dataclass(frozen=True, slots=True)
class Drop:
    """`count` shots that one arrival tells of as missing, none of them told of before.

    Their ids are among `first_id`..`last_id`; where gaps were joined, other shots' ids may be there as well.
    """

    gap_id: int
    kind: GapKind
    press: PressKey
    gateway_id: str
    epoch: str
    first_id: int
    last_id: int
    count: int
    from_ms: int
    ended_ms: int
    received_ms: int
    reason: str


def drops(
    records: Sequence[Record],
    new_ids: Sequence[Ids],
    first_gap_id: int,
    known: Known = lambda _gateway, _epoch, _first, _last: {},
) -> list[Drop]:
    """The drops that the new ids of a batch tell of, numbered from `first_gap_id`.

    Joined gaps may reach over ids that are stored already, since a record may be given up while the word that it has
    arrived is on its way: `known` tells of those, and their shots are taken out of the lines.
    """
    found: list[Drop] = []
    for place, (record, ids) in enumerate(zip(records, new_ids, strict=True)):
        if isinstance(record, IncomingGap) and record.lines and ids:
            lines: Sequence[GapLine] = record.lines
            if list(ids) != [(record.record_id, record.last_id)]:
                before = Counter(known(record.gateway, record.epoch, record.record_id, record.last_id))
                before.update(_in_batch(record, records[:place], new_ids, found))
                lines = _without(lines, before)
            found += [_line_drop(first_gap_id + len(found) + i, record, line) for i, line in enumerate(lines)]
        elif _why(record):
            found += [_drop(first_gap_id + len(found) + i, record, *span) for i, span in enumerate(ids)]
    return found


def _in_batch(
    gap: IncomingGap, before: Sequence[Record], new_ids: Sequence[Ids], found: Iterable[Drop]
) -> Counter[tuple[str, str]]:
    """What came in the same batch, as `Known` says it."""
    shots: Counter[tuple[str, str]] = Counter()
    for record, ids in zip(before, new_ids, strict=False):
        if isinstance(record, IncomingShot) and ids and _is_in(gap, record, record.record_id, record.record_id):
            shots[record.scored.shot.press_id, THINNED] += 1
    for drop in found:
        is_here = drop.press.plant_id == gap.gateway.plant_id and drop.gateway_id == gap.gateway.gateway_id
        if drop.kind == "shot" and is_here and drop.epoch == gap.epoch:
            is_within = gap.record_id <= drop.first_id and drop.last_id <= gap.last_id
            shots[drop.press.press_id, drop.reason] += drop.count if is_within else 0
    return shots


def _is_in(gap: IncomingGap, record: Record, first: int, last: int) -> bool:
    is_same = (record.gateway, record.epoch) == (gap.gateway, gap.epoch)
    return is_same and gap.record_id <= first and last <= gap.last_id


def _without(lines: Sequence[GapLine], known: Shots) -> list[GapLine]:
    """The lines without the shots that are known; what is known under another reason was thinned since."""
    told = {(line.press_id, line.reason): line for line in lines}
    for (press_id, reason), count in known.items():
        key = (press_id, reason) if (press_id, reason) in told else (press_id, THINNED)
        if key in told:
            told[key] = replace(told[key], count=told[key].count - count)
    return [line for line in told.values() if line.count > 0]


def ledger(
    found: Iterable[Drop], wanted: GapFilter, *, limit: int, before: tuple[int, int] | None = None
) -> list[StoredGap]:
    """Join the drops of one press, gateway, epoch, reason and kind into one line each, newest first."""
    kept = sorted(_let_through(found, wanted), key=_run)
    lines = [_line(key, list(run)) for key, run in groupby(kept, key=_run)]
    lines.sort(key=_position, reverse=True)
    return [line for line in lines if before is None or _position(line) < before][:limit]


def missing(found: Iterable[Drop], plants: Plants, from_ms: int, until_ms: int) -> list[Missing]:
    """The drops of a time, summed by press, kind and reason, in order."""
    counts: dict[tuple[PressKey, GapKind, str], int] = {}
    for drop in found:
        if drop.press.plant_id in plants and from_ms <= drop.ended_ms < until_ms:
            key = (drop.press, drop.kind, drop.reason)
            counts[key] = counts.get(key, 0) + drop.count
    return sorted(Missing(*key, count) for key, count in counts.items())


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
        count=last - first + 1,
        from_ms=source.ended_ms,
        ended_ms=source.ended_ms,
        received_ms=record.received_ms,
        reason=_why(record),
    )


def _line_drop(gap_id: int, record: IncomingGap, line: GapLine) -> Drop:
    return Drop(
        gap_id=gap_id,
        kind="shot",
        press=PressKey(record.gateway.plant_id, line.press_id),
        gateway_id=record.gateway.gateway_id,
        epoch=record.epoch,
        first_id=record.record_id,
        last_id=record.last_id,
        count=line.count,
        from_ms=line.from_ms,
        ended_ms=line.to_ms,
        received_ms=record.received_ms,
        reason=line.reason,
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
        count=sum(drop.count for drop in run),
        from_ended_ms=min(drop.from_ms for drop in run),
        to_ended_ms=max(drop.ended_ms for drop in run),
    )
