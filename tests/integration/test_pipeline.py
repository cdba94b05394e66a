"""The pipeline without room in the journal: a file waits, a press's shot is refused and counted, none taken is lost."""

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import anyio
import numpy as np
import pytest

from contract.gaps import MISSED_CYCLES, REFUSED, GapLine
from contract.ranges import RangeSet
from contract.shot import Shot
from edge_agent import pipeline as pipeline_module
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.disk import Disk
from edge_agent.journal.journal import JournalFullError, NewRecord
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.segment_journal import SegmentJournal
from edge_agent.journal.thread import JournalThread
from edge_agent.pipeline import PATIENT_SHOTS_MAX, QUEUE_SHOTS_MAX, Pipeline
from edge_agent.sources.source import Delivery, Missed

pytestmark = pytest.mark.anyio


class FullDisk(Disk):
    """The machine's disk, which has no room for a record while `is_full`; an alias still fits."""

    is_full = False

    def write(self, file: int, data: bytes, offset: int) -> None:
        if self.is_full and len(data) > 3_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(file, data, offset)


def delivery(number: int) -> Delivery:
    curves = {"InjectionPressure": np.full(50, number, np.float32)}
    return Delivery(Shot("p", number, {"CycleTime": 1.0}, curves, 0.002, number), "opcua:p", str(number))


class Line:
    def __init__(self, records_max: int) -> None:
        self.journal, self.health = MemoryJournal(epoch=UUID(int=1), records_max=records_max), Health()
        self.appended: list[int] = []
        self.pipeline = Pipeline(
            JournalThread(self.journal),
            AliasTable(()),
            None,
            self.health,
            self.appended.append,
            curve_interval_s=0.005,
            curve_samples_max=1_000,
        )


async def until(condition: object) -> None:
    with anyio.fail_after(20):
        while not condition():  # type: ignore[operator]
            await anyio.sleep(0.01)


async def test_a_full_journal_holds_shots_back_and_takes_them_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline_module, "JOURNAL_RETRY_S", 0.01)
    line = Line(records_max=64)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.pipeline.run)
        for number in range(1, 129):
            assert await line.pipeline.deliver(delivery(number), can_wait=False)
        await until(lambda: line.health.journal_errors > 0)
        assert line.journal.bounds() == (1, 65)
        assert line.journal.positions() == {"opcua:p": "64"}
        line.journal.forget(65, RangeSet())
        await until(lambda: line.journal.bounds() == (65, 129))
        tasks.cancel_scope.cancel()
    assert line.appended[-1] == 129
    assert [record.ended_ms for record in line.journal.read(65, 128, limit=99)] == list(range(65, 129))
    assert line.journal.positions() == {"opcua:p": "128"}
    assert line.health.shots_refused == 0


async def test_new_aliases_are_saved_once_however_often_the_append_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is saved again is a synced write more for each second of a full disk."""
    monkeypatch.setattr(pipeline_module, "JOURNAL_RETRY_S", 0.01)
    journal = SegmentJournal(
        tmp_path / "journal",
        size_bytes_max=2**20,
        new_epoch=UUID(int=1),
        make_gap=lambda _record, _reason: b"",
        mark_curves=lambda _record, _reason: b"",
        disk=(disk := FullDisk()),
    )
    disk.is_full = True
    health = Health()
    pipeline = Pipeline(
        JournalThread(journal),
        AliasTable(()),
        None,
        health,
        lambda _: None,
        curve_interval_s=0.005,
        curve_samples_max=1_000,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.run)
        big = Shot("p", 1, {"CycleTime": 1.0}, {"ClampForce": np.ones(20_000, np.float32)}, 0.005, 1)
        for _ in range(3):
            await pipeline.deliver(Delivery(big, "", ""), can_wait=False)
        await until(lambda: health.journal_errors >= 3)
        disk.is_full = False
        await until(lambda: journal.bounds()[1] == 4)
        tasks.cancel_scope.cancel()
    metrics = [alias.metric for alias in journal.aliases()]
    assert len(metrics) == len(set(metrics)) > 5
    journal.close()


async def test_beyond_the_queue_a_press_s_shot_is_refused_and_counted_and_a_file_waits() -> None:
    line = Line(records_max=10)
    taken = [await line.pipeline.deliver(delivery(n), can_wait=False) for n in range(QUEUE_SHOTS_MAX + 5)]
    assert taken.count(True) == QUEUE_SHOTS_MAX
    assert line.health.shots_refused == 5
    with anyio.move_on_after(0.1) as waiting:
        await line.pipeline.deliver(delivery(1), can_wait=True)
    assert waiting.cancelled_caught, "a file is held back"
    async with anyio.create_task_group() as tasks:  # empty the queue, so that its streams are closed
        tasks.start_soon(line.pipeline.run)
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()


async def test_refused_shots_have_their_line_in_the_ledger_as_soon_as_there_is_room() -> None:
    line = Line(records_max=1_000)
    for number in range(1, QUEUE_SHOTS_MAX + 4):
        await line.pipeline.deliver(delivery(number), can_wait=False)
    assert line.health.shots_refused == 3
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.pipeline.run)
        await until(lambda: line.journal.bounds()[1] == QUEUE_SHOTS_MAX + 2)
        tasks.cancel_scope.cancel()
    [*shots, gap] = line.journal.read(1, 1_000, limit=1_000)
    assert not any(record.is_gap for record in shots), "behind the shots that it waited for"
    assert gap.gap == (GapLine("p", REFUSED, 3, QUEUE_SHOTS_MAX + 1, QUEUE_SHOTS_MAX + 3),)
    assert line.journal.positions() == {"opcua:p": str(QUEUE_SHOTS_MAX + 3)}, "a restart does not count them once more"


async def test_what_a_press_lost_stands_in_the_journal_in_the_order_of_its_cycles() -> None:
    """A kill anywhere leaves a position from which the press's own counter tells the rest, and nothing twice."""
    line, full = Line(records_max=1_000), QUEUE_SHOTS_MAX
    for number in range(1, full + 1):
        await line.pipeline.deliver(delivery(number), can_wait=False)
    missed = Missed(10, full + 1, full + 11, f"{full + 10}")
    await line.pipeline.deliver(replace(delivery(full + 11), missed=missed), can_wait=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.pipeline.run)
        await until(lambda: line.health.shots_refused == 1 and line.journal.bounds()[1] > 64)
        await line.pipeline.deliver(delivery(full + 12), can_wait=False)
        again = Missed(5, full + 13, full + 18, f"{full + 17}")
        await line.pipeline.deliver(replace(delivery(full + 18), missed=again), can_wait=False)
        await until(lambda: line.journal.positions() == {"opcua:p": str(full + 18)})
        tasks.cancel_scope.cancel()
    told = [(record.gap, record.ended_ms) for record in line.journal.read(full + 1, 1_000, limit=1_000)]
    lost = (GapLine("p", MISSED_CYCLES, 10, full + 1, full + 11), GapLine("p", REFUSED, 1, full + 11, full + 11))
    assert told == [
        (lost, full + 1),
        ((), full + 12),
        ((GapLine("p", MISSED_CYCLES, 5, full + 13, full + 18),), full + 13),
        ((), full + 18),
    ]


