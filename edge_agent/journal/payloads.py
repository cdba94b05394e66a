"""What stands inside the journal's frames: records as bytes, everything else as JSON."""

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.journal.journal import NewRecord, Record

IS_GAP = 1
CURVES_DROPPED = 2
_RECORD = struct.Struct("<BqHHII")
_PAIR = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it lies in a segment: with its marks, and how far its source had come."""

    record: Record
    has_curves: bool
    source_id: str
    position: str


def encode_new(new: NewRecord) -> bytes:
    """The payload of a record that has just come in."""
    return _encode(IS_GAP * new.is_gap, new.press_id, new.ended_ms, new.source_id, new.position, new.body, new.curves)


def encode_stored(stored: Stored) -> bytes:
    """The payload of a record that is written again."""
    record = stored.record
    flags = IS_GAP * record.is_gap + CURVES_DROPPED * (not record.is_gap and not stored.has_curves)
    return _encode(
        flags, record.press_id, record.ended_ms, stored.source_id, stored.position, record.body, record.curves
    )


def _encode(flags: int, press_id: str, ended_ms: int, source_id: str, position: str, body: bytes, rest: bytes) -> bytes:
    press, source, place = press_id.encode(), source_id.encode(), position.encode()
    fixed = _RECORD.pack(flags, ended_ms, len(press), len(source), len(place), len(body))
    return b"".join((fixed, press, source, place, body, rest))


def decode_record(record_id: int, payload: bytes) -> Record:
    """The record alone."""
    flags, ended_ms, press, source, place, body = _RECORD.unpack_from(payload)
    at = _RECORD.size + press
    press_id = payload[_RECORD.size : at].decode()
    at += source + place
    return Record(
        record_id, press_id, ended_ms, payload[at : at + body], payload[at + body :], is_gap=bool(flags & IS_GAP)
    )


def decode_stored(record_id: int, payload: bytes) -> Stored:
    """The record with all that was stored beside it."""
    flags, _, press, source, place, _ = _RECORD.unpack_from(payload)
    record = decode_record(record_id, payload)
    at = _RECORD.size + press
    source_id = payload[at : at + source].decode()
    position = payload[at + source : at + source + place].decode()
    has_curves = bool(record.curves) and not flags & (IS_GAP | CURVES_DROPPED)
    return Stored(record, has_curves, source_id, position)


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
