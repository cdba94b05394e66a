"""The tables of alarms, their points, history and floods, and of what was seen so far of a press or gateway."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId

IS_ACTIVE = "cleared_ms IS NULL"
IS_RUNNING = "ended_ms IS NULL"


class AlarmRow(Base):
    """An alarm; ids rise with time. At most one of a place, kind and mode is active: the database holds it too.

    The place is a press, or with an empty `press_id` a gateway, which then has no probability and no shot.
    """

    __tablename__ = "alarms"
    __table_args__ = (
        Index(None, "tenant_id", "alarm_id"),
        Index(None, "tenant_id", "rule_id", "alarm_id"),
        Index(None, "tenant_id", "state", "alarm_id"),
        Index(None, "tenant_id", "plant_id", "press_id", "alarm_id"),
        Index(None, "plant_id", "press_id", "gateway_id", "kind", "mode", "alarm_id"),
        Index(None, "group_id"),
        Index(None, "is_held_back"),
        Index(None, "escalate_ms"),
        Index(None, "realarm_ms"),
        Index(
            "uq_alarms_active",
            "plant_id",
            "press_id",
            "gateway_id",
            "kind",
            "mode",
            "rule_id",
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
    cause: Mapped[str]
    group_id: Mapped[UUID] = mapped_column(Uuid())
    group_order: Mapped[int]
    is_latching: Mapped[bool]
    reset_ms: Mapped[int | None]
    announced_ms: Mapped[int | None]
    is_held_back: Mapped[bool]
    escalation_level: Mapped[int]
    escalate_ms: Mapped[int | None]
    """When the next level is due; None when none is."""
    realarm_ms: Mapped[int | None]
    """When it is announced again if its cause is still there; None when never."""
    assigned_to: Mapped[str | None]
    assigned_name: Mapped[str | None]
    rule_id: Mapped[str]
    rule_version: Mapped[int | None]
    value: Mapped[float | None]
    realarm_own_ms: Mapped[int | None]
    """Its rule's own time to the re-alarm, 0 for never; None leaves it to the site."""


class PointRow(Base):
    """`points.Point` with why its alarms are withheld, and the cause that has not lasted long enough yet.

    A row is made when there is first something to hold.
    """

    __tablename__ = "alarm_points"
    __table_args__ = (Index(None, "tenant_id"), Index(None, "shelved_until_ms"), Index(None, "delay_due_ms"))

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    shelved_ms: Mapped[int | None]
    shelved_until_ms: Mapped[int | None]
    shelved_by: Mapped[str | None]
    shelf_reason: Mapped[str | None] = mapped_column(Text)
    is_one_shot: Mapped[bool]
    suppressed_ms: Mapped[int | None]
    suppressed_by: Mapped[str | None]
    suppression_reason: Mapped[str | None] = mapped_column(Text)
    taken_out_ms: Mapped[int | None]
    taken_out_by: Mapped[str | None]
    taken_out_reason: Mapped[str | None] = mapped_column(Text)
    delay_step: Mapped[str | None]
    delay_due_ms: Mapped[int | None]
    delay_raising: Mapped[dict[str, Any] | None]


class HistoryRow(Base):
    """One turn of an alarm's life, or a word about it: only ever added to, which the database holds too."""

    __tablename__ = "alarm_history"
    __table_args__ = (
        Index(None, "tenant_id", "entry_id"),
        Index(None, "alarm_id", "entry_id"),
        Index(None, "tenant_id", "is_annunciation", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    entry_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    alarm_id: Mapped[UUID | None] = mapped_column(Uuid())
    """None for a word about a point that has had no alarm yet."""
    plant_id: Mapped[str]
    press_id: Mapped[str]
    gateway_id: Mapped[str]
    kind: Mapped[str]
    mode: Mapped[str]
    priority: Mapped[str]
    at_ms: Mapped[int]
    what: Mapped[str]
    from_state: Mapped[str]
    to_state: Mapped[str]
    is_annunciation: Mapped[bool]
    """People were told that the alarm is there: what EEMUA 191 counts."""
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    why: Mapped[str | None] = mapped_column(Text)


class FloodRow(Base):
    """A time in which a tenant's people got more alarms than they can take; at most one has not ended."""

    __tablename__ = "alarm_floods"
    __table_args__ = (
        Index(None, "tenant_id", "flood_id"),
        Index(
            "uq_alarm_floods_running",
            "tenant_id",
            unique=True,
            sqlite_where=text(IS_RUNNING),
            postgresql_where=text(IS_RUNNING),
        ),
        {"sqlite_autoincrement": True},
    )

    flood_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    began_ms: Mapped[int]
    ended_ms: Mapped[int | None]
    raised: Mapped[int]
    held_back: Mapped[int]
    rate_max: Mapped[float]


class TrackerRow(Base):
    """`domain.Tracker` of one press, rule and what the rule looks at; `memory` is what an SPC rule has learnt."""

    __tablename__ = "alarm_trackers"

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    memory: Mapped[dict[str, Any] | None]
    forgotten: Mapped[dict[str, Any] | None]
    """What it had learnt before a repair, while that may be taken back."""
    forgotten_ms: Mapped[int | None]
    is_raised: Mapped[bool]
    over_count: Mapped[int]
    first_over_ms: Mapped[int | None]
    under_count: Mapped[int]
    first_under_ms: Mapped[int | None]
    last_ended_ms: Mapped[int | None]


class TroubleTrackerRow(Base):
    """`trouble.TroubleTracker` of one gateway, rule and kind of trouble."""

    __tablename__ = "gateway_trouble_trackers"

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    is_raised: Mapped[bool]
    counted: Mapped[int]
    risen_ms: Mapped[int]
