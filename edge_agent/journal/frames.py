"""One frame of a segment file: how it is written, and how frames are found again among damaged bytes.

A frame is a header with a checksum of its own and a payload with another, so that a damaged payload still tells which
record it was and where the next frame begins. The checksum is CRC-32: it finds every burst of up to 32 bits and misses
other damage once in 4 * 10^9; it guards against disks, not against people. crc32c would be no better at that and needs
a package; zlib's runs at more than 1 GB/s.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"ZJ\xf3\x01"
PAYLOAD_BYTES_MAX = 2**31
_HEADER = struct.Struct("<4sBBHIQI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size


class Kind(IntEnum):
    """What a frame says."""

    SNAPSHOT = 1  # all that the journal knows beside the records; the head of a segment
    RECORD = 2
    VOID = 3  # these ids were forgotten and their content is gone
    FORGET = 4
    RECALL = 5
    ALIASES = 6
    BD_SEQ = 7  # the header alone
    EPOCH = 8
    FOOTER = 9  # the index of a sealed segment; its end
    RUN = 10  # neighbouring gap records as one; the header has the last id


RECORDS = frozenset({Kind.RECORD, Kind.RUN})
"""What is read by id."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the payload. `record_id` is the record's, or the next one's: each frame is a floor.

    `left` is how many records of the same append follow: when only its first frame survives, the others are known.
    """

    kind: int
    bd_seq: int
    left: int
    length: int
    record_id: int
    payload_crc: int

    @property
    def ids_end(self) -> int:
        """The lowest id that was not yet given when the append of this frame was done."""
        return self.record_id + (1 + self.left if self.kind in RECORDS else 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame and where it begins."""

    offset: int
    header: Header
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame. `header` when that alone is whole; `is_torn` when the end of the file cut a frame."""

    offset: int
    end: int
    header: Header | None = None
    is_torn: bool = False


def encode(kind: Kind, record_id: int, payload: bytes = b"", *, bd_seq: int, left: int = 0) -> bytes:
    """A frame as bytes."""
    assert len(payload) < PAYLOAD_BYTES_MAX
    head = _HEADER.pack(MAGIC, kind, bd_seq, left, len(payload), record_id, zlib.crc32(payload))
    return b"".join((head, _CRC.pack(zlib.crc32(head)), payload))


def header_at(data: bytes, offset: int = 0) -> Header | None:
    """The header at `offset`, None when there is none."""
    if len(data) - offset < HEADER_BYTES:
        return None
    magic, kind, bd_seq, left, length, record_id, payload_crc = _HEADER.unpack_from(data, offset)
    if magic != MAGIC or _CRC.unpack_from(data, offset + _HEADER.size)[0] != zlib.crc32(
        memoryview(data)[offset : offset + _HEADER.size]
    ):
        return None
    return Header(kind, bd_seq, left, length, record_id, payload_crc)


def scan(data: bytes) -> Iterator[Frame | Damage]:
    """All of `data` in order, as frames and the damage between them."""
    at = 0
    while at < len(data):
        header = header_at(data, at)
        if header is None:
            end = _next_header(data, at + 1)
            yield Damage(at, end, is_torn=end - at < HEADER_BYTES and end == len(data))
            at = end
            continue
        begin, end = at + HEADER_BYTES, at + HEADER_BYTES + header.length
        if end > len(data):
            # A header that is whole is right: the file ends too early, or what follows was overwritten.
            end = _next_header(data, begin)
            yield Damage(at, end, header, is_torn=end == len(data))
        elif zlib.crc32(payload := data[begin:end]) != header.payload_crc:
            yield Damage(at, end, header)
        else:
            yield Frame(at, header, payload)
        at = end


def _next_header(data: bytes, start: int) -> int:
    """Where the next whole header begins; the end when there is none."""
    at = data.find(MAGIC, start)
    while at >= 0:
        if header_at(data, at) is not None:
            return at
        at = data.find(MAGIC, at + 1)
    return len(data)
