"""One segment file: its small index in memory, the footer that saves a scan, and reading records by id."""

import re
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.journal.disk import read_what_is_readable
from edge_agent.journal.frames import HEADER_BYTES, RECORDS, Damage, Frame, Kind, encode, header_at, scan
from edge_agent.journal.journal import NewRecord, Record
from edge_agent.journal.payloads import Stored, decode_json, decode_ranges, decode_record, decode_stored, encode_json

RECORDS_MAX = 4_096
"""Also what bounds the ids that a lost file can have held."""
INDEX_EVERY = 16
READ_BUFFER_BYTES = 256 * 1024
_TAIL = struct.Struct("<I4s")
_TAIL_MAGIC = b"ZJnd"
_NAME = re.compile(r"(\d{8})-(\d{20})\.seg")


@dataclass(slots=True)
class Segment:
    """The index of a segment: bounded by `RECORDS_MAX` / `INDEX_EVERY` entries, whatever the records weigh.

    `records` are counted by their ids, `frames` as they lie in the file: a gap record may stand for many.
    """

    path: Path
    number: int
    first_id: int
    size: int = 0
    last_id: int = 0
    records: int = 0
    frames: int = 0
    shots: int = 0
    content_bytes: int = 0
    curve_bytes: int = 0
    rounds: int = 0
    press_id: str = ""
    ended_ms: int = 0
    void: list[tuple[int, int]] = field(default_factory=list)
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    is_sealed: bool = False
    spent: set[str] = field(default_factory=set)
    """The ways of rewriting it that would gain nothing."""

    def __post_init__(self) -> None:
        self.last_id = max(self.last_id, self.first_id - 1)

    def note(self, stored: Stored, offset: int) -> None:
        """Take a record that lies at `offset` into the index."""
        record = stored.record
        if self.frames % INDEX_EVERY == 0:
            self.ids.append(record.record_id)
            self.offsets.append(offset)
        self.last_id = record.last_id
        self.frames += 1
        self.records += record.last_id - record.record_id + 1
        self.shots += not record.is_gap
        self.content_bytes += record.size_bytes
        self.curve_bytes += len(record.curves) if stored.has_curves else 0
        self.press_id, self.ended_ms = record.press_id, record.ended_ms

    def note_new(self, record_id: int, new: NewRecord, offset: int) -> None:
        """Take a record that was just written at `offset` into the index."""
        record = Record(record_id, new.press_id, new.ended_ms, new.body, new.curves, new.gap)
        self.note(Stored(record, bool(new.curves), {}), offset)

    def note_void(self, first: int, last: int) -> None:
        """Take ids whose content is gone into the index."""
        self.void.append((first, last))
        self.last_id = max(self.last_id, last)


def name_of(number: int, first_id: int) -> str:
    """A segment's file name; it tells the lowest id that the file can hold, whatever happens to the content."""
    return f"{number:08}-{first_id:020}.seg"


def find(folder: Path) -> list[Segment]:
    """The segments of a folder by number, with nothing but their names in the index."""
    paths = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return [Segment(path, int(path.name[:8]), int(path.name[9:29])) for path in paths]


def footer_of(segment: Segment) -> bytes:
    """The frame that seals a segment: its index, found from the end of the file."""
    names = ("last_id", "records", "frames", "shots", "content_bytes", "curve_bytes", "rounds", "press_id", "ended_ms")
    content: dict[str, Any] = {name: getattr(segment, name) for name in (*names, "void")}
    content |= {"ids": list(segment.ids), "offsets": list(segment.offsets)}
    payload = encode_json(content)
    payload += _TAIL.pack(HEADER_BYTES + len(payload) + _TAIL.size, _TAIL_MAGIC)
    return encode(Kind.FOOTER, segment.last_id + 1, payload, bd_seq=0)


def load_footer(segment: Segment) -> bool:
    """Fill the index from the footer; False when the segment has none that is whole."""
    with segment.path.open("rb") as file:
        size = file.seek(0, 2)
        if size < HEADER_BYTES + _TAIL.size:
            return False
        file.seek(size - _TAIL.size)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        if magic != _TAIL_MAGIC or length > size:
            return False
        file.seek(size - length)
        data = file.read(length)
    header = header_at(data)
    if header is None or header.kind != Kind.FOOTER or zlib.crc32(data[HEADER_BYTES:]) != header.payload_crc:
        return False
    content = decode_json(data[HEADER_BYTES : -_TAIL.size])
    segment.size = size
    segment.void = [(first, last) for first, last in content.pop("void")]
    segment.ids, segment.offsets = array("Q", content.pop("ids")), array("Q", content.pop("offsets"))
    segment.is_sealed = True
    segment.frames = content["records"]  # one each, before they could be joined
    for name, value in content.items():
        setattr(segment, name, value)
    return True


def load_scan(segment: Segment, ids_end: int | None = None) -> Iterator[Frame | Damage]:
    """Fill the index from the frames and pass them on.

    A record whose id does not rise, or is not under `ids_end`, is a left-over and is passed on as damage.
    """
    data = read_what_is_readable(segment.path)
    segment.size = len(data)
    for item in scan(data):
        if isinstance(item, Frame) and item.header.kind in RECORDS:
            stored = decode_stored(item.header, item.payload)
            if not segment.last_id < stored.record.record_id <= stored.record.last_id < (ids_end or 2**64):
                yield Damage(item.offset, item.offset + HEADER_BYTES + item.header.length)
                continue
            segment.note(stored, item.offset)
        elif isinstance(item, Frame) and item.header.kind == Kind.VOID:
            for first, last in decode_ranges(item.payload):
                segment.note_void(first, last)
        yield item


def read(segment: Segment, first: int, last: int, *, limit: int) -> list[Record]:
    """At most `limit` records that are whole and have ids in `first`..`last`; the others are simply not there."""
    found = _read_indexed(segment, first, last, limit)
    return _read_scanning(segment, first, last, limit) if found is None else found


def _read_indexed(segment: Segment, first: int, last: int, limit: int) -> list[Record] | None:
    """The records by the index; None at the first damage, or when ids in between are missing."""
    if not segment.ids:
        return []
    found: list[Record] = []
    try:
        with segment.path.open("rb", buffering=READ_BUFFER_BYTES) as file:
            file.seek(segment.offsets[max(0, bisect_right(segment.ids, first) - 1)])
            while len(found) < limit and file.tell() < segment.size:
                header = header_at(file.read(HEADER_BYTES))
                if header is None:
                    return None
                if header.kind == Kind.RECORD and header.record_id > last:
                    break  # a footer is no end: when the next segment could not be begun, records went on behind it
                if header.kind not in RECORDS or header.record_id < first:
                    file.seek(header.length, 1)
                    continue
                payload = file.read(header.length)
                if zlib.crc32(payload) != header.payload_crc:
                    return None
                record = decode_record(header, payload)
                if record.record_id > last:
                    break
                found.append(record)
    except OSError:
        return None
    return found


def _read_scanning(segment: Segment, first: int, last: int, limit: int) -> list[Record]:
    found: list[Record] = []
    for item in load_scan(Segment(segment.path, segment.number, segment.first_id), segment.last_id + 1):
        if len(found) == limit:
            break
        if isinstance(item, Frame) and item.header.kind in RECORDS and first <= item.header.record_id:
            record = decode_record(item.header, item.payload)
            if record.record_id <= last:
                found.append(record)
    return found
