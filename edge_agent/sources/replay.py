"""Recorded files through the running gateway: an inbox folder, one folder a job, progress kept in the journal.

A job is a folder under `<state_dir>/replay` with `mapping.toml` and the data file `data`; `zhisan replay` makes it and
watches `status.json`, which the gateway writes. Rows become durable together with the row number, so a gateway that
is killed goes on behind the last durable row.
"""

import json
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal
from uuid import UUID

import anyio
import structlog
from anyio import to_thread

from contract.shot import Shot
from edge_agent.sources import recorded
from edge_agent.sources.mapping import Mapping as FileMapping
from edge_agent.sources.mapping import MappingError, read_mapping
from edge_agent.sources.source import Deliver, Delivery

LOOK_EVERY_S = 0.5
CHUNK_ROWS = 100
DURABLE_CHECK_S = 0.05
JOBS_MAX = 100
STATUS_FILE, DATA_FILE, MAPPING_FILE = "status.json", "data", "mapping.toml"
log = structlog.get_logger()

State = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job has come: rows durable in the journal, of all; the error that ended it."""

    state: State
    rows_total: int = 0
    rows_taken: int = 0
    error: str = ""


def inbox_of(state_dir: Path) -> Path:
    """Where a gateway with this state folder looks for jobs."""
    return state_dir / "replay"


def submit(inbox: Path, job_id: UUID, data: Path, mapping: Path) -> Path:
    """Make a job from a file and its mapping; the gateway sees it only when it is whole.

    Raises:
        MappingError: the mapping or the file cannot be used; nothing was made.
        OSError: the inbox cannot be written.
    """
    recorded.count_rows(data, read_mapping(mapping))
    inbox.mkdir(parents=True, exist_ok=True)
    if sum(1 for _ in inbox.iterdir()) >= JOBS_MAX:
        raise MappingError(f"{inbox} holds {JOBS_MAX} jobs already; remove old ones")
    draft = inbox / f".{job_id}"
    draft.mkdir()
    shutil.copyfile(data, draft / DATA_FILE)
    shutil.copyfile(mapping, draft / MAPPING_FILE)
    _write_status(draft, JobStatus("queued"))
    return draft.rename(inbox / str(job_id))


def read_status(job: Path) -> JobStatus:
    """What the gateway last said of the job."""
    return JobStatus(**json.loads((job / STATUS_FILE).read_text(encoding="utf-8")))


class ReplayInbox:
    """A source that works off the jobs of its inbox, one at a time, oldest first."""

    def __init__(
        self,
        inbox: Path,
        deliver: Deliver,
        positions: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        self._inbox = inbox
        self._deliver = deliver
        self._positions = positions
        self._handed_over: dict[str, int] = {}  # rows that this program has delivered, durable or still on their way

    async def run(self) -> None:
        """Look for jobs until cancelled."""
        while True:
            job = await to_thread.run_sync(self._next_job)
            if job is None:
                await anyio.sleep(LOOK_EVERY_S)
                continue
            await self._work_off(job)

    def _next_job(self) -> Path | None:
        if not self._inbox.is_dir():
            return None
        jobs = sorted(path for path in self._inbox.iterdir() if path.is_dir() and not path.name.startswith("."))
        return next((job for job in jobs if read_status(job).state in ("queued", "running")), None)

    async def _work_off(self, job: Path) -> None:
        try:
            mapping = await to_thread.run_sync(read_mapping, job / MAPPING_FILE)
            total = await to_thread.run_sync(recorded.count_rows, job / DATA_FILE, mapping)
            await self._replay(job, mapping, total)
        except MappingError as error:
            log.error("replay_failed", job_id=job.name, error=str(error))
            await self._report(job, replace(read_status(job), state="failed", error=str(error)))

    async def _replay(self, job: Path, mapping: FileMapping, total: int) -> None:
        source_id = f"replay:{job.name}"
        after_row = max(await self._durable_row(source_id), self._handed_over.get(source_id, 0))
        log.info("replay_started", job_id=job.name, press_id=mapping.press, rows=total, after_row=after_row)
        shots = recorded.read_shots(job / DATA_FILE, mapping, after_row=after_row)
        while chunk := await to_thread.run_sync(_take, shots):
            for row, shot in chunk:
                await self._deliver(Delivery(shot, source_id, str(row)), can_wait=True)
                self._handed_over[source_id] = row
            await self._report(job, JobStatus("running", total, await self._durable_row(source_id)))
        while (durable := await self._durable_row(source_id)) < total:
            await self._report(job, JobStatus("running", total, durable))
            await anyio.sleep(DURABLE_CHECK_S)
        if await self._report(job, JobStatus("done", total, durable)):
            self._handed_over.pop(source_id, None)
            log.info("replay_done", job_id=job.name, rows=total)

    async def _report(self, job: Path, status: JobStatus) -> bool:
        """Write the status; on a full disk the rows go on and the status comes with the next look at the job."""
        try:
            await to_thread.run_sync(_write_status, job, status)
        except OSError as error:
            log.warning("replay_status_not_written", job_id=job.name, error=str(error))
            await anyio.sleep(LOOK_EVERY_S)
            return False
        return True

    async def _durable_row(self, source_id: str) -> int:
        return int((await self._positions()).get(source_id, "0"))


def _take(shots: Iterator[tuple[int, Shot]]) -> list[tuple[int, Shot]]:
    return list(islice(shots, CHUNK_ROWS))


def _write_status(job: Path, status: JobStatus) -> None:
    """Replace the status in one step, so that a reader never sees half of it."""
    draft = job / f".{STATUS_FILE}"
    draft.write_text(json.dumps(asdict(status)), encoding="utf-8")
    draft.replace(job / STATUS_FILE)
