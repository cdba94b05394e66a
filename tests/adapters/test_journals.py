"""Every journal passes this one suite; the journal on disk has laws of its own below."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.gaps import DAMAGED, GapLine
from contract.ranges import RangeSet
from edge_agent.journal.disk import Disk
from edge_agent.journal.journal import Alias, Journal, JournalError, JournalFullError, NewRecord, Record
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.segment_journal import SegmentJournal

EPOCH, OTHER_EPOCH = UUID(int=7), UUID(int=8)
Reopen = Callable[[], Journal]


class QuickDisk(Disk):
    """Leaves the syncing out, where a test never cuts the power."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def segment_journal(folder: Path, *, size_mb: int = 64, **options: Any) -> SegmentJournal:
    return SegmentJournal(
        folder,
        size_bytes_max=size_mb * 2**20,
        new_epoch=EPOCH,
        make_gap=lambda record, reason: b"gap %d %s" % (record.record_id, reason.encode()),
        mark_curves=lambda _record, reason: b"curves dropped: " + reason.encode(),
        **options,
    )


def new(number: int, *, size: int = 20, curves: int = 0, source: str = "") -> NewRecord:
    body = b"%06d" % number + bytes(max(0, size - 6))
    return NewRecord("press-01", 1_000 + number, body, bytes(curves), source, str(number) if source else "")


def spans(records: Iterable[Record]) -> list[tuple[int, int]]:
    """The ids that the records stand for, as ranges."""
    return list(RangeSet((record.record_id, record.last_id) for record in records))


def ids(journal: Journal) -> list[int]:
    return [record.record_id for record in journal.read(1, 99_999, limit=99_999)]


