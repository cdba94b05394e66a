"""What stands inside the journal's frames: records as bytes, everything else as JSON."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.gaps import REFUSED, THINNED, GapLine
from edge_agent.journal.frames import Header, Kind, encode
from edge_agent.journal.journal import NewRecord, Record

IS_METRICS_OF_GAP = 1
"""A gap record of an earlier version: its body is what it wrote on the wire, which is one shot's."""
CURVES_DROPPED = 2
IS_GAP = 4
_RECORD = struct.Struct("<BqHHII")
_PAIR = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it lies in a segment: with its marks, and how far its sources had come. A gap has no body there."""

    record: Record
    has_curves: bool
    positions: Mapping[str, str]


def encode_new(new: NewRecord) -> bytes:
    """The payload of a record that has just come in."""
    body = encode_lines(new.gap) if new.gap else new.body
    flags = IS_GAP * bool(new.gap)
    return _encode(flags, new.press_id, new.ended_ms, new.source_id, new.position, body, new.curves)


def encode_again(stored: Stored, bd_seq: int) -> bytes:
    """The frame of a record that is written again."""
    record = stored.record
    if record.is_gap:
        content = [record.record_id, _rows(record.gap), stored.positions]
        return encode(Kind.RUN, record.last_id, encode_json(content), bd_seq=bd_seq)
    (source_id, position), *_ = [*stored.positions.items(), ("", "")]
    flags = CURVES_DROPPED * (not stored.has_curves)
    payload = _encode(flags, record.press_id, record.ended_ms, source_id, position, record.body, record.curves)
    return encode(Kind.RECORD, record.record_id, payload, bd_seq=bd_seq)


def _encode(flags: int, press_id: str, ended_ms: int, source_id: str, position: str, body: bytes, rest: bytes) -> bytes:
    press, source, place = press_id.encode(), source_id.encode(), position.encode()
    fixed = _RECORD.pack(flags, ended_ms, len(press), len(source), len(place), len(body))
    return b"".join((fixed, press, source, place, body, rest))


def decode_record(header: Header, payload: bytes) -> Record:
    """The record alone."""
    if header.kind == Kind.RUN:
        return _decode_run(header.record_id, payload).record
    flags, ended_ms, press, source, place, body = _RECORD.unpack_from(payload)
    at = _RECORD.size + press
    press_id = payload[_RECORD.size : at].decode()
    at += source + place
    content = payload[at : at + body]
    if flags & IS_GAP:
        return Record(header.record_id, press_id, ended_ms, b"", b"", _lines(decode_json(content)))
    if flags & IS_METRICS_OF_GAP:
        reason = REFUSED if REFUSED.encode() in content else THINNED
        line = GapLine(press_id, reason, 1, ended_ms, ended_ms)
        return Record(header.record_id, press_id, ended_ms, b"", b"", (line,))
    return Record(header.record_id, press_id, ended_ms, content, payload[at + body :])


def decode_stored(header: Header, payload: bytes) -> Stored:
    """The record with all that was stored beside it."""
    if header.kind == Kind.RUN:
        return _decode_run(header.record_id, payload)
    flags, _, press, source, place, _ = _RECORD.unpack_from(payload)
    record = decode_record(header, payload)
    at = _RECORD.size + press
    source_id = payload[at : at + source].decode()
    position = payload[at + source : at + source + place].decode()
    has_curves = bool(record.curves) and not flags & CURVES_DROPPED
    return Stored(record, has_curves, {source_id: position} if source_id else {})


def _decode_run(last_id: int, payload: bytes) -> Stored:
    first_id, rows, positions = decode_json(payload)
    lines = _lines(rows)
    ended_ms = min(line.from_ms for line in lines)
    return Stored(Record(first_id, lines[0].press_id, ended_ms, b"", b"", lines, last_id), False, positions)


def encode_lines(lines: Sequence[GapLine]) -> bytes:
    """The lines of a gap."""
    return encode_json(_rows(lines))


def _rows(lines: Sequence[GapLine]) -> list[Any]:
    return [[line.press_id, line.reason, line.count, line.from_ms, line.to_ms] for line in lines]


def _lines(rows: Iterable[Any]) -> tuple[GapLine, ...]:
    return tuple(GapLine(*row) for row in rows)


def encode_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Closed ranges of ids."""
    return b"".join(_PAIR.pack(first, last) for first, last in ranges)


def decode_ranges(payload: bytes) -> list[tuple[int, int]]:
    """The ranges again."""
    return list(_PAIR.iter_unpack(payload))


def encode_json(value: dict[str, Any] | Sequence[Any]) -> bytes:
    """A value, compressed: the aliases of 40 presses come to tens of kB instead of hundreds."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def decode_json(payload: bytes) -> Any:
    """The value again."""
    return json.loads(zlib.decompress(payload))
