"""What engineers found out about alarms: kept by alarm, counted, and given to the next training."""

from typing import cast
from uuid import UUID

import numpy as np
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import reading as alarms
from cloud.alarms.rules.repository import forget_learnt, restore_learnt
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database, announce
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.rollouts import repository
from cloud.rollouts.domain import Verdict
from cloud.rollouts.history import REPAIRED
from cloud.rollouts.tables import LabelRow, RepairRow
from cloud.telemetry.store import Plants, TelemetryStore
from kit.ids import uuid7
from models.features.schema import FEATURES, FEATURES_HASH

ALARM_LABELLED = "alarm.labelled"
COMMENT_CHARACTERS_MAX = 500


def bundle_of_shot(store: TelemetryStore, plants: Plants, row_id: int | None) -> str:
    """The bundle that scored a stored shot; empty when the shot is gone or was not scored. Blocking."""
    if row_id is None:
        return ""
    found = store.shot(plants, row_id)
    return found.scored.scores.bundle_id if found is not None else ""


async def put_label(
    session: AsyncSession,
    events: EventLog,
    tenant_id: TenantId,
    alarm_id: UUID,
    actor: Actor,
    *,
    verdict: Verdict,
    comment: str,
    bundle_id: str,
    now_ms: int,
) -> LabelRow:
    """Say what an alarm was; the latest word counts. After a repair, rules learn the press's normal anew.

    Raises:
        NotFoundError: the tenant has no such alarm.
        InvalidFieldError: it is no alarm of a press.
    """
    alarm = await alarms.alarm(session, tenant_id, alarm_id)
    if not alarm.press_id:
        raise InvalidFieldError("body.alarm_id", "is an alarm of a gateway, which no model has raised")
    row = await repository.label(session, tenant_id, alarm_id)
    before = {"verdict": row.verdict, "comment": row.comment} if row is not None else None
    if row is None:
        row = LabelRow(
            label_id=uuid7(now_ms),
            tenant_id=tenant_id,
            alarm_id=alarm_id,
            plant_id=alarm.plant_id,
            press_id=alarm.press_id,
            mode=alarm.mode,
            bundle_id=bundle_id,
            shot_row_id=alarm.shot_row_id,
            raised_ms=alarm.raised_ms,
        )
        session.add(row)
    row.verdict, row.comment = cast("str", verdict), comment
    row.labelled_ms, row.labelled_by = now_ms, actor.name[:NAME_CHARACTERS_MAX]
    if verdict == REPAIRED and (before is None or before["verdict"] != REPAIRED):
        await forget_learnt(session, alarm.plant_id, alarm.press_id, now_ms=now_ms)
    elif verdict != REPAIRED and before is not None and before["verdict"] == REPAIRED:
        await restore_learnt(session, alarm.plant_id, alarm.press_id, now_ms=now_ms)
    after = {"verdict": verdict, "comment": comment}
    audit.record(
        session, tenant_id, actor, "alarm_labelled", f"alarm:{alarm_id}", now_ms=now_ms, before=before, after=after
    )
    payload = {"alarm_id": str(alarm_id), "mode": alarm.mode, "by": row.labelled_by, **after}
    events.record(session, tenant_id, ALARM_LABELLED, payload, now_ms)
    announce(session, events.live.alarms)
    return row