@pytest.fixture(params=["memory", "segments"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    opened: Journal = MemoryJournal(epoch=EPOCH) if request.param == "memory" else segment_journal(tmp_path / "journal")
    yield opened
    opened.close()


def test_records_come_back_in_order_with_rising_ids(journal: Journal) -> None:
    assert journal.bounds() == (1, 1)
    assert journal.append([new(1), new(2)]) == 1
    assert journal.append([new(3, curves=9)]) == 3
    assert journal.bounds() == (1, 4)
    found = journal.read(2, 9, limit=9)
    assert [(r.record_id, r.ended_ms, r.body[:6], len(r.curves)) for r in found] == [
        (2, 1_002, b"000002", 0),
        (3, 1_003, b"000003", 9),
    ]
    assert [r.record_id for r in journal.read(1, 3, limit=2)] == [1, 2]


def test_only_what_was_named_is_forgotten_and_ids_are_never_given_again(journal: Journal) -> None:
    journal.append([new(n) for n in range(1, 11)])
    journal.forget(3, RangeSet([(5, 6), (10, 10)]))
    assert ids(journal) == [3, 4, 7, 8, 9]
    assert journal.bounds() == (3, 11)
    journal.forget(11, RangeSet())
    assert journal.bounds() == (11, 11)
    assert journal.append([new(1)]) == 11
    counts = journal.counts()
    assert (counts.records, counts.size_bytes) == (1, 20)


def test_what_was_forgotten_can_be_recalled_while_it_is_there(journal: Journal) -> None:
    assert (journal.replayable_from(), journal.recall(1)) == (1, 1), "nothing there: the next id"
    journal.append([new(n) for n in range(1, 11)])
    journal.forget(6, RangeSet([(8, 8)]))
    assert journal.replayable_from() == 1
    assert journal.recall(4) == 4
    assert ids(journal) == [4, 5, 6, 7, 8, 9, 10]
    assert journal.recall(1) == 1
    assert journal.recall(99) == 11
    assert [r.body[:6] for r in journal.read(1, 3, limit=9)] == [b"000001", b"000002", b"000003"]


def test_a_new_epoch_keeps_the_ids_and_recalls_nothing_of_the_old_one(journal: Journal) -> None:
    journal.append([new(n) for n in range(1, 11)])
    journal.forget(3, RangeSet([(7, 7)]))
    assert (journal.epoch, journal.epoch_first) == (str(EPOCH), 1)
    journal.begin_epoch(OTHER_EPOCH, 5)
    assert (journal.epoch, journal.epoch_first) == (str(OTHER_EPOCH), 5)
    assert ids(journal) == [5, 6, 8, 9, 10]
    assert journal.replayable_from() == 5
    assert journal.recall(1) == 5
    assert ids(journal) == [5, 6, 8, 9, 10]
    assert journal.append([new(11)]) == 11


def test_a_source_s_position_moves_with_its_record(journal: Journal) -> None:
    journal.append([new(1, source="replay:a"), new(2, source="replay:a"), new(5, source="opcua:b")])
    assert journal.positions() == {"replay:a": "2", "opcua:b": "5"}


def test_aliases_and_bd_seq_are_kept(journal: Journal) -> None:
    given = [Alias("press-01", "Parameters/CycleTime", 1, 10), Alias("press-02", "Parameters/CycleTime", 2, 10)]
    journal.save_aliases(given)
    assert journal.aliases() == given
    assert [journal.next_bd_seq() for _ in range(258)] == [*range(256), 0, 1]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("forget"), st.integers(1, 40), st.integers(0, 5)),
        st.tuples(st.just("recall"), st.integers(1, 40), st.just(0)),
        st.tuples(st.just("epoch"), st.integers(1, 40), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_the_journal_on_disk_agrees_with_its_memory_twin_over_restarts(
    steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("twin")
    twin: Journal = MemoryJournal(epoch=EPOCH)
    real: Journal = segment_journal(folder, disk=QuickDisk())
    for what, number, length in steps:
        if what == "append":
            records = [new(n, source="s") for n in range(number)]
            assert real.append(records) == twin.append(records)
        elif what == "forget":
            below = min(number, twin.bounds()[1])
            ranges = RangeSet([(below + 2, below + 2 + length)])
            real.forget(below, ranges)
            twin.forget(below, ranges)
        elif what == "recall":
            assert real.recall(number) == twin.recall(number)
        else:
            real.begin_epoch(UUID(int=number), number)
            twin.begin_epoch(UUID(int=number), number)
        real.close()
        real = segment_journal(folder, disk=QuickDisk())
        assert real.read(0, 999, limit=999) == twin.read(0, 999, limit=999)
        assert real.positions() == twin.positions()
        assert real.counts() == twin.counts()
        assert (real.epoch, real.epoch_first, real.bounds()) == (twin.epoch, twin.epoch_first, twin.bounds())
        assert real.replayable_from() == twin.replayable_from()
    real.close()


def test_forgotten_segments_are_deleted_beyond_the_grace(tmp_path: Path) -> None:
    journal = segment_journal(tmp_path / "journal", size_mb=1, grace_bytes=200_000)
    for number in range(40):
        journal.append([new(number, size=10_000)])
    journal.forget(41, RangeSet())
    kept = sum(path.stat().st_size for path in (tmp_path / "journal").glob("*.seg"))
    assert 130_000 < kept < 270_000, "the grace by whole segments, and the one that is being written"
    lowest = journal.replayable_from()
    assert lowest > 15
    assert journal.recall(1) == lowest
    journal.close()
    journal = segment_journal(tmp_path / "journal", size_mb=1)
    assert ids(journal) == list(range(lowest, 41)), "a recall is durable"
    journal.close()


def test_a_full_journal_gives_up_curves_first_then_every_second_of_the_oldest_and_counts(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = segment_journal(folder, size_mb=1, disk=QuickDisk())
    for batch in range(0, 400, 10):
        journal.append([new(n, size=200, curves=8_000) for n in range(batch, batch + 10)])
    counts = journal.counts()
    assert counts.records == 400
    assert counts.records_thinned == 0, "curves go first"
    kept = journal.read(1, 400, limit=400)
    with_curves = [r.record_id for r in kept if len(r.curves) == 8_000]
    assert with_curves == list(range(with_curves[0], 401)), "the newest keep their curves"
    assert {r.curves for r in kept[: with_curves[0] - 1]} == {b"curves dropped: full"}, "and a mark says why"
    assert counts.curves_dropped == with_curves[0] - 1
    assert all(len(r.body) == 200 for r in kept)
    for batch in range(400, 6_000, 100):
        journal.append([new(n, size=200) for n in range(batch, batch + 100)])
    counts = journal.counts()
    assert counts.records_thinned > 0
    kept = journal.read(1, 6_000, limit=6_000)
    assert all(a.last_id + 1 == b.record_id for a, b in pairwise(kept)), "given-up records leave their ids"
    assert (kept[0].record_id, kept[-1].last_id, counts.records) == (1, 6_000, 6_000), "the commit can pass them"
    gaps = [r for r in kept if r.is_gap]
    assert sum(line.count for r in gaps for line in r.gap) == counts.records_thinned
    assert all(r.body == b"gap %d thinned" % r.record_id for r in gaps)
    assert max(r.last_id for r in gaps) < 6_000, "the newest stay"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2**20
    journal.close()
    journal = segment_journal(folder, size_mb=1)
    assert journal.read(1, 6_000, limit=6_000) == kept, "and all of it is durable"
    again = journal.counts()
    assert (again.curves_dropped, again.records_thinned) == (counts.curves_dropped, counts.records_thinned), (
        "counts too"
    )
    journal.forget(6_001, RangeSet())
    assert journal.append([new(1, size=200, curves=8_000)]) == 6_001, "recovery is automatic when space returns"
    journal.close()


def test_what_the_host_has_is_given_up_before_anything_else(tmp_path: Path) -> None:
    journal = segment_journal(tmp_path / "journal", size_mb=1)
    for number in range(1, 81):
        journal.append([new(number, size=200, curves=8_000)])
    journal.forget(1, RangeSet([(2, 80)]))  # the first is kept: no segment can be deleted but those behind it
    for number in range(81, 151):
        journal.append([new(number, size=200, curves=8_000)])
    counts = journal.counts()
    assert (counts.records, counts.curves_dropped, counts.records_thinned) == (71, 0, 0)
    journal.close()
    journal = segment_journal(tmp_path / "journal", size_mb=1)
    assert ids(journal) == [1, *range(81, 151)]
    journal.recall(1)
    assert journal.counts().records_damaged == 0, "content that was given up after it was forgotten is not damage"
    journal.close()


def test_a_record_larger_than_the_journal_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    journal = segment_journal(tmp_path / "journal", size_mb=1)
    journal.append([new(1, curves=500)])
    with pytest.raises(JournalFullError):
        journal.append([new(2, size=2 * 2**20)])
    assert journal.bounds() == (1, 2)
    assert journal.append([new(2)]) == 2
    assert journal.counts().curves_dropped == 0
    journal.close()


class SmallDisk(QuickDisk):
    """The machine's disk with a quota on what lies in one folder, counted as the files' own sizes."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self.folder = folder
        self.bytes_max = bytes_max

    def _take(self, more: int) -> None:
        if sum(path.stat().st_size for path in self.folder.iterdir()) + more > self.bytes_max:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, file: int, data: bytes, offset: int) -> None:
        half = len(data) // 2
        super().write(file, data[:half], offset)  # a full disk tells only when a part is written
        self._take(len(data) - half)
        super().write(file, data[half:], offset + half)

    def allocate(self, file: int, size: int) -> None:
        self._take(size)
        super().allocate(file, size)


def test_a_full_disk_makes_it_give_up_in_order_and_refuse_only_then(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path, 300_000)
    journal = segment_journal(tmp_path, size_mb=1, disk=disk)
    for number in range(1, 41):
        journal.append([new(number, size=200, curves=8_000)])
    assert journal.counts().curves_dropped > 0
    assert journal.counts().records_thinned == 0
    disk.bytes_max = sum(path.stat().st_size for path in tmp_path.iterdir()) + 100  # others take all the rest
    for number in range(41, 1_500, 20):
        journal.append([new(n, size=1_000) for n in range(number, number + 20)])
    assert journal.counts().records_thinned > 0
    disk.bytes_max = 0
    (tmp_path / "reserve").unlink()
    with pytest.raises(JournalFullError):
        journal.append([new(1_501)])
    before, next_id = journal.read(1, 9_999, limit=9_999), journal.bounds()[1]
    assert spans(before) == [(1, next_id - 1)], "no trace of the refused one"
    journal.next_bd_seq()
    low = before[3].record_id
    journal.forget(low, RangeSet())
    assert journal.read(1, 9_999, limit=9_999) == before[3:], "forgetting and reading go on"
    journal.close()
    disk.bytes_max = 2**20
    journal = segment_journal(tmp_path, size_mb=1, disk=disk)
    assert journal.read(low, 9_999, limit=9_999) == before[3:]
    assert journal.append([new(1, size=1_000)]) == next_id, "recovery is automatic"
    journal.close()


def test_a_disk_that_is_really_full_refuses_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    journal = segment_journal(disk / "journal", size_mb=1)
    try:
        ballast = disk / "ballast"
        journal.append([new(1)])
        with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        with pytest.raises(JournalFullError):
            for _ in range(1_000):
                journal.append([new(2, size=5_000)])
        kept = ids(journal)
        ballast.unlink()
        assert journal.append([new(3)]) == kept[-1] + 1
        assert ids(journal) == [*kept, kept[-1] + 1] == list(range(1, kept[-1] + 2))
        assert (disk / "journal" / "reserve").stat().st_size > 0, "the reserve is taken again"
    finally:
        journal.close()
        subprocess.run(["umount", disk], check=True)


def test_a_second_program_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    journal = segment_journal(tmp_path / "journal")
    code = (
        "import pathlib, sys, uuid\n"
        "from edge_agent.journal.segment_journal import SegmentJournal as J\n"
        "nothing = lambda record, reason: b''\n"
        "J(pathlib.Path(sys.argv[1]), size_bytes_max=2**20, new_epoch=uuid.UUID(int=1), make_gap=nothing, "
        "mark_curves=nothing)"
    )
    command = [sys.executable, "-c", code, tmp_path / "journal"]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another program has it open" in second.stderr
    journal.append([new(1)])
    journal.close()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_folder_that_cannot_be_a_journal_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a file")
    with pytest.raises(JournalError, match="text"):
        segment_journal(tmp_path / "text")


def test_a_lost_epoch_is_replaced_and_every_record_becomes_a_gap(tmp_path: Path) -> None:
    """Both copies of the snapshot gone at once: without its aliases no record can be read by anyone."""
    journal = segment_journal(tmp_path)
    journal.append([new(n) for n in range(1, 4)])
    journal.close()
    for path in (tmp_path / "snapshot", next(tmp_path.glob("*.seg"))):
        content = bytearray(path.read_bytes())
        content[10] ^= 1
        path.write_bytes(content)
    journal = SegmentJournal(
        tmp_path,
        size_bytes_max=2**20,
        new_epoch=OTHER_EPOCH,
        make_gap=lambda record, reason: b"gap",
        mark_curves=lambda _record, _reason: b"",
    )
    assert journal.epoch == str(OTHER_EPOCH)
    found = journal.read(1, 99, limit=99)
    assert [(r.record_id, r.is_gap, r.press_id) for r in found] == [(n, True, "press-01") for n in (1, 2, 3)]
    assert journal.append([new(4)]) == 4
    assert journal.read(4, 4, limit=1)[0].body[:6] == b"000004"
    assert any("new epoch" in report for report in journal.counts().damage_reports)
    journal.close()


def damaged(ended_ms: int) -> tuple[GapLine, ...]:
    return (GapLine("press-01", DAMAGED, 1, ended_ms, ended_ms),)


def test_a_gap_record_needs_a_record(tmp_path: Path) -> None:
    """What a gap is made from has a press and a time, also when the record itself cannot be read."""
    journal = segment_journal(tmp_path)
    journal.append([new(1, size=100), new(2, size=100), new(3, size=100)])
    journal.close()
    path = next(tmp_path.glob("*.seg"))
    path.write_bytes(path.read_bytes().replace(b"000002", b"00000X"))
    journal = segment_journal(tmp_path)
    assert journal.read(2, 2, limit=1) == [Record(2, "press-01", 1_003, b"gap 2 damaged", b"", damaged(1_003))]
    assert journal.read(1, 3, limit=9)[1] == Record(2, "press-01", 1_001, b"gap 2 damaged", b"", damaged(1_001))
    assert journal.counts().records_damaged == 1
    journal.close()


class NoNewFiles(QuickDisk):
    """A disk that is so full that not even an empty file can be made."""

    is_full = False

    def open(self, path: Path) -> int:
        if self.is_full and not path.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().open(path)


def test_a_disk_without_room_for_one_more_file_ends_in_a_full_journal_and_not_in_a_crash(tmp_path: Path) -> None:
    disk = NoNewFiles()
    journal = segment_journal(tmp_path, size_mb=1, disk=disk)
    disk.is_full = True
    with pytest.raises(JournalFullError):
        for number in range(1, 1_000):
            journal.append([new(number, size=200, curves=8_000)])
    disk.is_full = False
    assert journal.append([new(1)]) == journal.bounds()[1] - 1, "recovery is automatic"
    journal.close()
