"""Jobs on presses: planned, changed, cancelled, done and taken back, each with its event and audit line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.domain import Alarm
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.fleet import reading as fleet
from cloud.maintenance import repository
from cloud.maintenance.domain import UNDO_MS, WINDOW_MS_MAX, JobState, Outcome, can_be_undone
from cloud.maintenance.tables import JobRow
from cloud.production import repository as production_repository
from cloud.production import service as production
from cloud.rollouts import labels
from cloud.rollouts import repository as rollouts
from cloud.rollouts.domain import Verdict
from kit.errors import ZhisanError
from kit.ids import uuid7

JOB_PLANNED, JOB_CHANGED, JOB_CANCELLED = "maintenance.planned", "maintenance.changed", "maintenance.cancelled"
JOB_DONE, JOB_REOPENED = "maintenance.done", "maintenance.reopened"
PLANNED_MAX = 1_000
TEXT_CHARACTERS_MAX = 500
VERDICTS: Mapping[Outcome, Verdict] = {"repaired": "maintenance_done", "confirmed": "true", "nothing": "false"}


class JobStateError(ZhisanError):
    """A job is not in the state in which this can be done with it."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(f"The job is {state}: {why}.")
        self.state = state


@dataclass(frozen=True, slots=True)
class Window:
    """When a job is planned, and who does it."""

    start_ms: int
    end_ms: int
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class Done:
    """What was found and what was done; `resets_baseline`: what was normal for the press is so no more."""

    outcome: Outcome
    found: str
    work: str
    resets_baseline: bool


async def plan(
    session: AsyncSession,
    events: EventLog,
    tenant_id: TenantId,
    plant_id: str,
    press_id: str,
    mode: str,
    window: Window,
    *,
    actor: Actor,
    now_ms: int,
) -> JobRow:
    """Plan a job on a press; while it lasts the press counts as not planned to be busy.

    Raises:
        NotFoundError: the tenant has no such press.
        InvalidFieldError: the window makes no sense, or PLANNED_MAX jobs are planned already.
    """
    await fleet.press(session, tenant_id, plant_id, press_id)
    _check(window)
    if await repository.planned_count(session, tenant_id) >= PLANNED_MAX:
        raise InvalidFieldError("body", f"{PLANNED_MAX} planned jobs are the most; finish or cancel some")
    row = _new_row(tenant_id, plant_id, press_id, mode, actor, now_ms)
    session.add(row)
    await _set_window(session, row, window, actor, now_ms)
    _tell(session, events, row, JOB_PLANNED, actor, now_ms, after=_window_of(row))
    return row


async def change(
    session: AsyncSession,
    events: EventLog,
    tenant_id: TenantId,
    job_id: UUID,
    window: Window,
    *,
    actor: Actor,
    now_ms: int,
) -> JobRow:
    """Move a planned job, or give it to somebody else.

    Raises:
        NotFoundError: the tenant has no such job.
        JobStateError: it is done or cancelled.
        InvalidFieldError: the window makes no sense.
    """
    row = await _planned(session, tenant_id, job_id)
    _check(window)
    before = _window_of(row)
    await _drop_downtime(session, row, actor, now_ms)
    await _set_window(session, row, window, actor, now_ms)
    _tell(session, events, row, JOB_CHANGED, actor, now_ms, before=before, after=_window_of(row))
    return row


async def cancel(
    session: AsyncSession, events: EventLog, tenant_id: TenantId, job_id: UUID, *, actor: Actor, now_ms: int
) -> JobRow:
    """Take a planned job back, with its downtime.

    Raises:
        NotFoundError: the tenant has no such job.
        JobStateError: it is done or cancelled.
    """
    row = await _planned(session, tenant_id, job_id)
    await _drop_downtime(session, row, actor, now_ms)
    row.state = _state("cancelled")
    _tell(session, events, row, JOB_CANCELLED, actor, now_ms, before={"state": "planned"}, after={"state": row.state})
    return row


async def finish(
    session: AsyncSession,
    events: EventLog,
    row: JobRow,
    done: Done,
    alarms: Sequence[Alarm],
    bundles: Mapping[UUID, str],
    *,
    actor: Actor,
    now_ms: int,
) -> JobRow:
    """Say what came of a job: it judges the alarms that asked for it, and orders a new baseline if it is to.

    `alarms` are the active ones of the job's place, `bundles` which bundle has raised each.

    Raises:
        JobStateError: it is done or cancelled.
    """
    if row.state != "planned":
        raise JobStateError(row.state, "only a planned one can be done")
    tenant_id, kept = TenantId(row.tenant_id), []
    for alarm in alarms:
        alarm_id = alarm.alarm_id
        known = await rollouts.label(session, tenant_id, alarm_id)
        kept.append(
            {
                "alarm_id": str(alarm_id),
                "verdict": known.verdict if known else None,
                "comment": known.comment if known else "",
            }
        )
        await labels.put_label(
            session,
            events,
            tenant_id,
            alarm_id,
            actor,
            verdict=VERDICTS[done.outcome],
            comment=done.found[: labels.COMMENT_CHARACTERS_MAX],
            bundle_id=bundles.get(alarm_id, ""),
            now_ms=now_ms,
        )
    row.state, row.outcome, row.labels = _state("done"), done.outcome, kept
    row.found, row.work = done.found, done.work
    row.done_ms, row.done_by = now_ms, actor.name[:NAME_CHARACTERS_MAX]
    if done.resets_baseline:
        row.repair_id = await labels.add_repair(session, tenant_id, row.plant_id, row.press_id, now_ms=now_ms)
    after = {"outcome": done.outcome, "found": done.found, "work": done.work, "resets_baseline": done.resets_baseline}
    _tell(session, events, row, JOB_DONE, actor, now_ms, after={**after, "alarms": len(kept)})
    return row


