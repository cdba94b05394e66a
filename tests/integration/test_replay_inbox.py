"""A replayed file while the status cannot be written, or the source crashes: each row is delivered once."""

import errno
from pathlib import Path
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from edge_agent.sources import replay
from edge_agent.sources.replay import ReplayInbox, inbox_of, read_status, submit
from edge_agent.sources.source import Delivery

pytestmark = pytest.mark.anyio

ROWS = 450
MAPPING = """
press = "press-01"
[time]
column = "when"
timezone = "UTC"
[columns]
"t" = { name = "CycleTime", unit = "s" }
"""


class Taker:
    """The pipeline and its journal as a source sees them: rows become durable some time after they were taken."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.durable = 0
        self.fails_at: set[int] = set()

    async def deliver(self, delivery: Delivery, *, can_wait: bool) -> bool:
        assert can_wait
        row = int(delivery.position)
        if row in self.fails_at:
            self.fails_at.remove(row)
            raise RuntimeError("a bug in the source")
        self.rows.append(row)
        await anyio.lowlevel.checkpoint()
        return True

    async def positions(self) -> dict[str, str]:
        return {self.source_id: str(self.durable)} if self.durable else {}

    source_id = f"replay:{UUID(int=1)}"


def job_in(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "m.toml").write_text(MAPPING, encoding="utf-8")
    lines = ["when,t", *(f"2026-03-01T08:{n // 60:02}:{n % 60:02},{17 + n}" for n in range(ROWS))]
    (tmp_path / "d.csv").write_text("\n".join(lines), encoding="utf-8")
    inbox = inbox_of(tmp_path)
    return inbox, submit(inbox, UUID(int=1), tmp_path / "d.csv", tmp_path / "m.toml")


async def finished(job: Path, taker: Taker) -> None:
    with anyio.fail_after(20):
        while len(set(taker.rows)) < ROWS:
            await anyio.sleep(0.01)
        taker.durable = ROWS
        while read_status(job).state != "done":
            await anyio.sleep(0.01)


async def test_a_disk_too_full_for_the_status_doubles_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LOOK_EVERY_S", 0.01)
    inbox, job = job_in(tmp_path)
    taker, written = Taker(), replay._write_status
    refusals = 0

    def refuse(job: Path, status: replay.JobStatus) -> None:
        nonlocal refusals
        if refusals < 20:
            refusals += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        written(job, status)

    monkeypatch.setattr(replay, "_write_status", refuse)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ReplayInbox(inbox, taker.deliver, taker.positions).run)
        await finished(job, taker)
        tasks.cancel_scope.cancel()
    assert refusals == 20
    assert taker.rows == list(range(1, ROWS + 1))


async def test_a_source_that_crashed_goes_on_behind_what_it_has_handed_over_and_not_behind_what_is_durable(
    tmp_path: Path,
) -> None:
    inbox, job = job_in(tmp_path)
    taker = Taker()
    taker.fails_at = {150, 333}
    source = ReplayInbox(inbox, taker.deliver, taker.positions)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await source.run()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        await finished(job, taker)
        tasks.cancel_scope.cancel()
    assert taker.rows == list(range(1, ROWS + 1))
