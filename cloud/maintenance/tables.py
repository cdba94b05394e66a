"""The tables of maintenance: jobs from their plan to what was found, and services of moulds."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class JobRow(Base):
    """Work on a press: planned with a window, done without one, or both; `labels` is what alarms were held for before.

    `plan` has the times that were planned; a job that was done unplanned has none.
    """

    __tablename__ = "maintenance_jobs"
    __table_args__ = (
        Index(None, "tenant_id", "job_id"),
        Index(None, "tenant_id", "state", "start_ms"),
        Index(None, "tenant_id", "done_ms"),
    )

    job_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    plant_id: Mapped[str]
    press_id: Mapped[str]
    mode: Mapped[str]
    state: Mapped[str]
    start_ms: Mapped[int | None]
    end_ms: Mapped[int | None]
    who: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    downtime_id: Mapped[UUID | None] = mapped_column(Uuid())
    repair_id: Mapped[UUID | None] = mapped_column(Uuid())
    outcome: Mapped[str]
    found: Mapped[str] = mapped_column(Text)
    work: Mapped[str] = mapped_column(Text)
    done_ms: Mapped[int | None]
    done_by: Mapped[str]
    labels: Mapped[list[Any]]
    made_ms: Mapped[int]
    made_by: Mapped[str]


class MouldServiceRow(Base):
    """A mould's interval and last service; the `previous_` ones are those that undoing brings back."""

    __tablename__ = "mould_services"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    mould_id: Mapped[str] = mapped_column(primary_key=True)
    interval_shots: Mapped[int | None]
    serviced_shots: Mapped[int]
    serviced_ms: Mapped[int | None]
    serviced_by: Mapped[str]
    previous_shots: Mapped[int]
    previous_ms: Mapped[int | None]
    previous_by: Mapped[str]
