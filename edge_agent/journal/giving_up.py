"""What a journal without room gives up next, and the smaller segment that is left. Pure: bytes in, bytes out.

A thinned shot becomes a line in a gap record, and neighbouring gap records become one, so that a journal that never
finds room again keeps ever fewer shots of its oldest time and needs ever less for the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from contract.gaps import FULL, THINNED, GapLine, join
from contract.ranges import RangeSet
from edge_agent.journal.frames import RECORDS, Damage, Frame, Kind, encode, scan
from edge_agent.journal.journal import Record
from edge_agent.journal.kept import kept_count
from edge_agent.journal.payloads import Stored, decode_stored, encode_again, encode_ranges
from edge_agent.journal.segment import RECORDS_MAX, Segment, footer_of

MakeMetrics = Callable[[Record, str], bytes]
"""Encodes what stands for content that was given up, from the record and the reason."""
FORGOTTEN_SHARE = 0.25
"""A segment with less that is forgotten is not worth rewriting for that alone."""


class Loss(Enum):
    """What rewriting segments costs."""

    NOTHING = "forgotten"
    JOINED = "joined"
    CURVES = "curves"
    EVERY_SECOND = "thinned"

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is given up."""
        return self in (Loss.NOTHING, Loss.JOINED)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A segment with less in it, sealed; what it lost is counted."""

    data: bytes
    segment: Segment
    curves_dropped: int
    records_thinned: int


def choose(
    segments: Sequence[Segment], forgotten: RangeSet, *, joined_bytes_max: int
) -> tuple[list[Segment], Loss] | None:
    """What to write again next.

    A segment with forgotten content, else two small neighbours as one, else the oldest with curves, else the least
    thinned one; each with at least one shot, so that what is left of an outage says something of all of it.
    """
    for segment in _open(segments, Loss.NOTHING):
        if segment.records and _kept_share(segment, forgotten) <= 1 - FORGOTTEN_SHARE:
            return [segment], Loss.NOTHING
    for pair in pairwise(segments):
        frames, size = sum(each.frames for each in pair), sum(each.size for each in pair)
        if size <= joined_bytes_max and frames <= RECORDS_MAX and all(map(_can_be_joined, pair)):
            return list(pair), Loss.JOINED
    for segment in _open(segments, Loss.CURVES):
        if segment.curve_bytes:
            return [segment], Loss.CURVES
    thick = [segment for segment in _open(segments, Loss.EVERY_SECOND) if segment.shots > 1]
    return ([min(thick, key=lambda s: (s.rounds, s.number))], Loss.EVERY_SECOND) if thick else None


def _open(segments: Sequence[Segment], loss: Loss) -> list[Segment]:
    return [segment for segment in segments if loss.value not in segment.spent]


def _can_be_joined(segment: Segment) -> bool:
    return segment.is_sealed and Loss.JOINED.value not in segment.spent


def _kept_share(segment: Segment, forgotten: RangeSet) -> float:
    return kept_count(forgotten, segment.first_id, segment.last_id) / segment.records


def rewrite(
    pieces: Sequence[tuple[bytes, Segment]], loss: Loss, forgotten: RangeSet, mark_curves: MakeMetrics
) -> Rewritten:
    """Neighbouring segments as one under the first one's name, without forgotten content and without what `loss` says.

    Damaged ids stay missing.
    """
    head = pieces[0][1]
    rounds = max(segment.rounds for _, segment in pieces) + (loss is Loss.EVERY_SECOND)
    writer = _Writer(Segment(head.path, head.number, head.first_id, rounds=rounds, is_sealed=True))
    curves_dropped = records_thinned = shots_seen = 0
    for frame in _kept(pieces, forgotten):
        if not isinstance(frame, Frame):
            writer.put_void(*frame)
            continue
        if frame.header.kind not in RECORDS:
            writer.put_other(frame)
            continue
        stored = decode_stored(frame.header, frame.payload)
        if loss is Loss.CURVES and stored.has_curves:
            curves = mark_curves(stored.record, FULL)
            stored = replace(stored, has_curves=False, record=replace(stored.record, curves=curves))
            curves_dropped += 1
        elif loss is Loss.EVERY_SECOND and not stored.record.is_gap:
            shots_seen += 1
            if shots_seen % 2 == 0:
                stored = replace(stored, has_curves=False, record=gap_of(stored.record, THINNED))
                records_thinned += 1
        writer.put(stored, frame.header.bd_seq)
    return Rewritten(writer.close(), writer.segment, curves_dropped, records_thinned)


class _Writer:
    """Puts frames together, and neighbouring gap records into one; `segment` becomes their index."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._parts: list[bytes] = []
        self._size = 0
        self._waiting: tuple[Stored, int] | None = None  # a gap that the next one may join

    def put(self, stored: Stored, bd_seq: int) -> None:
        if not stored.record.is_gap:
            self._put_now(stored, bd_seq)
            return
        if self._waiting is not None:
            before = self._waiting[0]
            record = joined(before.record, stored.record)
            if record is not None:
                self._waiting = Stored(record, False, {**before.positions, **stored.positions}), bd_seq
                return
        self._let_go()
        self._waiting = stored, bd_seq

    def put_other(self, frame: Frame) -> None:
        self._let_go()  # an epoch speaks of the ids before it
        header = frame.header
        self._add(encode(Kind(header.kind), header.record_id, frame.payload, bd_seq=header.bd_seq))

    def put_void(self, first: int, last: int) -> None:
        """No offset may come after it."""
        self._let_go()
        self.segment.note_void(first, last)
        self._add(encode(Kind.VOID, last, encode_ranges([(first, last)]), bd_seq=0))

    def close(self) -> bytes:
        self._let_go()
        self._add(footer_of(self.segment))
        self.segment.size = self._size
        return b"".join(self._parts)

    def _let_go(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._write(*waiting)

    def _put_now(self, stored: Stored, bd_seq: int) -> None:
        self._let_go()
        self._write(stored, bd_seq)

    def _write(self, stored: Stored, bd_seq: int) -> None:
        self.segment.note(stored, self._size)
        self._add(encode_again(stored, bd_seq))

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)


