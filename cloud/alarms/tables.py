"""The tables of alarms, and of what was seen so far: by press and failure mode, by gateway and kind of trouble."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base

IS_ACTIVE = "cleared_ms IS NULL"


class AlarmRow(Base):
    """An alarm; ids rise with time. At most one of a place, kind and mode is active: the database holds it too.

    The place is a press, or with an empty `press_id` a gateway, which then has no probability and no shot.
    """

    __tablename__ = "alarms"
    __table_args__ = (
        Index(None, "tenant_id", "alarm_id"),
        Index(None, "tenant_id", "state", "alarm_id"),
        Index(None, "tenant_id", "plant_id", "press_id", "alarm_id"),
        Index(
            "uq_alarms_active",
            "plant_id",
            "press_id",
            "gateway_id",
            "kind",
            "mode",
            unique=True,
            sqlite_where=text(IS_ACTIVE),
            postgresql_where=text(IS_ACTIVE),
        ),
    )

    alarm_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    plant_id: Mapped[str]
    press_id: Mapped[str]
    gateway_id: Mapped[str]
    kind: Mapped[str]
    mode: Mapped[str]
    priority: Mapped[str]
    state: Mapped[str]
    probability: Mapped[float | None]
    threshold: Mapped[float | None]
    count: Mapped[int | None]
    reasons: Mapped[list[Any]]
    first_over_ms: Mapped[int]
    raised_ms: Mapped[int]
    acknowledged_ms: Mapped[int | None]
    acknowledged_by: Mapped[str | None]
    comment: Mapped[str | None] = mapped_column(Text)
    cleared_ms: Mapped[int | None]
    shot_row_id: Mapped[int | None]


class TrackerRow(Base):
    """`domain.Tracker` of one press and failure mode."""

    __tablename__ = "alarm_trackers"

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    is_raised: Mapped[bool]
    over_count: Mapped[int]
    first_over_ms: Mapped[int | None]
    under_count: Mapped[int]
    last_ended_ms: Mapped[int | None]


class TroubleTrackerRow(Base):
    """`trouble.TroubleTracker` of one gateway and kind of trouble."""

    __tablename__ = "gateway_trouble_trackers"

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    is_raised: Mapped[bool]
    counted: Mapped[int]
    risen_ms: Mapped[int]
