"""Every journal passes this one suite; the SQLite journal has laws of its own below."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.ranges import RangeSet
from edge_agent.journal.journal import Alias, Journal, JournalError, JournalFullError, NewRecord, Record
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.sqlite_journal import SqliteJournal

EPOCH = UUID(int=7)
Reopen = Callable[[], Journal]


def sqlite_journal(path: Path, *, size_mb: int = 64) -> SqliteJournal:
    def make_gap(record: Record) -> bytes:
        return b"gap %d" % record.record_id

    return SqliteJournal(path, size_bytes_max=size_mb * 2**20, new_epoch=EPOCH, make_gap=make_gap)


def new(number: int, *, size: int = 20, curves: int = 0, source: str = "") -> NewRecord:
    body = b"%06d" % number + bytes(max(0, size - 6))
    return NewRecord("press-01", 1_000 + number, body, bytes(curves), source, str(number) if source else "")


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    opened: Journal = MemoryJournal(epoch=EPOCH) if request.param == "memory" else sqlite_journal(tmp_path / "j.sqlite")
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
    assert [r.record_id for r in journal.read(1, 99, limit=99)] == [3, 4, 7, 8, 9]
    assert journal.bounds() == (3, 11)
    journal.forget(11, RangeSet())
    assert journal.bounds() == (11, 11)
    assert journal.append([new(1)]) == 11
    counts = journal.counts()
    assert (counts.records, counts.size_bytes) == (1, 20)


def test_a_source_s_position_moves_with_its_record(journal: Journal) -> None:
    journal.append([new(1, source="replay:a"), new(2, source="replay:a"), new(5, source="opcua:b")])
    assert journal.positions() == {"replay:a": "2", "opcua:b": "5"}


def test_aliases_and_bd_seq_are_kept(journal: Journal) -> None:
    given = [Alias("press-01", "Parameters/CycleTime", 1, 10), Alias("press-02", "Parameters/CycleTime", 2, 10)]
    journal.save_aliases(given)
    assert journal.aliases() == given
    assert [journal.next_bd_seq() for _ in range(258)] == [*range(256), 0, 1]


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.one_of(st.integers(1, 9), st.tuples(st.integers(1, 40), st.integers(0, 5))), max_size=12))
def test_sqlite_agrees_with_its_memory_twin_over_restarts(
    steps: list[int | tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("twin") / "j.sqlite"
    twin: Journal = MemoryJournal(epoch=EPOCH)
    real: Journal = sqlite_journal(path)
    for step in steps:
        if isinstance(step, int):
            records = [new(n, source="s") for n in range(step)]
            assert real.append(records) == twin.append(records)
        else:
            below, length = min(step[0], twin.bounds()[1]), step[1]
            ranges = RangeSet([(below + 2, below + 2 + length)])
            real.forget(below, ranges)
            twin.forget(below, ranges)
        real.close()
        real = sqlite_journal(path)
        assert real.read(0, 999, limit=999) == twin.read(0, 999, limit=999)
        assert real.positions() == twin.positions()
        assert real.counts() == twin.counts()
    # After everything was forgotten the twin knows the next id; so must the file.
    assert real.bounds() == twin.bounds()
    real.close()


def test_a_full_journal_gives_up_curves_first_then_every_second_of_the_oldest_and_counts(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path / "j.sqlite", size_mb=1)
    for batch in range(0, 400, 10):
        journal.append([new(n, size=200, curves=8_000) for n in range(batch, batch + 10)])
    counts = journal.counts()
    assert counts.records == 400
    assert counts.curves_dropped > 0
    assert counts.records_thinned == 0, "curves go first"
    kept = journal.read(1, 400, limit=400)
    with_curves = [r.record_id for r in kept if r.curves]
    assert with_curves == list(range(with_curves[0], 401)), "the newest keep their curves"
    assert all(len(r.body) == 200 for r in kept)
    for batch in range(400, 9_000, 100):
        journal.append([new(n, size=200) for n in range(batch, batch + 100)])
    counts = journal.counts()
    assert counts.records_thinned > 0
    kept = journal.read(1, 9_000, limit=9_000)
    assert len(kept) == counts.records == 9_000, "a given-up record leaves its id: the commit can pass it"
    gaps = [r for r in kept if r.is_gap]
    assert len(gaps) == counts.records_thinned
    assert all(r.body == b"gap %d" % r.record_id for r in gaps)
    assert max(r.record_id for r in gaps) < 9_000, "the newest stay"
    assert (tmp_path / "j.sqlite").stat().st_size <= 2**20
    journal.forget(9_001, RangeSet())
    assert journal.append([new(1, size=200, curves=8_000)]) == 9_001, "recovery is automatic when space returns"
    journal.close()


def test_a_record_larger_than_the_journal_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path / "j.sqlite", size_mb=1)
    journal.append([new(1)])
    with pytest.raises(JournalFullError):
        journal.append([new(2, size=2 * 2**20)])
    assert journal.bounds() == (1, 2)
    assert journal.append([new(2)]) == 2
    journal.close()


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    journal = sqlite_journal(disk / "j.sqlite")
    try:
        ballast = disk / "ballast"
        journal.append([new(1)])
        with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        with pytest.raises(JournalFullError):
            for _ in range(100):
                journal.append([new(2, size=50_000)])
        kept = len(journal.read(1, 999, limit=999))
        ballast.unlink()
        assert journal.append([new(3)]) == kept + 1
        assert [r.record_id for r in journal.read(1, 999, limit=999)] == list(range(1, kept + 2))
    finally:
        journal.close()
        subprocess.run(["umount", disk], check=True)


def test_a_second_program_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    journal = sqlite_journal(tmp_path / "j.sqlite")
    code = (
        "import pathlib, sys, uuid\n"
        "from edge_agent.journal.sqlite_journal import SqliteJournal as J\n"
        "J(pathlib.Path(sys.argv[1]), size_bytes_max=2**20, new_epoch=uuid.UUID(int=1), make_gap=lambda r: b'')"
    )
    command = [sys.executable, "-c", code, tmp_path / "j.sqlite"]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another program has it open" in second.stderr
    journal.append([new(1)])
    journal.close()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_file_that_is_no_journal_or_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database at all, just text " * 500)
    with pytest.raises(JournalError, match="text"):
        sqlite_journal(tmp_path / "text")
    path = tmp_path / "j.sqlite"
    journal = sqlite_journal(path)
    journal.append([new(n, size=3_000) for n in range(50)])
    journal.close()
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 64] = random.Random(page).randbytes(64)
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"j\.sqlite"):
        sqlite_journal(path)


@settings(max_examples=25, deadline=None)
@given(cut=st.floats(0, 1), appended=st.integers(1, 30))
def test_what_was_appended_survives_a_power_cut_up_to_the_torn_tail(
    cut: float, appended: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The files are copied as they lie after each fsync, and the write-ahead log is cut at any byte."""
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "j.sqlite"
    journal = sqlite_journal(path)
    sizes = []
    for number in range(appended):
        journal.append([new(number, size=500)])
        sizes.append((folder / "j.sqlite-wal").stat().st_size)
    wal = (folder / "j.sqlite-wal").read_bytes()
    shutil.copy(path, folder / "copy.sqlite")
    length = int(cut * len(wal))
    (folder / "copy.sqlite-wal").write_bytes(wal[:length])
    journal.close()
    first_write = next((i for i, size in enumerate(sizes) if size > length), appended)
    try:
        copy = sqlite_journal(folder / "copy.sqlite")
    except JournalError:
        assert first_write == 0
        return
    kept = [r.record_id for r in copy.read(1, 99, limit=99)]
    assert kept == list(range(1, len(kept) + 1)), "a prefix, nothing torn"
    assert len(kept) >= first_write, "all that was synced before the cut"
    copy.close()