def _kept(pieces: Sequence[tuple[bytes, Segment]], forgotten: RangeSet) -> Iterator[Frame | tuple[int, int]]:
    """What goes on: kept records, frames that a later snapshot may need, and behind them runs of forgotten ids."""
    void = RangeSet()
    for data, segment in pieces:
        for first, last in segment.void:
            void.add(first, last)
        last_id = segment.first_id - 1
        for item in scan(data):
            if isinstance(item, Damage):
                continue
            kind = item.header.kind
            if kind in (Kind.ALIASES, Kind.EPOCH):
                yield item
            if kind not in RECORDS or not last_id < item.header.record_id <= segment.last_id:
                continue
            first, last_id = first_id_of(item), item.header.record_id
            if forgotten.contiguous_from(first) > last_id:
                void.add(first, last_id)
            else:
                yield item
    yield from void


def first_id_of(frame: Frame) -> int:
    """The lowest id that a frame's record stands for."""
    if frame.header.kind == Kind.RUN:
        return decode_stored(frame.header, frame.payload).record.record_id
    return frame.header.record_id


def gap_of(record: Record, reason: str) -> Record:
    """What is left of a record when its content is given up; its body is made when it is read."""
    line = GapLine(record.press_id, reason, 1, record.ended_ms, record.ended_ms)
    return Record(record.record_id, record.press_id, record.ended_ms, b"", b"", (line,))


def joined(before: Record, after: Record) -> Record | None:
    """Two gap records as one, None when ids lie between them or one is none."""
    if not (before.is_gap and after.is_gap and before.last_id + 1 == after.record_id):
        return None
    ended_ms = min(before.ended_ms, after.ended_ms)
    lines = join((*before.gap, *after.gap))
    return Record(before.record_id, before.press_id, ended_ms, b"", b"", lines, after.last_id)
