"""Evidence of many customers as packed columns, and as the table that formulas read. Pure.

A pack is a piece of all evidence in the order in which it was entered. It is made once and read by every scoring run:
rows of a database cost a microsecond or two each, and there are millions of them.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from cloud.tiering.evidence import KINDS, EvidenceTable, Floats

ROWS_MAX: Final = 500_000
"""Of one pack; the last one is made anew until it has so many."""
ZLIB_LEVEL: Final = 1
UUID_BYTES: Final = 16
NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of evidence; `owner` is an index into `owners`, and whose a row was before any merge."""

    owners: Sequence[UUID]
    owner: NDArray[np.int32]
    code: NDArray[np.int8]
    day: NDArray[np.int32]
    amount: Floats
    quantity: Floats

    def __len__(self) -> int:
        return len(self.code)


NO_ROWS: Final = Columns(
    (), np.zeros(0, np.int32), np.zeros(0, np.int8), np.zeros(0, np.int32), np.zeros(0), np.zeros(0)
)


def pack(columns: Columns) -> tuple[bytes, bytes]:
    """Owners and body of a pack."""
    parts = (columns.owner, columns.code, columns.day, columns.amount, columns.quantity)
    body = b"".join(np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<")).tobytes() for part in parts)
    return b"".join(owner.bytes for owner in columns.owners), zlib.compress(body, ZLIB_LEVEL)


def unpack(owners: bytes, body: bytes) -> Columns:
    """What was packed."""
    ids = [UUID(bytes=owners[at : at + UUID_BYTES]) for at in range(0, len(owners), UUID_BYTES)]
    return Columns(ids, *_parts(body))


def _parts(
    body: bytes,
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int32], Floats, Floats]:
    raw = zlib.decompress(body)
    rows = len(raw) // (4 + 1 + 4 + 8 + 8)
    assert rows * 25 == len(raw), "a pack is written whole"
    return (
        np.frombuffer(raw, "<i4", rows, 0),
        np.frombuffer(raw, "<i1", rows, 4 * rows),
        np.frombuffer(raw, "<i4", rows, 5 * rows),
        np.frombuffer(raw, "<f8", rows, 9 * rows),
        np.frombuffer(raw, "<f8", rows, 17 * rows),
    )


def joined(first: Columns, second: Columns) -> Columns:
    """The rows of both, in this order."""
    place = {owner: at for at, owner in enumerate(first.owners)}
    for owner in second.owners:
        place.setdefault(owner, len(place))
    moved = np.fromiter((place[owner] for owner in second.owners), np.int32, len(second.owners))
    return Columns(
        list(place),
        np.concatenate([first.owner, moved[second.owner]]),
        np.concatenate([first.code, second.code]),
        np.concatenate([first.day, second.day]),
        np.concatenate([first.amount, second.amount]),
        np.concatenate([first.quantity, second.quantity]),
    )


class Assembly:
    """Packs, in their order, on the way to a table of the customers in `known`; nobody else's rows are taken.

    `merged` leads from a duplicate to the customer that has its evidence.
    """

    def __init__(self, known: Sequence[UUID], merged: Mapping[UUID, UUID]) -> None:
        self._ids = [str(each) for each in known]
        place = {each.bytes: at for at, each in enumerate(known)}
        kept = {gone.bytes: place[to.bytes] for gone, to in merged.items() if to.bytes in place}
        self._place = place | kept
        self._packs: dict[int, tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int32], Floats, Floats]] = {}

    def add(self, place: int, owners: bytes, body: bytes) -> None:
        """Take a pack; `place` is its place among all of them, in whatever order they come."""
        spans = [owners[at : at + UUID_BYTES] for at in range(0, len(owners), UUID_BYTES)]
        self._take(place, spans, *_parts(body))

    def add_columns(self, columns: Columns) -> None:
        """Take rows that are not packed yet, after all packs."""
        parts = (columns.owner, columns.code, columns.day, columns.amount, columns.quantity)
        self._take(1 + max(self._packs, default=0), [owner.bytes for owner in columns.owners], *parts)

    def _take(
        self,
        place: int,
        spans: Sequence[bytes],
        owner: NDArray[np.int32],
        code: NDArray[np.int8],
        day: NDArray[np.int32],
        amount: Floats,
        quantity: Floats,
    ) -> None:
        find = self._place.get
        places = np.fromiter((find(span, NOBODY) for span in spans), np.int32, len(spans))
        customer = places[owner] if len(spans) else owner
        order = np.argsort(code, kind="stable")
        order = order[customer[order] != NOBODY]
        self._packs[place] = (customer[order], code[order], day[order], amount[order], quantity[order])

    def table(self) -> EvidenceTable:
        """All rows that were taken, kind by kind; the packs are let go."""
        packs = [self._packs.pop(place) for place in sorted(self._packs)]
        bounds = [np.searchsorted(code, np.arange(len(KINDS) + 1, dtype=np.int8)) for _, code, *_ in packs]
        whole = []
        for column, empty in enumerate((NO_ROWS.owner, NO_ROWS.code, NO_ROWS.day, NO_ROWS.amount, NO_ROWS.quantity)):
            pieces = [
                pack[column][bound[kind] : bound[kind + 1]]
                for kind in range(len(KINDS))
                for pack, bound in zip(packs, bounds, strict=True)
            ]
            whole.append(np.concatenate([empty, *pieces]))
        return EvidenceTable(self._ids, *whole)
