"""The power is cut after every single operation on the disk: what was acknowledged is there, whole and in order.

The disk here keeps two worlds: what programs see, and what a power cut leaves. Written bytes reach the second by a
sync of their file, names by a sync of their folder; what was not synced may be there or not, or in part.
"""

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.ranges import RangeSet
from edge_agent.journal.disk import Disk
from edge_agent.journal.journal import Alias, JournalError, NewRecord
from edge_agent.journal.segment_journal import SegmentJournal

EPOCH = UUID(int=7)
CUTS: Counter[str] = Counter()


class PowerCutError(Exception):
    """The operation that did not happen any more."""


class QuickDisk(Disk):
    """Leaves the syncing out: here the power stays on."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


class FragileDisk(Disk):
    """The machine's disk, which loses power at the operation number `cut_at`."""

    def __init__(self, folder: Path, cut_at: int, chance: random.Random) -> None:
        self.folder = folder
        self.left = cut_at
        self.chance = chance
        self.files: dict[int, Path] = {}
        self.synced: dict[int, bytes] = {}  # inode -> content
        self.names: dict[str, int] = {}  # durable names -> inode
        self.operations = 0

    def _step(self, what: str) -> None:
        self.operations += 1
        self.left -= 1
        if self.left == 0:
            CUTS[what] += 1
            raise PowerCutError(what)

    def open(self, path: Path) -> int:
        file = super().open(path)
        self.files[file] = path
        return file

    def close(self, file: int) -> None:
        del self.files[file]
        super().close(file)

    def write(self, file: int, data: bytes, offset: int) -> None:
        try:
            self._step("write")
        except PowerCutError:
            super().write(file, data[: self.chance.randint(0, len(data))], offset)
            raise
        super().write(file, data, offset)

    def truncate(self, file: int, size: int) -> None:
        self._step("truncate")
        super().truncate(file, size)

    def sync(self, file: int) -> None:
        self._step("sync")
        path = self.files[file]
        self.synced[path.stat().st_ino] = path.read_bytes()

    def replace(self, source: Path, target: Path) -> None:
        self._step("replace")
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")
        self.names = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def leave(self, target: Path) -> None:
        """What a power cut leaves: per file, and for the names as a whole, by chance the synced or the seen."""
        for file in list(self.files):
            self.close(file)
        now = {path.name: path for path in self.folder.iterdir()}
        contents = {path.stat().st_ino: path.read_bytes() for path in now.values()}
        names = self.names if self.chance.random() < 0.5 else {n: p.stat().st_ino for n, p in now.items()}
        target.mkdir()
        for name, inode in names.items():
            synced, seen = self.synced.get(inode, b""), contents.get(inode)
            if seen is None or self.chance.random() < 0.5:
                content = synced
            elif seen.startswith(synced):
                content = seen[: self.chance.randint(len(synced), len(seen))]
            else:
                content = seen
            (target / name).write_bytes(content)


def opened(folder: Path, disk: Disk) -> SegmentJournal:
    return SegmentJournal(
        folder,
        size_bytes_max=2**20,
        new_epoch=EPOCH,
        make_gap=lambda record, reason: b"gap %d " % record.record_id + reason.encode(),
        mark_curves=lambda _record, _reason: b"dropped",
        grace_bytes=100_000,
        disk=disk,
    )


class Story:
    """A journal's life, and what it has acknowledged so far."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.acknowledged: dict[int, bytes] = {}
        self.forgotten: set[int] = set()
        self.aliases: list[Alias] = []
        self.epochs = {str(EPOCH)}
        self.epoch = str(EPOCH)
        self.bd_seq = 255

    def live(self, folder: Path, disk: Disk) -> None:
        journal = opened(folder, disk)
        try:
            for _ in range(30):
                self._step(journal)
        finally:
            journal.close()

    def _step(self, journal: SegmentJournal) -> None:
        match self.chance.choice(("append", "append", "append", "forget", "aliases", "bd_seq", "epoch", "recall")):
            case "append":
                bodies = [
                    self.chance.randbytes(self.chance.randint(0, 20_000)) for _ in range(self.chance.randint(1, 6))
                ]
                curves = self.chance.randbytes(8_000)
                first = journal.append([NewRecord("p", 1, body, curves) for body in bodies])
                self.acknowledged |= dict(enumerate(bodies, first))
            case "forget":
                low = self.chance.randint(1, journal.bounds()[1])
                self.forgotten |= {i for i in self.acknowledged if i < low or i == low + 2}
                journal.forget(low, RangeSet([(low + 2, low + 2)]))
            case "aliases":
                given = [Alias("p", f"m{len(self.aliases)}", len(self.aliases) + 1, 10)]
                journal.save_aliases(given)
                self.aliases += given
            case "bd_seq":
                self.bd_seq = journal.next_bd_seq()
            case "epoch":
                epoch = UUID(int=self.chance.getrandbits(64))
                self.epochs = {self.epoch, str(epoch)}
                journal.begin_epoch(epoch, 1)
                self.epochs, self.epoch = {str(epoch)}, str(epoch)
            case "recall":
                journal.recall(self.chance.randint(1, journal.bounds()[1]))

    def judge(self, folder: Path) -> None:
        journal = opened(folder, QuickDisk())
        records = journal.read(1, 1 << 40, limit=1 << 30)
        found = {i: record for record in records for i in range(record.record_id, record.last_id + 1)}
        for record_id, body in self.acknowledged.items():
            if record_id not in self.forgotten:
                assert record_id in found, f"record {record_id} was acknowledged and is gone"
            if record_id in found:
                record = found[record_id]
                is_thinned = record.is_gap and record.body == b"gap %d thinned" % record.record_id
                assert record.body == body or is_thinned or record_id in self.forgotten
        assert journal.bounds()[1] > max(self.acknowledged, default=0)
        assert journal.aliases()[: len(self.aliases)] == self.aliases
        assert journal.epoch in self.epochs
        assert journal.next_bd_seq() != self.bd_seq
        journal.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_power_cut_after_any_operation_loses_nothing_acknowledged(seed: int, tmp_path: Path) -> None:
    whole = FragileDisk(tmp_path / "whole", 0, random.Random(seed))
    Story(seed).live(tmp_path / "whole", whole)
    for cut_at in range(1, whole.operations + 1):
        _cut(seed, cut_at, tmp_path / f"{cut_at}")
    print(f"\n{sum(CUTS.values())} power cuts so far: {dict(CUTS)}")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(100, 1 << 30), cut_at=st.integers(1, 200))
def test_a_power_cut_anywhere_in_any_life(seed: int, cut_at: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    _cut(seed, cut_at, tmp_path_factory.mktemp("cut"))


def _cut(seed: int, cut_at: int, folder: Path) -> None:
    disk, story = FragileDisk(folder / "seen", cut_at, random.Random(cut_at)), Story(seed)
    with suppress(PowerCutError, JournalError):
        story.live(folder / "seen", disk)
    disk.leave(folder / "left")
    story.judge(folder / "left")