async def test_a_file_that_is_replayed_leaves_room_for_the_presses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "JOURNAL_RETRY_S", 0.01)
    line, count = Line(records_max=64), 2 * QUEUE_SHOTS_MAX

    async def replay() -> None:
        for number in range(1, count + 1):
            shot = replace(delivery(number).shot, press_id="file")
            await line.pipeline.deliver(Delivery(shot, "file:f", str(number)), can_wait=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replay)
        await anyio.wait_all_tasks_blocked()  # the queue holds all that a file may put into it
        tasks.start_soon(line.pipeline.run)
        await until(lambda: line.health.journal_errors > 0)  # nothing moves any more
        for number in range(1, PATIENT_SHOTS_MAX + 1):
            assert await line.pipeline.deliver(delivery(number), can_wait=False)
        while line.journal.positions() != {"file:f": str(count), "opcua:p": str(PATIENT_SHOTS_MAX)}:
            line.journal.forget(line.journal.bounds()[1], RangeSet())
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert line.health.shots_refused == 0


class WatchedThread(JournalThread):
    """A journal's thread that remembers having found no room."""

    was_full = False

    async def append(self, records: Sequence[NewRecord], *, may_give_up: bool = True) -> int:
        try:
            return await super().append(records, may_give_up=may_give_up)
        except JournalFullError:
            self.was_full = True
            raise


@pytest.mark.parametrize("commit", ["in time", "never"])
async def test_content_is_given_up_only_when_no_commit_makes_room_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commit: str
) -> None:
    monkeypatch.setattr(pipeline_module, "JOURNAL_RETRY_S", 2.0 if commit == "in time" else 0.05)
    journal = SegmentJournal(
        tmp_path / "journal",
        size_bytes_max=2**20,
        grace_bytes=0,
        new_epoch=UUID(int=1),
        make_gap=lambda _record, _reason: b"",
        mark_curves=lambda _record, _reason: b"",
    )
    thread, health = WatchedThread(journal), Health()
    pipeline = Pipeline(
        thread, AliasTable(()), None, health, lambda _: None, curve_interval_s=0.005, curve_samples_max=1_000
    )
    shot = Shot("p", 1, {"CycleTime": 1.0}, {"ClampForce": np.ones(1_000, np.float32)}, 0.005, 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipeline.run)
        for taken in range(1, 1_000):
            await pipeline.deliver(Delivery(shot, "", ""), can_wait=True)
            await until(lambda kept=taken: thread.was_full or journal.bounds()[1] > kept)
            if thread.was_full:
                break
        assert thread.was_full
        if commit == "in time":
            await thread.forget(taken, RangeSet())
        await until(lambda: journal.bounds()[1] == taken + 1)
        tasks.cancel_scope.cancel()
    assert (journal.counts().curves_dropped > 0) is (commit == "never")
    assert health.journal_errors == 0
    journal.close()
