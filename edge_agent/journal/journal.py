"""The port of the journal and what goes through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from contract.gaps import GapLine
from contract.ranges import RangeSet
from kit.errors import ZhisanError


class JournalError(ZhisanError):
    """The journal cannot be opened or its disk fails; the message names the folder."""


class JournalFullError(JournalError):
    """No space is left, in the bound or on the disk, and nothing more can be given up; the append left no trace."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A scored shot on its way into the journal, as encoded Sparkplug metrics.

    `curves` stand apart from `body` so that they can be given up alone; `source_id` and `position` tell how far the
    shot's source has come and become durable together with it. With `gap` it stands for shots that were lost before.
    """

    press_id: str
    ended_ms: int
    body: bytes
    curves: bytes = b""
    source_id: str = ""
    position: str = ""
    gap: tuple[GapLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A durable record. With `gap` its content was given up, or is of shots that never came; its lines say which.

    Neighbouring gaps are joined: such a record stands for all ids from `record_id` to `last_id`, of several presses.
    """

    record_id: int
    press_id: str
    ended_ms: int
    body: bytes
    curves: bytes
    gap: tuple[GapLine, ...] = ()
    last_record_id: int | None = None

    @property
    def is_gap(self) -> bool:
        """Whether there is no shot in it."""
        return bool(self.gap)

    @property
    def last_id(self) -> int:
        """The last id that it stands for."""
        return self.record_id if self.last_record_id is None else self.last_record_id

    @property
    def size_bytes(self) -> int:
        """How much of the window it takes."""
        return len(self.body) + len(self.curves)


@dataclass(frozen=True, slots=True)
class Alias:
    """The Sparkplug alias of one metric of a press; given once, kept for the life of the journal."""

    press_id: str
    metric: str
    alias: int
    datatype: int


@dataclass(slots=True)
class JournalCounts:
    """How full the journal is, what it ever gave up, and what it found damaged since the program started.

    `size_bytes` is about what the content of the kept records takes. `damage_reports` are for people, newest last.
    """

    records: int = 0
    size_bytes: int = 0
    curves_dropped: int = 0
    records_thinned: int = 0
    records_damaged: int = 0
    tails_cut: int = 0
    damage_reports: tuple[str, ...] = ()


class Journal(Protocol):
    """Append-only records with ids that rise and are never used again. Blocking; one thread at a time."""

    @property
    def epoch(self) -> str:
        """A UUID: (gateway, epoch, id) names a record for ever. Made with the journal, renewed by `begin_epoch`."""

    @property
    def epoch_first(self) -> int:
        """The lowest id that this epoch can have given to a record."""

    def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        """Store the records with consecutive ids and give the first; after return they survive a power cut.

        Without room older content is given up for them, unless `may_give_up` is False.

        Raises:
            JournalFullError: none was stored.
        """

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """At most `limit` records that are still kept with ids in `first`..`last`, in order.

        Every kept id is there: one whose content was given up or is damaged comes in a gap record, which may begin
        before `first`, end behind `last` and reach over ids that were forgotten since: their share is in its lines.
        """

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Let go of the ids under `below` and of those in `ranges`: the cloud has them.

        The newest of them stay readable for a while, for `recall`. A crash may bring some back; the host knows them.
        """

    def replayable_from(self) -> int:
        """The lowest id whose record can still be read, forgotten or not; the next id when there is none."""

    def recall(self, first: int) -> int:
        """Un-forget every record from `first` that can still be read and give the lowest id: the host lost them."""

    def begin_epoch(self, epoch: UUID, keep_from: int) -> None:
        """In one durable step: `epoch` is the journal's, and ids under `keep_from` are forgotten.

        The kept ones keep their ids; of what is forgotten, then or before, nothing can be recalled any more: the host
        knows it by the old epoch. `epoch_first` becomes the lowest kept id.

        Raises:
            JournalFullError: nothing has changed.
        """

    def bounds(self) -> tuple[int, int]:
        """The lowest id that is still kept and the id that the next record gets; equal when nothing is kept."""

    def positions(self) -> Mapping[str, str]:
        """How far each source has come."""

    def aliases(self) -> list[Alias]:
        """All aliases given so far, in order."""

    def save_aliases(self, given: Sequence[Alias]) -> None:
        """Make new aliases durable; to be called before a record that uses them is appended."""

    def next_bd_seq(self) -> int:
        """The next birth-death sequence number, 0..255; each call gives another, also after a restart."""

    def counts(self) -> JournalCounts:
        """How full it is."""

    def close(self) -> None:
        """Let go of the file."""
