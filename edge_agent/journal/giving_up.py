"""What a journal without room gives up next, and the smaller segment that is left. Pure: bytes in, bytes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from contract.ranges import RangeSet
from edge_agent.journal.frames import Damage, Frame, Kind, encode, scan
from edge_agent.journal.journal import FULL, THINNED, Record
from edge_agent.journal.kept import kept_count
from edge_agent.journal.payloads import decode_stored, encode_ranges, encode_stored
from edge_agent.journal.segment import Segment, footer_of

MakeMetrics = Callable[[Record, str], bytes]
"""Encodes what stands for content that was given up, from the record and the reason."""
RECORDS_A_SHOT_MAX = 64
"""Thinned to one shot in so many records, a segment is left alone: the rest would free next to nothing."""
FORGOTTEN_SHARE = 0.25
"""A segment with less that is forgotten is not worth rewriting for that alone."""


class Loss(Enum):
    """What rewriting a segment costs."""

    NOTHING = "forgotten"
    CURVES = "curves"
    EVERY_SECOND = "thinned"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A segment with less in it, sealed; what it lost is counted."""

    data: bytes
    segment: Segment
    curves_dropped: int
    records_thinned: int


def choose(segments: Sequence[Segment], forgotten: RangeSet) -> tuple[Segment, Loss] | None:
    """The segment to rewrite next: with forgotten content, else the oldest with curves, else the least thinned one."""
    open_to_it = [segment for segment in segments if not segment.is_spent]
    for segment in open_to_it:
        if segment.records and _kept_share(segment, forgotten) <= 1 - FORGOTTEN_SHARE:
            return segment, Loss.NOTHING
    for segment in open_to_it:
        if segment.curve_bytes:
            return segment, Loss.CURVES
    thick = [segment for segment in open_to_it if segment.shots > max(1, segment.records // RECORDS_A_SHOT_MAX)]
    return (min(thick, key=lambda s: (s.rounds, s.number)), Loss.EVERY_SECOND) if thick else None


def _kept_share(segment: Segment, forgotten: RangeSet) -> float:
    return kept_count(forgotten, segment.first_id, segment.last_id) / segment.records


def rewrite(
    data: bytes, segment: Segment, loss: Loss, forgotten: RangeSet, make_gap: MakeMetrics, mark_curves: MakeMetrics
) -> Rewritten:
    """The segment without its forgotten content and without what `loss` says. Damaged ids stay missing."""
    twin = Segment(segment.path, segment.number, segment.first_id, rounds=segment.rounds + (loss is Loss.EVERY_SECOND))
    curves_dropped = records_thinned = shots_seen = size = 0
    parts: list[bytes] = []
    for item in _kept(data, segment, forgotten):
        if isinstance(item, tuple):
            twin.note_void(*item)
            parts.append(encode(Kind.VOID, item[1], encode_ranges([item]), bd_seq=0))
            continue  # they are the last, no offset comes after them
        header, payload = item.header, item.payload
        if header.kind == Kind.RECORD:
            stored = decode_stored(header.record_id, payload)
            if loss is Loss.CURVES and stored.has_curves:
                stored = replace(stored, has_curves=False, record=_without_curves(stored.record, mark_curves))
                curves_dropped += 1
            elif loss is Loss.EVERY_SECOND and not stored.record.is_gap:
                shots_seen += 1
                if shots_seen % 2 == 0:
                    stored = replace(stored, has_curves=False, record=gap_of(stored.record, THINNED, make_gap))
                    records_thinned += 1
            twin.note(stored, size)
            payload = encode_stored(stored)
        parts.append(encode(Kind(header.kind), header.record_id, payload, bd_seq=header.bd_seq))
        size += len(parts[-1])
    parts.append(footer_of(twin))
    content = b"".join(parts)
    twin.size = len(content)
    return Rewritten(content, twin, curves_dropped, records_thinned)


def _kept(data: bytes, segment: Segment, forgotten: RangeSet) -> Iterator[Frame | tuple[int, int]]:
    """What goes on: kept records, runs of forgotten ids, and frames that a later snapshot may need."""
    void = RangeSet(segment.void)
    last_id = segment.first_id - 1
    for item in scan(data):
        if isinstance(item, Damage):
            continue
        kind, record_id = item.header.kind, item.header.record_id
        if kind in (Kind.ALIASES, Kind.EPOCH):
            yield item
        if kind != Kind.RECORD or not last_id < record_id <= segment.last_id:
            continue
        last_id = record_id
        if record_id in forgotten:
            void.add(record_id)
        else:
            yield item
    yield from void


def gap_of(record: Record, reason: str, make_gap: MakeMetrics) -> Record:
    """What is left of a record when its content is given up."""
    return Record(record.record_id, record.press_id, record.ended_ms, make_gap(record, reason), b"", is_gap=True)


def _without_curves(record: Record, mark_curves: MakeMetrics) -> Record:
    return replace(record, curves=mark_curves(record, FULL))
