"""The tables of production: counts by hour and mould, the cycle time expected, when presses are not planned to run."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class HourRow(Base):
    """`oee.Output` of a press and mould in an hour; the key begins with what the sums are asked by."""

    __tablename__ = "production_hours"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    hour_ms: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    mould_id: Mapped[str] = mapped_column(primary_key=True)
    shots: Mapped[int]
    timed: Mapped[int]
    timed_ms: Mapped[int]
    graded: Mapped[int]
    good: Mapped[int]


class ExpectedCycleRow(Base):
    """The cycle time expected of a press and mould: `set_s` by hand, else `own_s`, the median of `counts`.

    `before_s` is what was set until `changed_ms`, for the undo of it.
    """

    __tablename__ = "expected_cycles"
    __table_args__ = (Index(None, "tenant_id", "plant_id", "press_id"),)

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    mould_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    own_s: Mapped[float | None]
    set_s: Mapped[float | None]
    before_s: Mapped[float | None]
    changed_ms: Mapped[int | None]
    counts: Mapped[dict[str, Any]]


class PlannedDowntimeRow(Base):
    """A time in which a press, or with an empty `press_id` a whole plant, is not planned to be busy.

    One that was dropped is kept for the undo of it, and counts nowhere.
    """

    __tablename__ = "planned_downtimes"
    __table_args__ = (Index(None, "tenant_id", "end_ms"),)

    downtime_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    plant_id: Mapped[str]
    press_id: Mapped[str]
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    reason: Mapped[str] = mapped_column(Text())
    dropped_ms: Mapped[int | None]


class MouldShotsRow(Base):
    """All shots of a mould, over all presses and all time: hours are forgotten, a mould's wear is not."""

    __tablename__ = "mould_shots"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    mould_id: Mapped[str] = mapped_column(primary_key=True)
    shots: Mapped[int]
