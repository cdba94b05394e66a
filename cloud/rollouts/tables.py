"""The tables of bundles, trials, orders, guards, labels, repairs, and the line of events that is only added to."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId

IS_RUNNING = "ended_ms IS NULL"


class BundleRow(Base):
    """An uploaded bundle; `card` is what its manifest tells people."""

    __tablename__ = "model_bundles"
    __table_args__ = (Index(None, "tenant_id", "uploaded_ms"),)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    bundle_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    key_id: Mapped[str]
    features_hash: Mapped[str]
    card: Mapped[dict[str, Any]]
    uploaded_ms: Mapped[int]
    uploaded_by: Mapped[str]


class RolloutRow(Base):
    """A trial of a bundle; at most one of a tenant runs: the database holds it too."""

    __tablename__ = "model_rollouts"
    __table_args__ = (
        Index(None, "tenant_id", "rollout_id"),
        Index(
            "uq_model_rollouts_running",
            "tenant_id",
            unique=True,
            sqlite_where=text(IS_RUNNING),
            postgresql_where=text(IS_RUNNING),
        ),
    )

    rollout_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    bundle_id: Mapped[str]
    previous_id: Mapped[str | None]
    stage: Mapped[str]
    outcome: Mapped[str]
    canaries: Mapped[list[Any]]
    bounds: Mapped[dict[str, Any]]
    is_automatic: Mapped[bool]
    stage_shots: Mapped[int]
    started_ms: Mapped[int]
    started_by: Mapped[str]
    stage_ms: Mapped[int]
    ended_ms: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text)


class ModelEventRow(Base):
    """A step in a bundle's life: who, from what to what, and why. Never changed, never deleted."""

    __tablename__ = "model_events"
    __table_args__ = (Index(None, "tenant_id", "bundle_id", "event_id"), {"sqlite_autoincrement": True})

    event_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    bundle_id: Mapped[str]
    rollout_id: Mapped[UUID | None] = mapped_column(Uuid())
    at_ms: Mapped[int]
    kind: Mapped[str]
    by: Mapped[str]
    state_before: Mapped[str | None]
    state_after: Mapped[str | None]
    why: Mapped[str] = mapped_column(Text)


class OrderRow(Base):
    """A gateway's order as it was last made, and its last report."""

    __tablename__ = "model_orders"
    __table_args__ = (Index(None, "tenant_id", "plant_id", "gateway_id"),)

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    revision: Mapped[int]
    wanted: Mapped[str] = mapped_column(Text)
    ordered_ms: Mapped[int]
    report: Mapped[str] = mapped_column(Text)
    reported_ms: Mapped[int | None]


class GuardPointRow(Base):
    """Guard figures of a trial at one time, summed up over its presses."""

    __tablename__ = "model_guard_points"
    __table_args__ = (Index(None, "rollout_id", "at_ms"),)

    point_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    rollout_id: Mapped[UUID] = mapped_column(Uuid())
    at_ms: Mapped[int]
    stage: Mapped[str]
    new: Mapped[dict[str, Any]]
    beside: Mapped[dict[str, Any]]


class LabelRow(Base):
    """What an engineer found out about an alarm; the latest word counts, the audit log has all."""

    __tablename__ = "alarm_labels"
    __table_args__ = (UniqueConstraint("tenant_id", "alarm_id"), Index(None, "tenant_id", "label_id"))

    label_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    alarm_id: Mapped[UUID] = mapped_column(Uuid())
    plant_id: Mapped[str]
    press_id: Mapped[str]
    mode: Mapped[str]
    bundle_id: Mapped[str] = mapped_column(String(12))
    verdict: Mapped[str]
    comment: Mapped[str] = mapped_column(Text)
    shot_row_id: Mapped[int | None]
    raised_ms: Mapped[int]
    labelled_ms: Mapped[int]
    labelled_by: Mapped[str]


class RepairRow(Base):
    """A repair of a press that no alarm had asked for: what was normal before it is so no more."""

    __tablename__ = "press_repairs"
    __table_args__ = (Index(None, "tenant_id", "plant_id", "press_id"),)

    repair_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    plant_id: Mapped[str]
    press_id: Mapped[str]
    repaired_ms: Mapped[int]
