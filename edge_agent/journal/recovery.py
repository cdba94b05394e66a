"""From the files of a journal to what it knows, whatever happened to them: every frame that is whole counts.

Only the last segment is read as a whole; the others have footers. What is damaged is told in words and left where it
lies: the ids that are missing between those that are there are the lost ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from edge_agent.journal import segment as segments
from edge_agent.journal.disk import read_what_is_readable
from edge_agent.journal.frames import HEADER_BYTES, Damage, Frame, Kind, scan
from edge_agent.journal.segment import RECORDS_MAX, Segment
from edge_agent.journal.state import State, decode_snapshot

SNAPSHOT_FILE = "snapshot"
BD_SEQ_SKIPPED = 16
"""How far bd_seq jumps when a frame with a newer one may have been lost."""
IDS_SKIPPED_MAX = 256
"""Most ids given up for bytes at the end that tell nothing: what two blocks of the smallest real records held."""


@dataclass(slots=True)
class Recovered:
    """What was found. `tail_cut_at`: where the last segment's last whole frame ends, when a frame behind it is torn.

    `is_appendable` is False when the last segment has to be left alone: it is sealed, damaged at its end, or none.
    `leftovers` are files whose content was joined to the one before: the power went before they were deleted.
    """

    state: State
    segments: list[Segment] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    tail_cut_at: int | None = None
    is_appendable: bool = False
    is_epoch_lost: bool = False
    leftovers: list[Path] = field(default_factory=list)


def recover(folder: Path, new_epoch: str) -> Recovered:
    """Read the folder; nothing is changed."""
    found, leftovers = _without_leftovers(segments.find(folder))
    kept_aside = _first_snapshot(read_what_is_readable(folder / SNAPSHOT_FILE))
    result = Recovered(State(new_epoch), found, leftovers=leftovers)
    if not found and kept_aside is None:
        return result
    base, begins = _base(found, kept_aside)
    if base is None:
        result.is_epoch_lost = True
        result.reports.append("no snapshot is readable: a new epoch begins, and all records are given up as damaged")
    else:
        result.state = base
    for segment, following in zip_longest(found, found[1:]):
        if segment.number >= begins:
            _replay(result, segment, following)
        elif not segments.load_footer(segment):
            ids_end = following.first_id if following is not None else None
            damage = [i for i in segments.load_scan(segment, ids_end) if isinstance(i, Damage)]
            result.reports.append(_words(segment, damage) if damage else f"{segment.path.name}: no whole footer")
    if kept_aside is not None:
        # Whatever became of the frames: an alias that was given is never given to another metric.
        result.state.add_aliases(list(kept_aside[0].aliases.values()))
        result.state.next_id = max(result.state.next_id, kept_aside[0].next_id)
        result.state.curves_dropped = max(result.state.curves_dropped, kept_aside[0].curves_dropped)
        result.state.records_thinned = max(result.state.records_thinned, kept_aside[0].records_thinned)
        if not found or kept_aside[1] > found[-1].number:
            result.state.next_id += RECORDS_MAX
            result.state.bd_seq = (result.state.bd_seq + BD_SEQ_SKIPPED) % 256
            result.is_appendable = False
            result.reports.append("the last segment file is gone")
    if result.is_epoch_lost:
        result.state.readable_from = result.state.next_id
        if found:
            result.state.begin_epoch(new_epoch, found[0].first_id)
    _note_voids(result)
    _note_holes(result)
    return result


def _without_leftovers(found: list[Segment]) -> tuple[list[Segment], list[Path]]:
    """The segments, without those whose ids the footer of the one before has as well."""
    kept: list[Segment] = []
    leftovers: list[Path] = []
    last_id = 0
    for segment in found:
        if kept and segment.first_id <= last_id:
            leftovers.append(segment.path)
            continue
        probe = Segment(segment.path, segment.number, segment.first_id)
        last_id = probe.last_id if segments.load_footer(probe) else 0
        kept.append(segment)
    return kept, leftovers


def _first_snapshot(data: bytes) -> tuple[State, int] | None:
    item = next(scan(data), None)
    if isinstance(item, Frame) and item.header.kind == Kind.SNAPSHOT:
        return decode_snapshot(item)
    return None


def _base(found: list[Segment], kept_aside: tuple[State, int] | None) -> tuple[State | None, int]:
    """The newest state to start from, and the number of the segment from which frames are to be applied to it."""
    if kept_aside is not None and (not found or kept_aside[1] > found[-1].number):
        return kept_aside
    for segment in reversed(found):
        head = _first_snapshot(read_what_is_readable(segment.path))
        if head is not None and head[1] == segment.number:
            return head
        if kept_aside is not None and kept_aside[1] == segment.number:
            return kept_aside
    return None, 0


def _replay(result: Recovered, segment: Segment, following: Segment | None) -> None:
    """Apply all frames of a segment; for the last one, also judge its end."""
    state = result.state
    state.next_id = max(state.next_id, segment.first_id)
    damage: list[Damage] = []
    is_sealed, whole_end = False, 0
    for item in segments.load_scan(segment, following.first_id if following is not None else None):
        if isinstance(item, Damage):
            damage.append(item)
            continue
        is_sealed |= item.header.kind == Kind.FOOTER
        whole_end = item.offset + HEADER_BYTES + item.header.length
        state.apply(item)
    if damage:
        state.bd_seq = (state.bd_seq + BD_SEQ_SKIPPED) % 256
    if following is not None:
        result.reports += [_words(segment, damage)] * bool(damage)
        return
    tail = [item for item in damage if item.offset >= whole_end]
    is_torn = len(tail) == 1 and tail[0].is_torn and whole_end > 0
    result.is_appendable = not is_sealed and (not tail or is_torn) and segment.size > 0
    if is_torn:
        result.tail_cut_at = tail[0].offset
        damage.remove(tail[0])
    elif tail or segment.size == 0:
        state.next_id = max(state.next_id, _ids_end(segment, tail, whole_end))
    if damage:
        result.reports.append(_words(segment, damage))


def _ids_end(segment: Segment, tail: Sequence[Damage], whole_end: int) -> int:
    """What the next id must be, so that none is given again that stood in the damaged end of the journal.

    The end may have been acknowledged and published: giving an id again would lose a record in the cloud, while an id
    too many is only an entry in the gap ledger.
    """
    if whole_end == 0 and all(item.is_torn for item in tail):
        return segment.first_id + RECORDS_MAX  # not even the head, which was synced before the file got its name
    end = segment.last_id + 1
    for item in tail:
        if item.header is not None:
            end = max(end, item.header.ids_end)
        else:
            end += min((item.end - item.offset) // HEADER_BYTES, IDS_SKIPPED_MAX)
    return max(segment.last_id + 1, min(end, segment.first_id + RECORDS_MAX))


def _note_voids(result: Recovered) -> None:
    for segment in result.segments:
        for first, last in segment.void:
            result.state.forgotten.add(first, last)


def _note_holes(result: Recovered) -> None:
    """Tell of ids that no segment has although their neighbours were not forgotten."""
    for segment, following in zip(result.segments, result.segments[1:], strict=False):
        if segment.last_id + 1 < following.first_id:
            result.reports.append(f"records {segment.last_id + 1} to {following.first_id - 1} are missing")


def _words(segment: Segment, damage: list[Damage]) -> str:
    size = sum(item.end - item.offset for item in damage)
    return f"{segment.path.name}: {size} bytes in {len(damage)} places are damaged, the first at {damage[0].offset}"
