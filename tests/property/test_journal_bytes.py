"""Whatever one fault does to one file of a journal: it opens, and all but the bytes that were hit comes back.

One fault is a flipped bit, a zeroed block, a file that ends too early or too late, or a file that is gone. Each kind of
frame meets each fault in each part of it; chance does the rest. `-s` prints how many cases of each class were run.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contract.gaps import GapLine
from contract.ranges import RangeSet
from edge_agent.journal.disk import Disk
from edge_agent.journal.frames import HEADER_BYTES, RECORDS, Frame, Kind, scan
from edge_agent.journal.giving_up import first_id_of
from edge_agent.journal.journal import Alias, JournalCounts, NewRecord, Record
from edge_agent.journal.segment_journal import SegmentJournal

EPOCH, NEVER = UUID(int=7), UUID(int=999)
ALL = 1 << 40
CASES: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _tell_cases() -> Iterator[None]:
    yield
    print(f"\ncases: {sum(CASES.values())}: {dict(sorted(CASES.items()))}")


class QuickDisk(Disk):
    """Leaves the syncing out: the power is never cut here."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def opened(folder: Path, epoch: UUID = NEVER, *, size_kb: int = 1024) -> SegmentJournal:
    return SegmentJournal(
        folder,
        size_bytes_max=size_kb * 1024,
        new_epoch=epoch,
        make_gap=lambda record, reason: b"gap %d " % record.record_id + reason.encode(),
        mark_curves=lambda _record, reason: b"curves: " + reason.encode(),
        disk=QuickDisk(),
    )


def read_all(journal: SegmentJournal) -> dict[int, Record]:
    """By id, joined gaps under each of theirs that is kept."""
    found = journal.read(1, ALL, limit=1 << 30)
    forgotten = journal._state.forgotten
    return {i: record for record in found for i in range(record.record_id, record.last_id + 1) if i not in forgotten}


def said(records: dict[int, Record]) -> dict[int, Record | bytes]:
    """The records, of gaps only the body: the press and time of a damaged one are a neighbour's, when it has one."""
    return {record_id: record.body if record.is_gap else record for record_id, record in records.items()}