def unplanned(
    session: AsyncSession, tenant_id: TenantId, place: tuple[str, str, str], *, actor: Actor, now_ms: int
) -> JobRow:
    """A job without a window, for work that was done without a plan."""
    row = _new_row(tenant_id, *place, actor, now_ms)
    session.add(row)
    return row


async def reopen(
    session: AsyncSession, events: EventLog, tenant_id: TenantId, job_id: UUID, *, actor: Actor, now_ms: int
) -> JobRow:
    """Take back that a job was done, within UNDO_MS: the labels are what they were, and it is planned again.

    One that had no plan is cancelled instead. Rules know again what they had learnt of the press; a gateway that has
    begun to find its press's baseline anew goes on.

    Raises:
        NotFoundError: the tenant has no such job.
        JobStateError: it is not done, or was so too long ago.
    """
    row = await _known(session, tenant_id, job_id)
    if row.state != "done":
        raise JobStateError(row.state, "there is nothing to take back")
    if not can_be_undone(row.done_ms, now_ms):
        raise JobStateError(row.state, f"it can be taken back for {UNDO_MS // 60_000} minutes")
    for kept in row.labels:
        verdict, comment = cast("Verdict | None", kept["verdict"]), str(kept["comment"])
        alarm_id = UUID(kept["alarm_id"])
        await labels.take_back(
            session, events, tenant_id, alarm_id, actor, verdict=verdict, comment=comment, now_ms=now_ms
        )
    if row.repair_id is not None:
        await labels.drop_repair(session, tenant_id, row.repair_id, now_ms=now_ms)
    before = {"state": "done", "outcome": row.outcome}
    row.state = _state("planned" if row.start_ms is not None else "cancelled")
    row.outcome, row.found, row.work, row.labels = "", "", "", []
    row.done_ms, row.done_by, row.repair_id = None, "", None
    _tell(session, events, row, JOB_REOPENED, actor, now_ms, before=before, after={"state": row.state})
    return row


async def _known(session: AsyncSession, tenant_id: TenantId, job_id: UUID) -> JobRow:
    row = await repository.job(session, tenant_id, job_id)
    if row is None:
        raise NotFoundError("maintenance job", str(job_id))
    return row


async def _planned(session: AsyncSession, tenant_id: TenantId, job_id: UUID) -> JobRow:
    row = await _known(session, tenant_id, job_id)
    if row.state != "planned":
        raise JobStateError(row.state, "only a planned one can be changed")
    return row


def _new_row(tenant_id: TenantId, plant_id: str, press_id: str, mode: str, actor: Actor, now_ms: int) -> JobRow:
    return JobRow(
        job_id=uuid7(now_ms),
        tenant_id=tenant_id,
        plant_id=plant_id,
        press_id=press_id,
        mode=mode,
        state=_state("planned"),
        start_ms=None,
        end_ms=None,
        who="",
        note="",
        downtime_id=None,
        repair_id=None,
        outcome="",
        found="",
        work="",
        done_ms=None,
        done_by="",
        labels=[],
        made_ms=now_ms,
        made_by=actor.name[:NAME_CHARACTERS_MAX],
    )


def _state(name: JobState) -> str:
    return name


def _check(window: Window) -> None:
    if not 0 < window.end_ms - window.start_ms <= WINDOW_MS_MAX:
        raise InvalidFieldError("body.end_ms", "must be after start_ms, by at most 31 days")


async def _set_window(session: AsyncSession, row: JobRow, window: Window, actor: Actor, now_ms: int) -> None:
    row.start_ms, row.end_ms, row.who, row.note = window.start_ms, window.end_ms, window.who, window.note
    downtime = await production.plan_downtime(
        session,
        TenantId(row.tenant_id),
        plant_id=row.plant_id,
        press_id=row.press_id,
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        reason=window.note,
        actor=actor,
        now_ms=now_ms,
    )
    row.downtime_id = downtime.downtime_id


async def _drop_downtime(session: AsyncSession, row: JobRow, actor: Actor, now_ms: int) -> None:
    if row.downtime_id is None:
        return
    tenant_id = TenantId(row.tenant_id)
    if await production_repository.downtime(session, tenant_id, row.downtime_id) is not None:  # it may be forgotten
        await production.drop_downtime(session, tenant_id, row.downtime_id, actor=actor, now_ms=now_ms)
    row.downtime_id = None


def _window_of(row: JobRow) -> dict[str, Any]:
    return {"start_ms": row.start_ms, "end_ms": row.end_ms, "who": row.who, "note": row.note}


def _tell(
    session: AsyncSession,
    events: EventLog,
    row: JobRow,
    kind: str,
    actor: Actor,
    now_ms: int,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
) -> None:
    action, target = kind.replace(".", "_"), f"maintenance:{row.job_id}"
    audit.record(session, row.tenant_id, actor, action, target, now_ms=now_ms, before=before, after=after)
    place = {"plant_id": row.plant_id, "press_id": row.press_id, "mode": row.mode}
    payload = {"job_id": str(row.job_id), **place, "by": actor.name, **after}
    events.record(session, TenantId(row.tenant_id), kind, payload, now_ms)
