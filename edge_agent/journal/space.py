"""The room of a journal: its bound, the reserve that lets it give things up on a full disk, and the giving up."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from contract.ranges import RangeSet
from edge_agent.journal.disk import Disk, put_whole, read_what_is_readable
from edge_agent.journal.giving_up import Loss, MakeMetrics, Rewritten, choose, rewrite
from edge_agent.journal.segment import Segment
from edge_agent.journal.state import State

SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX = 64 * 1024, 8 * 2**20
SEGMENTS_IN_BOUND = 16
RESERVED_SEGMENTS = 2
FOOTER_BYTES = 8 * 1024
"""Kept free for the footer of the last segment: it has at most 256 entries."""
RESERVE_FILE = "reserve"
SPACE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
log = structlog.get_logger()


def segment_bytes_of(size_bytes_max: int) -> int:
    """How long a segment grows: 8 MiB, less where the bound is small."""
    return min(SEGMENT_BYTES_MAX, max(SEGMENT_BYTES_MIN, size_bytes_max // SEGMENTS_IN_BOUND))


class Space:
    """Keeps the files of `segments` within `size_bytes_max`, a reserve of two segments included; `state` counts losses.

    Segments become smaller by being written again beside the old file, which takes room before it gives any: on a full
    disk that room is the reserve, given back for the moment and taken again at once.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        size_bytes_max: int,
        state: State,
        segments: list[Segment],
        mark_curves: MakeMetrics,
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._state = state
        self._segments = segments
        self._mark_curves = mark_curves
        self._segment_bytes = segment_bytes_of(size_bytes_max)
        self._reserve_bytes = RESERVED_SEGMENTS * self._segment_bytes
        self._capacity = size_bytes_max - self._reserve_bytes
        self.snapshot_bytes = 0

    @property
    def largest_write(self) -> int:
        """What can be written at once when everything else has been given up."""
        return self._capacity - self._segment_bytes

    def check(self, more_bytes: int) -> None:
        """Treat the bound as the end of the disk.

        Raises:
            OSError: ENOSPC.
        """
        beside = 2 * self.snapshot_bytes + FOOTER_BYTES
        if sum(segment.size for segment in self._segments) + beside + more_bytes > self._capacity:
            raise OSError(errno.ENOSPC, "the journal's bound is reached")

    def reserve(self) -> bool:
        """Take the reserve if it is not there; False when the disk has no room for it."""
        path = self._folder / RESERVE_FILE
        if path.exists() and path.stat().st_size == self._reserve_bytes:
            return True
        try:
            file = self._disk.open(path)
            try:
                self._disk.allocate(file, self._reserve_bytes)
            finally:
                self._disk.close(file)
        except OSError as error:
            log.warning("journal_reserve_missing", error=os.strerror(error.errno or 0))
            self._disk.unlink(path)
            return False
        return True

    def delete_forgotten(self, forgotten: RangeSet, grace_bytes: int, sync: Callable[[], None]) -> None:
        """Delete the oldest segments that are forgotten as a whole, but for the newest `grace_bytes` of them."""
        whole = self._forgotten_whole(forgotten)
        excess = sum(segment.size for segment in whole) - grace_bytes
        gone = []
        for segment in whole:
            if excess <= 0:
                break
            gone.append(segment)
            excess -= segment.size
        if gone:
            self._delete(gone, sync)

    def _forgotten_whole(self, forgotten: RangeSet) -> list[Segment]:
        """The oldest segments that nothing is kept of, without the last one, which is being written."""
        kept_from = forgotten.contiguous_from(self._segments[0].first_id)
        whole = []
        for segment, following in zip(self._segments, self._segments[1:], strict=False):
            if following.first_id > kept_from:
                break
            whole.append(segment)
        return whole

    def _delete(self, gone: list[Segment], sync: Callable[[], None]) -> None:
        try:
            sync()  # that they are forgotten, before they are missing
        except OSError as error:
            log.debug("forgetting_not_synced", error=str(error))
        del self._segments[: len(gone)]
        for segment in gone:
            self._disk.unlink(segment.path)
        self._disk.sync_folder(self._folder)

    def make(
        self, forgotten: RangeSet, sync: Callable[[], None], roll: Callable[[], None], *, may_give_up: bool
    ) -> bool:
        """One step of making room; False when nothing is left to give, or the disk has no room even for that.

        Without `may_give_up` only what the cloud has goes.
        """
        whole = self._forgotten_whole(forgotten)
        if whole:
            self._delete(whole[:1], sync)
            return True
        try:
            self._disk.unlink(self._folder / RESERVE_FILE)
            return self._rewrite_one(forgotten, roll, may_give_up=may_give_up)
        except OSError as error:
            if error.errno not in SPACE_ERRORS:
                raise
            return False
        finally:
            self.reserve()

    def _rewrite_one(self, forgotten: RangeSet, roll: Callable[[], None], *, may_give_up: bool) -> bool:
        """Write one segment again with less in it. The last one counts as soon as it is worth a file of its own."""
        last = self._segments[-1]
        open_to_it = self._segments[: -1 if last.size < self._segment_bytes // 2 else None]
        chosen = self._choose(open_to_it, forgotten) or self._choose(self._segments, forgotten)
        if chosen is None or not (may_give_up or chosen[1].is_harmless):
            return False
        pieces, loss = chosen
        if pieces[-1] is last:
            self._capacity += self._reserve_bytes
            try:
                roll()
            finally:
                self._capacity -= self._reserve_bytes
        size_before = sum(piece.size for piece in pieces)
        smaller = self._smaller(pieces, loss, forgotten)
        if smaller.segment.size >= size_before:
            for piece in pieces:
                piece.spent.add(loss.value)
            return True
        self._take(pieces, smaller)
        what = log.debug if loss.is_harmless else log.warning
        what("journal_gave_up", what=loss.value, file=pieces[0].path.name, freed_bytes=size_before - len(smaller.data))
        return True

    def _choose(self, segments: list[Segment], forgotten: RangeSet) -> tuple[list[Segment], Loss] | None:
        return choose(segments, forgotten, joined_bytes_max=self._segment_bytes)

    def _smaller(self, pieces: list[Segment], loss: Loss, forgotten: RangeSet) -> Rewritten:
        """The pieces as one with less in it; thinned until it is smaller, as a gap may weigh more than a small shot."""
        contents = [(read_what_is_readable(piece.path), piece) for piece in pieces]
        smaller = rewrite(contents, loss, forgotten, self._mark_curves)
        while loss is Loss.EVERY_SECOND and smaller.segment.size >= pieces[0].size and smaller.segment.shots > 1:
            again = rewrite([(smaller.data, smaller.segment)], loss, forgotten, self._mark_curves)
            smaller = replace(again, records_thinned=smaller.records_thinned + again.records_thinned)
        return smaller

    def _take(self, pieces: list[Segment], smaller: Rewritten) -> None:
        """Put the new file in the place of the pieces; one that a power cut leaves behind is known by its ids."""
        put_whole(self._disk, pieces[0].path, smaller.data)
        place = self._segments.index(pieces[0])
        self._segments[place : place + len(pieces)] = [smaller.segment]
        for piece in pieces[1:]:
            self._disk.unlink(piece.path)
        self._state.curves_dropped += smaller.curves_dropped
        self._state.records_thinned += smaller.records_thinned