@dataclass
class Written:
    """A journal as it was closed, and where each record's bytes lie."""

    kept: dict[int, Record]
    originals: dict[int, NewRecord]
    aliases: list[Alias]
    next_id: int
    bd_seq: int
    places: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    edges: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    recalls: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def newest(self) -> str:
        """The last segment: the one that is being written, and read at each start."""
        return max(self.edges)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12), st.integers(0, 3_000)),
        st.tuples(st.just("append"), st.integers(1, 30), st.integers(0, 40)),
        st.tuples(st.just("curves"), st.integers(1, 6), st.integers(1, 12_000)),
        st.tuples(st.just("fill"), st.integers(1, 20), st.just(25_000)),
        st.tuples(st.just("forget"), st.integers(1, 99), st.integers(1, 99)),
        st.tuples(st.just("forget_some"), st.integers(2, 4), st.just(0)),
        st.tuples(st.just("recall"), st.integers(1, 99), st.just(0)),
        st.tuples(st.just("gaps"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("aliases"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("bd_seq"), st.just(1), st.just(0)),
        st.tuples(st.just("roll"), st.just(0), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=10,
)


def write(folder: Path, steps: list[Step], seed: int, *, size_kb: int = 1024) -> Written:
    chance = random.Random(seed)
    journal = opened(folder, EPOCH, size_kb=size_kb)
    originals: dict[int, NewRecord] = {}
    bd_seq = 255
    for what, number, size in steps:
        if what in ("append", "curves", "fill"):
            curves = size if what != "append" else 0
            records = [
                NewRecord(
                    f"press-{chance.randrange(3)}",
                    chance.randrange(1 << 40),
                    chance.randbytes(chance.randint(0, size if not curves else 300)),
                    chance.randbytes(curves),
                    "source",
                    str(len(originals) + i + 1),
                )
                for i in range(number)
            ]
            first = journal.append(records)
            originals |= dict(enumerate(records, first))
        elif what == "gaps":
            lost = (GapLine("press-1", "refused", 2, 5, 6),)
            records = [NewRecord("press-1", 5, b"", gap=lost) for _ in range(number)]
            first = journal.append(records)
            originals |= dict(enumerate(records, first))
        elif what == "forget":
            next_id = journal.bounds()[1]
            low, high = sorted((number * next_id // 99, size * next_id // 99))
            journal.forget(low // 2, RangeSet([(low, high)]))
        elif what == "forget_some":
            journal.forget(0, RangeSet((i, i) for i in range(number, journal.bounds()[1], number)))
        elif what == "recall":
            journal.recall(number * journal.bounds()[1] // 99)
        elif what == "aliases":
            count = len(journal.aliases())
            journal.save_aliases([Alias("press-1", f"m{count + i}", count + i + 1, 10) for i in range(number)])
        elif what == "bd_seq":
            bd_seq = journal.next_bd_seq()
        elif what == "roll":
            journal.begin_epoch(EPOCH, 1)
        else:
            journal.close()
            journal = opened(folder, size_kb=size_kb)
    written = Written(read_all(journal), originals, journal.aliases(), journal.bounds()[1], bd_seq)
    journal.close()
    for path in folder.glob("*.seg"):
        for item in scan(path.read_bytes()):
            assert isinstance(item, Frame), "nothing is damaged yet"
            header = item.header
            end = item.offset + HEADER_BYTES + header.length
            written.edges.setdefault(path.name, []).append((Kind(header.kind).name.lower(), item.offset))
            if header.kind in RECORDS:
                for record_id in range(first_id_of(item), header.record_id + 1):
                    written.places[record_id] = path.name, item.offset, end
            elif header.kind == Kind.RECALL:
                written.recalls.append((path.name, item.offset, end))
    return written


@dataclass(frozen=True)
class Fault:
    """What happens to which file; shares of its length keep it meaningful for files of any length."""

    kind: str
    file: float
    frame: float
    inside: int
    length: int


AIMED = ("flip", "zero", "cut")
KINDS = ("flip", "flip_anywhere", "zero", "cut", "cut_tail", "zeros_after", "garbage_after", "again_after", "gone")
FAULTS = st.builds(
    Fault,
    st.sampled_from(KINDS),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 60),
    st.integers(1, 5_000),
)


@dataclass(frozen=True)
class Hit:
    """The span of a file's old bytes that is not what it was; `is_changed` when there are such bytes at all."""

    name: str
    begin: int
    end: int
    is_changed: bool

    def touches(self, place: tuple[str, int, int]) -> bool:
        name, begin, end = place
        return name == self.name and begin < self.end and self.begin < end


def strike(folder: Path, written: Written, fault: Fault) -> Hit:
    """Damage one file, where the shares of `fault` say."""
    names = sorted(written.edges)
    names = [*names, names[-1], names[-1], "snapshot"]
    name = names[int(fault.file * len(names))]
    edges = written.edges.get(name, [("snapshot", 0)])
    what, edge = edges[int(fault.frame * len(edges))]
    if fault.kind == "flip_anywhere":
        what, edge = "any", int(fault.frame * (folder / name).stat().st_size)
    where = "snapshot" if name == "snapshot" else ("last segment" if name == written.newest else "sealed segment")
    CASES[f"{fault.kind} {what if fault.kind in AIMED else ''} in {where}".replace("  ", " ")] += 1
    return damage(folder / name, fault.kind, edge, fault.inside, fault.length)


def damage(path: Path, kind: str, edge: int, inside: int, length: int) -> Hit:
    """Damage a file `inside` bytes behind `edge`, where a frame begins."""
    old = path.read_bytes()
    data = bytearray(old)
    at = min(edge + inside, len(data) - 1)
    span = (at, at + 1)
    if kind.startswith("flip"):
        data[at] ^= 1 << length % 8
    elif kind == "zero":
        at = at // 4096 * 4096 if length % 2 else at
        span = (at, min(at + 4096, len(data)))
        data[at : span[1]] = bytes(span[1] - at)
    elif kind in ("cut", "cut_tail"):
        at = max(0, len(data) - length) if kind == "cut_tail" else at
        span = (at, len(data))
        del data[at:]
    elif kind.endswith("_after"):
        span = (len(data), len(data))
        more = {"zeros_after": bytes(length), "garbage_after": random.Random(length).randbytes(length)}
        data += more.get(kind, bytes(data[edge:][: length * 4]))  # a part of the file, from a frame's begin
    else:
        span = (0, len(data))
    path.write_bytes(data)
    if kind == "gone":
        path.unlink()
    return Hit(path.name, *span, is_changed=kind == "gone" or data[: len(old)] != old)


def judge(folder: Path, written: Written, kind: str, hit: Hit) -> None:
    touched = {i for i, place in written.places.items() if hit.touches(place)}
    is_newest = hit.name == written.newest
    is_cut_tail = kind.startswith("cut") and is_newest
    journal = opened(folder, size_kb=4096)  # with room, so that nothing is given up from here on
    found = read_all(journal)
    assert journal.epoch == str(EPOCH)
    assert journal.aliases() == written.aliases
    next_id = journal.bounds()[1]
    judge_telling(journal.counts(), written, kind, hit, found)
    if any(hit.touches(place) for place in written.recalls) or (kind == "again_after" and written.recalls):
        journal.recall(1)  # what the host asked for and did not get, it asks for again
        found = read_all(journal)
    for record_id, record in written.kept.items():
        back = found.get(record_id)
        if record_id not in touched:
            assert back == record, f"record {record_id} was not hit"
        elif back is None:
            assert is_cut_tail
            assert record_id >= next_id
        else:
            assert back == record or (back.is_gap and back.body == b"gap %d damaged" % record_id)
    for record_id in found.keys() - written.kept.keys():
        original, back = written.originals.get(record_id), found[record_id]
        if back.is_gap:
            reasons = [b"damaged", b"thinned", b"refused"]
            assert back.body in [b"gap %d %s" % (back.record_id, reason) for reason in reasons]
            continue
        assert original is not None
        assert (back.press_id, back.ended_ms, back.body) == (original.press_id, original.ended_ms, original.body)
        assert back.curves in (original.curves, b"curves: full")
    given = [i for i in written.originals if i in written.places and i not in touched] if is_cut_tail else []
    assert next_id > max(given, default=0)
    if not is_cut_tail:
        assert next_id >= written.next_id, "no id is given twice"
    assert journal.next_bd_seq() != written.bd_seq or is_cut_tail
    fresh = NewRecord("press-new", 5, b"fresh", b"")
    assert journal.append([fresh]) == next_id
    journal.close()
    again = opened(folder, size_kb=4096)
    assert said(read_all(again)) == said(found | {next_id: Record(next_id, "press-new", 5, b"fresh", b"")})
    assert again.aliases() == written.aliases
    again.close()


def judge_telling(counts: JournalCounts, written: Written, kind: str, hit: Hit, found: Mapping[int, Record]) -> None:
    """What is damaged is counted and told; of a sealed segment, as soon as what was hit is read."""
    damaged = [record for record in found.values() if record.is_gap and record.body.endswith(b" damaged")]
    if damaged:
        assert counts.records_damaged >= len(damaged), "damage is counted"
        assert counts.damage_reports, "and told"
    if hit.name != written.newest or not hit.is_changed:
        return
    edges = [offset for _, offset in written.edges[hit.name]]
    is_cut = kind.startswith("cut")
    if is_cut and hit.begin in edges[1:]:
        return  # a file that ends where a frame ends tells nothing
    if is_cut and any(0 < edge < hit.begin for edge in edges):  # a whole frame is left
        assert counts.tails_cut == 1, "a tail that was cut is counted"
    else:
        assert counts.damage_reports, "damage in the last segment is told at the start"


COMMITTED_EARLY: list[Step] = [("forget", 99, 99), ("append", 1, 0), ("aliases", 1, 0)]
"""The host names an id that is given only afterwards; the snapshot kept aside knows it, the damaged head does not."""


@example(steps=COMMITTED_EARLY, seed=1, faults=[Fault("flip", 0.0, 0.0, 0, 1)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps=STEPS, seed=st.integers(0, 1 << 30), faults=st.lists(FAULTS, min_size=4, max_size=4))
def test_one_fault_costs_no_more_than_the_records_it_hits(
    steps: list[Step], seed: int, faults: list[Fault], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _write_and_damage(tmp_path_factory.mktemp("journal"), steps, seed, faults)


def test_a_damaged_head_changes_nothing_about_its_epoch(tmp_path: Path) -> None:
    """The snapshot kept aside is later than the head: what began the epoch is not to begin it again."""
    later = UUID(int=8)
    journal = opened(tmp_path, EPOCH)
    journal.append([NewRecord("press-1", 1, b"body", b"") for _ in range(3)])
    journal.begin_epoch(later, 1)
    journal.forget(3, RangeSet())
    journal.save_aliases([Alias("press-1", "m", 1, 10)])
    first = journal.epoch_first
    journal.close()
    damage(max(tmp_path.glob("*.seg")), "flip", 0, 0, 1)
    journal = opened(tmp_path)
    assert (journal.epoch, journal.epoch_first) == (str(later), first)
    assert journal.recall(1) == 1
    assert not any(record.is_gap for record in read_all(journal).values())
    journal.close()


@pytest.mark.parametrize("seed", range(40))
def test_faults_in_journals_with_a_longer_life(seed: int, tmp_path: Path) -> None:
    """Hypothesis keeps to short lives; these have rewritten segments, footers and forgotten records in every shape."""
    chance = random.Random(seed)
    steps = [chance.choice(STEP_MAKERS)(chance) for _ in range(chance.randint(6, 14))]
    faults = [
        Fault(
            KINDS[number % len(KINDS)],
            chance.random(),
            chance.random(),
            chance.randint(0, 60),
            chance.randint(1, 5_000),
        )
        for number in range(2 * len(KINDS))
    ]
    _write_and_damage(tmp_path, steps, seed, faults)


STEP_MAKERS: list[Callable[[random.Random], Step]] = [
    lambda chance: ("append", chance.randint(1, 12), chance.randint(0, 3_000)),
    lambda chance: ("append", chance.randint(1, 30), chance.randint(0, 40)),
    lambda chance: ("curves", chance.randint(1, 6), chance.randint(1, 12_000)),
    lambda chance: ("fill", chance.randint(1, 20), 25_000),
    lambda chance: ("fill", chance.randint(1, 20), 9_000),
    lambda chance: ("forget", chance.randint(1, 99), chance.randint(1, 99)),
    lambda chance: ("forget_some", chance.randint(2, 4), 0),
    lambda chance: ("recall", chance.randint(1, 99), 0),
    lambda chance: ("aliases", chance.randint(1, 5), 0),
    lambda chance: ("gaps", chance.randint(1, 9), 0),
    lambda _chance: ("bd_seq", 1, 0),
    lambda _chance: ("roll", 0, 0),
    lambda _chance: ("reopen", 0, 0),
]


def _write_and_damage(folder: Path, steps: list[Step], seed: int, faults: list[Fault]) -> None:
    written = write(folder / "whole", steps, seed)
    for number, fault in enumerate(faults):
        copy = folder / str(number)
        shutil.copytree(folder / "whole", copy, ignore=shutil.ignore_patterns("reserve"))
        judge(copy, written, fault.kind, strike(copy, written, fault))
        shutil.rmtree(copy)


LIFE: list[Step] = [
    ("aliases", 2, 0),
    ("gaps", 5, 0),
    ("fill", 4, 25_000),
    ("forget_some", 2, 0),
    ("roll", 0, 0),
    ("append", 12, 300),
    ("forget_some", 3, 0),
    ("recall", 60, 0),
    ("aliases", 2, 0),
    ("bd_seq", 1, 0),
    ("append", 12, 300),
    ("roll", 0, 0),
    ("fill", 4, 25_000),  # for want of room the first segments are written again without what was forgotten
    ("roll", 0, 0),
    ("append", 12, 300),
    ("forget_some", 3, 0),
    ("recall", 90, 0),
    ("aliases", 2, 0),
    ("bd_seq", 1, 0),
    ("append", 12, 300),
]
"""Every kind of frame, in the last segment (but for the two that end a sealed one) and in those before it."""
OFFSETS = {
    "magic": 0,
    "kind": 4,
    "bd_seq": 5,
    "left": 6,
    "length": 8,
    "record_id": 12,
    "payload_crc": 20,
    "header_crc": 24,
}
"""The parts of a header and where each begins."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    folder = tmp_path_factory.mktemp("life")
    return folder, write(folder / "whole", LIFE, 1, size_kb=320)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_every_fault_in_every_part_of_every_kind_of_frame(kind: Kind, life: tuple[Path, Written]) -> None:
    folder, written = life
    met: set[tuple[str, str]] = set()
    for where, name, frame in _one_in_each_place(folder / "whole", written, kind):
        met.add((kind.name, where))
        for fault, part, offset in _blows(frame):
            copy = folder / "struck"
            shutil.copytree(folder / "whole", copy, ignore=shutil.ignore_patterns("reserve"))
            is_block = fault == "zero_block"
            blow = "zero" if is_block else fault
            hit = damage(copy / name, blow, frame.offset, offset, 2 * offset + is_block)
            judge(copy, written, blow, hit)
            shutil.rmtree(copy)
            CASES[f"{fault} {part} of {kind.name.lower()} in {where} segment"] += 1
    assert met == {(kind.name, where) for where in ("last", "sealed") if (kind, where) not in NOWHERE}


NOWHERE = {(Kind.VOID, "last"), (Kind.FOOTER, "last"), (Kind.RUN, "last")}
"""What ends a sealed segment stands in no other."""


def _one_in_each_place(folder: Path, written: Written, kind: Kind) -> Iterator[tuple[str, str, Frame]]:
    """The first frame of that kind in the last segment, and the first one in any other."""
    found: dict[str, tuple[str, Frame]] = {}
    for name in sorted(written.edges):
        for item in scan((folder / name).read_bytes()):
            if isinstance(item, Frame) and item.header.kind == kind:
                found.setdefault("last" if name == written.newest else "sealed", (name, item))
    for where, (name, frame) in found.items():
        yield where, name, frame


def _blows(frame: Frame) -> Iterator[tuple[str, str, int]]:
    """Each fault in each part that the frame has, with the offset of the part in it."""
    length = frame.header.length
    parts = OFFSETS | ({"payload": HEADER_BYTES, "payload_end": HEADER_BYTES + length - 1} if length else {})
    for part, offset in parts.items():
        for fault in ("flip", "zero", "zero_block", "cut"):
            yield fault, part, offset
    yield "again_after", "whole", HEADER_BYTES + length
