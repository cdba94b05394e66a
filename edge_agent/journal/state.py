"""What a journal knows beside its records, how a snapshot holds it, and how each frame changes it. No files here."""

from dataclasses import dataclass, field
from typing import Any

from contract.ranges import RangeSet
from edge_agent.journal.frames import RECORDS, Frame, Kind, encode
from edge_agent.journal.journal import Alias
from edge_agent.journal.kept import below
from edge_agent.journal.payloads import (
    decode_json,
    decode_ranges,
    decode_stored,
    encode_json,
    encode_ranges,
)

FORGOTTEN_RANGES_MAX = 10_000
"""Beyond it a range that touches no other is not noted: it will be sent again, and the host knows it has it."""


@dataclass(slots=True)
class State:
    """Changed by frames only, so that what is in memory can be made again from the files."""

    epoch: str
    bd_seq: int = 255
    next_id: int = 1
    positions: dict[str, str] = field(default_factory=dict)
    aliases: dict[int, Alias] = field(default_factory=dict)
    forgotten: RangeSet = field(default_factory=RangeSet)
    epoch_first: int = 1
    gone: RangeSet = field(default_factory=RangeSet)
    """What was forgotten in earlier epochs and never comes back."""
    readable_from: int = 1
    """Records under it are damaged as a whole: the aliases that they were written with are lost."""
    curves_dropped: int = 0
    records_thinned: int = 0
    """What was given up for want of room, ever: the cloud must hear of it even if the program was restarted since.

    No frame says it, but the next snapshot does.
    """

    def forget(self, first: int, last: int) -> None:
        """Note ids as forgotten, as far as they were given and can be noted."""
        last = min(last, self.next_id - 1)
        if first <= last and (first == 0 or len(self.forgotten) < FORGOTTEN_RANGES_MAX):
            self.forgotten.add(first, last)

    def recall(self, first: int) -> None:
        """Un-forget every id from `first` that was forgotten in this epoch."""
        self.forgotten = below(self.forgotten, first)
        for begin, end in self.gone:
            self.forgotten.add(begin, end)

    def add_aliases(self, aliases: list[Alias]) -> None:
        """Note aliases; those that are known already change nothing."""
        self.aliases.update((alias.alias, alias) for alias in aliases)

    def begin_epoch(self, epoch: str, keep_from: int) -> None:
        """Another epoch begins with the lowest kept id; what is under `keep_from` stays behind."""
        self.epoch = epoch
        self.forget(0, keep_from - 1)
        self.gone = self.forgotten.copy()
        self.epoch_first = min(self.forgotten.contiguous_from(1), self.next_id)

    def apply(self, frame: Frame) -> None:
        """Take in what a frame says; snapshots and footers say nothing new."""
        header, payload = frame.header, frame.payload
        if header.kind not in (Kind.VOID, Kind.FOOTER):  # made from what is there, not from what happens
            self.bd_seq = header.bd_seq
        self.next_id = max(self.next_id, header.record_id + (header.kind in RECORDS))
        match header.kind:
            case Kind.RECORD | Kind.RUN:
                self.positions |= decode_stored(header, payload).positions
            case Kind.FORGET:
                for first, last in decode_ranges(payload):  # ids that a later snapshot knows were perhaps not given yet
                    self.forget(first, min(last, header.record_id - 1))
            case Kind.RECALL:
                self.recall(decode_ranges(payload)[0][0])
            case Kind.ALIASES:
                self.add_aliases([Alias(*row) for row in decode_json(payload)])
            case Kind.EPOCH:
                content = decode_json(payload)
                if content["epoch"] != self.epoch:  # a later snapshot is in it already, and has forgotten more since
                    self.begin_epoch(**content)

    def frame(self, kind: Kind, payload: bytes = b"") -> bytes:
        """A frame that changes the journal's knowledge, under the numbers of now."""
        return encode(kind, self.next_id, payload, bd_seq=self.bd_seq)


def encode_aliases(aliases: list[Alias]) -> bytes:
    """The payload of an ALIASES frame."""
    return encode_json([[a.press_id, a.metric, a.alias, a.datatype] for a in aliases])


def encode_epoch(epoch: str, keep_from: int) -> bytes:
    """The payload of an EPOCH frame."""
    return encode_json({"epoch": epoch, "keep_from": keep_from})


def encode_recall(first: int) -> bytes:
    """The payload of a RECALL frame."""
    return encode_ranges([(first, first)])


def encode_snapshot(state: State, segment: int) -> bytes:
    """The frame that holds all of `state` as the segment of that number begins."""
    content: dict[str, Any] = {
        "segment": segment,
        "epoch": state.epoch,
        "positions": state.positions,
        "aliases": [[a.press_id, a.metric, a.alias, a.datatype] for a in state.aliases.values()],
        "forgotten": list(state.forgotten),
        "gone": list(state.gone),
        "epoch_first": state.epoch_first,
        "readable_from": state.readable_from,
        "curves_dropped": state.curves_dropped,
        "records_thinned": state.records_thinned,
    }
    return state.frame(Kind.SNAPSHOT, encode_json(content))


def decode_snapshot(frame: Frame) -> tuple[State, int]:
    """The state of a snapshot and its segment's number."""
    content = decode_json(frame.payload)
    state = State(
        epoch=content["epoch"],
        bd_seq=frame.header.bd_seq,
        next_id=frame.header.record_id,
        positions=content["positions"],
        forgotten=RangeSet((first, last) for first, last in content["forgotten"]),
        gone=RangeSet((first, last) for first, last in content["gone"]),
        epoch_first=content["epoch_first"],
        readable_from=content["readable_from"],
        curves_dropped=content.get("curves_dropped", 0),
        records_thinned=content.get("records_thinned", 0),
    )
    state.add_aliases([Alias(*row) for row in content["aliases"]])
    return state, content["segment"]