async def take_back(
    session: AsyncSession,
    events: EventLog,
    tenant_id: TenantId,
    alarm_id: UUID,
    actor: Actor,
    *,
    verdict: Verdict | None,
    comment: str,
    now_ms: int,
) -> None:
    """Bring an alarm's label back to what it was; with no `verdict` the alarm is judged by nobody again."""
    row = await repository.label(session, tenant_id, alarm_id)
    if row is None:
        return
    before, target = {"verdict": row.verdict, "comment": row.comment}, f"alarm:{alarm_id}"
    after = None if verdict is None else {"verdict": verdict, "comment": comment}
    if verdict is None:
        await session.delete(row)
    else:
        row.verdict, row.comment = cast("str", verdict), comment
        row.labelled_ms, row.labelled_by = now_ms, actor.name[:NAME_CHARACTERS_MAX]
    if before["verdict"] == REPAIRED and verdict != REPAIRED:
        await restore_learnt(session, row.plant_id, row.press_id, now_ms=now_ms)
    audit.record(session, tenant_id, actor, "alarm_label_taken_back", target, now_ms=now_ms, before=before, after=after)
    payload = {"alarm_id": str(alarm_id), "mode": row.mode, "by": actor.name, "verdict": verdict, "comment": comment}
    events.record(session, tenant_id, ALARM_LABELLED, payload, now_ms)
    announce(session, events.live.alarms)


async def add_repair(session: AsyncSession, tenant_id: TenantId, plant_id: str, press_id: str, *, now_ms: int) -> UUID:
    """Tell of a repair that no alarm had asked for: gateway and rules find anew what is normal for the press."""
    repair_id = uuid7(now_ms)
    session.add(
        RepairRow(repair_id=repair_id, tenant_id=tenant_id, plant_id=plant_id, press_id=press_id, repaired_ms=now_ms)
    )
    await forget_learnt(session, plant_id, press_id, now_ms=now_ms)
    return repair_id


async def drop_repair(session: AsyncSession, tenant_id: TenantId, repair_id: UUID, *, now_ms: int) -> None:
    """Take a repair back: rules know again what they knew; a gateway that has begun to learn anew goes on."""
    row = await repository.repair(session, tenant_id, repair_id)
    if row is not None:
        await session.delete(row)
        await restore_learnt(session, row.plant_id, row.press_id, now_ms=now_ms)


async def judge(
    database: Database,
    store: TelemetryStore,
    events: EventLog,
    tenant_id: TenantId,
    alarm_id: UUID,
    actor: Actor,
    *,
    verdict: Verdict,
    comment: str,
    now_ms: int,
) -> LabelRow:
    """`put_label` in a transaction of its own, with the bundle that has raised the alarm.

    Raises:
        NotFoundError: the tenant has no such alarm.
        InvalidFieldError: it is no alarm of a press.
    """
    async with database.reading() as session:
        alarm = await alarms.alarm(session, tenant_id, alarm_id)
        plants = await reading.plant_ids(session, tenant_id)
    bundle_id = await to_thread.run_sync(bundle_of_shot, store, plants, alarm.shot_row_id)
    async with database.transaction() as session:
        return await put_label(
            session,
            events,
            tenant_id,
            alarm_id,
            actor,
            verdict=verdict,
            comment=comment,
            bundle_id=bundle_id,
            now_ms=now_ms,
        )


CSV_HEAD = ("alarm_id", "plant_id", "press_id", "mode", "verdict", "raised_ms", "bundle_id", "mould_id")


def csv_row(store: TelemetryStore, plants: Plants, row: LabelRow) -> list[str]:
    """A label with the features of the shot that raised its alarm, for `zhisan models train`. Blocking.

    The features are empty where the shot is gone, or is of other features than this version's.
    """
    found = store.shot(plants, row.shot_row_id) if row.shot_row_id is not None else None
    values = [""] * len(FEATURES)
    if found is not None and found.scored.features_hash == FEATURES_HASH:
        values = ["" if not np.isfinite(value) else f"{value:.9g}" for value in found.scored.features.tolist()]
    mould_id = found.scored.shot.mould_id if found is not None else ""
    own = [str(row.alarm_id), row.plant_id, row.press_id, row.mode, row.verdict, str(row.raised_ms), row.bundle_id]
    return [*own, mould_id, *values]


def csv_head() -> list[str]:
    """The names of the columns of `csv_row`."""
    return [*CSV_HEAD, *(spec.name for spec in FEATURES)]
